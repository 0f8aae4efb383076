"""A C3D file to its points in an .npz: `python c3d_program.py FILE.c3d POINTS.npz`.

A program of its own, because ezc3d's C++ may crash, never end or take all memory on a damaged file.
"""

import os
import sys
from pathlib import Path
from typing import Any

import ezc3d
import numpy as np

HEADROOM = 2**30  # bytes, beside TIMES_FILE the size of the file, that reading it may take
TIMES_FILE = 20


def texts(parameters: Any, name: str) -> np.ndarray:
    """Return a list of texts among the parameters of points, with its continuations NAME2, NAME3 ..."""
    keys = [name, *(f"{name}{number}" for number in range(2, 10))]
    found = [str(text).strip() for key in keys if key in parameters for text in parameters[key]["value"]]
    return np.array(found, dtype=str)


def limit_memory(path: str) -> None:
    """Keep a damaged file, whose counts may be anything, from taking all of the memory."""
    if sys.platform == "linux":
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        most = used + HEADROOM + TIMES_FILE * os.path.getsize(path)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(path: str, output: str) -> None:
    """Write labels, what says which points are angles, and points [3, point, frame]."""
    limit_memory(path)
    content = ezc3d.c3d(path)
    parameters, points = content["parameters"]["POINT"], content["data"]["points"][:3]
    header = content["header"]["points"]
    np.savez(
        output,
        points=points,
        labels=texts(parameters, "LABELS")[: points.shape[1]],
        angles=texts(parameters, "ANGLES"),
        angle_units=texts(parameters, "ANGLE_UNITS"),
        rate=header["frame_rate"],
        first_frame=header["first_frame"],
    )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # whatever it is, it is the file's fault
        sys.exit(f"{type(error).__name__}: {error}")
