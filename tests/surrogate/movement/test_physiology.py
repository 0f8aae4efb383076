"""What is known of EMG in movement, found in the whole chain."""

import numpy as np
import pytest

import surrogate
from numerical.motor_units import PoolSettings
from surrogate.movement.population import Subject
from surrogate.movement.poses import pose_trajectory
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.torque import Load

SUBJECT = Subject(pool=PoolSettings(motor_units=15))
WRIST = ("FCR", "FCU", "PL", "ECRL", "ECRB", "ECU", "APL")


@pytest.fixture(scope="module")
def generator():
    return surrogate.load("forearm")


def recorded(generator, poses, **settings):
    chosen = SimulationSettings(subject=SUBJECT, tolerance=0.01, **settings)
    return simulate(pose_trajectory(poses), generator, muscles=WRIST, settings=chosen, seed=1).dataset


def envelope(emg, window=205):
    """Return the RMS [channel, window] in windows of 0.1 s."""
    whole = emg.shape[-1] // window * window
    return np.sqrt((emg[:, :whole].reshape(len(emg), -1, window) ** 2).mean(-1))


def test_emg_grows_with_the_load_in_the_hand(generator):
    """Lippold 1952 (Journal of Physiology 117): the integrated EMG of a held load grows with it."""
    sizes = []
    for mass in (0.0, 1.0, 2.0):
        emg = recorded(generator, "rest:1.5", load=Load(hand_mass_kg=mass))["emg"].values
        sizes.append(np.sqrt((emg[:, 1024:] ** 2).mean()))
    assert sizes[0] < 0.8 * sizes[1] < 0.8 * 0.8 * sizes[2]


def test_flexors_and_extensors_take_turns_in_a_cyclic_movement(generator):
    poses = "rest:0.1, " + ", ".join(["wrist_flexion:0.2@0.6, wrist_extension:0.2@0.6"] * 3)
    dataset = recorded(generator, poses)
    rows, columns = dataset.electrode_row.values, dataset.electrode_column.values
    volar = (rows == 4) & np.isin(columns, (30, 31, 0, 1, 2))
    dorsal = (rows == 4) & np.isin(columns, (13, 14, 15, 16, 17, 18))
    sizes = [envelope(dataset["emg"].values[side]).mean(0) for side in (volar, dorsal)]
    assert np.corrcoef(sizes)[0, 1] < -0.2
    wrist = dataset.joint.values.tolist().index("flexion")
    angle = np.interp(
        np.arange(len(sizes[0])) * 0.1 + 0.05,
        dataset.frame_time.values - dataset.frame_time.values[0],
        dataset.joint_angle.values[wrist],
    )
    assert np.corrcoef(sizes[0], angle)[0, 1] > 0.3 > -0.3 > np.corrcoef(sizes[1], angle)[0, 1]


def test_fatigue_slows_and_lowers_the_spectrum(generator):
    """Lindström, Magnusson, Petersén 1970 (Electromyography 10): the median frequency follows velocity."""
    medians = []
    for initial in (0.0, 1.0):
        settings = {"tires": True, "fatigue": {"initial": initial, "recovery_s": 1e6, "onset_s": 1e6}}
        dataset = recorded(generator, "rest:0.1, wrist_flexion:1.5@0.5", **settings)
        power = (np.abs(np.fft.rfft(dataset["emg"].values[:, 1024:])) ** 2).sum(0)
        frequency = np.fft.rfftfreq(dataset.sizes["time"] - 1024, 1 / 2048)
        medians.append(np.interp(0.5, power.cumsum() / power.sum(), frequency))
    # Velocity falls to 70 %; the generator's slowest, 2.6 m/s, holds the slowest units above that.
    assert 0.6 < medians[1] / medians[0] < 0.9
