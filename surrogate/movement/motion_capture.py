"""Joint angles in a C3D file to a table, through ezc3d."""

import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from surrogate.movement.tables import Table

READER = Path(__file__).parent / "c3d_program.py"
PATIENCE = 60.0  # s, for what a second suffices
BLOCK = 512  # bytes
MAGIC = 0x50  # second byte of every C3D file
# Of each type of processor that may have written the file: the order of an integer's bytes, and the
# byte that holds the sign of the scale, a real number that stands at byte 12.
PROCESSORS = {84: ("<", 15), 85: ("<", 13), 86: (">", 12)}  # Intel, DEC, MIPS


def read_c3d(path: str | Path) -> Table:
    """Read the joint angles of a .c3d file; a point without value is missing in all three.

    Motion capture software stores the angles of a joint as the components of a point. Those are
    the points that POINT:ANGLES lists or, without it, whose label ends in `angle` or `angles`;
    RWristAngles becomes the columns RWristAngles_x, _y and _z, in degrees unless POINT:ANGLE_UNITS
    says otherwise. A subject's name before the label (`subject:RWristAngles`) is left out when
    there is one subject.
    Raises ValueError in one line for what cannot be read, was cut, or holds no angles.
    """
    if find_spec("ezc3d") is None:
        raise ValueError(f"{path}: .c3d needs the package ezc3d: pip install 'myomime[c3d]'")
    _check_length(Path(path))
    content = _read_apart(Path(path))
    labels, values = content["labels"].tolist(), content["points"]
    points = _angle_points(labels, content["angles"].tolist())
    if not points:
        found = ", ".join(labels[:6]) + (" ..." if len(labels) > 6 else "")
        raise ValueError(
            f"{path}: no joint angles: POINT:ANGLES lists none and no label ends in angles; "
            f"its points are {found or 'none'}"
        )
    rate, first = float(content["rate"]), int(content["first_frame"])
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"{path}: its frame rate is {rate:g} Hz; it must be positive")
    names = tuple(f"{name}_{axis}" for name in _short([labels[p] for p in points]) for axis in "xyz")
    frames = values.shape[2]
    angles = values[:, points].transpose(2, 1, 0).reshape(frames, len(names))
    units = [*content["angle_units"].tolist(), "degrees"][0]
    return Table((first + np.arange(frames)) / rate, names, angles, {"units": units}, str(path))


def _read_apart(path: Path) -> dict[str, np.ndarray]:
    """Return what the program READER finds, or ValueError for how it failed."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "points.npz"
        command = [sys.executable, "-P", str(READER), str(path), str(output)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise ValueError(f"{path}: cannot be read as C3D: its reader found no end") from None
        if done.returncode < 0 or not output.exists():
            reason = " ".join(done.stderr.split()) or "its reader crashed"
            raise ValueError(f"{path}: cannot be read as C3D: {reason}")
        with np.load(output) as content:
            return dict(content)


def _check_length(path: Path) -> None:
    """Raise ValueError when a file cannot be read, is no C3D, or ends before its data do.

    The reader would wait forever for what was cut off.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    parameters = (content[0] - 1) * BLOCK if content else 0
    processor = content[parameters + 3] if len(content) >= parameters + BLOCK else None
    if parameters < BLOCK or content[1] != MAGIC or processor not in PROCESSORS:
        raise ValueError(f"{path}: not a C3D file, or cut within its header")
    order, sign = PROCESSORS[processor]
    points, analogues, first, last = struct.unpack_from(f"{order}4H", content, 2)
    start = struct.unpack_from(f"{order}H", content, 16)[0]
    # A negative scale says reals of 4 bytes, else integers of 2. Long files count frames elsewhere.
    size = 4 if content[sign] & 0x80 else 2
    frames = last - first + 1 if last < 65535 else 0
    needed = (start - 1) * BLOCK + frames * (4 * points + analogues) * size
    if len(content) < needed:
        raise ValueError(f"{path}: {len(content)} bytes, its header says {needed}: was it cut?")


def _angle_points(labels: list[str], listed: list[str]) -> list[int]:
    chosen = {name for name in listed if name}
    return [
        point
        for point, label in enumerate(labels)
        if (label in chosen if chosen else label.lower().endswith(("angle", "angles")))
    ]


def _short(labels: list[str]) -> list[str]:
    """Return labels without the name of the subject, as long as they stay different."""
    short = [label.split(":")[-1] for label in labels]
    return short if len(set(short)) == len(set(labels)) else labels
