"""The published architecture: its size, its stretching of time, what it depends on, and its losses."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import interpolate

from surrogate import biomime_losses as losses
from surrogate.biomime_losses import BioMimeRecipe
from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry
from surrogate.generators.biomime import BioMimeGenerator, BioMimeSettings
from surrogate.generators.biomime_discriminator import BioMimeDiscriminator
from surrogate.generators.resampling import SpaceInterpolation, TimeResampling, resampling_matrix
from surrogate.losses import Pairs

# The ranges of the published conditions: lowest and highest.
PUBLISHED = {
    "number_of_fibres": (3.0, 870.0),
    "depth": (7e-3, 23e-3),
    "angle": (0.0, 2 * math.pi),
    "innervation_zone": (0.365, 0.636),
    "conduction_velocity": (3.0, 4.5),
    "fibre_length": (0.17, 0.23),
}
SMALL = BioMimeSettings(
    trunk_channels=(4, 4, 8, 8, 12),
    latent_size=3,
    embedding_size=8,
    decoder_convolutions=1,
    output_channels=(8, 4),
)
SCALES = BioMimeSettings().scales


def array(rows, columns, samples):
    position = tuple(0.008 * (row - (rows - 1) / 2) for row in range(rows))
    return ArrayGeometry(row_position=position, columns=columns, samples=samples, sampling_rate=2048.0)


def drawn(batch, seed=0):
    draw = torch.rand(batch, len(PUBLISHED), generator=torch.Generator().manual_seed(seed))
    lowest, highest = torch.tensor(list(PUBLISHED.values())).T
    return lowest + (highest - lowest) * draw


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


CONDITIONS = Conditions.from_samples(tuple(PUBLISHED), drawn(200, seed=9))
TINY = array(4, 8, 48)
FULL = array(10, 32, 96)
VOLTS = 1e-5


def seeded(build):
    """Return a network whose every parameter is random: a residual begins as zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build()
        for name, parameter in network.named_parameters():
            if "residual" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture
def generator():
    made = seeded(lambda: BioMimeGenerator(SMALL, CONDITIONS, TINY))
    made.scale.fill_(VOLTS)
    return made


@pytest.fixture
def discriminator():
    made = seeded(lambda: BioMimeDiscriminator(SMALL, CONDITIONS, TINY))
    made.scale.fill_(VOLTS)
    return made


@pytest.fixture
def pairs():
    return Pairs(
        VOLTS * normal(6, *TINY.shape, seed=1),
        drawn(6, seed=2),
        VOLTS * normal(6, *TINY.shape, seed=3),
        drawn(6, seed=4),
    )


@pytest.fixture(scope="module")
def published():
    return BioMimeGenerator(BioMimeSettings(), CONDITIONS, FULL).eval()


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_generator_has_the_published_number_of_parameters(published):
    assert count(published) == pytest.approx(14.4e6, rel=0.05)


def test_the_discriminator_has_the_published_number_of_parameters():
    assert count(BioMimeDiscriminator(BioMimeSettings(), CONDITIONS, FULL)) == pytest.approx(1.3e6, rel=0.05)


def test_the_published_array_is_encoded_and_decoded(published):
    with torch.no_grad():
        muap = published.decode(normal(1, 16), drawn(1))
        mean, log_variance = published.posterior(muap, drawn(1))
    assert muap.shape == (1, 10, 32, 96)
    assert mean.shape == log_variance.shape == (1, 16)
    assert muap.isfinite().all()


@pytest.mark.parametrize("shape", [(4, 8, 48), (10, 32, 96), (1, 1, 5), (7, 3, 50)])
def test_any_array_is_spoken_on(shape):
    geometry = array(*shape)
    generator = BioMimeGenerator(SMALL, CONDITIONS, geometry)
    score = BioMimeDiscriminator(SMALL, CONDITIONS, geometry)
    with torch.no_grad():
        muap = generator.decode(normal(2, 3), drawn(2))
        assert muap.shape == (2, *shape)
        assert generator.posterior(muap, drawn(2))[0].shape == (2, 3)
        assert score(muap, drawn(2)).shape == (2,)


