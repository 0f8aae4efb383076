"""The generator's exact part: source, window, velocity, number of fibres, turning of columns."""

import math

import numpy as np
import pytest
import torch

from numerical.action_potential import source_strength, travelling_source
from surrogate.data import slope_fit
from surrogate.generators.features import (
    MUSCLE,
    WAVELENGTHS,
    muscle_conductivity,
    nearest_column,
    planar_transfer,
)
from surrogate.generators.lead_field import SOURCE_CONDITIONS
from surrogate.generators.mean_source import (
    cubic_spline,
    derivative_fit,
    mean_source,
    node_positions,
    sampled_source,
    source_metric,
)

NODES = node_positions(0.15, 4e-3)
TURNING = ("sine", "cosine")  # features of the angle alone, beside x and y


def relative(value, reference):
    return float((value - reference).norm() / reference.norm())


def source(conditions, times, cells=80):
    values = (torch.tensor([conditions[name]]).float() for name in SOURCE_CONDITIONS)
    return mean_source(*values, nodes=NODES, times=times, cells=cells)[0]


def blind(generator, features):
    """Let a generator not see some features of its conditions, given by index."""
    with torch.no_grad():
        generator.trunk[0].weight[:, features] = 0
        generator.regression.log_length[features] = 30


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
    # Fibres one by one in cells of 0.25 mm; 1500 of them, whose end-plates and ends are drawn independently,
    # are within some 0.3 % of their mean; the splines of the field lose as much.
    assert relative(muap, torch.from_numpy(medium.muap(conditions))) < 0.015


def test_muaps_converge_faster_than_the_square_of_the_cells(medium):
    conditions = medium.conditions(4)
    times = torch.from_numpy(medium.times).float()
    phi = torch.from_numpy(medium.field(conditions, medium.position)).float()
    field = phi @ slope_fit(medium.position, NODES).T
    finest = field @ source(conditions, times, 640)
    coarse, usual, fine = (relative(field @ source(conditions, times, n), finest) for n in (40, 80, 160))
    # Parabolas in cells are of third order; with the middle's symmetry, of fourth. The window's kinks and the
    # source's front keep it from being all of that, the more the finer the cells.
    assert coarse > 6 * usual
    assert usual > 4 * fine
    assert usual < 3e-3


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_source_is_integrated_exactly_with_parabolas(degree):
    # Against a sum fine enough to be exact to 1e-5; only the last cells, where f has no neighbour, lose.
    cell, velocity, cells = torch.tensor([2e-3]), torch.tensor([4.0]), 60
    times = torch.tensor([0.006])
    found_weights = sampled_source(cell, cells, times, velocity)[0, :, 0].double()
    fine = torch.linspace(0, 0.12, 240_001, dtype=torch.float64)
    u = (fine[1:] + fine[:-1]) / 2
    psi = travelling_source(fine, times.double(), velocity.double())[0, :, 0]
    middles = 2e-3 * (torch.arange(cells, dtype=torch.float64) + 0.5)

    def f(at):
        return ((at - 0.02) / 0.02) ** degree

    expected, found = (f(u) * psi).sum(), (f(middles) * found_weights).sum()
    size = psi.abs().sum()
    assert abs(float(found - expected)) < 3e-3 * float(size)


def test_the_metric_measures_lead_fields_by_their_muaps():
    draw = torch.Generator().manual_seed(0)
    sources = torch.randn(50, 6, 20, generator=draw) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.5])[:, None]
    fields = torch.randn(8, 6, generator=draw)
    size = sources.flatten(1).norm(dim=1)[:, None]
    expected = torch.stack([(field @ sources / size).square().sum(1).mean() for field in fields])
    found = (fields @ source_metric(sources)).square().sum(1)
    # A part in 10^4 of the largest is added for what no source sees; here the least is a part in 30.
    assert torch.allclose(found, expected, rtol=5e-3)


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


def test_muap_is_proportional_to_the_number_of_fibres(generator, corpus):
    table = corpus.conditions[:3]
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
    """Exact where the limb is round, that is where nothing looks at the angle."""
    table = corpus.conditions[:4]
    around = [i for i, n in enumerate(generator.features.names) if n in "xy" or n.split("_")[0] in TURNING]
    blind(generator, around)
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
    mean, log_variance = generator.posterior(muap, corpus.conditions[:3])
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
