"""Trajectories: what is read is what was written, and resampling keeps the movement."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.movement.trajectory import (
    Trajectory,
    differentiate,
    low_pass,
    read_trajectory,
    resample,
)

SIMM = "name x\ndatacolumns 2\ndatarows 2\ninDegrees yes\nendheader\n{}"
MOT = "Coordinates\nversion=1\nnRows=2\nnColumns=2\ninDegrees={}\n\nendheader\n{}"


def written(folder: Path, text: str, name: str = "movement.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def sine(frequency: float, rate: float, duration: float = 2.0) -> Trajectory:
    time = np.arange(round(duration * rate) + 1) / rate
    return Trajectory(time, ("a",), np.sin(2 * np.pi * frequency * time)[:, None])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "# units: degrees\ntime,flexion\n0,10\n0.5,-20\n"),
        ("a.csv", "time,flexion_deg\n0,10\n0.5,-20\n"),
        ("a.csv", "\ufefftime (s);flexion_deg\n0;10\n\n0.5;-20\n"),
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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "empty"),
        ("a.mot", "", "empty"),
        ("a.csv", "# only a comment\n", "empty"),
        ("a.c3d", "time,a\n0,0\n", "unknown extension '.c3d'"),
        ("a.csv", "frame,a\n0,0\n1,0\n", "no time column"),
        ("a.csv", "0,0.1\n1,0.2\n", "no time column"),
        ("a.csv", "time,a\n", "0 frame"),
        ("a.csv", "time,a\n0,0\n", "1 frame"),
        ("a.csv", "time\n0\n1\n", "no joint"),
        ("a.csv", "time,a,a\n0,0,0\n1,0,0\n", "'a' stands twice"),
        ("a.csv", "time,a,a_deg\n0,0,0\n1,0,0\n", "'a' stands twice"),
        ("a.csv", "time,,a\n0,0,0\n1,0,0\n", "column 2 has no name"),
        ("a.csv", "time,a,b\n0,0,0\n0.5,0,nan\n1,0,0\n", "joint 'b' has no value .* time 0.5 s"),
        ("a.csv", "time,a,b\n0,0,0\n0.5,,0\n1,0,0\n", "joint 'a' has no value .* time 0.5 s"),
        ("a.csv", "time,a\n0,0\n0.5,inf\n", "joint 'a' has no value .* time 0.5 s"),
        ("a.csv", "time,a\n0,0\n,0\n", "time of frame 2"),
        ("a.csv", "time,a\n0,0\n2,0\n1,0\n", "1 s follows 2 s"),
        ("a.csv", "time,a\n0,0\n0,0\n", "0 s follows 0 s"),
        ("a.csv", "time,a\n0,0\n1,zero\n", "line 3, column 'a': 'zero' is not a number"),
        ("a.csv", "time,a\n0,0\n1,1_000\n", "line 3, column 'a': '1_000' is not a number"),
        ("a.csv", "time,a\n0,0\n1\n", "line 3 has 1 cells, the header names 2"),
        ("a.csv", "time,a\n0,0\n1,0,0\n", "line 3 has 3 cells, the header names 2"),
        ("a.csv", "# units: turns\ntime,a\n0,0\n1,0\n", "unknown units 'turns'"),
        ("a.csv", "time,a\n0,0\n1,90\n", "'a' is 90 rad at time 1 s.*--units degrees"),
        ("a.mot", MOT.format("no", "time\ta\n0\t0\n1\t90\n"), "--units degrees"),
        ("a.mot", MOT.format("perhaps", "time\ta\n0\t0\n1\t0\n"), "unknown units 'perhaps'"),
        ("a.mot", MOT.format("no", "time\ta\n0\t0\n"), "header says 2 rows, the file has 1"),
        ("a.mot", MOT.format("no", "time\ta\tb\n0\t0\t0\n1\t0\t0\n"), "header says 2 columns"),
        ("a.mot", "time\ta\n0\t0\n", "no endheader"),
        ("a.mot", "Units are S.I.\nendheader\ntime\ta\n0\t0\n1\t90\n", "--units degrees"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(ValueError, match=message) as refusal:
        read_trajectory(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    for path in (tmp_path / "missing.csv", binary, folder):
        with pytest.raises(ValueError, match="cannot be read"):
            read_trajectory(path)


def test_resampling_cubics_is_exact() -> None:
    time = np.linspace(1.0, 3.0, 41)
    cubic = np.polynomial.Polynomial([0.1, -0.4, 0.3, 0.2])
    got = resample(Trajectory(time, ("a",), cubic(time)[:, None]), 173.0)
    assert got.time[0] == time[0]
    np.testing.assert_allclose(np.diff(got.time), 1 / 173, rtol=1e-9)
    assert time[-1] - got.time[-1] < 1 / 173
    np.testing.assert_allclose(got.angles[:, 0], cubic(got.time), atol=1e-12)  # rounding


def test_resampling_a_sine_errs_as_a_cubic_spline() -> None:
    rate, omega = 50.0, 2 * np.pi * 2
    got = resample(sine(2.0, rate), 240.0)
    error = np.abs(got.angles[:, 0] - np.sin(omega * got.time))
    inner = (got.time > 0.2) & (got.time < 1.8)
    # Cubic splines err by 5/384 h^4 max|f''''| (Hall and Meyer 1976); near the free ends by more.
    bound = 5 / 384 * (omega / rate) ** 4
    assert error[inner].max() < bound
    assert error.max() < 20 * bound


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=30), st.floats(20, 300))
def test_resampling_stays_within_the_data(values: list[float], rate: float) -> None:
    # Upwards in rate nothing is filtered: at most the 1 % that a spline is allowed.
    data = np.array(values)[:, None]
    time = np.arange(len(values)) / 20
    got = resample(Trajectory(time, ("a",), data), rate).angles
    room = 0.01 * np.ptp(data) + 1e-8
    assert data.min() - room <= got.min()
    assert got.max() <= data.max() + room


def test_uneven_times_are_resampled() -> None:
    rng = np.random.default_rng(3)
    time = np.sort(rng.uniform(0, 2, 200))
    time[[0, -1]] = 0, 2
    got = resample(Trajectory(time, ("a",), np.sin(5 * time)[:, None]), 100.0)
    # The widest gap stands for h in the spline's error bound.
    bound = 5 / 384 * (5 * np.diff(time).max()) ** 4
    np.testing.assert_allclose(got.angles[10:-10, 0], np.sin(5 * got.time)[10:-10], atol=bound)


def test_going_down_in_rate_does_not_alias() -> None:
    # 70 Hz sampled at 100 Hz would come back as 30 Hz at full size; two passes of a fourth-order
    # filter with its corner at 44.6 Hz leave 1 / (1 + (70 / 44.6)^8) = 2.6 % of it.
    got = resample(sine(70.0, 1000.0), 100.0)
    assert np.abs(got.angles[20:-20]).max() < 0.03
    slow = resample(sine(3.0, 1000.0), 100.0)
    np.testing.assert_allclose(slow.angles[:, 0], np.sin(2 * np.pi * 3 * slow.time), atol=2e-3)


def test_low_pass_has_no_delay_and_loses_3_db_at_the_cutoff() -> None:
    time = np.arange(2001) / 200
    values = np.sin(2 * np.pi * 6 * time)[:, None]
    smooth = low_pass(time, values, 6.0)[400:-400, 0]
    inner = values[400:-400, 0]
    gain = smooth @ inner / (inner @ inner)
    assert gain == pytest.approx(np.sqrt(0.5), rel=0.01)  # the bilinear transform bends frequency
    np.testing.assert_allclose(smooth, gain * inner, atol=1e-4)


def test_cutoff_slows_the_movement_down() -> None:
    movement = sine(8.0, 100.0)
    assert np.abs(resample(movement, 100.0, cutoff=2.0).angles[20:-20]).max() < 0.01
    np.testing.assert_allclose(resample(movement, 100.0).angles, movement.angles, atol=1e-12)


def test_derivatives_of_a_slow_sine() -> None:
    movement, omega = sine(0.5, 100.0, 6.0), np.pi
    velocity, acceleration = differentiate(movement.time, movement.angles, 6.0)
    inner = slice(100, -100)
    # The filter passes 0.5 Hz but for (0.5 / 6)^8; the spline errs by (omega h)^2 / 12 at most.
    phase = omega * movement.time[inner]
    np.testing.assert_allclose(velocity[inner, 0], omega * np.cos(phase), atol=1e-4 * omega)
    np.testing.assert_allclose(acceleration[inner, 0], -(omega**2) * np.sin(phase), atol=1e-3 * omega**2)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf, 0.1])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"must be positive|less than a frame"):
        resample(sine(1.0, 50.0), rate)