def test_any_conditions_are_taken(corpus, conditions):
    generator = BioMimeGenerator(SMALL, conditions, corpus.geometry)
    assert generator.sample(corpus.conditions[:2]).shape == (2, *corpus.geometry.shape)


def test_every_condition_and_every_number_of_the_latent_shape_the_muap(generator):
    table = drawn(4).requires_grad_()
    latent = normal(4, 3).requires_grad_()
    (generator.decode(latent, table).square().sum() / VOLTS**2).backward()
    assert (table.grad.abs().amax(0) > 0).all()
    assert (latent.grad.abs().amax(0) > 0).all()


def test_an_angle_and_a_turn_more_give_the_same_muap(generator):
    table = drawn(4)
    turned = table + torch.tensor([0, 0, 2 * math.pi, 0, 0, 0])
    latent = normal(4, 3)
    with torch.no_grad():
        # A turn more costs one rounding of the angle, 5e-7, which the network may amplify a little.
        assert torch.allclose(
            generator.decode(latent, turned), generator.decode(latent, table), rtol=0, atol=1e-5 * VOLTS
        )


def test_decoding_is_deterministic_and_each_unit_for_itself(generator):
    generator.train()
    table, latent = drawn(4), normal(4, 3)
    with torch.no_grad():
        together = generator.decode(latent, table)
        assert torch.equal(generator.decode(latent, table), together)
        alone = generator.decode(latent[:1], table[:1])
    # Sums in another order: rounding of values of order one.
    assert torch.allclose(alone[0], together[0], rtol=0, atol=1e-5 * VOLTS)


def test_muaps_twice_as_large_are_the_same_to_the_network(generator, discriminator):
    """All volts pass through the scale: powers of two are exact in binary arithmetic."""
    muap, table, latent = VOLTS * normal(4, *TINY.shape), drawn(4), normal(4, 3)
    with torch.no_grad():
        decoded = generator.decode(latent, table)
        encoded = generator.posterior(muap, table)
        score = discriminator(muap, table)
        generator.scale.mul_(2)
        discriminator.scale.mul_(2)
        assert torch.equal(generator.decode(latent, table), 2 * decoded)
        assert torch.equal(generator.posterior(2 * muap, table)[0], encoded[0])
        assert torch.equal(generator.posterior(2 * muap, table)[1], encoded[1])
        assert torch.equal(discriminator(2 * muap, table), score)


def test_the_scale_is_the_root_mean_square_of_the_training_data(generator, discriminator):
    muap = torch.full((5, *TINY.shape), -3e-6)
    for network in (generator, discriminator):
        network.fit(muap)
        assert float(network.scale) == pytest.approx(3e-6)
        assert "scale" in network.state_dict()
        with pytest.raises(ValueError, match="root mean square 0 V"):
            network.fit(0 * muap)
        with pytest.raises(ValueError, match="root mean square nan V"):
            network.fit(math.nan * muap)


