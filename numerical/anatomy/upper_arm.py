"""A right upper arm from shoulder to elbow: settings to a limb with humerus and named muscles.

z = 0 lies at the shoulder joint, the elbow at 296 mm; seen from distal, angle 0 is anterior, 90 degrees
lateral, 180 posterior and 270 medial. The muscles of the shoulder are left out: the cross-section is that
of the free arm, below the axilla. The conductor reaches beyond the elbow so that its end stays away from
the fibres.
"""

from pydantic import Field

from numerical.anatomy import segment
from numerical.anatomy.limb import Limb, Muscle
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.segment import LimbResolution, LimbSettings, Segment

ARRAY_CENTRE = 0.180  # m: over the thickest part of the muscles

# Shaped after typical adult circumferences (relaxed arm 28 to 33 cm, elbow 26 to 28 cm in Gordon et al. 2014,
# the 2012 survey of US Army personnel).
UPPER_ARM = Segment(
    "upper_arm",
    ARRAY_CENTRE,
    outline=(
        # z [m], relative radius, ellipticity
        (0.030, 1.04, 0.03),
        (0.100, 1.02, 0.03),
        (0.180, 1.00, 0.03),
        (0.230, 0.95, 0.02),
        (0.270, 0.90, -0.02),
        (0.300, 0.88, -0.06),
        (0.360, 0.86, -0.03),
    ),
    sides=("anterior", "lateral", "posterior", "medial"),
)


class UpperArmSettings(LimbSettings):
    """Size and layers of an upper arm."""

    limb_radius: float = Field(
        0.048, ge=0.03, le=0.08, description="mean skin radius in the array's middle plane, m"
    )


def muscles() -> tuple[Muscle, ...]:
    """Return the muscles of the upper arm in the order of their table, `upper_arm_muscles.csv`."""
    return segment.muscles(UPPER_ARM)


def upper_arm(settings: UpperArmSettings | None = None) -> Limb:
    """Return an upper arm of the given size and layers."""
    return UPPER_ARM.limb(settings or UpperArmSettings())


def mesh(limb: Limb, resolution: LimbResolution | None = None) -> SweptMesh:
    """Return the mesh of an upper arm: rings close up towards the skin, slices spread beyond the array."""
    return UPPER_ARM.mesh(limb, resolution or LimbResolution())
