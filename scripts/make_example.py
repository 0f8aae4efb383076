"""Write the example movements: wrist and hand between named poses, and level walking."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from surrogate.movement.poses import pose_trajectory

EXAMPLES = Path(__file__).parents[1] / "surrogate/movement/examples"
RATE = 50.0  # Hz
SEQUENCE = (
    "rest, wrist_flexion, wrist_extension, wrist_flexion, wrist_extension, rest, radial_deviation, "
    "ulnar_deviation, rest, fist, open_hand, pinch, rest"
)

# Level walking from one heel strike to the next, as textbooks have it (Winter 2009, Biomechanics and Motor
# Control of Human Movement, natural cadence; read off to a degree and 0.05 N m/kg): angles in degrees,
# flexion and dorsiflexion positive, and the muscles' net moments in the sense of the angles, N m/kg.
STRIDE, STRIDES, BODY_MASS = 1.1, 6, 70.0  # s, 1, kg
ANGLES = {
    "hip_flexion_r": {0: 28, 10: 25, 20: 17, 30: 8, 40: 0, 52: -10, 60: -4, 70: 12, 80: 25, 90: 31},
    "knee_angle_r": {0: 5, 14: 19, 25: 15, 40: 6, 50: 11, 60: 36, 72: 63, 82: 44, 92: 11},
    "ankle_angle_r": {0: 0, 7: -6, 20: 3, 30: 6, 40: 9, 47: 10, 55: 0, 63: -18, 72: -7, 82: 1, 92: 2},
}
MOMENTS = {
    "hip_flexion_r": {
        0: -0.4,
        6: -0.7,
        15: -0.4,
        30: -0.05,
        50: 0.55,
        58: 0.45,
        70: 0.1,
        85: -0.1,
        95: -0.35,
    },
    "knee_angle_r": {
        0: 0.3,
        5: 0,
        13: -0.55,
        22: -0.4,
        30: -0.05,
        40: 0.2,
        50: 0,
        60: -0.15,
        75: 0,
        90: 0.25,
    },
    "ankle_angle_r": {
        **{0: 0, 5: 0.15, 12: -0.1, 20: -0.45, 30: -0.75, 40: -1.2, 48: -1.6, 56: -0.8, 62: -0.05},
        **{70: 0.02, 85: 0.02},
    },
}


def periodic(values: dict[int, float], time: NDArray) -> NDArray:
    """Return a smooth periodic curve through values by per cent of the stride, at times [s]."""
    curve = CubicSpline([*values, 100], [*values.values(), values[0]], bc_type="periodic")
    return curve(100 * (time / STRIDE % 1))


def write_storage(path: Path, degrees: bool, time: NDArray, columns: dict[str, NDArray]) -> None:
    """Write columns over time as a file of OpenSim."""
    table = np.column_stack([time, *columns.values()])
    header = f"{path.stem}\nversion=1\nnRows={len(table)}\nnColumns={table.shape[1]}\n"
    with path.open("w") as file:
        file.write(f"{header}inDegrees={'yes' if degrees else 'no'}\nendheader\n")
        file.write("\t".join(["time", *columns]) + "\n")
        np.savetxt(file, table, fmt="%.3f", delimiter="\t")


def wrist_and_hand() -> None:
    movement = pose_trajectory(SEQUENCE, RATE)
    with (EXAMPLES / "wrist_and_hand.csv").open("w") as file:
        file.write("# units: degrees\n")
        file.write(",".join(["time", *movement.joints]) + "\n")
        np.savetxt(
            file, np.column_stack([movement.time, np.degrees(movement.angles)]), fmt="%.2f", delimiter=","
        )


def gait() -> None:
    time = np.arange(0, STRIDES * STRIDE + 1e-9, 0.01)
    angles = {joint: periodic(given, time) for joint, given in ANGLES.items()}
    moments = {f"{joint}_moment": BODY_MASS * periodic(given, time) for joint, given in MOMENTS.items()}
    write_storage(EXAMPLES / "gait.mot", True, time, angles)
    write_storage(EXAMPLES / "gait_moments.sto", False, time, moments)


if __name__ == "__main__":
    EXAMPLES.mkdir(exist_ok=True)
    wrist_and_hand()
    gait()
