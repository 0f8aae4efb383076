"""Reading: what is read is what was written, whatever the layout, the units and the kind of object."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate.movement.arrays import to_dataarray, to_dataframe
from surrogate.movement.reading import read_trajectory, trajectory_from
from surrogate.movement.trajectory import Trajectory
from tests.surrogate.movement.conftest import RECORDED, needs_recordings

SIMM = "name x\ndatacolumns 2\ndatarows 2\ninDegrees yes\nendheader\n{}"
MOT = "Coordinates\nversion=1\nnRows=2\nnColumns=2\ninDegrees={}\n\nendheader\n{}"


def written(folder: Path, text: str, name: str = "movement.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "# units: degrees\ntime,flexion\n0,10\n0.5,-20\n"),
        ("a.csv", "time,flexion_deg\n0,10\n0.5,-20\n"),
        ("a.csv", "\ufefftime (s);flexion_deg\n0;10\n\n0.5;-20\n"),
        ("a.csv", "t_ms\tflexion_deg\n0\t10\n500\t-20\n"),
        ("a.csv", "time [ms],flexion_deg\n0,10\n500,-20\n"),
        ("a.csv", "Time,flexion\n0,0.1745329251994\n0.5,-0.3490658503989\n"),
        ("a.csv", "# units: degrees\ntime,flexion_rad\n0,0.1745329251994\n0.5,-0.3490658503989\n"),
        ("a.mot", MOT.format("yes", "time\tflexion\n0\t10\n0.5\t-20\n")),
        ("a.sto", MOT.format("no", "time\tflexion\n0\t0.1745329251994\n0.5\t-0.3490658503989\n")),
        ("a.mot", SIMM.format("time flexion\n0 10\n.5 -20")),
        ("A.MOT", MOT.format("yes", "time\tflexion\t\n   0.0    1e1  \n   0.5   -20\n\n")),
    ],
)  # fmt: skip
def test_units_and_layouts_read_alike(tmp_path: Path, name: str, text: str) -> None:
    trajectory = read_trajectory(written(tmp_path, text, name))
    assert trajectory.joints == ("flexion",)
    np.testing.assert_array_equal(trajectory.time, [0, 0.5])
    np.testing.assert_allclose(np.degrees(trajectory.angles[:, 0]), [10, -20], rtol=1e-12)


@pytest.mark.parametrize("units", ["degrees", "radians"])
def test_option_overrules_the_file(tmp_path: Path, units) -> None:
    path = written(tmp_path, "# units: turns\ntime,a,b_deg\n0,1,1\n1,2,2\n")
    factor = np.pi / 180 if units == "degrees" else 1
    np.testing.assert_allclose(read_trajectory(path, units).angles, factor * np.array([[1, 1], [2, 2]]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-6, 6), min_size=2, max_size=6))
def test_degrees_and_radians_round_trip(tmp_path_factory, angles: list[float]) -> None:
    folder = tmp_path_factory.mktemp("units")
    read = []
    for units, values in (("radians", angles), ("degrees", np.degrees(angles))):
        rows = "\n".join(f"{i},{float(value)!r}" for i, value in enumerate(values))
        read.append(read_trajectory(written(folder, f"# units: {units}\ntime,a\n{rows}\n")).angles)
    np.testing.assert_allclose(read[0][:, 0], angles, rtol=0, atol=0)
    np.testing.assert_allclose(read[1], read[0], rtol=1e-14, atol=0)  # two roundings


def test_state_file_gives_its_joint_values(tmp_path: Path) -> None:
    header = "time\t/jointset/elbow/elbow_flexion/value\t/jointset/elbow/elbow_flexion/speed"
    text = f"states\ninDegrees=no\nendheader\n{header}\n0\t0.1\t99\n1\t0.2\t99\n"
    trajectory = read_trajectory(written(tmp_path, text, "states.sto"))
    assert trajectory.joints == ("elbow_flexion",)
    np.testing.assert_array_equal(trajectory.angles[:, 0], [0.1, 0.2])


def test_translations_are_no_angles(tmp_path: Path) -> None:
    # Of a walk along 12 m: as radians they would be two turns, as degrees they would be scaled.
    for degrees in ("yes", "no"):
        rows = "time\tpelvis_tx\n0\t0\n1\t12\n"
        read = read_trajectory(written(tmp_path, MOT.format(degrees, rows), "walk.mot"))
        np.testing.assert_array_equal(read.angles[:, 0], [0, 12])


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    joints = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4, unique=True))
    frames = draw(st.integers(2, 6))
    steps = draw(st.lists(st.floats(0.01, 0.5), min_size=frames, max_size=frames))
    values = st.lists(st.floats(-3, 3), min_size=len(joints), max_size=len(joints))
    angles = draw(st.lists(values, min_size=frames, max_size=frames))
    return Trajectory(np.cumsum(steps), tuple(joints), np.array(angles))


@settings(max_examples=20, deadline=None)
@given(trajectories())
def test_objects_and_files_round_trip(tmp_path_factory, trajectory: Trajectory) -> None:
    folder = tmp_path_factory.mktemp("objects")
    frame, array = to_dataframe(trajectory), to_dataarray(trajectory)
    frame.to_csv(folder / "a.csv")
    parts = {"time": trajectory.time, "angles": trajectory.angles, "names": list(trajectory.joints)}
    np.savez(folder / "a.npz", **parts)
    np.savez(
        folder / "b.npz", t=trajectory.time, **dict(zip(trajectory.joints, trajectory.angles.T, strict=True))
    )
    np.save(folder / "a.npy", frame.reset_index().to_records(index=False))
    np.save(folder / "b.npy", np.column_stack([trajectory.time, trajectory.angles]))
    numbered = {f"column_{i + 1}": name for i, name in enumerate(trajectory.joints)}
    for same in (
        trajectory_from(trajectory),
        trajectory_from(trajectory.angles, time=trajectory.time, names=trajectory.joints),
        trajectory_from(frame),
        trajectory_from(frame.reset_index()),
        trajectory_from(array),
        trajectory_from(array.T),
        trajectory_from(array.to_dataset(dim="joint")),
        trajectory_from(np.degrees(array).assign_attrs(units="degrees")),
        trajectory_from(np.degrees(frame), units="degrees"),
        read_trajectory(folder / "a.csv"),
        read_trajectory(folder / "a.npz"),
        read_trajectory(folder / "b.npz"),
        read_trajectory(folder / "a.npy"),
        read_trajectory(folder / "b.npy", mapping=numbered),
    ):
        assert same.joints == trajectory.joints
        # Bits survive, but for the rounding of degrees.
        np.testing.assert_array_equal(same.time, trajectory.time)
        np.testing.assert_allclose(same.angles, trajectory.angles, rtol=1e-14, atol=1e-300)


def test_dates_and_durations_are_seconds_from_the_first() -> None:
    index = pandas.date_range("2024-05-01 10:00", periods=3, freq="20ms")
    frame = pandas.DataFrame({"flexion_deg": [0.0, 10.0, 20.0]}, index=index)
    for dated in (frame, frame.set_index(index - index[0]), frame.rename_axis("time").reset_index()):
        read = trajectory_from(dated)
        assert read.joints == ("flexion",)
        np.testing.assert_allclose(read.time, [0, 0.02, 0.04], rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.degrees(read.angles[:, 0]), [0, 10, 20])


def test_variables_of_a_dataset_have_units_of_their_own() -> None:
    degrees = xarray.DataArray([0.0, 90.0], dims="time", attrs={"units": "degrees"})
    dataset = xarray.Dataset({"a": degrees, "b": ("time", [0.0, 1.0])}, coords={"time": [0.0, 1.0]})
    np.testing.assert_allclose(trajectory_from(dataset).angles[1], [np.pi / 2, 1.0])


def test_units_of_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", time=[0.0, 1.0], flexion=[0, 90], units="degrees")
    np.testing.assert_allclose(read_trajectory(tmp_path / "a.npz").angles[:, 0], [0, np.pi / 2])


@needs_recordings
@pytest.mark.parametrize(
    ("name", "joints", "rate"),
    [
        ("arm26_elbow_flexion.mot", 2, 120),
        ("cup_drink1.csv", 23, 50),
        ("hammer_use1.csv", 23, 50),
        ("knife_chop1.csv", 23, 50),
        ("phone_lift.csv", 23, 50),
        ("myosuite_fingers.csv", 23, 500),
    ],
)
def test_recorded_trajectories_read_without_a_doubt(name: str, joints: int, rate: float) -> None:
    trajectory = read_trajectory(RECORDED / name)
    assert len(trajectory.joints) == joints
    assert trajectory.rate == pytest.approx(rate, rel=1e-3)
    assert trajectory.notes == ()
