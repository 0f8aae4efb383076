"""Decode gestures from the EMG of a simulated hand: `python scripts/decode_gestures.py`.

MyoHand performs gestures again and again, each time a little differently, in the Gymnasium environment; a
bracelet of electrodes listens, and a linear discriminant learns from the RMS of its channels which gesture it
was.
"""

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from surrogate.checkpoint import replace_file
from surrogate.movement.electrodes import Electrodes, bracelet, recorded
from surrogate.movement.environment import FRAME_RATE, FRAMES, EMGEnvironment

Array = NDArray[np.float64]

# Muscles and how much of their maximum they are excited.
GESTURES: dict[str, dict[str, float]] = {
    "rest": {},
    "fist": {f"{m}{d}": 0.35 for m in ("FDS", "FDP") for d in "2345"} | {"FPL": 0.3, "ECRB": 0.2},
    "open": {f"EDC{d}": 0.4 for d in "2345"} | {"EPL": 0.3, "EPB": 0.3, "EDM": 0.3, "FCR": 0.1},
    "point": {f"{m}{d}": 0.35 for m in ("FDS", "FDP") for d in "345"} | {"EIP": 0.4, "EDC2": 0.3},
    "wrist flexion": {"FCR": 0.4, "FCU": 0.4, "PL": 0.3},
    "wrist extension": {"ECRL": 0.35, "ECRB": 0.35, "ECU": 0.35},
    "radial deviation": {"FCR": 0.35, "ECRL": 0.4, "APL": 0.3},
    "ulnar deviation": {"FCU": 0.4, "ECU": 0.4},
}


@dataclass(frozen=True)
class Options:
    """Decode gestures from the EMG of a simulated hand."""

    checkpoint: str = "forearm"
    """Generator: the name of a shipped one, or a path to its .safetensors or .json."""
    trials: int = 10
    """Of every gesture; the first half is learned from, the rest decoded."""
    seconds: float = 1.5
    """Of every trial."""
    electrodes: int = 8
    """Evenly around the forearm."""
    noise_uv: float = 5.0
    """RMS of the noise that is added to every channel, microvolts."""
    variation: float = 0.3
    """Standard deviation of each muscle's excitation from trial to trial, relative."""
    seed: int = 0
    """Of motor units, discharges, excitations and noise."""
    output: Path | None = None
    """JSON file for the accuracy and the table of confusions."""


def main(options: Options) -> None:
    if options.trials < 2:
        raise ValueError(f"--trials is {options.trials}; at least 2 are needed, to learn from and to decode")
    environment = EMGEnvironment(
        "hand", generator=options.checkpoint, seconds=options.seconds, seed=options.seed
    )
    rng, ring = np.random.default_rng(options.seed), bracelet(options.electrodes)
    features: dict[int, list[Array]] = {trial: [] for trial in range(options.trials)}
    for trial in track(range(options.trials), "trials", console=Console(stderr=True)):
        for gesture in GESTURES.values():
            features[trial].append(performed(environment, gesture, ring, options, rng))
    learned = range(options.trials // 2)
    rule = discriminant([np.concatenate([features[t][g] for t in learned]) for g in range(len(GESTURES))])
    confusion = np.zeros((len(GESTURES), len(GESTURES)), int)
    for trial in range(options.trials // 2, options.trials):
        for true, found in enumerate(features[trial]):
            np.add.at(confusion[true], decided(rule, found), 1)
    accuracy = float(np.trace(confusion) / confusion.sum())
    show(confusion)
    print(f"accuracy {accuracy:.1%} of {confusion.sum()} windows; chance {1 / len(GESTURES):.1%}")
    if options.output is not None:
        content = {
            "accuracy": accuracy,
            "chance": 1 / len(GESTURES),
            "gestures": list(GESTURES),
            "confusion": confusion.tolist(),
        }
        replace_file(options.output, (json.dumps(content, indent=1) + "\n").encode())


def performed(
    environment: EMGEnvironment,
    gesture: dict[str, float],
    ring: Electrodes,
    options: Options,
    rng: np.random.Generator,
) -> Float[Array, "window channel"]:
    """Return the logarithm of the RMS of every channel in the windows of one trial, after its first third."""
    excitation = np.zeros(len(environment.muscles), np.float32)
    for name, level in gesture.items():
        varied = level * (1 + options.variation * rng.normal())
        excitation[environment.muscles.index(name)] = np.clip(varied, 0, 1)
    environment.reset(seed=int(rng.integers(2**31)))
    windows = []
    geometry = environment.stream.generator.geometry
    for _ in range(max(3, round(options.seconds * FRAME_RATE / FRAMES))):
        emg = environment.step(excitation)[0]["emg"]
        heard = 1e3 * recorded(emg, ring, geometry)
        heard = heard + options.noise_uv * rng.normal(size=heard.shape)
        windows.append(np.log(np.sqrt((heard**2).mean(0)) + 1e-3))
    return np.stack(windows[len(windows) // 3 :])


def discriminant(classes: list[Float[Array, "sample feature"]]) -> tuple[Array, Array]:
    """Return weights and offsets of the linear discriminant of classes with one covariance (Fisher 1936).

    The covariance is shrunk by a tenth towards its mean variance, for there may be few samples.
    """
    means = np.stack([samples.mean(0) for samples in classes])
    within = np.concatenate([samples - mean for samples, mean in zip(classes, means, strict=True)])
    covariance = within.T @ within / len(within)
    size = len(covariance)
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / size * np.eye(size)
    weights = np.linalg.solve(covariance, means.T)
    return weights, -0.5 * (means * weights.T).sum(1)


def decided(rule: tuple[Array, Array], samples: Float[Array, "sample feature"]) -> NDArray[np.intp]:
    """Return the likeliest class of each sample."""
    return (samples @ rule[0] + rule[1]).argmax(1)


def show(confusion: NDArray[np.int_]) -> None:
    """Print how often each gesture was taken for which."""
    table = Table("performed", *GESTURES, title="decoded as, windows")
    for name, row in zip(GESTURES, confusion, strict=True):
        table.add_row(name, *(str(count) if count else "" for count in row))
    Console(width=140).print(table)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"decode_gestures: {error}", file=sys.stderr)
        sys.exit(2)
