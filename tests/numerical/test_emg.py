"""The EMG is the sum of its discharges' action potentials, whatever way it is taken apart."""

import math

import numpy as np
import pytest
from scipy.signal import oaconvolve

from numerical.emg import emg_of_muscles, sum_discharges
from numerical.recruitment import (
    RecruitmentSettings,
    discharge_rates,
    discharge_times,
    recruitment_thresholds,
)

SAMPLING_RATE = 2048.0
DURATION = 2.0
UNITS, CHANNELS, LENGTH = 7, (3, 4), 96
# Spectra of blocks of 512 samples and their sums over some tens of terms of order one, each off by about
# 1e-16 of the largest.
ROUNDING = 1e-13


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def muaps(rng):
    return rng.standard_normal((UNITS, *CHANNELS, LENGTH))


@pytest.fixture
def discharges(rng):
    return rng.uniform(0, DURATION, 300), rng.integers(0, UNITS, 300)


def emg_of(muaps, discharges):
    return sum_discharges(muaps, *discharges, SAMPLING_RATE, DURATION)


def test_emg_is_the_convolution_of_trains_with_muaps(muaps, discharges):
    time, unit = discharges
    samples = round(DURATION * SAMPLING_RATE)
    # A train may hold a discharge rounded to the sample after the last, which adds nothing.
    train = np.zeros((UNITS, samples + 1))
    np.add.at(train, (unit, np.floor(time * SAMPLING_RATE + 0.5).astype(int)), 1)
    expected = oaconvolve(muaps, train[:, None, None], axes=-1).sum(axis=0)[..., :samples]
    emg = emg_of(muaps, discharges)
    assert emg.shape == (*CHANNELS, samples)
    # Up to some 300 terms of order one, each rounded by the FFT to about 1e-14.
    np.testing.assert_allclose(emg, expected, rtol=0, atol=1e-11)


def test_one_discharge_puts_the_muaps_first_sample_on_the_nearest_sample(muaps):
    for offset in (-0.4, 0.0, 0.4):
        emg = emg_of(muaps, ([(500 + offset) / SAMPLING_RATE], [3]))
        expected = np.zeros_like(emg)
        expected[..., 500 : 500 + LENGTH] = muaps[3]
        np.testing.assert_allclose(emg, expected, rtol=0, atol=ROUNDING)


def test_silence_far_from_discharges_is_exact(muaps):
    emg = emg_of(muaps, ([1.0], [3]))
    far = 8 * LENGTH  # blocks reach at most eight lengths of a MUAP
    assert not emg[..., : 2048 - far].any()
    assert not emg[..., 2048 + far :].any()
    assert emg[..., 2048].all()


@pytest.mark.parametrize("length", [1, 2, 5, 127, 1000, 5000])
def test_any_length_of_muap_serves(length, rng):
    muaps = rng.standard_normal((2, 1, length))
    emg = sum_discharges(muaps, [0.1, 0.101], [0, 1], 1000.0, 2.0)
    expected = np.zeros((1, 2000 + 5000))
    expected[:, 100 : 100 + length] += muaps[0]
    expected[:, 101 : 101 + length] += muaps[1]
    np.testing.assert_allclose(emg, expected[:, :2000], rtol=0, atol=ROUNDING)


def test_many_units_of_many_channels_are_summed_group_by_group(rng, monkeypatch):
    muaps = rng.standard_normal((50, 4, LENGTH))
    discharges = rng.uniform(0, DURATION, 400), rng.integers(0, 50, 400)
    whole = emg_of(muaps, discharges)
    monkeypatch.setattr("numerical.emg.SPECTRUM_BYTES", 3 * 4 * 512 * 8)  # three units
    np.testing.assert_allclose(emg_of(muaps, discharges), whole, rtol=0, atol=10 * ROUNDING)


def test_emg_is_linear_in_the_muaps(muaps, discharges, rng):
    other = rng.standard_normal(muaps.shape)
    combined = emg_of(2 * muaps - 3 * other, discharges)
    # Rounding of sums of at most some tens of terms of order ten.
    parts = 2 * emg_of(muaps, discharges) - 3 * emg_of(other, discharges)
    np.testing.assert_allclose(combined, parts, rtol=0, atol=1e-11)


