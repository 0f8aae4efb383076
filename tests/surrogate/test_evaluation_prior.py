"""Two sets of MUAPs: told apart when they differ and not when they do not; what describes MUAPs is known."""

import math

import pytest
import torch

from surrogate.data import read_corpus
from surrogate.evaluation.features import described, settling
from surrogate.evaluation.prior import as_kept, held_out_halves, largest_values, prior_scores, sampled
from surrogate.evaluation.two_samples import coverage, two_sample_tests, wilson
from surrogate.generators import ArrayGeometry

SMALL = ArrayGeometry(row_position=(-0.02, 0.0, 0.02), columns=8, samples=48, sampling_rate=2000.0)


def made(count, seed, width=1.5e-3):
    """Return MUAPs [V] of sizes, delays and places drawn from one distribution, pulses of some width [s]."""
    draw = torch.Generator().manual_seed(seed)
    size, delay, row = torch.rand(3, count, 1, 1, 1, generator=draw)
    t = (torch.arange(48) / 2000 - 8e-3 - 6e-3 * delay) / width
    around = torch.exp(-((torch.arange(8.0)[:, None] - 4).abs() - 4).square() / 4)
    along = torch.exp(-((torch.arange(3.0)[:, None, None] - 2 * row) ** 2))
    return 1e-4 * 10**size * along * around * (-t * torch.exp(-(t**2) / 2))


def test_halves_of_one_set_are_told_apart_by_chance_alone():
    found = two_sample_tests(made(300, 0), made(300, 1), SMALL, epochs=4, seed=0)
    for name, test in found.items():
        assert test.n == 200
        # Of 200 guesses the accuracy has a deviation of 3.5 %; beyond four of them is one run in 10 000.
        assert abs(test.accuracy - 0.5) < 0.14, name


def test_another_set_is_told_apart():
    found = two_sample_tests(made(300, 0), made(300, 1, width=2.5e-3), SMALL, epochs=8, seed=0)
    for name, test in found.items():
        assert test.low > 0.9, name


def test_sets_must_be_comparable():
    with pytest.raises(ValueError, match="20 and 30"):
        two_sample_tests(made(20, 0), made(30, 0), SMALL, epochs=1, seed=0)


def test_the_interval_holds_the_accuracy():
    # Wilson 1927, worked out by hand for 5 of 10: centre 1/2, half-width 1.96 sqrt(1/40 + 0.0096) / 1.384.
    half = wilson(5, 10)
    assert (half.low, half.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    for right in range(11):
        one = wilson(right, 10)
        assert 0 <= one.low <= one.accuracy <= one.high <= 1
    assert wilson(500, 1000).high - wilson(500, 1000).low < half.high - half.low


def test_coverage_of_the_same_set_and_of_one_far_apart():
    points = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    assert coverage(points, points) == 1
    assert coverage(points, points + 100) == 0
    # Copies of one point cover only what lies around it.
    assert coverage(points, points[:1].expand(100, 5)) < 0.3


def test_coverage_of_one_distribution_is_that_of_chance():
    draw = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1000, 3, generator=draw)
    # 1 - 2^-5 where both sets are as large (Naeem et al. 2020); deviation of 1000 trials 0.6 %.
    assert coverage(one, other) == pytest.approx(1 - 2**-5, abs=0.025)


def test_described_pulses():
    muap = torch.zeros(1, 3, 8, 48)
    muap[0, 0, 2, 8:18] = muap[0, 2, 2, 8:18] = 2e-3
    muap[0, 0, 2, 8] = muap[0, 2, 2, 8] = -2e-3
    found = {name: float(value) for name, value in described(muap, SMALL).items()}
    assert found["amplitude"] == pytest.approx(4e-3)
    assert found["duration"] == pytest.approx(0.9 * 10 / 2000)  # ten samples of the same power
    assert found["spread_along"] == pytest.approx(0.02)  # two rows, each 20 mm from their middle
    assert found["spread_around"] == pytest.approx(0, abs=1e-5)
    muap[0, :, 3] = muap[0, :, 2]
    # Two columns 45 degrees apart: their mean direction has the length cos(22.5 degrees).
    expected = math.sqrt(-2 * math.log(math.cos(math.pi / 8)))
    assert float(described(muap, SMALL)["spread_around"]) == pytest.approx(expected)


def test_what_describes_muaps_does_not_depend_on_volts_or_place_around():
    muap = made(5, 0)
    one, other = described(muap, SMALL), described(10 * muap.roll(3, dims=2), SMALL)
    for name in one:
        factor = 10 if name == "amplitude" else 1
        assert torch.allclose(factor * one[name], other[name], rtol=1e-4), name


def test_settling_is_what_is_left_at_the_end():
    muap = torch.zeros(2, 3, 8, 100)
    muap[:, 0, 0, 50], muap[1, 1, 1, 97] = -4.0, 1.0
    assert settling(muap).tolist() == [0, 0.25]


@pytest.fixture
def halves(corpus):
    return held_out_halves(corpus, 1000, seed=0, splits=("all",))


def test_halves_are_different_units(corpus, halves):
    assert len(halves.real) == len(halves.counterpart) == 18  # one draw of each of 36 units
    both = torch.cat([halves.real, halves.counterpart])
    assert len(both.flatten(1).unique(dim=0)) == 36


def test_real_muaps_pass_every_check(corpus, halves):
    scores = prior_scores(halves, halves.counterpart, largest_values(corpus), epochs=1, seed=0)
    checks = scores["checks"]
    assert checks["finite"] == checks["within_amplitudes"] == 1
    assert checks["settled_where_the_corpus_is"] in (1, None)
    assert 0 <= scores["coverage"] <= 1


def test_wrong_muaps_fail_the_checks(corpus, halves):
    amplitudes = largest_values(corpus)
    large = prior_scores(halves, 1e4 * halves.counterpart, amplitudes, epochs=1, seed=0)["checks"]
    assert large["within_amplitudes"] == 0
    broken = halves.counterpart.clone()
    broken[0, 0, 0, 0] = torch.nan
    checks = prior_scores(halves, broken, amplitudes, epochs=1, seed=0)["checks"]
    assert checks["finite"] == pytest.approx(17 / 18)


def test_latents_follow_the_seed(generator, halves):
    muap = sampled(generator, halves, seed=0)
    assert muap.shape == halves.counterpart.shape
    assert torch.equal(muap, sampled(generator, halves, seed=0))


def test_muaps_are_rounded_as_the_corpus_rounds(corpus, halved_path):
    halved, some = read_corpus(halved_path), torch.arange(4)
    assert torch.allclose(as_kept(corpus.muap(some), halved), halved.muap(some), rtol=1e-6, atol=0)
    assert torch.equal(as_kept(corpus.muap(some), corpus), corpus.muap(some))
    assert largest_values(halved) == pytest.approx(largest_values(corpus), rel=1e-6)
