"""Trajectories: the object refuses what is no movement of named joints."""

import numpy as np
import pytest

from surrogate.movement.trajectory import Trajectory

TIME, ANGLES = np.array([0.0, 0.5, 1.0]), np.zeros((3, 2))


def test_rate_is_frames_over_duration() -> None:
    assert Trajectory(TIME, ("a", "b"), ANGLES).rate == 2.0


@pytest.mark.parametrize(
    ("time", "joints", "angles", "message"),
    [
        (TIME, ("a",), ANGLES, r"shape \(3, 2\) do not fit 3 times and 1 joints"),
        (TIME[:2], ("a", "b"), ANGLES, r"do not fit 2 times"),
        (TIME, (), ANGLES[:, :0], "no joint"),
        (TIME, ("a", "a"), ANGLES, "'a' stands twice"),
        (TIME, ("a", ""), ANGLES, "column 3 has no name"),
        (TIME[:1], ("a", "b"), ANGLES[:1], "1 frame"),
        (TIME[::-1], ("a", "b"), ANGLES, "0.5 s follows 1 s"),
        (TIME * 1e-9, ("a", "b"), ANGLES, "5e-10 s follows 0 s"),
        (np.array([0, np.nan, 1]), ("a", "b"), ANGLES, "time of frame 2"),
        (TIME, ("a", "b"), np.array([[0, np.inf]] * 3), "joint 'b' has no value .* time 0 s .3 such cells"),
    ],
)  # fmt: skip
def test_what_is_no_trajectory_is_refused_in_one_line(time, joints, angles, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        Trajectory(time, joints, angles, source="here")
    assert str(refusal.value).startswith("here: ")
    assert "\n" not in str(refusal.value)