@pytest.mark.parametrize(("samples", "resampled"), [(7, 7), (6, 24), (24, 96), (5, 8)])
def test_at_scale_one_time_is_only_interpolated(samples, resampled):
    layer = TimeResampling(samples, resampled, (1.0,), 4)
    x = normal(2, 3, samples, 2, 2)
    with torch.no_grad():
        found = layer(x, normal(2, 4))
    expected = interpolate(x, size=(resampled, 2, 2), mode="trilinear")
    # With no new samples, the identity.
    assert torch.allclose(found, x if samples == resampled else expected, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_stretches_time_about_the_discharge(scale):
    """Cells of a window as long as the stretch: interpolation, then what is beyond the window is lost."""
    x = normal(1, 1, 6)
    stretched = interpolate(x, size=round(24 * scale), mode="linear")[0, 0]
    expected = torch.zeros(24)
    kept = stretched[:24]
    expected[: len(kept)] = kept
    assert torch.allclose(resampling_matrix(6, 24, scale) @ x[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("which", range(len(SCALES)))
def test_weights_on_one_scale_stretch_an_impulse_by_it(which):
    scale = SCALES[which]
    layer = TimeResampling(24, 96, SCALES, 4)
    impulse = torch.zeros(1, 1, 24, 1, 1)
    impulse[0, 0, 10] = 1
    with torch.no_grad():
        layer.mixing.weight.zero_()
        layer.mixing.bias.copy_(100.0 * torch.nn.functional.one_hot(torch.tensor(which), len(SCALES)))
        response = layer(impulse, normal(1, 4))[0, 0, :, 0, 0]
    time = (torch.arange(96) + 0.5) / 4  # in cells of the 24
    # A triangle of two cells, stretched, sampled four to a cell: symmetric, so its moments are exact
    # where the samples lie symmetric about the peak or are fine; else they miss at most half a step.
    assert float(response.sum()) == pytest.approx(4 * scale, rel=1e-3)
    assert float((time * response).sum() / response.sum()) == pytest.approx(10.5 * scale, abs=0.125)


def test_scales_are_mixed_by_weights_that_depend_on_the_conditions():
    layer = seeded(lambda: TimeResampling(6, 24, SCALES, 4))
    embedding = normal(3, 4)
    with torch.no_grad():
        weights = layer.weights(embedding)
        x = normal(3, 2, 6, 2, 2)
        found = layer(x, embedding)
        one_by_one = sum(
            weights[:, i, None, None, None, None]
            * torch.einsum("ot,bctrk->bcork", resampling_matrix(6, 24, scale), x)
            for i, scale in enumerate(SCALES)
        )
    assert torch.allclose(weights.sum(1), torch.ones(3))
    assert not torch.allclose(weights[0], weights[1], atol=1e-3)
    assert torch.allclose(found, one_by_one, atol=1e-5)


def test_space_is_interpolated_linearly():
    x = normal(2, 3, 5, 3, 8)
    found = SpaceInterpolation((3, 8), (5, 16))(x)
    assert torch.allclose(found, interpolate(x, size=(5, 5, 16), mode="trilinear"), atol=1e-6)


def test_the_generators_terms_reach_every_parameter(generator, discriminator, pairs):
    terms, _ = losses.generator_terms(generator, discriminator, pairs, normal(6, 3))
    losses.weighted(terms, BioMimeRecipe(), 50_000).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("name", ["adversarial", "cycle"])
def test_cycle_and_score_each_train_encoder_and_decoder(generator, discriminator, pairs, name):
    terms, _ = losses.generator_terms(generator, discriminator, pairs, normal(6, 3))
    terms[name].backward()
    for part in (generator.trunk, generator.mean, generator.embedding, generator.decoder):
        assert all(parameter.grad.abs().max() > 0 for parameter in part.parameters())


def test_the_discriminators_terms_reach_all_of_it_and_nothing_else(generator, discriminator, pairs):
    _, morphed = losses.generator_terms(generator, discriminator, pairs, normal(6, 3))
    discriminator.zero_grad()
    torch.stack(list(losses.discriminator_terms(discriminator, pairs, morphed).values())).sum().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_the_discriminator_looks_at_muap_and_at_every_condition(discriminator):
    muap = (VOLTS * normal(4, *TINY.shape)).requires_grad_()
    table = drawn(4).requires_grad_()
    discriminator(muap, table).sum().backward()
    assert (table.grad.abs().amax(0) > 0).all()
    assert (muap.grad != 0).any()


def judge(real, fake, mismatched):
    """Return a discriminator that knows the pairs: scores of real, morphed and mismatched MUAPs."""

    def score(muap, conditions):
        # The tests below make up pairs whose MUAPs are one where real; conditions name their unit.
        is_real, matches = muap[:, 0, 0, 0] == 1, muap[:, 0, 0, 1] == conditions[:, 0]
        return torch.where(is_real, torch.where(matches, real, mismatched), fake)

    return score


def told_apart(scores):
    muap = torch.ones(3, 2, 2, 4)
    muap[:, 0, 0, 1] = torch.arange(3)
    unit = torch.arange(3.0)[:, None]
    return losses.discriminator_terms(judge(*scores), Pairs(muap, unit, muap, unit), 0 * muap)


def test_the_discriminators_loss_is_zero_for_perfect_scores_only():
    # The sigmoid of 40 is one to 4e-18.
    perfect = told_apart((40.0, -40.0, -40.0))
    assert all(float(term) < 1e-12 for term in perfect.values())
    wrong = told_apart((-40.0, 40.0, 40.0))
    assert [float(wrong[name]) for name in ("real", "fake", "mismatched")] == pytest.approx([1, 0.5, 0.5])
    blind = told_apart((0.0, 0.0, 0.0))
    assert float(sum(blind.values())) == pytest.approx(0.5)


def test_the_generator_wants_to_be_taken_for_real():
    assert float(losses.least_squares(torch.full((3,), 40.0), 1)) < 1e-12
    assert float(losses.least_squares(torch.full((3,), -40.0), 1)) == pytest.approx(1)


def test_the_divergence_comes_in_slowly():
    recipe = BioMimeRecipe()
    rise = [losses.annealing(recipe, step) for step in range(0, 90_001, 1000)]
    # Half of the steepness is six: the logistic function of 6 is 0.9975.
    assert rise[0] < 0.005
    assert rise[-1] > 0.995
    assert losses.annealing(recipe, 45_000) == pytest.approx(0.5)
    assert all(after > before for before, after in pairwise(rise))


def test_terms_are_summed_by_the_recipes_weights():
    terms = {name: torch.tensor(1.0) for name in ("adversarial", "divergence", "cycle")}
    assert float(losses.weighted(terms, BioMimeRecipe(), 45_000)) == pytest.approx(10 + 0.05 + 5)


def test_a_muap_that_is_lost_has_a_cycle_of_one(generator, discriminator, pairs):
    with torch.no_grad():
        for parameter in generator.decoder.last.parameters():
            parameter.zero_()
        generator.fit(pairs.muap)
        terms, morphed = losses.generator_terms(generator, discriminator, pairs, normal(6, 3))
    assert not morphed.any()
    assert float(terms["cycle"]) == pytest.approx(1, rel=1e-4)


def descend(network, loss, steps, learning_rate):
    """Take steps by the recipe's optimiser, though faster, and return the losses on the way."""
    optimiser = torch.optim.RMSprop(network.parameters(), learning_rate)
    seen = []
    for step in range(steps):
        optimiser.zero_grad()
        value = loss(step)
        value.backward()
        optimiser.step()
        seen.append(float(value.detach()))
    return seen


def test_a_few_steps_learn_one_batch(generator, discriminator, corpus):
    """Each network lowers its loss while the other is held: the discriminator first, then its opponent."""
    muap, table = corpus.muap(torch.arange(4)), drawn(4)
    pairs = Pairs(muap, table, muap.roll(1, 0), table.roll(1, 0))
    generator.fit(muap)
    discriminator.fit(muap)
    with torch.no_grad():
        made_up = generator.decode(normal(4, 3), table)

    def judged(step):
        return torch.stack(list(losses.discriminator_terms(discriminator, pairs, made_up).values())).sum()

    def played(step):
        terms, _ = losses.generator_terms(generator, discriminator, pairs, normal(4, 3))
        return losses.weighted(terms, BioMimeRecipe(), step)

    doubts = descend(discriminator, judged, 30, 1e-3)
    # A discriminator that cannot tell has 0.5, and would keep it; one that tells real from made-up but not
    # by conditions keeps 0.25.
    assert doubts[-1] < 0.2
    found_out = descend(generator, played, 30, 1e-3)
    # At first every MUAP is found out, which alone costs 10; one that is not, and a cycle lost, cost 5.
    assert found_out[-1] < 0.5 * found_out[0]
