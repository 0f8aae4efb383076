"""Motion capture: angles that ezc3d wrote are read back, and no damaged file takes the program down."""

from pathlib import Path

import numpy as np
import pytest

from surrogate.movement.reading import read_trajectory

ezc3d = pytest.importorskip("ezc3d", reason="reading .c3d needs the extra c3d")

FRAMES, RATE = 40, 100.0
LABELS = ["LASI", "S1:RWristAngles", "S1:RElbowAngles"]
DEGREES = 30 * np.sin(np.arange(FRAMES) / 10)


def write(path: Path, angles=DEGREES, labels=tuple(LABELS), listed=("S1:RWristAngles",), units="deg") -> Path:
    content = ezc3d.c3d()
    points = np.ones((4, len(labels), FRAMES))
    for point, _ in enumerate(labels):
        points[:3, point] = angles * np.array([[1.0], [-0.5], [0.0]]) + point
    content["parameters"]["POINT"]["RATE"]["value"] = [RATE]
    content["parameters"]["POINT"]["LABELS"]["value"] = list(labels)
    content["data"]["points"] = points
    if listed:
        content.add_parameter("POINT", "ANGLES", list(listed))
    if units:
        content.add_parameter("POINT", "ANGLE_UNITS", [units])
    content.write(str(path))
    return path


def test_angles_are_read_back(tmp_path: Path) -> None:
    trajectory = read_trajectory(write(tmp_path / "a.c3d"))
    assert trajectory.joints == ("RWristAngles_x", "RWristAngles_y", "RWristAngles_z")
    np.testing.assert_allclose(trajectory.time, np.arange(FRAMES) / RATE)
    expected = DEGREES[:, None] * [1, -0.5, 0] + 1
    # C3D holds reals of 4 bytes.
    np.testing.assert_allclose(np.degrees(trajectory.angles), expected, rtol=1e-6, atol=1e-6)


def test_without_a_list_labels_that_end_in_angles_are_taken(tmp_path: Path) -> None:
    trajectory = read_trajectory(write(tmp_path / "a.c3d", listed=(), units=None))
    assert trajectory.joints[::3] == ("RWristAngles_x", "RElbowAngles_x")
    assert np.degrees(trajectory.angles[:, 0]).max() == pytest.approx(DEGREES.max() + 1)


def test_units_and_a_mapping_apply(tmp_path: Path) -> None:
    path = write(tmp_path / "a.c3d", np.radians(DEGREES), units="rad")
    mapping = {"RWristAngles_x": "flexion", "RWristAngles_y": {"to": "deviation", "scale": -1}, "*": ""}
    trajectory = read_trajectory(path, mapping=mapping)
    assert trajectory.joints == ("flexion", "deviation")
    np.testing.assert_allclose(trajectory.angles[:, 1], 0.5 * np.radians(DEGREES) - 1, rtol=1e-6, atol=1e-6)


def test_two_subjects_keep_their_names(tmp_path: Path) -> None:
    labels = ("S1:RWristAngles", "S2:RWristAngles")
    trajectory = read_trajectory(write(tmp_path / "a.c3d", labels=labels, listed=()))
    assert trajectory.joints[::3] == ("S1:RWristAngles_x", "S2:RWristAngles_x")


def test_lost_frames_are_gaps(tmp_path: Path) -> None:
    path = write(tmp_path / "a.c3d", np.where(np.isin(np.arange(FRAMES), [10, 11]), np.nan, DEGREES))
    with pytest.raises(ValueError, match=r"'RWristAngles_x' has no value .* time 0.1 s and for 0.02 s"):
        read_trajectory(path)
    assert len(read_trajectory(path, fill_gaps=0.02).notes) == 3


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.8, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, part: float) -> None:
    content = write(tmp_path / "a.c3d").read_bytes()
    # Points end before the file's last block does.
    data = 512 * (content[16] - 1) + FRAMES * 4 * 4 * len(LABELS)
    (tmp_path / "cut.c3d").write_bytes(content[: int(part * data)])
    with pytest.raises(ValueError, match=r"cut.c3d: .*cut") as refusal:
        read_trajectory(tmp_path / "cut.c3d")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["missing", "folder", "text", "positions", "still"])
def test_what_is_no_recording_of_angles_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.c3d"
    if name == "folder":
        path.mkdir()
    elif name == "text":
        path.write_text("time,a\n0,0\n1,0\n" * 100)
    elif name == "positions":
        write(path, labels=("LASI", "RASI", "LKNE"), listed=())
    elif name == "still":
        content = bytearray(write(path).read_bytes())
        start = content.index(b"RATE") + 4 + 2 + 1 + 1  # name, offset, type, number of dimensions
        content[start : start + 4] = bytes(4)
        content[20:24] = bytes(4)
        path.write_bytes(content)
    message = {"positions": "no joint angles.*LASI, RASI, LKNE", "still": "frame rate|cannot be read"}
    with pytest.raises(ValueError, match=message.get(name, "cannot be read|not a C3D file")) as refusal:
        read_trajectory(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    # Three of these crash ezc3d or have it ask for all of the memory.
    content, rng = write(tmp_path / "a.c3d").read_bytes(), np.random.default_rng(7)
    for trial in range(12):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=int(rng.choice([1, 5, 50]))):
            damaged[place] = rng.integers(256)
        path = tmp_path / f"damaged_{trial}.c3d"
        path.write_bytes(damaged)
        said = outcome(path)
        assert said == "read" or (said.startswith(str(path)) and "\n" not in said)


def outcome(path: Path) -> str:
    """Return `read`, or why the file was refused; what is read is finite."""
    try:
        assert np.isfinite(read_trajectory(path, fill_gaps=1.0).angles).all()
    except ValueError as refusal:
        return str(refusal)
    return "read"
