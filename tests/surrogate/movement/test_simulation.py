"""The whole chain, from trajectories of any limb and model to recordings of any electrodes."""

import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import surrogate.movement
from numerical.anatomy.lower_leg import LowerLegSettings
from numerical.motor_units import PoolSettings
from surrogate.movement.electrodes import Shift, bracelet, read_electrodes, recorded
from surrogate.movement.excitation import Activation
from surrogate.movement.parts import parts_of
from surrogate.movement.population import Subject, motor_units
from surrogate.movement.reading import read_trajectory
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.stepping import stepped_emg
from surrogate.movement.torque import read_torques
from surrogate.movement.trajectory import Trajectory
from tests.surrogate.movement.conftest import RECORDED, RECORDINGS, needs_recordings

EXAMPLES = Path(surrogate.movement.__file__).parent / "examples"
FEW = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=4)), tolerance=0.01)
FINE = FEW.model_copy(update={"tolerance": 0.002})


def still(seconds=1.0, angle=0.2):
    return Trajectory(np.array([0.0, seconds]), ("flexion",), np.full((2, 1), angle), "still")


def active(seconds=1.0, **levels):
    columns = [np.full(2, level) for level in levels.values()]
    return Activation(np.array([0.0, seconds]), tuple(levels), np.stack(columns, axis=1))


def summed(data):
    """Return the EMG that discharges and MUAPs of a recording add up to."""
    muap, start = data.muap.values, np.round(data.discharge_time.values * 2048).astype(int)
    emg = np.zeros((data.sizes["channel"], data.sizes["time"] + muap.shape[2]))
    for unit, sample in zip(data.discharge_motor_unit.values, start, strict=True):
        emg[:, sample : sample + muap.shape[2]] += muap[unit]
    return emg[:, : data.sizes["time"]]


@pytest.fixture(scope="module")
def whole(untrained):
    return simulate(still(), untrained, activation=active(FCU=0.4, ECRL=0.2), settings=FINE, seed=2).dataset


def test_in_a_still_limb_emg_is_the_sum_of_the_recorded_muaps_at_the_recorded_discharges(whole):
    assert whole.sizes["discharge"] > 30
    # Patterns leave out a tenth of the tolerance, 0.02 % of a MUAP's range, whose own RMS is some 4 %.
    assert np.linalg.norm(summed(whole) - whole.emg.values) < 0.01 * np.linalg.norm(whole.emg.values)


def test_interpolation_adds_no_more_than_its_tolerance(untrained):
    time = np.linspace(0, 2, 100)
    bend = Trajectory(time, ("flexion",), 0.7 * np.sin(np.pi * time)[:, None], "bend")
    data = simulate(bend, untrained, activation=active(2.0, FCU=0.4), settings=FINE, seed=2).dataset
    units = motor_units(FINE.subject, ("FCU",), 2)
    parts = parts_of(units.limb, units.fibres, units.centre, FINE.largest_part)
    stepped = stepped_emg(untrained, data, parts)
    assert np.ptp(data.relative_length.values) > 0.1
    # Each MUAP is off by up to the tolerance of its range, and there are not more of them than fit the EMG.
    wrong = np.sqrt(np.mean((stepped - data.emg.values) ** 2)) / np.ptp(stepped)
    assert 0 < wrong < 0.002


def test_a_bracelet_records_what_it_reads_of_the_array(untrained, whole):
    chosen = bracelet(8, along_mm=-6.0, first_deg=10.0)
    options = {"activation": active(FCU=0.4, ECRL=0.2), "settings": FINE, "seed": 2}
    data = simulate(still(), untrained, electrodes=chosen, **options).dataset
    read = recorded(np.ascontiguousarray(whole.emg.values.T), chosen, untrained.geometry).T
    np.testing.assert_allclose(data.emg.values, read, atol=1e-6 * np.abs(read).max())
    np.testing.assert_array_equal(data.discharge_time, whole.discharge_time)
    assert data.electrode_name.values.tolist() == [f"E{i}" for i in range(8)]
    degrees = np.degrees(np.arctan2(data.electrode_y, data.electrode_x)) % 360
    np.testing.assert_allclose(degrees, 10 + 45 * np.arange(8))
    np.testing.assert_allclose(data.electrode_z, 0.095 - 0.006)
    # Half of the array's 1 % more, where no electrode lies over the muscle.
    assert np.linalg.norm(summed(data) - data.emg.values) < 0.015 * np.linalg.norm(data.emg.values)


