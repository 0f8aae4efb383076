"""Objects: states of a MuJoCo model, and objects that hold no trajectory."""

import mujoco
import numpy as np
import pandas
import pytest
import xarray

from surrogate.movement.arrays import trajectory_from_states
from surrogate.movement.reading import trajectory_from
from surrogate.movement.trajectory import Trajectory

MODEL = """<mujoco><worldbody>
<body><freejoint name="root"/><geom size="0.1"/>
<body><joint name="elbow" type="hinge"/><geom size="0.1"/>
<body><joint name="finger" type="ball"/><geom size="0.1"/>
<body><joint name="rail" type="slide"/><joint type="hinge"/><geom size="0.1"/></body>
</body></body></body></worldbody></mujoco>"""
TIME = np.array([0.0, 0.1, 0.2])


def test_states_give_hinges_and_slides_by_name() -> None:
    model = mujoco.MjModel.from_xml_string(MODEL)
    data = mujoco.MjData(model)
    positions = np.tile(data.qpos, (3, 1))
    for frame in range(3):
        data.joint("elbow").qpos = 0.1 * frame
        data.joint("rail").qpos = -0.2 * frame
        positions[frame] = data.qpos
    trajectory = trajectory_from_states(positions, model, TIME)
    assert trajectory.joints == ("elbow", "rail", "joint_4")
    np.testing.assert_allclose(trajectory.angles[-1], [0.2, -0.4, 0])
    assert trajectory.notes == ("states: free and ball joints left out: root, finger",)
    with pytest.raises(ValueError, match=r"shape \(3, 2\) do not fit 3 times and the model's 14"):
        trajectory_from_states(positions[:, :2], model, TIME)


def test_a_trajectory_keeps_its_notes_when_renamed() -> None:
    given = Trajectory(TIME, ("a", "b"), np.zeros((3, 2)), "there", ("there: a doubt",))
    renamed = trajectory_from(given, mapping={"a": "flexion", "b": ""})
    assert renamed.source == "there"
    assert renamed.notes == ("there: a doubt", "there: left out as mapped: b")


FRAME = pandas.DataFrame({"a": [0.0, 1.0, 2.0]}, index=TIME)
ARRAY = xarray.DataArray(np.zeros((3, 2)), dims=("time", "joint"), coords={"time": TIME, "joint": ["a", "b"]})


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ("text", {}, "str is no trajectory"),
        (np.zeros((3, 2)), {"names": "ab"}, "needs the time"),
        (np.zeros((3, 2)), {"names": "a", "time": TIME}, "1 names for 2 columns"),
        (np.zeros((2, 2)), {"names": "ab", "time": TIME}, r"shape \(2, 2\) do not fit 3 times"),
        (np.zeros(3), {"names": "a", "time": TIME}, r"wanted is \[frame, joint\]"),
        (np.zeros((3, 1)), {"names": "a", "time": TIME[:, None]}, r"time has shape \(3, 1\)"),
        (np.array([["0"], ["1"], ["2"]]), {"names": "a", "time": TIME}, "not numbers"),
        (np.zeros((3, 1)) + 1j, {"names": "a", "time": TIME}, "complex128, not numbers"),
        ([[0], [1, 2], [3]], {"names": "a", "time": TIME}, "ragged"),
        (np.zeros((3, 1)), {"names": "a", "time": ["x", "y", "z"]}, "the time holds <U1"),
        (np.zeros((3, 1)), {"names": [""], "time": TIME}, "column 2 has no name"),
        (FRAME + 1e300, {}, r"1e\+300 radians .* more than a whole turn"),
        (FRAME + 1e300, {"units": "degrees"}, "more than ten whole turns"),
        (np.zeros((3, 1)), {"names": "a", "time": TIME, "units": "turns"}, "unknown units 'turns'"),
        (FRAME, {"time": TIME}, "brings its own times"),
        (FRAME.assign(b="x"), {}, "column 'b' holds"),
        (FRAME.assign(time=TIME, t=TIME), {}, "2 columns of time"),
        (pandas.concat([FRAME, FRAME], axis=1), {}, "'a' stands twice"),
        (FRAME.iloc[:, :0], {}, "no joint"),
        (FRAME.set_index(np.array(["x", "y", "z"])), {}, "the time holds"),
        (FRAME.iloc[::-1], {}, "0.1 s follows 0.2 s"),
        (ARRAY.rename(time="frame"), {}, "one must be time"),
        (ARRAY.drop_vars("joint"), {}, "no coordinate that names the joints"),
        (ARRAY.drop_vars("time"), {}, "one must be time, with a coordinate"),
        (ARRAY[:, 0], {}, "wanted are time and one of joints"),
        (ARRAY.assign_attrs(units="turns"), {}, "unknown units 'turns'"),
        (xarray.Dataset({"angle": ARRAY}), {}, "variable 'angle' has dimensions"),
        (xarray.Dataset(coords={"time": TIME}), {}, "no joint"),
    ],
)  # fmt: skip
def test_objects_without_a_trajectory_are_refused_in_one_line(data, more, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        trajectory_from(data, **more)
    assert "\n" not in str(refusal.value)
