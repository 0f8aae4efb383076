"""Models that several test modules pose; none of them is changed."""

import pytest

from surrogate.movement.models import MusculoskeletalModel, load_arm, load_hand, load_leg


@pytest.fixture(scope="session")
def arm() -> MusculoskeletalModel:
    return load_arm()


@pytest.fixture(scope="session")
def hand() -> MusculoskeletalModel:
    return load_hand()


@pytest.fixture(scope="session")
def leg() -> MusculoskeletalModel:
    return load_leg()
