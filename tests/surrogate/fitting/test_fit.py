"""Fitting: a generator's own MUAPs give back their conditions, and deviations say how surely."""

import math

import numpy as np
import pytest
import torch

from surrogate.fitting import FitSettings, difference, end_plate, fit
from surrogate.fitting.recovery import with_noise
from tests.surrogate.fitting.closed_form import RANGES, ClosedForm

NAMES = tuple(RANGES)
# The generator makes the MUAPs itself, so it has no error of its own.
EXACT = FitSettings(
    candidates=1024, restarts=3, finalists=1, iterations=20, tolerance=0.02, generator_error=0, latent=False
)
BRIEF = EXACT.model_copy(update={"candidates": 64, "restarts": 1, "iterations": 2})
CONDUCTOR = {"limb_radius": 0.042, "muscle_longitudinal_conductivity": 0.45}
# Of three units of that conductor: angles on both sides of the wrap and away from it.
UNITS = {
    "number_of_fibres": [60.0, 150.0, 300.0],
    "depth": [0.009, 0.012, 0.016],
    "angle": [0.03, 2 * math.pi - 0.05, 2.5],
    "fibre_centre": [0.004, -0.008, 0.01],
    "innervation_zone": [0.45, 0.55, 0.5],
    "conduction_velocity": [4.0, 3.6, 4.6],
    "fibre_length": [0.09, 0.1, 0.075],
}


def k(name):
    return NAMES.index(name)


@pytest.fixture(scope="module")
def closed_form():
    return ClosedForm()


@pytest.fixture(scope="module")
def truth(closed_form):
    return closed_form.conditions.table(UNITS | CONDUCTOR)


@pytest.fixture(scope="module")
def muap(closed_form, truth):
    return closed_form.sample(truth)


