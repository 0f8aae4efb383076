"""A right forearm from elbow to wrist: settings to a tapered limb with radius, ulna and named muscles.

z = 0 lies at the elbow joint; seen from distal, angle 0 is volar, 90 degrees radial, 180 dorsal and
270 ulnar. The conductor reaches beyond elbow and wrist so that its ends stay away from the fibres.
"""

from numerical.anatomy import segment
from numerical.anatomy.limb import Limb, Muscle
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.segment import LimbResolution, LimbSettings, Segment

ARRAY_CENTRE = 0.095  # m from the elbow: where the circumference is near its largest

# Shaped after typical adult circumferences (forearm 25 to 31 cm, wrist 17.5 cm in Gordon et al. 2014, the
# 2012 survey of US Army personnel): widest a quarter down, the wrist at 70 %, wider from radial to ulnar.
FOREARM = Segment(
    "forearm",
    ARRAY_CENTRE,
    outline=(
        # z [m], relative radius, ellipticity
        (-0.070, 0.97, 0.00),
        (0.000, 1.00, -0.01),
        (0.050, 1.02, -0.02),
        (0.095, 1.00, -0.03),
        (0.150, 0.88, -0.05),
        (0.200, 0.76, -0.09),
        (0.240, 0.70, -0.12),
        (0.270, 0.70, -0.12),
    ),
    sides=("volar", "radial", "dorsal", "ulnar"),
)

ForearmSettings = LimbSettings
ForearmResolution = LimbResolution


def muscles() -> tuple[Muscle, ...]:
    """Return the muscles of the forearm in the order of their table, `forearm_muscles.csv`."""
    return segment.muscles(FOREARM)


def forearm(settings: ForearmSettings | None = None) -> Limb:
    """Return a forearm of the given size and layers."""
    return FOREARM.limb(settings or ForearmSettings())


def mesh(limb: Limb, resolution: ForearmResolution | None = None) -> SweptMesh:
    """Return the mesh of a forearm: rings close up towards the skin, slices spread beyond the array."""
    return FOREARM.mesh(limb, resolution or ForearmResolution())
