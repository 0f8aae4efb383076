"""The generator's exact part: source, window, velocity, number of fibres, turning of columns."""

import math

import numpy as np
import pytest
import torch

from numerical.action_potential import source_strength
from surrogate.data import slope_fit
from surrogate.generators.features import (
    MUSCLE,
    WAVELENGTHS,
    muscle_conductivity,
    nearest_column,
    planar_transfer,
)
from surrogate.generators.lead_field import (
    SOURCE_CONDITIONS,
    cubic_spline,
    derivative_fit,
    mean_source,
    node_positions,
)

NODES = node_positions(0.15, 4e-3)
TURNING = ("sine", "cosine")  # features of the angle alone, beside x and y


def relative(value, reference):
    return float((value - reference).norm() / reference.norm())


def source(conditions, times, points=5):
    values = (torch.tensor([conditions[name]]).float() for name in SOURCE_CONDITIONS)
    return mean_source(*values, nodes=NODES, times=times, cells=150, cell=1e-3, points=points)[0]


def with_conditions(generator, table, **changed):
    mapping = generator.conditions.mapping(table)
    return generator.conditions.table(mapping | changed)


def decode(generator, table):
    with torch.no_grad():
        return generator.decode(torch.zeros(len(table), generator.latent_size), table)


def test_splines_sum_to_one_and_hold_straight_lines():
    fraction = torch.linspace(0, 1, 7, dtype=torch.float64)
    weights = cubic_spline(fraction)
    place = torch.arange(-1, 3, dtype=torch.float64)
    assert torch.allclose(weights.sum(-1), torch.ones(7, dtype=torch.float64))
    assert torch.allclose(weights @ place, fraction)


def test_fit_returns_the_derivative_of_what_was_sampled():
    z = torch.linspace(-0.15, 0.15, 151, dtype=torch.float64)
    # As sharp as a fibre 7 mm deep in isotropic tissue: sharper than any in muscle.
    scale = 7e-3
    values = derivative_fit(z, NODES) @ (1 / (1 + (z / scale) ** 2).sqrt()).float()
    at = torch.linspace(-0.1, 0.1, 333)
    place = (at - NODES[0]) / 4e-3
    before = place.floor().long()
    taps = values[before[:, None] + torch.arange(-1, 3)]
    found = (taps * cubic_spline(place - before)).sum(-1)
    exact = -at / scale**2 / (1 + (at / scale) ** 2) ** 1.5
    # The field's spectrum falls as exp(-k scale): beyond the nodes' k = pi / 4 mm lie 3 % of it.
    assert relative(found, exact) < 0.04


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mean_source_gives_the_sum_over_fibres(medium, seed):
    conditions = medium.conditions(seed) | {"number_of_fibres": 1500.0}
    phi = torch.from_numpy(medium.field(conditions, medium.position)).float()
    fit = slope_fit(medium.position, NODES)
    times = torch.from_numpy(medium.times).float()
    muap = 1500 * source_strength() * (phi @ fit.T) @ source(conditions, times)
    # Cells of 1 mm lose (k h)^2 / 24 of wavelengths of some 15 mm: 0.7 %; 1500 fibres whose
    # end-plates and ends are drawn independently are within some 0.3 % of their mean.
    assert relative(muap, torch.from_numpy(medium.muap(conditions))) < 0.015


def test_more_quadrature_points_change_nothing(medium):
    conditions = medium.conditions(4)
    times = torch.from_numpy(medium.times).float()
    phi = torch.from_numpy(medium.field(conditions, medium.position)).float()
    field = phi @ slope_fit(medium.position, NODES).T
    few, many = (field @ source(conditions, times, points) for points in (5, 20))
    # The scatter, 10 mm wide at most, is within the field's scale: five points are of order nine.
    assert relative(few, many) < 0.005


def test_velocity_is_a_stretch_of_time(medium):
    times = torch.from_numpy(medium.times).float()
    conditions = medium.conditions(5)
    twice = conditions | {"conduction_velocity": 2 * conditions["conduction_velocity"]}
    # Halving and doubling are exact in binary arithmetic.
    assert torch.equal(source(conditions, times), source(twice, times / 2))


def test_source_carries_no_net_current(medium):
    """A potential that rises evenly along the limb is one no wave in mid-fibre can be told by."""
    conditions = medium.conditions(6) | {"fibre_length": 0.2, "innervation_zone": 0.5}
    times = torch.linspace(0.012, 0.016, 5)
    weights = source(conditions, times)
    # Both waves are whole and in the untapered part: the source's integral is that of psi, zero.
    assert float(weights.sum(0).abs().max()) < 1e-5 * float(weights.abs().sum(0).max())


def test_muap_is_proportional_to_the_number_of_fibres_where_the_field_is_not_asked(generator, corpus):
    table = corpus.conditions[:3]
    column = generator.features.names.index("number_of_fibres")
    with torch.no_grad():
        generator.embedding.weight[:, column] = 0
    number = generator.conditions.select(table, "number_of_fibres")
    doubled = decode(generator, with_conditions(generator, table, number_of_fibres=2 * number))
    assert torch.allclose(doubled, 2 * decode(generator, table), rtol=1e-5, atol=0)


def test_all_conductivities_times_two_halve_the_muap(generator, corpus):
    table = corpus.conditions[:3]
    mapping = generator.conditions.mapping(table)
    scaled = {n: 2 * v for n, v in mapping.items() if n.endswith("_conductivity")}
    half = decode(generator, with_conditions(generator, table, **scaled))
    # The features that the network sees differ by the rounding of logarithms.
    assert relative(half, 0.5 * decode(generator, table)) < 1e-4