@pytest.fixture(scope="module")
def noisy(muap):
    return with_noise(muap, 20.0, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found(closed_form, noisy):
    """With the conductor known, at 20 dB."""
    return fit(closed_form, noisy, CONDUCTOR, EXACT)


def test_muaps_without_noise_give_back_their_conditions(closed_form, truth, muap):
    fitted = fit(closed_form, muap, CONDUCTOR, EXACT)
    # Float32 leaves 1e-6 of a MUAP, and conditions change it by parts of their own size.
    assert (fitted.relative_residual < 1e-4).all()
    error = difference(NAMES, fitted.conditions, truth).abs()
    assert (error < 2e-3 * truth.abs().clamp(min=0.01)).all()
    assert torch.allclose(fitted.muap, muap, atol=1e-3 * float(muap.abs().max()))


def test_errors_at_20_db_are_those_that_deviations_say(found, truth):
    error = difference(NAMES, found.conditions, truth).abs()
    unknown = [k(name) for name in UNITS]
    # 21 normal errors lie within 4 deviations, but for one case in a thousand; their RMS is one, to 15 %.
    assert (error[:, unknown] < 4 * found.deviation[:, unknown]).all()
    assert (error / found.deviation)[:, unknown].square().mean().sqrt() > 0.3
    assert (found.end_plate - end_plate(NAMES, truth)).abs().max() < 4 * found.end_plate_deviation.max()
    # Noise of a tenth of a MUAP leaves sqrt(0.01 / 1.01) of what is recorded.
    assert torch.allclose(found.relative_residual, torch.full((3,), 0.0995), rtol=0.05)


def test_angles_are_found_across_the_wrap_and_within_a_turn(found, truth):
    angle = found.conditions[:, k("angle")]
    assert ((angle >= 0) & (angle < 2 * math.pi)).all()
    assert angle[0] < 0.5
    assert angle[1] > 6
    assert difference(NAMES, found.conditions, truth)[:, k("angle")].abs().max() < math.radians(3)


def test_known_conditions_stay_as_given_and_have_no_deviation(closed_form, noisy):
    given = {"depth": [0.010, 0.011, 0.012], "conduction_velocity": 4.0, **CONDUCTOR}
    fitted = fit(closed_form, noisy, given, BRIEF)
    table = closed_form.conditions.table(UNITS | given)
    for name in given:
        assert torch.equal(fitted.conditions[:, k(name)], table[:, k(name)])
        assert (fitted.deviation[:, k(name)] == 0).all()
        assert (fitted.restarts.conditions[:, :, k(name)] == table[:, k(name)]).all()
    assert set(fitted.known) == set(given)
    assert (fitted.deviation[:, k("angle")] > 0).all()


def test_the_order_of_a_set_does_not_matter(closed_form, noisy, found):
    order = torch.tensor([2, 0, 1])
    turned = fit(closed_form, noisy[order], CONDUCTOR, EXACT)
    # Steps end where the log likelihood, half a square of deviations, changes by less than 0.02: 0.2 of one.
    apart = difference(NAMES, turned.conditions, found.conditions[order]).abs()
    assert (apart <= 0.2 * found.deviation[order]).all()


def test_units_of_one_limb_share_an_unknown_conductor(closed_form, noisy, truth, found):
    together = fit(closed_form, noisy, None, EXACT)
    for name in CONDUCTOR:
        value = together.conditions[:, k(name)]
        assert (value == value[0]).all()
        assert (value - truth[:, k(name)]).abs().max() < 4 * together.deviation[0, k(name)]
    # Not to know the conductor makes nothing surer, and depth less sure.
    depth = k("depth")
    assert (together.deviation[:, depth] > found.deviation[:, depth]).all()


def test_deviations_grow_with_noise(closed_form, muap, found):
    quiet = with_noise(muap, 40.0, torch.Generator().manual_seed(0))
    surer = fit(closed_form, quiet, CONDUCTOR, EXACT)
    unknown = [k(name) for name in UNITS]
    ratio = found.deviation[:, unknown] / surer.deviation[:, unknown]
    # Ten times the noise: ten times the deviation, but for what the prior knows.
    assert float(ratio.median()) == pytest.approx(10, rel=0.3)
    assert torch.allclose(found.noise / surer.noise, torch.tensor(10.0), rtol=0.05)


def test_deviations_grow_with_the_generators_error(closed_form, noisy, found):
    doubtful = fit(closed_form, noisy[:1], CONDUCTOR, EXACT.model_copy(update={"generator_error": 0.05}))
    unknown = [k(name) for name in UNITS]
    assert (doubtful.deviation[0, unknown] > found.deviation[0, unknown]).all()


def test_given_noise_sets_the_deviations(closed_form, noisy, found):
    twice = 2 * float(found.noise[0])
    fitted = fit(closed_form, noisy[:1], CONDUCTOR, EXACT.model_copy(update={"noise": twice}))
    # The latter has the generator's training data to go by, too, which weighs little here.
    ratio = fitted.deviation[0, k("depth")] / found.deviation[0, k("depth")]
    assert float(ratio) == pytest.approx(2, rel=0.1)


def test_a_latent_is_found_where_it_is_asked_for(closed_form, truth):
    latent = torch.tensor([[1.0], [-1.0], [0.0]])
    recorded = with_noise(closed_form.sample(truth, latent), 30.0, torch.Generator().manual_seed(0))
    settings = EXACT.model_copy(update={"latent": True})
    fitted = fit(closed_form, recorded, CONDUCTOR, settings)
    # A tilt of 20 % is far above 3 % noise; the prior draws it to 0 where conditions tilt amplitudes too.
    assert (fitted.latent - latent).abs().max() < 0.3
    without = fit(closed_form, recorded, CONDUCTOR, EXACT)
    assert (without.latent == 0).all()
    assert (without.relative_residual > fitted.relative_residual - 1e-4).all()


def test_one_muap_is_a_set_of_one(closed_form, noisy):
    one = fit(closed_form, noisy[1].numpy(), CONDUCTOR, BRIEF)
    set_of_one = fit(closed_form, noisy[1:2], CONDUCTOR, BRIEF)
    assert torch.equal(one.conditions, set_of_one.conditions)
    assert one.muap.shape == (1, 5, 12, 48)


def test_the_same_seed_gives_the_same_fit(closed_form, noisy):
    one, other = (fit(closed_form, noisy, CONDUCTOR, BRIEF, seed=3) for _ in range(2))
    assert torch.equal(one.conditions, other.conditions)


def test_whatever_is_recorded_conditions_lie_in_their_ranges(closed_form):
    noise = torch.randn(2, 5, 12, 48, generator=torch.Generator().manual_seed(0))
    fitted = fit(closed_form, noise, None, BRIEF)
    closed_form.conditions.check(fitted.conditions)
    assert fitted.deviation.isfinite().all()


def test_the_best_restart_is_first_and_agrees_with_itself(found):
    restarts = found.restarts
    assert torch.equal(restarts.conditions[0], found.conditions)
    assert restarts.agree[0].all()
    assert (restarts.relative_residual[0] <= restarts.relative_residual.min(0).values + 1e-6).all()


def test_known_conditions_may_lie_outside_where_that_is_asked_for(closed_form, noisy):
    settings = BRIEF.model_copy(update={"extrapolate": True})
    fitted = fit(closed_form, noisy[:1], {"limb_radius": 0.05}, settings)
    assert float(fitted.conditions[0, k("limb_radius")]) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("recorded", "known", "message"),
    [
        (np.ones((5, 12, 47)), {}, r"MUAPs have shape \[5, 12, 47\]"),
        (np.ones((0, 5, 12, 48)), {}, r"MUAPs have shape \[0, 5, 12, 48\]"),
        (np.full((2, 5, 12, 48), np.nan), {}, "MUAP 0 is not finite"),
        (np.stack([np.ones((5, 12, 48)), np.zeros((5, 12, 48))]), {}, "MUAP 1 is zero everywhere"),
        (np.ones((5, 12, 48)), {"skin": 1.0}, "does not have: skin; it has number_of_fibres"),
        (np.ones((5, 12, 48)), {"depth": 0.5}, "depth is 0.5 m; .* 0.006 to 0.02 m"),
        (np.ones((5, 12, 48)), {"depth": math.nan}, "depth is nan m"),
        (np.ones((5, 12, 48)), {"depth": [0.01, 0.01]}, r"known depth has shape \[2\]"),
        (np.ones((5, 12, 48)), {n: sum(r) / 2 for n, r in RANGES.items()}, "every condition is known"),
        (
            np.ones((2, 5, 12, 48)),
            {"limb_radius": [0.04, 0.041]},
            "limb_radius differs between MUAPs, .* muscle_longitudinal_conductivity is not known",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(closed_form, recorded, known, message):
    with pytest.raises(ValueError, match=message) as caught:
        fit(closed_form, recorded, known, EXACT)
    assert "\n" not in str(caught.value)
