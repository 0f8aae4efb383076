"""What anatomists know of each segment that a musculoskeletal model does not: layers, bellies, fibre lengths.

Used when anatomical tables are made; the simulator never imports it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.forearm import FOREARM, ForearmSettings
from numerical.anatomy.lower_leg import LOWER_LEG, LowerLegSettings
from numerical.anatomy.musculoskeletal import PosedModel, forearm_frame, lower_leg_frame, upper_arm_frame
from numerical.anatomy.packing import Ring
from numerical.anatomy.segment import LimbSettings, Segment
from numerical.anatomy.upper_arm import UPPER_ARM, UpperArmSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Anatomy:
    """What is asked of a model for one segment.

    frame: from a posed model, the origin [m] and the axes [xyz, axis] of the segment's frame.
    bones: table name, mesh in the model, and the range of z [mm] within which the mesh is cut; beyond it the
    bone stays as it is there.
    muscles: name in the model, optimal fibre length, and z of where fleshy fibres begin and end [mm].
    rings, relaxations: see `packing`.
    specific_tension: N/m^2, with which the model's forces were made from measured cross-sections.
    length: of the segment, joint to joint [m].
    spacing: of the levels of the tables [m]; before, after: number of levels beside the middle one.
    """

    segment: Segment
    settings: LimbSettings
    model: str
    frame: Callable[[PosedModel], tuple[Array, Array]]
    length: float
    bones: tuple[tuple[str, str, float, float], ...]
    muscles: Mapping[str, tuple[float, float, float]]
    rings: tuple[Ring, ...]
    relaxations: int
    specific_tension: float
    spacing: float
    before: int
    after: int
    source: str
    tension_source: str
    fibre_source: str

    @property
    def levels(self) -> Float[Array, " level"]:
        """The z of the tables' levels [m]."""
        steps = np.arange(-self.before, self.after + 1)
        return np.round(self.segment.array_centre + self.spacing * steps, 6)


# Set by hand, not measured: where fleshy fibres begin and end (to about a centimetre, after textbook accounts
# of origins and tendons, along a forearm of 25 cm, a lower leg of 40 cm and an upper arm of 30 cm), and the
# rings (textbook layers and order; distances and sectors chosen such that the cross-sections look like those
# of atlases). Fibre lengths: arm, Holzbaur, Murray, Delp 2005 (Annals of Biomedical Engineering 33(6)); leg,
# Ward et al. 2009 (Clinical Orthopaedics and Related Research 467(4)). MuJoCo's own only scale its force
# curves. Specific tensions: 50.8 N/cm^2 (Holzbaur et al. 2007, Saul et al. 2015) and 60 N/cm^2 (Rajagopal et
# al. 2016), those of the models from which MyoArm and MyoLeg descend.
FOREARM_MUSCLES = {
    # name in the model: fibre length, belly from, belly to [mm]
    "FCU": (51, 0, 235),
    "PL": (64, 10, 140),
    "FCR": (63, 0, 160),
    "PT": (49, -10, 125),
    "BRD": (173, -90, 140),
    "ECRL": (81, -30, 130),
    "ECRB": (59, 10, 160),
    "EDC2": (70, 20, 190),
    "EDC3": (72, 20, 190),
    "EDC4": (63, 20, 190),
    "EDC5": (65, 20, 190),
    "EDM": (68, 30, 190),
    "ECU": (62, 20, 220),
    "FDS2": (84, 40, 215),
    "FDS3": (75, 20, 215),
    "FDS4": (74, 20, 215),
    "FDS5": (52, 50, 215),
    "FDP2": (75, 30, 225),
    "FDP3": (84, 30, 225),
    "FDP4": (80, 30, 225),
    "FDP5": (75, 30, 225),
    "FPL": (55, 60, 230),
    "PQ": (28, 185, 235),
    "SUP": (33, 20, 100),
    "APL": (71, 60, 190),
    "EPB": (68, 130, 220),
    "EPL": (54, 75, 190),
    "EIP": (59, 130, 230),
}
SUPERFICIAL = (
    *("FCU", "PL", "FCR", "PT", "BRD", "ECRL", "ECRB"),
    *("EDC2", "EDC3", "EDC4", "EDC5", "EDM", "ECU"),
)
FOREARM_RINGS = (
    Ring(0.82, "ulna", "ulna", SUPERFICIAL),
    Ring(0.55, -60, 50, ("FDS5", "FDS4", "FDS3", "FDS2")),
    Ring(0.34, "ulna", 75, ("FDP5", "FDP4", "FDP3", "FDP2", "FPL")),
    Ring(0.10, "ulna", "radius", ("PQ",)),
    Ring(0.50, "radius", "ulna", ("SUP", "APL", "EPB", "EPL", "EIP")),
)
LOWER_LEG_MUSCLES = {
    "tibant": (68, 30, 290),
    "edl": (69, 50, 340),
    "perlong": (51, 30, 290),
    "gaslat": (59, -20, 200),
    "gasmed": (51, -20, 220),
    "soleus": (44, 40, 350),
    "ehl": (75, 140, 360),
    "perbrev": (45, 170, 370),
    "fhl": (53, 150, 370),
    "tibpost": (38, 60, 320),
    "fdl": (45, 110, 350),
}
LOWER_LEG_RINGS = (
    Ring(0.85, "tibia", 130, ("tibant", "edl", "perlong")),
    Ring(0.95, 150, 235, ("gaslat", "gasmed")),
    Ring(0.60, 70, 120, ("perbrev",)),
    Ring(0.50, 165, 210, ("soleus",)),
    Ring(0.50, "tibia", "fibula", ("ehl",)),
    Ring(0.50, 280, 320, ("fdl",)),
    Ring(0.45, 110, 150, ("fhl",)),
    Ring(0.10, 20, 120, ("tibpost",)),
)
UPPER_ARM_MUSCLES = {
    "BICshort": (132, 70, 280),
    "BIClong": (116, 80, 280),
    "BRA": (86, 140, 300),
    "CORB": (93, 20, 160),
    "BRD": (173, 210, 440),
    "TRIlong": (134, 30, 250),
    "TRIlat": (114, 70, 250),
    "TRImed": (114, 120, 280),
}
UPPER_ARM_RINGS = (
    Ring(0.80, -70, 290, ("CORB", "BICshort", "BIClong", "BRD", "TRIlat", "TRIlong")),
    Ring(0.30, -60, 90, ("BRA",)),
    Ring(0.35, 130, 230, ("TRImed",)),
)