def test_overlapping_discharges_add(muaps):
    start = np.array([0.5, 0.5, 0.5 + 10 / SAMPLING_RATE])
    unit = np.array([2, 2, 5])
    apart = sum(emg_of(muaps, ([t], [u])) for t, u in zip(start, unit, strict=True))
    np.testing.assert_allclose(emg_of(muaps, (start, unit)), apart, rtol=0, atol=ROUNDING)


def test_order_of_discharges_does_not_matter(muaps, discharges, rng):
    shuffled = rng.permutation(300)
    other = emg_of(muaps, (discharges[0][shuffled], discharges[1][shuffled]))
    np.testing.assert_allclose(other, emg_of(muaps, discharges), rtol=0, atol=1e-12)


def test_later_discharges_give_the_same_emg_later(muaps, discharges):
    time, unit = discharges[0] / 2, discharges[1]
    shift = 600
    early = emg_of(muaps, (time, unit))
    late = emg_of(muaps, (time + shift / SAMPLING_RATE, unit))
    np.testing.assert_allclose(late[..., shift:], early[..., :-shift], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(late[..., :shift], 0, atol=ROUNDING)


def test_energy_of_discharges_that_do_not_overlap_adds(muaps):
    unit = np.array([0, 3, 3, 6, 1])
    start = np.arange(5) * 2 * LENGTH / SAMPLING_RATE
    energy = np.square(emg_of(muaps, (start, unit))).sum(axis=-1)
    np.testing.assert_allclose(energy, np.square(muaps).sum(axis=-1)[unit].sum(axis=0), rtol=1e-12)


def test_area_is_the_sum_of_areas_whatever_overlaps(muaps, discharges):
    time, unit = discharges[0] * 0.9, discharges[1]
    area = emg_of(muaps, (time, unit)).sum(axis=-1)
    expected = muaps.sum(axis=-1)[unit].sum(axis=0)
    np.testing.assert_allclose(area, expected, rtol=0, atol=1e-9)


def test_what_reaches_past_the_end_is_cut(muaps):
    emg = emg_of(muaps, ([DURATION - 10 / SAMPLING_RATE], [1]))
    np.testing.assert_allclose(emg[..., -10:], muaps[1, ..., :10], rtol=0, atol=ROUNDING)
    assert not emg_of(muaps, ([DURATION - 1e-6], [1])).any()


def test_channel_axes_and_precision_are_kept(muaps, discharges):
    emg = emg_of(muaps, discharges)
    flat = emg_of(muaps.reshape(UNITS, -1, LENGTH), discharges)
    np.testing.assert_array_equal(flat.reshape(emg.shape), emg)
    one = emg_of(muaps[:, 1, 2], discharges)
    np.testing.assert_allclose(one, emg[1, 2], rtol=0, atol=ROUNDING)
    single = emg_of(muaps.astype(np.float32), discharges)
    assert single.dtype == np.float32
    # Some ten overlapping terms of order one in single precision.
    np.testing.assert_allclose(single, emg, rtol=0, atol=1e-4)


def test_no_discharges_are_silence(muaps):
    assert not emg_of(muaps, ([], [])).any()
    assert not emg_of(muaps[:0], ([], [])).any()


def test_muaps_that_may_not_be_written_serve(muaps, discharges):
    view = muaps[::-1].view()
    view.flags.writeable = False
    np.testing.assert_array_equal(emg_of(view, discharges), emg_of(muaps[::-1].copy(), discharges))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discharge_time": [2.0]}, "0 to 2 s"),
        ({"discharge_time": [-0.1]}, "0 to 2 s"),
        ({"discharge_time": [math.nan]}, "0 to 2 s"),
        ({"discharge_unit": [7]}, "7 units"),
        ({"discharge_unit": [-1]}, "7 units"),
        ({"discharge_unit": [0.5]}, "whole numbers"),
        ({"discharge_unit": [0, 1]}, "both be"),
        ({"sampling_rate": 0.0}, "sampling_rate"),
        ({"duration": math.inf}, "duration"),
        ({"muaps": np.zeros(5)}, "unit, channel"),
        ({"muaps": np.zeros((5, 3, 0))}, "not empty"),
    ],
)
def test_bad_input_is_named_in_one_line(muaps, change, message):
    arguments = {
        "muaps": muaps,
        "discharge_time": [0.1],
        "discharge_unit": [0],
        "sampling_rate": SAMPLING_RATE,
        "duration": DURATION,
    }
    with pytest.raises(ValueError, match=message) as error:
        sum_discharges(**(arguments | change))
    assert "\n" not in str(error.value)


