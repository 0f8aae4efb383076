"""Errors of MUAPs: zero for the truth, known for known mistakes, and the same in any unit of voltage."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogate.evaluation.measures import (
    MEASURES,
    all_errors,
    deciles,
    mean_frequency,
    median_frequency,
    nrmse,
    power_spectrum,
    statistics,
)
from surrogate.losses import relative_l2

RATE = 2000.0


def pulses(width, delay=24e-3, size=1.0, samples=96):
    """Return biphasic pulses [batch, 1, 1, time]: derivatives of Gaussians of some widths [s]."""
    t = (torch.arange(samples) / RATE - delay) / torch.as_tensor(width).reshape(-1, 1)
    return size * (-t * torch.exp(-(t**2) / 2))[:, None, None]


@pytest.fixture
def muaps():
    draw = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 3, 4, 16, generator=draw)


def test_errors_of_a_known_mistake():
    reference = torch.zeros(1, 2, 3, 4)
    reference[0, 0, 0, 0], reference[0, 1, 1, 1] = 3.0, -1.0
    # Off by 0.2 everywhere: RMSE 0.2, range 4; norms 0.2 sqrt(24) and sqrt(10).
    assert float(nrmse(reference + 0.2, reference)) == pytest.approx(0.05)
    assert float(relative_l2(reference + 0.2, reference)) == pytest.approx(0.2 * (24 / 10) ** 0.5)
    assert float(nrmse(reference, reference)) == 0
    assert float(relative_l2(0 * reference, reference)) == 1


def test_the_truth_has_no_error(muaps):
    for name, error in all_errors(muaps[0], muaps[0], RATE).items():
        assert torch.equal(error, torch.zeros(5)), name


def test_errors_do_not_depend_on_volts(muaps):
    found, scaled = (all_errors(unit * muaps[0], unit * muaps[1], RATE) for unit in (1.0, 1e-6))
    assert set(found) == set(MEASURES)
    for name in MEASURES:
        assert torch.allclose(found[name], scaled[name], rtol=1e-4), name  # single precision


@given(st.floats(0.1, 10))
def test_a_muap_of_another_size_errs_in_amplitude_alone(factor):
    muap = pulses([2e-3])
    error = all_errors(factor * muap, muap, RATE)
    for name in ("amplitude", "relative_l2"):
        assert float(error[name]) == pytest.approx(abs(factor - 1), abs=1e-5)
    assert all(float(error[name]) < 1e-5 for name in ("mean_frequency", "median_frequency"))


@pytest.mark.parametrize("stretch", [0.8, 1.25])
def test_a_muap_stretched_in_time_is_slower_by_as_much(stretch):
    # Both pulses die out well within the window and below half the sampling rate, so that what remains is how
    # finely the spectrum is sampled: bins of 21 Hz over a bump of some 100 Hz, interpolated linearly.
    reference = pulses([1.5e-3])
    error = all_errors(pulses([1.5e-3 * stretch]), reference, RATE)
    frequency = float(mean_frequency(*power_spectrum(reference, RATE))[0, 0, 0])
    # Of the derivative of a Gaussian of deviation s, the power is f^2 exp(-(2 pi f s)^2).
    assert frequency == pytest.approx(1 / (2 * math.pi * 1.5e-3) * 2 / math.sqrt(math.pi), rel=1e-3)
    for name, accuracy in (("mean_frequency", 1e-3), ("median_frequency", 2e-2)):
        assert float(error[name]) == pytest.approx(abs(1 / stretch - 1), abs=accuracy)
    assert float(error["mean_frequency_hz"]) == pytest.approx(abs(1 / stretch - 1) * frequency, rel=1e-2)


def test_silent_channels_do_not_count():
    reference = torch.cat([pulses([2e-3]), 1e-9 * pulses([2e-3])], dim=2)
    found = torch.cat([pulses([2e-3]), 1e-9 * pulses([1e-3])], dim=2)
    assert float(all_errors(found, reference, RATE)["mean_frequency"]) < 1e-6
    assert all(value.isfinite().all() for value in all_errors(0 * found, reference, RATE).values())


def test_the_median_halves_an_even_spectrum():
    # One for all: sums of single numbers up to 2^20 are exact.
    frequencies = torch.arange(9.0)
    assert float(median_frequency(torch.ones(9), frequencies)) == 4
    assert float(median_frequency(torch.tensor([0, 0, 3.0, 1, 0, 0, 0, 0, 0]), frequencies)) == pytest.approx(
        1.5 + 2 / 3
    )


def test_statistics_of_known_numbers():
    found = statistics({"nrmse": torch.arange(101.0)})["nrmse"]
    assert found == {"mean": 50, "median": 50, "percentile_95": pytest.approx(95)}


@given(st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=60))
def test_deciles_share_out_all_samples(values):
    values = torch.tensor(values)
    error = torch.arange(len(values), dtype=torch.float64)
    found = deciles(values, {"nrmse": error})
    assert sum(found["n"]) == len(values)
    assert len(found["n"]) <= 10
    assert found["middle"] == sorted(found["middle"])
    # Means over the deciles, weighted by their sizes, are means over all samples.
    for name, every in (("middle", values.double()), ("nrmse", error)):
        together = sum(n * mean for n, mean in zip(found["n"], found[name], strict=True))
        assert together == pytest.approx(float(every.sum()), abs=1e-6)


def test_deciles_of_distinct_values_are_even():
    found = deciles(torch.randperm(200).float(), {})
    assert found["n"] == [20] * 10


def test_samples_of_one_value_stay_together():
    found = deciles(torch.tensor([1.0] * 30 + [2.0] * 70), {})
    assert sorted(found["n"]) == [30, 70]