def test_pairs_are_differences_and_lie_between_their_electrodes(untrained):
    options = {"activation": active(FCU=0.4), "settings": FEW, "seed": 2}
    two = read_electrodes("2x4@0")
    pairs = tuple((f"E{i}", f"E{i + 4}") for i in range(4))
    each = simulate(still(), untrained, electrodes=two, **options).dataset
    bipolar = two.model_copy(update={"montage": "bipolar", "pairs": pairs})
    data = simulate(still(), untrained, electrodes=bipolar, **options).dataset
    expected = each.emg.values[:4] - each.emg.values[4:]
    np.testing.assert_allclose(data.emg.values, expected, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(data.electrode_z, 0.095)


def test_electrodes_that_slip_end_where_others_lie(untrained):
    options = {"activation": active(FCU=0.4), "settings": FEW, "seed": 2}
    slips = (Shift(time_s=0.0), Shift(time_s=0.4, along_mm=8.0))
    moved = simulate(
        still(), untrained, electrodes=bracelet(4).model_copy(update={"shift": slips}), **options
    ).dataset
    there = simulate(still(), untrained, electrodes=bracelet(4, along_mm=8.0), **options).dataset
    late = moved.time > 0.4
    np.testing.assert_allclose(moved.emg[:, late], there.emg[:, late], atol=1e-9)
    assert np.abs(moved.emg[:, ~late] - there.emg[:, ~late]).max() > 1e-6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("many", "electrodes 'many'; allowed are COUNT, RINGSxCOUNT"),
        ("0", "a bracelet of 1 rings of 0 electrodes"),
        ("missing.yaml", "missing.yaml: cannot be read"),
        ("8@50", "off the array, which reaches from -0.036 to 0.036 m"),
    ],
)
def test_electrodes_that_cannot_be_are_refused(untrained, text, words):
    with pytest.raises(ValueError, match=words):
        simulate(still(), untrained, muscles=["FCU"], electrodes=read_electrodes(text), settings=FEW)


def test_electrodes_come_from_a_file(tmp_path):
    path = tmp_path / "band.yaml"
    path.write_text("along_mm: [0, 8]\naround_deg: [0, 90]\nnames: [volar, radial]\n")
    assert read_electrodes(str(path)).electrode_names == ("volar", "radial")
    path.write_text("along_mm: [0, 8]\naround_deg: [0]\n")
    with pytest.raises(ValueError, match="2 places along the limb and 1 around it"):
        read_electrodes(str(path))


def test_gait_drives_the_muscles_of_a_leg(untrained):
    on_a_leg = copy.copy(untrained)
    on_a_leg.geometry = untrained.geometry.model_copy(update={"limb": "lower_leg"})
    muscles, small = ["tibant", "gasmed"], LowerLegSettings(limb_radius=0.045)
    slim = FEW.model_copy(update={"subject": FEW.subject.model_copy(update={"lower_leg": small})})
    gait, moments = read_trajectory(EXAMPLES / "gait.mot"), read_torques(EXAMPLES / "gait_moments.sto")
    data = simulate(gait, on_a_leg, muscles=muscles, torques=moments, settings=slim, seed=1).dataset
    assert data.attrs["limb"] == "lower_leg"
    phase = data.discharge_time.values / 1.1 % 1
    of = np.array([muscles.index(name) for name in data.motor_unit_muscle.values])
    tibialis, gastrocnemius = (phase[of[data.discharge_motor_unit.values] == index] for index in (0, 1))
    # Dorsiflexors discharge at heel strike and in swing, plantarflexors in stance.
    assert np.mean((tibialis < 0.2) | (tibialis > 0.58)) > 0.9
    assert np.mean((gastrocnemius > 0.15) & (gastrocnemius < 0.65)) > 0.8
    assert np.isfinite(data.emg).all()
    np.testing.assert_allclose(data.electrode_z.values.reshape(10, 32)[:, 0].mean(), 0.140)


def test_the_hands_own_model_drives_the_forearm(untrained, hand):
    data = simulate(still(), untrained, muscles=["FCR"], model=hand, settings=FEW).dataset
    assert data.sizes["discharge"] > 0


def test_a_model_without_the_limbs_muscles_is_refused(untrained, leg):
    knee = Trajectory(np.array([0.0, 1.0]), ("knee_angle",), np.full((2, 1), 0.3), "knee")
    with pytest.raises(ValueError, match=r"no muscle to simulate: .* the model MyoLeg does not have them"):
        simulate(knee, untrained, model=leg, settings=FEW)
    with pytest.raises(ValueError, match="muscles FCU: the model MyoLeg does not have them"):
        simulate(knee, untrained, model=leg, muscles=["FCU"], settings=FEW)


@needs_recordings
@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_movements_become_recordings(untrained, name):
    movement = read_trajectory(RECORDED / name)
    data = simulate(movement, untrained, muscles=["FCR", "ECU"], settings=FEW, clip=True).dataset
    lasts = movement.time[-1] - movement.time[0]
    assert data.sizes["time"] / 2048 == pytest.approx(lasts, abs=0.011)
    assert np.isfinite(data.emg).all()
    assert data.activation.max() > 0
    time = data.discharge_time.values
    assert (time >= movement.time[0]).all()
    assert (time <= movement.time[-1]).all()


@given(
    angles=st.lists(st.floats(-4, 4), min_size=4, max_size=12),
    step=st.floats(0.01, 0.5),
    level=st.floats(0, 1),
    clip=st.booleans(),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_given_nothing_that_is_not_finite_reaches_a_recording(
    untrained, hand, angles, step, level, clip
):
    time = np.arange(len(angles)) * step
    trajectory = Trajectory(time, ("flexion",), np.array(angles)[:, None], "drawn")
    activation = Activation(time[[0, -1]], ("FCR",), np.full((2, 1), level))
    options = {"activation": activation, "model": hand, "settings": FEW, "clip": clip}
    low, high = (float(limit[hand.joints.index("flexion")]) for limit in (hand.lower, hand.upper))
    if not clip and not low <= min(angles) <= max(angles) <= high:
        with pytest.raises(ValueError, match=r"^drawn: joint 'flexion' is [^\n]*$"):
            simulate(trajectory, untrained, **options)
        return
    data = simulate(trajectory, untrained, **options).dataset
    for name, variable in data.variables.items():
        if variable.dtype.kind == "f":
            assert np.isfinite(variable.values).all(), name
