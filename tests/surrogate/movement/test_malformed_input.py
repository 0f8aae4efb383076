"""Malformed trajectories, mappings and poses: each is refused in one line that names it, and nothing else
escapes, whatever the bytes."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate.movement.naming import read_mapping
from surrogate.movement.poses import named_poses, pose_trajectory
from surrogate.movement.reading import read_trajectory
from surrogate.movement.trajectory import Trajectory

MOT = "Coordinates\nversion=1\nnRows=2\nnColumns=2\ninDegrees={}\n\nendheader\n{}"
TIME = np.array([0.0, 0.1, 0.2])


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


TRAJECTORIES = [
    ("a.csv", "", "empty"),
    ("a.mot", "", "empty"),
    ("a.csv", "# only a comment\n", "empty"),
    ("a.xlsx", "time,a\n0,0\n", r"unknown extension '.xlsx'; allowed are .csv, .*\.yaml"),
    ("a", "time,a\n0,0\n", "unknown extension ''"),
    ("a.csv", "frame,a\n0,0\n1,0\n", "no time column"),
    ("a.csv", "0,0.1\n1,0.2\n", "no time column"),
    ("a.csv", "time (min),a\n0,0\n1,0\n", r"'time \(min\)' is in 'min'; allowed are s and ms"),
    ("a.csv", "time,a\n", "0 frame"),
    ("a.csv", "time,a\n0,0\n", "1 frame"),
    ("a.csv", "time\n0\n1\n", "no joint"),
    ("a.csv", "time,a,a\n0,0,0\n1,0,0\n", "'a' stands twice"),
    ("a.csv", "time,a,a_deg\n0,0,0\n1,0,0\n", "columns 'a' and 'a_deg' both become 'a'"),
    ("a.csv", "time,,a\n0,0,0\n1,0,0\n", "column 2 has no name"),
    ("a.csv", "time,a,b\n0,0,0\n0.5,0,nan\n1,0,0\n", "joint 'b' has no value .* time 0.5 s and for 0.5 s"),
    ("a.csv", "time,a,b\n0,0,0\n0.5,,0\n1,0,0\n", "joint 'a' has no value .* time 0.5 s"),
    ("a.csv", "time,a\n0,0\n0.5,inf\n", "joint 'a' has no value .* time 0.5 s"),
    ("a.csv", "time,a\n0,0\n0.5,1e999\n", "joint 'a' has no value .* time 0.5 s"),
    ("a.csv", "time,a,b\n0,0,\n1,0,\n", "joint 'b' has no value from time 0 s to the end"),
    ("a.csv", "time,a\n0,0\n,0\n", "time of frame 2"),
    ("a.csv", "time,a\n0,0\ninf,0\n", "time of frame 2"),
    ("a.csv", "time,a\n0,0\n2,0\n1,0\n", "1 s follows 2 s"),
    ("a.csv", "time,a\n0,0\n0,0\n", "1 frame"),
    ("a.csv", "time,a\n0,0\n0,1\n1,1\n", "time 0 s stands twice"),
    ("a.csv", "time,a\n0,0\n1,zero\n", "line 3, column 'a': 'zero' is not a number"),
    ("a.csv", "time,a\n0,0\n1,1_000\n", "line 3, column 'a': '1_000' is not a number"),
    ("a.csv", "time;a\n0;0\n1;0,5\n", "line 3, column 'a': '0,5' is not a number"),
    ("a.csv", "time,a\n0,0\n1,0x1F\n", "'0x1F' is not a number"),
    ("a.csv", "time,a\n0,0\n1\n", "line 3 has 1 cells, the header names 2"),
    ("a.csv", "time,a\n0,0\n1,0,0\n", "line 3 has 3 cells, the header names 2"),
    ("a.csv", "time,a\n0,0\n1," + "0" * 200_000 + "\n", "line 3: field larger than field limit"),
    ("a.csv", "# units: turns\ntime,a\n0,0\n1,0\n", "unknown units 'turns'"),
    ("a.csv", "time,a\n0,0\n1,90\n", "'a' is 90 radians at time 1 s, .*--units degrees"),
    ("a.csv", "time,a_deg\n0,0\n1,5157\n", "'a' is 5157 degrees at time 1 s, more than ten whole turns"),
    ("a.csv", b"\xff\xfe\x00\x81", "cannot be read: not a text file"),
    ("a.mot", MOT.format("no", "time\ta\n0\t0\n1\t90\n"), "--units degrees"),
    ("a.mot", MOT.format("perhaps", "time\ta\n0\t0\n1\t0\n"), "unknown units 'perhaps'"),
    ("a.mot", MOT.format("no", "time\ta\n0\t0\n"), "header says 2 rows, the file has 1"),
    ("a.mot", MOT.format("no", "time\ta\tb\n0\t0\t0\n1\t0\t0\n"), "header says 2 columns"),
    ("a.mot", "time\ta\n0\t0\n", "no endheader"),
    ("a.mot", "endheader\n", "empty, no line with column names"),
    ("a.sto", "Units are S.I.\nendheader\ntime\ta\n0\t0\n1\t90\n", "--units degrees"),
    ("a.npz", b"", "cannot be read"),
    ("a.npz", b"PK\x03\x04 and no more", "cannot be read"),
    ("a.npz", "time,a\n0,0\n1,0\n", "cannot be read"),
    ("a.npz", npz(time=TIME, a=TIME)[:-40], "cannot be read"),
    ("a.npz", npz(a=TIME), "0 arrays of time among a"),
    ("a.npz", npz(time=TIME, t=TIME, a=TIME), "2 arrays of time"),
    ("a.npz", npz(time=TIME), "no joint"),
    ("a.npz", npz(time=TIME, a=TIME[:2]), r"column 'a' has shape \(2,\), the time has \(3,\)"),
    ("a.npz", npz(time=TIME, angles=TIME, names=["a"]), r"angles of shape \(3,\) do not fit 3 times"),
    ("a.npz", npz(time=TIME, angles=np.zeros((3, 2)), names=["a"]), "1 names for 2 columns"),
    ("a.npz", npz(time=TIME, a=TIME, units="turns"), "unknown units 'turns'"),
    ("a.npz", npz(time=TIME, a=np.array(["x", "y", "z"])), "column 'a' holds <U1, not numbers"),
    ("a.npz", npz(time=TIME, a=np.array([None, 1, 2])), "cannot be read: Object arrays"),
    ("a.npy", npy(np.zeros(3)), r"array of shape \(3,\); wanted is \[frame, 1 \+ joint\]"),
    ("a.npy", npy(np.zeros((2, 1))), r"array of shape \(2, 1\)"),
    ("a.npy", npy(np.zeros((2, 2))), "1 frame"),
    ("a.npy", npy(np.zeros((2, 2)))[:100], "cannot be read"),
    ("a.npy", b"\x93NUMPY\x09\x00", "cannot be read"),
    ("a.npy", npy(np.zeros(2, [("a", float)])), "0 arrays of time among a"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), TRAJECTORIES)
def test_malformed_trajectories(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=message) as refusal:
        read_trajectory(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("extension", ["csv", "mot", "npz", "npy", "c3d", "yaml"])
def test_missing_files_and_folders(tmp_path: Path, extension: str) -> None:
    folder = tmp_path / f"folder.{extension}"
    folder.mkdir()
    for path in (tmp_path / f"missing.{extension}", folder):
        with pytest.raises(ValueError, match=r"cannot be read|\.c3d needs") as refusal:
            read_trajectory(path)
        assert str(refusal.value).startswith(str(path))
        assert "\n" not in str(refusal.value)


MAPPINGS = [
    ("map.txt", "from,to\n", "unknown extension '.txt' of a mapping; allowed are .csv and .yaml"),
    ("map.csv", "", "empty; the first line must be from,to"),
    ("map.csv", "a,flexion\n", "the first line is 'a,flexion'; it must be from,to"),
    ("map.csv", "from,to,factor\na,b,1\n", "'from,to,factor'; it must be from,to"),
    ("map.csv", "from,to,to\na,b,c\n", "'from,to,to'; it must be"),
    ("map.csv", "from,to\na\n", "line 2 has 1 cells"),
    ("map.csv", "from,to\na,b\na,c\n", "line 3: 'a' stands twice"),
    ("map.csv", "from,to\n,b\n", "a column without a name becomes 'b'"),
    ("map.csv", "from,to,scale\na,b,minus\n", "line 2: scale: .*valid number.*'minus'"),
    ("map.csv", "from,to,scale\na,b,0\n", "'a' has scale 0"),
    ("map.csv", "from,to,scale\na,b,nan\n", "line 2: scale: .*finite"),
    ("map.csv", "from,to,scale,offset\na,b,1,inf\n", "line 2: offset: .*finite"),
    ("map.csv", "from,to\nhip_*,b\n", r"pattern 'hip_\*' becomes 'b'; a pattern can only leave"),
    ("map.csv", b"\xff\xfe\x00", "cannot be read"),
    ("map.yaml", "- a\n- b\n", "holds list"),
    ("map.yaml", "a: [b]\n", r"'a' becomes \['b'\]; allowed are a name, or to, scale, offset"),
    ("map.yaml", "a: 3\n", "'a' becomes 3"),
    ("map.yaml", "1: b\n", "1 is no column's name"),
    ("map.yaml", "a: {scale: 2}\n", "'a': to: Field required"),
    ("map.yaml", "a: {to: b, scales: 2}\n", "'a': scales: Extra inputs"),
    ("map.yaml", "a: {to: b, scale: two}\n", "'a': scale: .*'two'"),
    ("map.yaml", "a: {to: b\n", "line 2 not YAML"),
    ("map.yaml", b"\xff\xfe\x00", "cannot be read|not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), MAPPINGS)
def test_malformed_mappings(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=message) as refusal:
        read_mapping(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


POSES = [
    ("", "'' is not understood; wanted is POSE"),
    ("rest,,fist", "'' is not understood"),
    ("rest,", "'' is not understood"),
    ("fits", "unknown pose 'fits'; the nearest are fist"),
    ("rest, wrist flexion", "'wrist flexion' is not understood"),
    ("rest:-1", "'rest:-1' is not understood"),
    ("rest:1s", "'rest:1s' is not understood"),
    ("rest:1e9", "'rest:1e9' is not understood"),
    ("rest:nan", "'rest:nan' is not understood"),
    ("rest:9999999999", "'rest:9999999999': hold: .*3600"),
    ("rest, fist@0", "'fist@0': move: .*0.05"),
    ("rest@1, fist", "the movement begins in 'rest'; no move leads to it"),
    ("rest@1:1", "'rest@1:1' is not understood"),
    ("rest, fist:1:2", "'fist:1:2' is not understood"),
    ("rest, fist*2", "'fist\\*2' goes beyond itself"),
    ("rest, fist*-0.5", "is not understood"),
    ("rest, fist++point", "'fist\\+\\+point' is not understood"),
    ("rest:0", "lasts 0 s; allowed are 0.01 s, a frame, to 3600 s"),
    ("rest:3000, fist:3000", "lasts 6000.8 s"),
]


@pytest.mark.parametrize(("line", "message"), POSES)
def test_malformed_sequences(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        pose_trajectory(line)
    assert str(refusal.value).startswith("poses: ")
    assert "\n" not in str(refusal.value)


FILES_OF_POSES = [
    ("", "sequence: Field required"),
    ("sequence: []\n", "sequence: Tuple should have at least 1 item"),
    ("sequence: 3\n", "sequence: .*got 3"),
    ("sequence: [{hold: 1}]\n", "sequence.0.pose: Field required"),
    ("sequence: [{pose: fist, hold: -1}]\n", "sequence.0.hold: .*got -1"),
    ("sequence: [{pose: fist, for: 1}]\n", "sequence.0.for: Extra inputs"),
    ("sequence: [3]\n", "sequence.0: .*got 3"),
    ("sequence: rest\nrate: 3\n", "rate: Extra inputs"),
    ("sequence: rest, grip\n", "unknown pose 'grip'"),
    ("sequence: grip\nposes: {grip: 3}\n", "poses.grip: .*got 3"),
    ("sequence: grip\nposes: {grip: {flexion: .nan}}\n", "poses.grip.flexion: .*finite"),
    ("sequence: grip\nposes: {a-b: {flexion: 1}}\n", "poses.a-b"),
    ("- rest\n", "holds list"),
    ("sequence: 2024-13-45\n", "cannot be read: month must be"),
    ("sequence: " + "[" * 1000, "cannot be read: .*recursion"),
    ("\x00sequence: rest\n", "not YAML|special characters"),
    ("sequence: {rest\n", "not YAML"),
]


@pytest.mark.parametrize(("content", "message"), FILES_OF_POSES)
def test_malformed_files_of_poses(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "poses.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as refusal:
        read_trajectory(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_options_that_do_not_apply(tmp_path: Path) -> None:
    path = tmp_path / "poses.yaml"
    path.write_text("sequence: rest, fist\n")
    with pytest.raises(ValueError, match="no units or mapping apply"):
        read_trajectory(path, "radians")
    with pytest.raises(ValueError, match="frame rate 0 Hz must be positive"):
        pose_trajectory("rest", rate=0)
    (tmp_path / "a.csv").write_text("time,a\n0,0\n1,0\n")
    with pytest.raises(ValueError, match="unknown units 'turns'"):
        read_trajectory(tmp_path / "a.csv", "turns")  # type: ignore[arg-type]


WHOLE = {
    "csv": b"# units: degrees\ntime,flexion,deviation_rad\n0,1,0.1\n0.01,2,0.2\n0.02,3,0.3\n0.03,4,0.4\n",
    "mot": MOT.format("yes", "time\tflexion\n0\t0\n1\t9\n").encode(),
    "npz": npz(time=TIME, angles=np.ones((3, 2)), names=["a", "b"], units="degrees"),
    "npy": npy(np.column_stack([TIME, TIME])),
    "yaml": b"poses: {grip: {flexion: 20}}\nsequence:\n- rest:0.5\n- {pose: grip+pronation*0.5, hold: 1}\n",
}
MAPPING = {
    "csv": b"from,to,scale,offset\na,flexion,-1,0\nb,,,\nhip_*,,,\n",
    "yaml": b"a: flexion\nb: {to: deviation, scale: -1, offset: 3}\n'hip_*':\n",
}


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes replaced, put in, left out or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(
            st.sampled_from([b"", b"\n", b",", b"\t", b"-", b"1e9", b"nan", b":", b"{", b"'", b"*", b"\x00"])
            | st.binary(max_size=3)
        )
    return bytes(content[: draw(st.none() | st.integers(0, len(content)))])


def one_line(call) -> None:
    """Call, and hold that it returns something finite or refuses in one line."""
    try:
        found = call()
    except ValueError as refusal:
        found = str(refusal)
    if isinstance(found, str):
        assert found
        assert "\n" not in found
    if isinstance(found, Trajectory):
        assert np.isfinite(found.angles).all()
        assert (np.diff(found.time) > 0).all()


@pytest.mark.parametrize("extension", WHOLE)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_damaged_trajectories_are_read_or_refused(tmp_path_factory, extension: str, data) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged.{extension}"
    path.write_bytes(data.draw(damage(WHOLE[extension])))
    one_line(lambda: read_trajectory(path, fill_gaps=0.1))


@pytest.mark.parametrize("extension", MAPPING)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_damaged_mappings_are_read_or_refused(tmp_path_factory, extension: str, data) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged_map.{extension}"
    path.write_bytes(data.draw(damage(MAPPING[extension])))
    one_line(lambda: str(read_mapping(path)))


WORDS = st.sampled_from(
    [*named_poses(), "fits", "1", "0.5", "1e3", ":", "@", "*", "+", ",", " ", "-", "\n", "é"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS | st.text(max_size=2), max_size=12).map("".join))
def test_any_line_is_a_sequence_or_refused(line: str) -> None:
    one_line(lambda: pose_trajectory(line))
