"""Discharges: reproducible, each muscle by itself, whatever the steps; and as motor units discharge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import coherence
from scipy.stats import spearmanr

from numerical.common_drive import DriveSettings
from numerical.recruitment import RecruitmentSettings
from surrogate.movement.drive import Discharges, Drive

RATE = 100.0
MUSCLES, UNITS = ("ECRB", "FCU", "PL"), (40, 70, 25)
FIRST = np.cumsum([0, *UNITS])


def wavering(muscles: int, frames: int, seed: int = 0) -> np.ndarray:
    """Excitation between rest and three quarters, [muscle, frame]."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, muscles)[:, None]
    return 0.37 - 0.37 * np.cos(2 * np.pi * 0.4 * np.arange(frames) / RATE + phase)


def of_muscle(found: Discharges, muscle: int) -> tuple[np.ndarray, np.ndarray]:
    mine = (found.motor_unit >= FIRST[muscle]) & (found.motor_unit < FIRST[muscle + 1])
    return found.time[mine], found.motor_unit[mine] - FIRST[muscle]


def trains(found: Discharges, units: int) -> list[np.ndarray]:
    return [found.time[found.motor_unit == unit] for unit in range(units)]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=8), st.integers(0, 2**32))
def test_steps_of_any_length_give_the_same_bits(lengths: list[int], seed: int) -> None:
    excitation = wavering(3, sum(lengths))
    whole = Drive(MUSCLES, UNITS, RATE, seed).step(excitation)
    drive = Drive(MUSCLES, UNITS, RATE, seed)
    ends = np.cumsum(lengths)
    parts = [drive.step(excitation[:, end - n : end]) for n, end in zip(lengths, ends, strict=True)]
    np.testing.assert_array_equal(np.concatenate([part.time for part in parts]), whole.time)
    np.testing.assert_array_equal(np.concatenate([part.motor_unit for part in parts]), whole.motor_unit)
    for part, n, end in zip(parts, lengths, ends, strict=True):
        assert ((part.time >= (end - n) / RATE) & (part.time < end / RATE)).all()


def test_same_seed_same_discharges_and_another_seed_others() -> None:
    excitation = wavering(3, 500)
    one, two, other = (Drive(MUSCLES, UNITS, RATE, seed).step(excitation) for seed in (4, 4, 5))
    assert one.time.tobytes() == two.time.tobytes()
    assert one.motor_unit.tobytes() == two.motor_unit.tobytes()
    assert one.time.tobytes() != other.time.tobytes()
    assert (np.diff(one.time) >= 0).all()


def test_one_muscles_excitation_changes_its_discharges_alone() -> None:
    excitation = wavering(3, 500)
    changed = excitation.copy()
    changed[1] = 0.3
    before, after = (Drive(MUSCLES, UNITS, RATE, 7).step(given) for given in (excitation, changed))
    for muscle in (0, 2):
        np.testing.assert_array_equal(of_muscle(before, muscle), of_muscle(after, muscle))
    assert of_muscle(before, 1)[0].tobytes() != of_muscle(after, 1)[0].tobytes()


def test_a_muscle_discharges_the_same_whichever_others_there_are() -> None:
    excitation = wavering(3, 500)
    together = Drive(MUSCLES, UNITS, RATE, 7).step(excitation)
    for muscle, (name, units) in enumerate(zip(MUSCLES, UNITS, strict=True)):
        alone = Drive([name], [units], RATE, 7).step(excitation[muscle : muscle + 1])
        np.testing.assert_array_equal(of_muscle(together, muscle), (alone.time, alone.motor_unit))


def test_units_are_recruited_by_size_in_a_slow_rise() -> None:
    """Henneman 1957 (Science 126): the smallest first."""
    steady = DriveSettings(common_variation=0, own_variation=0)
    ramp = np.linspace(0, 1, 4000)[None]
    drive = Drive(["FCU"], [70], RATE, 1, fluctuations=steady)
    first = np.array([train[0] for train in trains(drive.step(ramp), 70)])
    threshold = drive.thresholds * 40
    assert (np.diff(drive.thresholds) > 0).all()
    # Within the interval of the slowest, 0.2 s, of passing the threshold.
    assert ((first >= threshold - 1 / RATE) & (first < threshold + 0.25)).all()
    order = np.argsort(np.argsort(first))
    assert np.corrcoef(order, np.arange(70))[0, 1] > 0.97


