"""Write the example trajectory of wrist and hand: minimum-jerk moves between named poses."""

from pathlib import Path

import numpy as np

from surrogate.movement.musculoskeletal import load_arm

EXAMPLE = Path(__file__).parents[1] / "surrogate/movement/examples/wrist_and_hand.csv"
RATE = 50.0  # Hz
MOVE, HOLD = 0.8, 0.6  # s


def fingers(mcp: float, pm: float, md: float, which: str = "2345") -> dict[str, float]:
    """Return flexion [degrees] of the fingers' knuckles, middle and end joints."""
    joints = {"mcp": mcp, "pm": pm, "md": md}
    return {f"{name}{f}_flexion": angle for f in which for name, angle in joints.items()}


def thumb(cmc: float, abduction: float, mp: float, ip: float) -> dict[str, float]:
    """Return the thumb's angles [degrees]; the model extends it towards positive angles."""
    return {"cmc_flexion": cmc, "cmc_abduction": abduction, "mp_flexion": mp, "ip_flexion": ip}


# Degrees. Positive: pronation, radial deviation, palmar flexion.
REST = {"elbow_flexion": 90.0, "pro_sup": 0.0, "deviation": 0.0, "flexion": 0.0}
REST |= thumb(0, 10, -10, -10) | fingers(20, 20, 9)
POSES = {
    "rest": REST,
    "wrist flexion": REST | fingers(50, 50, 25) | {"flexion": 42.0},
    "wrist extension": REST | fingers(10, 10, 5) | {"flexion": -42.0},
    "radial deviation": REST | {"deviation": 22.0},
    "ulnar deviation": REST | {"deviation": -9.0},
    "fist": REST | thumb(-30, 20, -35, -50) | fingers(75, 80, 45) | {"flexion": -15.0},
    "open hand": REST | thumb(20, 10, 10, 5) | fingers(5, 5, 3),
    "pinch": REST | thumb(-25, 30, -25, -35) | fingers(60, 55, 30, which="2"),
}
SEQUENCE = (
    *("rest", "wrist flexion", "wrist extension", "wrist flexion", "wrist extension", "rest"),
    *("radial deviation", "ulnar deviation", "rest", "fist", "open hand", "pinch", "rest"),
)


def minimum_jerk(phase: np.ndarray) -> np.ndarray:
    """Return the way done, 0 ... 1, at a phase 0 ... 1 of a move (Flash and Hogan 1985)."""
    return phase**3 * (10 - 15 * phase + 6 * phase**2)


def sequence(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return times [frame] [s] and angles [frame, joint] [degrees] through the named poses."""
    stops = np.array([list(POSES[name].values()) for name in names])
    time = np.arange(round((HOLD + (len(names) - 1) * (MOVE + HOLD)) * RATE) + 1) / RATE
    way = sum(
        minimum_jerk(np.clip((time - HOLD - k * (MOVE + HOLD)) / MOVE, 0, 1))[:, None] * step
        for k, step in enumerate(np.diff(stops, axis=0))
    )
    return time, stops[0] + way


if __name__ == "__main__":
    arm = load_arm()
    time, angles = sequence(SEQUENCE)
    columns = [arm.joints.index(joint) for joint in REST]
    assert (np.radians(angles) >= arm.lower[columns]).all()
    assert (np.radians(angles) <= arm.upper[columns]).all()
    EXAMPLE.parent.mkdir(exist_ok=True)
    with EXAMPLE.open("w") as file:
        file.write("# units: degrees\n")
        file.write(",".join(["time", *REST]) + "\n")
        np.savetxt(file, np.column_stack([time, angles]), fmt="%.2f", delimiter=",")
