"""How fast movement turns into EMG: a whole recording, and chunk by chunk."""

import time

import numpy as np
from benchmarks.results import Json, Result, report

import surrogate
from numerical.motor_units import PoolSettings
from surrogate.generators import Generator
from surrogate.movement.limb_stream import LimbStream
from surrogate.movement.modulation import STATE, MuscleState
from surrogate.movement.population import Subject
from surrogate.movement.poses import named_poses, pose_trajectory
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.stream import EMGStream
from surrogate.recording import Recording

CHUNK = 0.05  # s


def movement(
    checkpoint: str = "forearm",
    seconds: float = 60.0,
    motor_units: int = 54,
    seed: int = 0,
    json: Json = False,
) -> None:
    """From a trajectory to EMG, and the latency of a stream.

    Args:
        checkpoint: Name in checkpoints/ or path of a generator.
        seconds: Of movement between named poses.
        motor_units: Of every muscle; there are 28.
        seed: Of the order of poses, motor units and discharges.
    """
    settings = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=motor_units)))
    generator = surrogate.load(checkpoint)
    rng = np.random.default_rng(seed)
    order = rng.choice(sorted(named_poses()), int(np.ceil(seconds / 1.5)) + 1)
    trajectory = pose_trajectory("rest:0.7, " + ", ".join(f"{pose}:0.7@0.8" for pose in order))
    start = time.perf_counter()
    recording = simulate(trajectory, generator, settings=settings, seed=seed, clip=True)
    wall = time.perf_counter() - start
    sizes = recording.dataset.sizes
    lasts = sizes["time"] / generator.geometry.sampling_rate
    size = (
        f"{lasts:.0f} s, {sizes['muscle']} muscles, {sizes['motor_unit']} motor units, "
        f"{sizes['discharge']} discharges, {sizes['channel']} channels"
    )
    results = [Result("real_time_factor", lasts / wall, "1", size)]
    results += [
        Result(f"seconds_{stage.replace(' ', '_')}", took, "s", size)
        for stage, took in recording.seconds.items()
    ]
    results += latency(recording, generator, settings, seed)
    results += live_latency(recording, generator, settings, seed)
    report("movement", results, json, "cpu")


def latency(
    recording: Recording, generator: Generator, settings: SimulationSettings, seed: int
) -> list[Result]:
    """Return how long a stream takes to begin, and for chunks of 50 ms of the same movement."""
    data = recording.dataset
    table = np.stack([data[name].values for name in STATE], -1)
    muscles = data["muscle"].values.tolist()
    states = {name: MuscleState.of_table(table[row]) for row, name in enumerate(muscles)}
    start = time.perf_counter()
    stream = EMGStream(generator, muscles=muscles, settings=settings, seed=seed, states=states)
    prepared = time.perf_counter() - start
    frames = round(CHUNK * settings.frame_rate_hz)
    excitation, took = data["excitation"].values, []
    for frame in range(frames, table.shape[1], frames):
        start = time.perf_counter()
        stream.step(excitation[:, frame - frames], table[:, frame], CHUNK)
        took.append(1e3 * (time.perf_counter() - start))
    size = f"{len(took)} chunks of {1e3 * CHUNK:g} ms, {len(stream.units)} motor units"
    return [
        Result("chunk_latency_p99_ms", float(np.percentile(took, 99)), "ms", size),
        Result("chunk_latency_median_ms", float(np.median(took)), "ms", size),
        Result("stream_start_seconds", prepared, "s", size),
    ]


def live_latency(
    recording: Recording, generator: Generator, settings: SimulationSettings, seed: int
) -> list[Result]:
    """Return how long chunks of 50 ms of the same movement take from joint angles on."""
    data = recording.dataset
    joints, angles = tuple(data["joint"].values.tolist()), data["joint_angle"].values
    stream = LimbStream(generator, joints=joints, settings=settings, clip=True, seed=seed)
    frames = round(CHUNK * settings.frame_rate_hz)
    took = []
    for frame in range(0, angles.shape[1], frames):
        start = time.perf_counter()
        stream.step(angles[:, frame], CHUNK)
        took.append(1e3 * (time.perf_counter() - start))
    units = len(stream.stream.units)
    size = f"{len(took)} chunks of {1e3 * CHUNK:g} ms, {units} motor units, {len(joints)} joints"
    return [
        Result("live_chunk_latency_p99_ms", float(np.percentile(took, 99)), "ms", size),
        Result("live_chunk_latency_median_ms", float(np.median(took)), "ms", size),
    ]