def test_muscle_conductivity_is_the_geometric_mean():
    assert float(muscle_conductivity(torch.tensor([[0.1, 0.4]]), MUSCLE)) == pytest.approx(0.2)


def test_turning_the_unit_by_one_column_turns_the_muap(generator, corpus):
    """Exact where the limb is round, that is where the network does not look at the angle."""
    table = corpus.conditions[:4]
    around = [i for i, n in enumerate(generator.features.names) if n in "xy" or n.split("_")[0] in TURNING]
    with torch.no_grad():
        generator.embedding.weight[:, around] = 0
    angle = generator.conditions.select(table, "angle")
    turned = with_conditions(generator, table, angle=angle + 2 * math.pi / 8)
    expected = decode(generator, table).roll(1, dims=2)
    # The offset from the nearest column is a difference of rounded angles.
    assert relative(decode(generator, turned), expected) < 1e-4


def test_an_angle_and_a_turn_more_give_the_same_muap(generator, corpus):
    table = corpus.conditions[:4]
    angle = generator.conditions.select(table, "angle")
    turned = with_conditions(generator, table, angle=angle + 2 * math.pi)
    assert relative(decode(generator, turned), decode(generator, table)) < 1e-4


def test_nearest_column_and_offset_add_up_to_the_angle():
    angle = torch.linspace(-7, 14, 50)
    column, offset = nearest_column(angle, 8)
    assert column.min() >= 0
    assert column.max() <= 7
    assert offset.abs().max() <= 0.5
    turns = ((column + offset) / 8 - angle / (2 * math.pi)).numpy()
    assert turns == pytest.approx(turns.round(), abs=1e-5)


def test_gradients_reach_every_condition_and_are_finite(generator, corpus):
    table = corpus.conditions[:4].clone().requires_grad_()
    latent = torch.zeros(4, generator.latent_size, requires_grad=True)
    torch.nn.init.normal_(generator.latent_out.weight)
    generator.decode(latent, table).square().sum().backward()
    assert table.grad.isfinite().all()
    assert (table.grad != 0).any(0).all()
    assert latent.grad.isfinite().all()
    assert (latent.grad != 0).any()


def test_expected_unit_is_the_mean_over_latents(generator, corpus):
    torch.nn.init.normal_(generator.latent_out.weight)
    table = corpus.conditions[:1].expand(2, -1)
    latent = torch.randn(1, generator.latent_size)
    with torch.no_grad():
        there_and_back = generator.decode(torch.cat([latent, -latent]), table)
    expected = decode(generator, table[:1])[0]
    assert relative(there_and_back[0], expected) > 1e-3
    assert torch.allclose(there_and_back.mean(0), expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_encoding_asks_for_the_shape_of_the_latent_only(generator, corpus):
    muap = corpus.muap(torch.arange(3))
    mean, log_variance = generator.encode(muap, corpus.conditions[:3])
    assert mean.shape == log_variance.shape == (3, generator.latent_size)
    assert mean.isfinite().all()


def test_same_conditions_same_bits_whatever_the_batches(generator, corpus):
    table = corpus.conditions[:6]
    first = generator.sample(table, batch_size=3)
    assert torch.equal(first, generator.sample(generator.conditions.mapping(table), batch_size=3))
    assert torch.allclose(first, generator.sample(table), rtol=1e-4, atol=1e-6 * first.max())


def test_sampling_refuses_what_it_cannot_serve(generator, corpus):
    table = corpus.conditions[:2]
    deep = with_conditions(generator, table, depth=0.5)
    with pytest.raises(ValueError, match=r"depth is 0\.5 m"):
        generator.sample(deep)
    assert generator.sample(deep, extrapolate=True).isfinite().all()
    with pytest.raises(ValueError, match=r"latent has shape \[2, 3\]"):
        generator.sample(table, torch.zeros(2, 3))
    endless = with_conditions(generator, table, fibre_length=0.9)
    with pytest.raises(ValueError, match="the generator reaches"):
        generator.sample(endless, extrapolate=True)


def test_planar_transfer_of_one_homogeneous_medium_is_that_of_a_half_space():
    # With all layers of one isotropic conductivity, insulated at the skin, a wave keeps
    # 2 exp(-k d) / (2 k) of its potential: the free-space wave and its image.
    values = {
        "depth": torch.tensor([0.012], dtype=torch.float64),
        "fat_thickness": torch.tensor([0.003], dtype=torch.float64),
        "skin_thickness": torch.tensor([0.002], dtype=torch.float64),
        **dict.fromkeys((*MUSCLE, "fat_conductivity", "skin_conductivity"), torch.tensor([0.3]).double()),
    }
    expected = []
    for around in WAVELENGTHS:
        for axial in WAVELENGTHS:
            k = 2 * math.pi * math.hypot(1 / around, 1 / axial)
            expected.append(-k * 0.012 - math.log(k))
    np.testing.assert_allclose(planar_transfer(values)[0], expected, rtol=1e-9)


def test_features_are_standardised_over_the_training_samples(generator, corpus):
    train = corpus.conditions[corpus.samples_of("train")]
    generator.features.fit(train)
    seen = generator.features(train)
    assert seen.mean(0).abs().max() < 1e-2
    assert (seen.std(0) - 1).abs().max() < 0.05
