"""Write the example trajectory of wrist and hand: minimum-jerk moves between named poses."""

from pathlib import Path

import numpy as np

from surrogate.movement.poses import pose_trajectory

EXAMPLE = Path(__file__).parents[1] / "surrogate/movement/examples/wrist_and_hand.csv"
RATE = 50.0  # Hz
SEQUENCE = (
    "rest, wrist_flexion, wrist_extension, wrist_flexion, wrist_extension, rest, radial_deviation, "
    "ulnar_deviation, rest, fist, open_hand, pinch, rest"
)

if __name__ == "__main__":
    movement = pose_trajectory(SEQUENCE, RATE)
    EXAMPLE.parent.mkdir(exist_ok=True)
    with EXAMPLE.open("w") as file:
        file.write("# units: degrees\n")
        file.write(",".join(["time", *movement.joints]) + "\n")
        np.savetxt(
            file, np.column_stack([movement.time, np.degrees(movement.angles)]), fmt="%.2f", delimiter=","
        )
