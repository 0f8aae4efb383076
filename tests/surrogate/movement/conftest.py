"""Models that several test modules pose, none of which is changed, and recorded movements."""

from pathlib import Path

import pytest

from surrogate.movement.models import MusculoskeletalModel, load_arm, load_hand, load_leg

RECORDED = Path(__file__).resolve().parents[4] / "shared/data/trajectories"
RECORDINGS = (
    "arm26_elbow_flexion.mot",
    "cup_drink1.csv",
    "hammer_use1.csv",
    "knife_chop1.csv",
    "myosuite_fingers.csv",
    "phone_lift.csv",
)
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the folder ../shared/data/trajectories is not here"
)


@pytest.fixture(scope="session")
def arm() -> MusculoskeletalModel:
    return load_arm()


@pytest.fixture(scope="session")
def hand() -> MusculoskeletalModel:
    return load_hand()


@pytest.fixture(scope="session")
def leg() -> MusculoskeletalModel:
    return load_leg()
