"""A small recording of made-up, plausible numbers, and what one by an older version lacks."""

import numpy as np
import pytest

from numerical.conditions import CONDITIONS
from numerical.electrodes import grid_names
from surrogate.movement.settings import SimulationSettings
from surrogate.recording import VARIABLES, recording_dataset

RATE, FRAME_RATE, START, DURATION = 2048.0, 100.0, 3.0, 2.0  # Hz, Hz, s, s; not every movement starts at 0
MUSCLES, JOINTS = ("FCR", "FCU", "ECRB"), ("flexion", "deviation")
UNIT_MUSCLE = np.repeat(MUSCLES, (3, 2, 2))
MUAP_SAMPLES = 48
SILENT_UNIT = 4  # recruited by no activation of the recording


def electrode_values():
    """Two rows of four electrodes around a limb of 40 mm radius."""
    row, column = np.divmod(np.arange(8), 4)
    angle = np.pi / 2 * column
    return {
        "electrode_name": np.array(grid_names(2, 4)),
        "electrode_row": row,
        "electrode_column": column,
        "electrode_x": 0.04 * np.cos(angle),
        "electrode_y": 0.04 * np.sin(angle),
        "electrode_z": 0.09 + 0.008 * row,
    }


def muap_values(draw):
    """A biphasic wave for every motor unit, of another size at every electrode, V."""
    time = np.arange(MUAP_SAMPLES) / RATE
    wave = -(time - 0.008) / 0.002 * np.exp(-(((time - 0.008) / 0.003) ** 2))
    size = draw.lognormal(np.log(30e-6), 0.5, (len(UNIT_MUSCLE), 8))
    return {"muap": (size[..., None] * wave).astype(np.float32), "muap_time": time}


def discharge_values(draw):
    """Discharges of about ten a second, in order; the first at the first sample, the last between two."""
    trains = {unit: np.cumsum(draw.normal(0.1, 0.012, 19)) for unit in range(7) if unit != SILENT_UNIT}
    trains[0] = np.concatenate([[0.0], trains[0]])
    time = np.concatenate(list(trains.values()))
    unit = np.repeat(list(trains), [len(train) for train in trains.values()])
    kept = time < DURATION - 1 / RATE
    order = np.argsort(time[kept])
    return {
        "discharge_time": START + time[kept][order],
        "discharge_motor_unit": unit[kept][order].astype(np.int64),
    }


def emg_values(values):
    """The sum of every discharge's MUAP, and of a little noise, V."""
    emg = np.zeros((8, round(DURATION * RATE) + MUAP_SAMPLES), np.float32)
    for time, unit in zip(values["discharge_time"], values["discharge_motor_unit"], strict=True):
        first = int(np.floor((time - START) * RATE + 0.5))
        emg[:, first : first + MUAP_SAMPLES] += values["muap"][unit]
    return emg[:, :-MUAP_SAMPLES]


def movement_values(draw):
    frame = START + np.arange(round(DURATION * FRAME_RATE) + 1) / FRAME_RATE
    swing = np.sin(2 * np.pi * (frame - START) / DURATION)
    over_time = {
        name: level + spread * draw.uniform(0.5, 1, (3, 1)) * swing
        for name, level, spread in (
            ("excitation", 0.3, 0.2),
            ("activation", 0.3, 0.15),
            ("fibre_length", 1.0, 0.1),
            ("relative_length", 1.0, 0.1),
            ("angle_shift", 0.0, 0.05),
            ("depth_shift", 0.0, 5e-4),
            ("conduction_slowing", 1.0, 0.01),
        )
    }
    return over_time | {"frame_time": frame, "joint_angle": np.array([[0.6], [0.2]]) * swing}


def motor_unit_values(draw):
    """Every variable of the motor units, and their conditions."""
    count = len(UNIT_MUSCLE)
    drawn = {
        name: draw.integers(1, 4, count)
        if name.endswith(("parts", "nodes"))
        else draw.uniform(0.01, 0.02, count)
        for name, (dims, _, _) in VARIABLES.items()
        if dims == ("motor_unit",)
    }
    conditions = {name: draw.uniform(0.1, 1.0, count) for name in CONDITIONS}
    return drawn | {"motor_unit_muscle": UNIT_MUSCLE}, conditions


@pytest.fixture(scope="session")
def recording():
    """A recording of 3 muscles with 7 motor units, 8 channels, 2 joints and 2 s. Not to be changed."""
    draw = np.random.default_rng(7)
    units, conditions = motor_unit_values(draw)
    values = muap_values(draw) | discharge_values(draw) | movement_values(draw)
    values |= electrode_values() | units | {"emg": emg_values(values)}
    values |= {
        "time": START + np.arange(values["emg"].shape[1]) / RATE,
        "muscle": np.array(MUSCLES),
        "joint": np.array(JOINTS),
        "muscle_rms": draw.uniform(1e-6, 1e-5, (3, 8)),
    }
    attributes = {
        "limb": "forearm",
        "settings": SimulationSettings().model_dump_json(),
        "electrodes": "",
        "seed": 7,
        "side": "right",
        "checkpoint": "forearm",
        "trajectory": "bend.csv",
        "clip": 0,
        "warnings": ["a warning, with a comma"],
    }
    return recording_dataset(values, conditions, attributes)


@pytest.fixture(scope="session")
def older(recording):
    """The same by a version that kept no MUAPs and no names of electrodes, and told neither limb nor side."""
    made = recording.drop_vars(["muap", "muap_time", "electrode_name", "excitation", "angle_shift"])
    made.attrs = {name: value for name, value in recording.attrs.items() if name not in ("limb", "side")}
    return made
