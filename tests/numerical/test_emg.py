"""The EMG is the sum of its discharges' action potentials, whatever way it is taken apart."""

import math

import numpy as np
import pytest
from scipy.signal import oaconvolve

from numerical.emg import sum_discharges

SAMPLING_RATE = 2048.0
DURATION = 2.0
UNITS, CHANNELS, LENGTH = 7, (3, 4), 96


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
        np.testing.assert_array_equal(emg[..., 500 : 500 + LENGTH], muaps[3])
        assert not emg[..., :500].any()
        assert not emg[..., 500 + LENGTH :].any()


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
    np.testing.assert_allclose(emg_of(muaps, (start, unit)), apart, rtol=0, atol=1e-13)


def test_order_of_discharges_does_not_matter(muaps, discharges, rng):
    shuffled = rng.permutation(300)
    other = emg_of(muaps, (discharges[0][shuffled], discharges[1][shuffled]))
    np.testing.assert_allclose(other, emg_of(muaps, discharges), rtol=0, atol=1e-12)


def test_later_discharges_give_the_same_emg_later(muaps, discharges):
    time, unit = discharges[0] / 2, discharges[1]
    shift = 600
    early = emg_of(muaps, (time, unit))
    late = emg_of(muaps, (time + shift / SAMPLING_RATE, unit))
    np.testing.assert_array_equal(late[..., shift:], early[..., :-shift])
    assert not late[..., :shift].any()


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
    np.testing.assert_array_equal(emg[..., -10:], muaps[1, ..., :10])
    assert not emg_of(muaps, ([DURATION - 1e-6], [1])).any()


def test_channel_axes_and_precision_are_kept(muaps, discharges):
    emg = emg_of(muaps, discharges)
    flat = emg_of(muaps.reshape(UNITS, -1, LENGTH), discharges)
    np.testing.assert_array_equal(flat.reshape(emg.shape), emg)
    np.testing.assert_array_equal(emg_of(muaps[:, 1, 2], discharges), emg[1, 2])
    single = emg_of(muaps.astype(np.float32), discharges)
    assert single.dtype == np.float32
    # Some ten overlapping terms of order one in single precision.
    np.testing.assert_allclose(single, emg, rtol=0, atol=1e-4)


def test_no_discharges_are_silence(muaps):
    assert not emg_of(muaps, ([], [])).any()


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
