"""The limb segments there are, by name."""

from numerical.anatomy.forearm import FOREARM, ForearmSettings
from numerical.anatomy.lower_leg import LOWER_LEG, LowerLegSettings
from numerical.anatomy.segment import LimbSettings, Segment
from numerical.anatomy.upper_arm import UPPER_ARM, UpperArmSettings

SEGMENTS: dict[str, Segment] = {"forearm": FOREARM, "lower_leg": LOWER_LEG, "upper_arm": UPPER_ARM}
SIZES: dict[str, type[LimbSettings]] = {
    "forearm": ForearmSettings,
    "lower_leg": LowerLegSettings,
    "upper_arm": UpperArmSettings,
}
