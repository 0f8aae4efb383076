"""A right lower leg from knee to ankle: settings to a tapered limb with tibia, fibula and named muscles.

z = 0 lies at the knee joint; seen from distal, angle 0 is anterior, 90 degrees lateral, 180 posterior and
270 medial. The conductor reaches beyond knee and ankle so that its ends stay away from the fibres.
"""

from pydantic import Field

from numerical.anatomy import segment
from numerical.anatomy.limb import Limb, Muscle
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.segment import LimbResolution, LimbSettings, Segment

ARRAY_CENTRE = 0.140  # m: over the thickest part of the muscles

# Shaped after typical adult circumferences (calf 35 to 39 cm, ankle 22 cm in Gordon et al. 2014, the 2012
# survey of US Army personnel): widest a third down, the ankle at 62 %, deeper from front to back.
LOWER_LEG = Segment(
    "lower_leg",
    ARRAY_CENTRE,
    outline=(
        # z [m], relative radius, ellipticity
        (-0.040, 0.98, 0.03),
        (0.030, 0.96, 0.03),
        (0.080, 0.98, 0.03),
        (0.140, 1.00, 0.04),
        (0.200, 0.91, 0.05),
        (0.260, 0.76, 0.05),
        (0.320, 0.65, 0.06),
        (0.370, 0.62, 0.12),
        (0.420, 0.66, 0.15),
    ),
    sides=("anterior", "lateral", "posterior", "medial"),
)


class LowerLegSettings(LimbSettings):
    """Size and layers of a lower leg."""

    limb_radius: float = Field(
        0.056, ge=0.035, le=0.085, description="mean skin radius in the array's middle plane, m"
    )


def muscles() -> tuple[Muscle, ...]:
    """Return the muscles of the lower leg in the order of their table, `lower_leg_muscles.csv`."""
    return segment.muscles(LOWER_LEG)


def lower_leg(settings: LowerLegSettings | None = None) -> Limb:
    """Return a lower leg of the given size and layers."""
    return LOWER_LEG.limb(settings or LowerLegSettings())


def mesh(limb: Limb, resolution: LimbResolution | None = None) -> SweptMesh:
    """Return the mesh of a lower leg: rings close up towards the skin, slices spread beyond the array."""
    return LOWER_LEG.mesh(limb, resolution or LimbResolution())