def test_parts_of_muscles_add_up_to_the_emg_of_all_units(muaps, discharges):
    time, unit = discharges
    first = unit < 3
    parts = emg_of_muscles(
        [muaps[:3], muaps[3:]],
        [(time[first], unit[first]), (time[~first], unit[~first] - 3)],
        SAMPLING_RATE,
        DURATION,
    )
    assert parts.shape == (2, *CHANNELS, round(DURATION * SAMPLING_RATE))
    np.testing.assert_allclose(parts.sum(axis=0), emg_of(muaps, discharges), rtol=0, atol=10 * ROUNDING)


def test_what_one_muscle_adds_does_not_depend_on_the_others(muaps, discharges):
    mine = (discharges[0], discharges[1] % 3)
    with_rest, with_noisy = (
        emg_of_muscles([muaps[:3], muaps[3:]], [mine, other], SAMPLING_RATE, DURATION)
        for other in (([], []), ([0.2, 0.3], [0, 3]))
    )
    np.testing.assert_array_equal(with_rest[0], with_noisy[0])
    assert not with_rest[1].any()
    assert with_noisy[1].any()


@pytest.mark.parametrize(
    ("muscles", "message"),
    [
        (([], []), "at least one"),
        (([np.ones((2, 4, 9))], []), "muaps of 1 muscles and discharges of 0"),
        (([np.ones((2, 4, 9)), np.ones((2, 5, 9))], [([], []), ([], [])]), "must have the same"),
    ],
)
def test_muscles_that_do_not_match_are_named_in_one_line(muscles, message):
    with pytest.raises(ValueError, match=message) as error:
        emg_of_muscles(*muscles, SAMPLING_RATE, DURATION)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def pool_muaps():
    """MUAPs [unit, channel, time] of 100 units, amplitudes growing 100-fold as the sizes of Fuglevand,
    Winter, Patla 1993 do: second derivatives of Gaussians of 1.5 ms, most of their power at 80 to 250 Hz."""
    phase = (np.arange(64) - 32) / SAMPLING_RATE / 1.5e-3
    wave = (1 - phase**2) * np.exp(-(phase**2) / 2)
    gain = np.random.default_rng(1).uniform(0.5, 2, (100, 3))
    return (np.geomspace(1, 100, 100)[:, None] * gain)[..., None] * wave


def mean_square(muaps, level, seed):
    seconds = 20.0
    time, unit = discharge_times(
        np.full(2000, level), 100.0, len(muaps), RecruitmentSettings(), np.random.default_rng(seed)
    )
    emg = sum_discharges(muaps, time, unit, SAMPLING_RATE, seconds)
    return np.square(emg[:, 1000:]).mean(axis=-1)


def test_power_is_the_sum_of_rates_times_energies(pool_muaps):
    """Campbell's theorem: independent trains add their powers, each rate times energy, where the MUAPs'
    spectrum lies above the discharge rates (Campbell 1909; for EMG: De Luca 1979, IEEE Trans Biomed Eng
    26(6))."""
    settings = RecruitmentSettings()
    rate = discharge_rates([0.5], recruitment_thresholds(100, settings), settings)[:, 0]
    energy = np.square(pool_muaps).sum(axis=-1) / SAMPLING_RATE
    # Power in a band of some B = 150 Hz over T = 20 s strays by 1 / sqrt(B T) = 2 % (three seeds: 1 %);
    # the regularity of intervals leaves harmonics of some 20 Hz that do not average out, 3 %.
    found = np.mean([mean_square(pool_muaps, 0.5, seed) for seed in range(3)], axis=0)
    np.testing.assert_allclose(found, rate @ energy, rtol=0.06)


def test_amplitude_rises_with_excitation(pool_muaps):
    """More and larger units and higher rates: EMG amplitude grows with excitation throughout (Fuglevand,
    Winter, Patla 1993; Milner-Brown, Stein 1975, Journal of Physiology 246(3))."""
    levels = np.linspace(0.1, 0.9, 9)
    rms = np.sqrt([mean_square(pool_muaps, level, seed=4) for level in levels])
    # Rates times energies rise least from 0.8 to 0.9, by 9 % in RMS, which strays by 1 % (see above).
    assert (rms[1:] > 1.04 * rms[:-1]).all()