ARM = ("MyoArm", "Holzbaur et al. 2007, Saul et al. 2015", "optimal, Holzbaur, Murray, Delp 2005")
LEG = ("MyoLeg", "Rajagopal et al. 2016", "optimal, Ward et al. 2009")
ANATOMIES = {
    "forearm": Anatomy(
        segment=FOREARM,
        settings=ForearmSettings(),
        model="myoarm_r",
        frame=forearm_frame,
        length=0.250,
        bones=(("ulna", "ulna_r", 30, 225), ("radius", "radius_r", 35, 225)),
        muscles=FOREARM_MUSCLES,
        rings=FOREARM_RINGS,
        relaxations=6,
        specific_tension=50.8e4,
        spacing=0.015,
        before=5,
        after=9,
        source=ARM[0],
        tension_source=ARM[1],
        fibre_source=ARM[2],
    ),
    "lower_leg": Anatomy(
        segment=LOWER_LEG,
        settings=LowerLegSettings(),
        model="myolegs",
        frame=lower_leg_frame,
        length=0.400,
        bones=(("tibia", "tibia_r", 70, 350), ("fibula", "fibula_r", 60, 370)),
        muscles=LOWER_LEG_MUSCLES,
        rings=LOWER_LEG_RINGS,
        relaxations=0,
        specific_tension=60e4,
        spacing=0.020,
        before=5,
        after=10,
        source=LEG[0],
        tension_source=LEG[1],
        fibre_source=LEG[2],
    ),
    "upper_arm": Anatomy(
        segment=UPPER_ARM,
        settings=UpperArmSettings(),
        model="myoarm_r",
        frame=upper_arm_frame,
        length=0.296,
        bones=(("humerus", "humerus_r", 30, 270),),
        muscles=UPPER_ARM_MUSCLES,
        rings=UPPER_ARM_RINGS,
        relaxations=0,
        specific_tension=50.8e4,
        spacing=0.015,
        before=8,
        after=7,
        source=ARM[0],
        tension_source=ARM[1],
        fibre_source=ARM[2],
    ),
}