def test_rates_and_variability_are_those_of_human_muscle() -> None:
    """Motor units hold 5 to 40 Hz (Fuglevand, Winter, Patla 1993) at intervals whose coefficient of variation
    is 10 to 30 % (Clamann 1969, Biophysical Journal 9; Moritz, Barry, Pascoe, Enoka 2005, Journal of
    Neurophysiology 93)."""
    for level in (0.1, 0.4, 0.8):
        drive = Drive(["FCU"], [70], RATE, 2)
        found = drive.step(np.full((1, 6000), level))
        # Nearer to their threshold than three standard deviations of the drive, units come and go.
        active = trains(found, int((drive.thresholds < 0.85 * level).sum()))
        rates = np.array([1 / np.diff(train).mean() for train in active])
        variability = np.array([np.diff(train).std() / np.diff(train).mean() for train in active])
        assert ((rates > 4.5) & (rates < 41)).all()
        assert ((variability > 0.1) & (variability < 0.3)).all()
        # Onion skin: the earlier a unit is recruited, the faster (De Luca, Hostage 2010).
        assert spearmanr(rates, np.arange(len(rates))).statistic < -0.95


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.012), st.floats(0, 0.5), st.floats(0, 0.5), st.integers(0, 2**32), st.integers(1, 60))
def test_the_refractory_interval_is_never_undercut(
    refractory: float, variability: float, wavers: float, seed: int, step: int
) -> None:
    recruitment = RecruitmentSettings(inter_spike_variability=variability, refractory_interval=refractory)
    wild = DriveSettings(common_variation=wavers, own_variation=wavers, beta_variation=wavers)
    drive = Drive(["PL"], [25], RATE, seed, recruitment, wild)
    excitation = np.random.default_rng(seed).random((1, 300))
    parts = [drive.step(excitation[:, start : start + step]) for start in range(0, 300, step)]
    found = Discharges(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("time", "motor_unit"))
    )
    for train in trains(found, 25):
        # Rounding of times of 3 s to 4e-16.
        assert (np.diff(train) >= refractory - 1e-12).all()


def coherence_of_halves(common: float, seed: int = 3) -> tuple[float, float]:
    """Return the coherence of two halves of a pool's discharges in the common drive's band and far above."""
    seconds, units = 120, 60
    noise = DriveSettings(common_variation=common, common_cutoff=5.0, own_variation=0.04)
    drive = Drive(["FCU"], [units], RATE, seed, fluctuations=noise)
    found = drive.step(np.full((1, round(seconds * RATE)), 0.3))
    counts = [
        np.bincount((found.time[found.motor_unit % 2 == half] * RATE).astype(int), minlength=seconds * 100)
        for half in (0, 1)
    ]
    frequency, shared = coherence(*counts, fs=RATE, nperseg=256)
    return shared[(frequency > 0.7) & (frequency < 4)].mean(), shared[frequency > 25].mean()


def test_coherence_rises_with_common_drive_in_its_band_alone() -> None:
    """Units share what is common to their input, at its frequencies (Farina, Negro 2015, Exercise and Sport
    Sciences Reviews 43)."""
    none, some, much = (coherence_of_halves(common) for common in (0.0, 0.03, 0.10))
    # 120 s in windows of 2.56 s: independent signals have a coherence of 1/70 on average, 1 / sqrt(70 x 9)
    # = 0.04 its spread over nine frequencies; three times.
    assert none[0] < 0.14
    assert some[0] > none[0] + 0.12
    assert much[0] > some[0] + 0.12
    for _, far_above in (none, some, much):
        assert far_above < 0.1


def test_slow_frames_are_divided_for_the_fluctuations() -> None:
    """An excitation at 10 Hz, too slow for noise up to 20 Hz, drives units as the same at 100 Hz does."""
    slow = Drive(["FCU"], [70], 10.0, 1).step(np.full((1, 600), 0.3))
    fast = Drive(["FCU"], [70], 100.0, 1).step(np.full((1, 6000), 0.3))
    # The two means stray by the common drive's 2 % over the root of some 2 x 5 Hz x 60 s values, 0.1 %, by
    # the rate's gain over its mean, 3, and by intervals: 60 000 discharges at 1/6, 0.07 %; five times both.
    assert slow.time.size == pytest.approx(fast.time.size, rel=0.02)
    assert slow.time.max() < 60


def test_no_excitation_no_discharge_and_no_frame_no_discharge() -> None:
    drive = Drive(MUSCLES, UNITS, RATE, 0)
    assert drive.step(np.zeros((3, 0))).time.size == 0
    found = drive.step(np.zeros((3, 200)))
    assert found.time.size == found.motor_unit.size == 0


@pytest.mark.parametrize(
    ("excitation", "message"),
    [
        (np.full((2, 5), 0.1), r"\(2, 5\); it must be \[muscle, frame\] of 3"),
        (np.full(5, 0.1), r"\(5,\)"),
        (np.full((3, 5), 1.1), "0 to 1"),
        (np.full((3, 5), np.nan), "0 to 1"),
    ],
)
def test_impossible_excitations_are_refused_in_one_line(excitation: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        Drive(MUSCLES, UNITS, RATE, 0).step(excitation)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("muscles", "units", "rate", "message"),
    [
        (("FCU",), (3, 4), RATE, "2 numbers of motor units for muscles FCU"),
        (("FCU", "FCU"), (3, 4), RATE, "for muscles FCU, FCU"),
        (("FCU",), (0,), RATE, "n_units"),
        (("FCU",), (3,), 0.0, "frame rate"),
        (("FCU",), (3,), np.nan, "frame rate"),
    ],
)
def test_impossible_drives_are_refused(muscles, units, rate: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Drive(muscles, units, rate, 0)
