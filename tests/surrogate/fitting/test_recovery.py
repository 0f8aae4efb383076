"""Recovery studies: which samples, how much noise, and what counts as recovered."""

import math

import pytest
import torch

from surrogate.fitting import FitSettings
from surrogate.fitting.recovery import (
    TOLERANCES,
    Tolerance,
    fractions,
    held_out_samples,
    recover,
    scores,
    with_noise,
)

BRIEF = FitSettings(candidates=32, restarts=1, iterations=1, latent=False)


@pytest.fixture(scope="module")
def samples(corpus):
    return held_out_samples(corpus, "all", 8, torch.Generator().manual_seed(0))


@pytest.fixture
def recovery(generator, corpus, samples):
    return recover(generator, corpus, samples, "known", 20.0, BRIEF, seed=0)


def test_samples_are_of_different_units_and_whole_limbs(corpus, samples):
    units = corpus.motor_unit[samples]
    assert len(units.unique()) == len(units) == 8
    # Six units per conductor: eight come from two of them, all of one.
    assert sorted(corpus.conductor[units].unique(return_counts=True)[1].tolist()) == [2, 6]
    with pytest.raises(ValueError, match="split all has 36 motor units; 37 were asked for"):
        held_out_samples(corpus, "all", 37, torch.Generator())


def test_samples_are_of_their_split(corpus):
    chosen = held_out_samples(corpus, "held_out_conductors", 4, torch.Generator().manual_seed(0))
    assert set(chosen.tolist()) <= set(corpus.samples_of("held_out_conductors").tolist())


def test_noise_has_the_power_that_decibels_say(corpus, samples):
    muap = corpus.muap(samples)
    noise = with_noise(muap, 20.0, torch.Generator().manual_seed(0)) - muap
    ratio = noise.square().mean((1, 2, 3)) / muap.square().mean((1, 2, 3))
    # The mean of 1536 squares varies by sqrt(2 / 1536), 4 %.
    assert torch.allclose(ratio, torch.full((8,), 0.01), rtol=0.15)


def test_known_conductors_are_those_of_each_limb(recovery, corpus):
    assert torch.equal(recovery.truth, corpus.conditions[recovery.samples])
    (found,) = recovery.fits
    for name in ("fat_thickness", "limb_radius", "bone_conductivity"):
        k = corpus.names.index(name)
        assert torch.equal(found.conditions[:, k], recovery.truth[:, k])


@pytest.mark.parametrize(("conductor", "fits"), [("shared", 1), ("alone", 2)])
def test_unknown_conductors_are_shared_by_the_units_of_a_limb_or_not(
    generator, corpus, samples, conductor, fits
):
    recovery = recover(generator, corpus, samples[:2], conductor, 20.0, BRIEF, seed=0)
    assert len(recovery.fits) == fits
    fat = recovery.of("fat_thickness")[1]
    assert len(fat.unique()) == fits


def test_errors_go_the_shorter_way_round_and_are_relative_where_asked(recovery):
    (found,) = recovery.fits
    k = recovery.names.index("angle")
    recovery.truth[:, k] = 0.01
    found.conditions[:, k] = 2 * math.pi - 0.01
    assert torch.allclose(recovery.errors("angle", TOLERANCES["angle"]), torch.tensor(-0.02), atol=1e-5)
    k = recovery.names.index("conduction_velocity")
    found.conditions[:, k] = 1.01 * recovery.truth[:, k]
    error = recovery.errors("conduction_velocity", TOLERANCES["conduction_velocity"])
    assert torch.allclose(error, torch.tensor(0.01), atol=1e-5)
    assert scores(recovery)["conduction_velocity"]["median_error"] == pytest.approx(1.0, rel=1e-3)  # %


def test_fractions_count_units_and_those_that_meet_every_tolerance(recovery):
    (found,) = recovery.fits
    found.conditions[:] = recovery.truth
    depth, speed = (recovery.names.index(name) for name in ("depth", "conduction_velocity"))
    found.conditions[:2, depth] += 5e-3
    found.conditions[1:4, speed] *= 1.1
    wanted = {
        "depth": Tolerance(1e-3, False, 1e3, "mm"),
        "conduction_velocity": TOLERANCES["conduction_velocity"],
    }
    assert fractions(recovery, wanted) == {"depth": 6 / 8, "conduction_velocity": 5 / 8, "all": 4 / 8}
