"""What users do with a generator: sample, encode, morph, interpolate, in numpy or torch, with gradients."""

import math

import numpy as np
import pytest
import torch

from surrogate.generators.between_electrodes import interpolation_weights


@pytest.fixture
def latent_generator(generator):
    """A generator whose latent says something."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.nn.init.normal_(generator.latent_out.weight, std=0.1)
    return generator


@pytest.fixture
def table(corpus):
    return corpus.conditions[:5]


def test_numpy_gives_numpy_and_tensors_give_tensors(latent_generator, table):
    by_name = {n: v.numpy() for n, v in latent_generator.conditions.mapping(table).items()}
    muap = latent_generator.sample(table)
    assert isinstance(muap, torch.Tensor)
    for given in (table.numpy(), by_name):
        found = latent_generator.sample(given)
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, muap.numpy())
    assert isinstance(latent_generator.encode(muap.numpy(), table.numpy()), np.ndarray)
    assert isinstance(latent_generator.encode(muap, table.numpy()), torch.Tensor)


def test_one_row_of_plain_numbers_is_one_unit(latent_generator, table):
    plain = {n: float(v[0]) for n, v in latent_generator.conditions.mapping(table).items()}
    assert latent_generator.sample(plain).shape == (1, 4, 8, 48)


def test_draws_from_the_prior_belong_to_their_seed(latent_generator, table):
    first, again, other = (latent_generator.sample(table, 3, seed=seed) for seed in (4, 4, 5))
    assert first.shape == (5, 3, 4, 8, 48)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, rtol=1e-3)
    assert not torch.allclose(first[:, 0], first[:, 1], rtol=1e-3)


def test_draws_keep_to_their_row_of_conditions(latent_generator, table):
    with torch.no_grad():
        latent_generator.latent_out.weight.zero_()
    drawn = latent_generator.sample(table, 2)
    for place in range(2):
        assert torch.allclose(drawn[:, place], latent_generator.sample(table), rtol=1e-5)


def test_batches_do_not_matter(latent_generator, table):
    whole, parts = (latent_generator.sample(table, batch_size=size) for size in (5, 2))
    assert torch.allclose(whole, parts, rtol=1e-4, atol=1e-6 * float(whole.abs().max()))


def test_encoding_is_the_mean_of_the_posterior(latent_generator, corpus, table):
    muap = corpus.muap(torch.arange(5))
    with torch.no_grad():
        mean = latent_generator.posterior(muap, table)[0]
    assert torch.allclose(latent_generator.encode(muap, table), mean, rtol=1e-4, atol=1e-5)


def test_morphing_is_encoding_and_sampling(latent_generator, corpus, table):
    muap = corpus.muap(torch.arange(5))
    new = table.roll(1, 0)
    latent = latent_generator.encode(muap, table)
    assert torch.equal(latent_generator.morph(muap, table, new), latent_generator.sample(new, latent))


def test_interpolation_begins_and_ends_at_the_ends(latent_generator, table):
    ends = table[:2], table[2:4]
    latents = torch.randn(2, 2, latent_generator.latent_size, generator=torch.Generator().manual_seed(0))
    way = latent_generator.interpolate(*ends, 5, *latents)
    assert way.shape == (2, 5, 4, 8, 48)
    for step, end, latent in ((0, ends[0], latents[0]), (4, ends[1], latents[1])):
        expected = latent_generator.sample(end, latent)
        assert float((way[:, step] - expected).norm() / expected.norm()) < 1e-4


def test_angles_go_the_shorter_way(latent_generator, table):
    conditions = latent_generator.conditions
    ends = [conditions.table(conditions.mapping(table[:1]) | {"angle": a}) for a in (0.2, 2 * math.pi - 0.2)]
    middle = conditions.between(*ends, torch.tensor([[0.5]]))
    assert float(conditions.select(middle, "angle").cos()) == pytest.approx(1, abs=1e-5)


def test_logarithmic_conditions_go_through_the_geometric_mean(latent_generator, table):
    conditions = latent_generator.conditions
    middle = conditions.between(table[:1], table[2:3], torch.tensor([[0.5]]))
    for name in ("fat_thickness", "number_of_fibres"):
        a, b = (float(conditions.select(table[i], name)) for i in (0, 2))
        assert float(conditions.select(middle, name)) == pytest.approx(math.sqrt(a * b), rel=1e-5)


def test_gradients_flow_where_they_are_asked_for(latent_generator, table):
    assert not latent_generator.sample(table).requires_grad
    asked = table.clone().requires_grad_()
    latent = torch.zeros(5, latent_generator.latent_size, requires_grad=True)
    latent_generator.sample(asked, latent).square().sum().backward()
    assert (asked.grad != 0).any(0).all()
    assert (latent.grad != 0).any()
    with torch.no_grad():
        assert not latent_generator.sample(asked).requires_grad


def test_gradients_are_those_of_finite_differences(latent_generator, table):
    """Of the log energy, by every condition, along its scaled direction."""
    generator = latent_generator.double()
    for name, buffer in list(generator.named_buffers()):
        assert buffer.dtype in (torch.float64, torch.int64), name
    values = table[:1].double()

    def log_energy(at):
        return generator.decode(torch.zeros(1, generator.latent_size).double(), at).square().sum().log()

    asked = values.clone().requires_grad_()
    log_energy(asked).backward()
    for i, name in enumerate(generator.conditions.names):
        step = 1e-6 * max(abs(float(values[0, i])), 1e-3)
        ends = [values.clone(), values.clone()]
        ends[0][0, i] -= step
        ends[1][0, i] += step
        with torch.no_grad():
            slope = float(log_energy(ends[1]) - log_energy(ends[0])) / (2 * step)
        assert float(asked.grad[0, i]) == pytest.approx(slope, rel=1e-3, abs=1e-6 / step * 1e-6), name


def test_places_between_electrodes_are_weighted_electrodes(latent_generator, table):
    rows = latent_generator.geometry.row_position
    places = np.array([rows[0], 0.001]), np.array([0.0, 0.4])
    found = latent_generator.sample(table, electrodes=places)
    muap = latent_generator.sample(table)
    assert found.shape == (5, 2, 48)
    assert torch.allclose(found[:, 0], muap[:, 0, 0], atol=1e-5 * float(muap.abs().max()))
    weights = interpolation_weights(rows, 8, *places)
    expected = torch.einsum("erc,brct->bet", weights, muap)
    assert torch.allclose(found, expected, atol=1e-5 * float(muap.abs().max()))


def test_bad_requests_are_refused_in_one_line(latent_generator, corpus, table):
    muap = corpus.muap(torch.arange(5))
    refused = [
        (lambda: latent_generator.encode(muap[:, :2], table), r"MUAPs have shape \[5, 2, 8, 48\]"),
        (lambda: latent_generator.encode(muap * math.nan, table), "not finite"),
        (lambda: latent_generator.interpolate(table, table[:2], 3), "5 conditions .* 2"),
        (lambda: latent_generator.interpolate(table, table, 1), "steps: 1"),
        (lambda: latent_generator.sample(table, electrodes=([1.0], [0.0])), "off the array"),
    ]
    for request, said in refused:
        with pytest.raises(ValueError, match=f"^[^\n]*{said}[^\n]*$"):
            request()
