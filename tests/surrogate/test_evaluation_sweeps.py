"""Sweeps: the truth at the stored draw is the stored MUAP, and follows the laws of the source along them."""

import pytest
import torch

from numerical.anatomy.forearm import ForearmSettings, forearm
from numerical.corpus import CorpusSettings, prepare_store, write_conductor
from numerical.corpus.sampling import sample_conductor
from numerical.electrodes import ArraySettings
from numerical.fibres import layout
from surrogate.data import read_corpus
from surrogate.evaluation import sweeps
from surrogate.evaluation.assembly import can_assemble, numerical_assembly
from surrogate.evaluation.sweeps import (
    SolvedConductor,
    compact_values,
    conductor_sweep,
    exact_sweep,
    placed_sweep,
    places_of,
    some_units,
    spaced,
    swept_by_source,
)
from surrogate.losses import relative_l2
from tests.numerical.conftest import COARSE

TINY = CorpusSettings.model_validate(
    {
        "conductors": 1,
        "units": 3,
        "draws": 2,
        "seed": 3,
        "motor_unit": {"muscles": ["FCU"]},
        "array": ArraySettings(rows=2, columns=4),
        "resolution": COARSE,
    }
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A corpus of one real conductor, coarsely meshed."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.zarr"
    for conductor in prepare_store(path, TINY):
        write_conductor(path, TINY, conductor)
    return read_corpus(path)


@pytest.fixture(scope="module")
def conductor():
    return SolvedConductor.of(TINY, sample_conductor(TINY, 0))


def at(values, condition, value):
    return values | {condition: value}


@pytest.mark.parametrize("condition", swept_by_source(TINY))
def test_the_truth_at_the_stored_draw_is_the_stored_muap(simulated, condition, monkeypatch):
    sample = torch.tensor([2])
    stored = simulated.conditions[2, simulated.names.index(condition)]
    monkeypatch.setattr(sweeps, "spaced", lambda *_: stored.double().expand(1))
    sweep = exact_sweep(simulated, sample, condition, 1)
    assert torch.equal(sweep.conditions[0, 0], simulated.conditions[2])
    # Conditions are read in single precision, which puts ends and arrivals off by some 1e-7 of their range.
    assert float(relative_l2(sweep.muap[0], simulated.muap(sample))) < 1e-4


def test_numerical_assembly_gives_what_is_stored(simulated):
    assert can_assemble(simulated)
    every = torch.arange(len(simulated))
    assert float(relative_l2(numerical_assembly(simulated)(every), simulated.muap(every)).max()) < 1e-4


def test_what_is_kept_decides_what_can_be_swept():
    def kept(scatter, lead_fields):
        motor_unit = TINY.motor_unit.model_copy(update={"scatter": scatter})
        contents = TINY.contents.model_copy(update={"lead_fields": lead_fields})
        return set(swept_by_source(TINY.model_copy(update={"motor_unit": motor_unit, "contents": contents})))

    draw = {"innervation_zone", "conduction_velocity", "fibre_length"}
    assert kept("expected", "none") == kept("even", "none") == kept("even", "mean") == set()
    assert kept("even", "exact") == draw
    assert kept("expected", "mean") == draw | {
        "number_of_fibres",
        "fibre_centre",
        "end_plate_spread",
        "fibre_end_spread",
    }


def test_muaps_are_proportional_to_the_number_of_fibres(simulated):
    sweep = exact_sweep(simulated, torch.tensor([0, 3]), "number_of_fibres", 3)
    per_fibre = sweep.muap / sweep.values[..., None, None, None]
    assert torch.allclose(per_fibre[:, 0], per_fibre[:, 2], rtol=1e-4, atol=1e-5 * float(per_fibre.max()))


def test_a_source_twice_as_fast_takes_half_the_time(simulated):
    # psi(u - v t): MUAP(t; 2 v) = MUAP(2 t; v), sample by sample.
    sample = torch.tensor([0])
    slow, fast = 2.0, 4.0
    values = dict(zip(simulated.names, simulated.conditions[0].double().tolist(), strict=True))
    unit = sweeps.read_unit(simulated.dataset, 0)
    one, other = (sweeps._drawn(simulated, unit, at(values, "conduction_velocity", v)) for v in (slow, fast))
    assert simulated.muap(sample).shape[1:] == one.shape
    assert torch.allclose(other[..., :48], one[..., ::2], rtol=1e-3, atol=1e-5 * float(one.abs().max()))


def test_only_one_condition_changes_along_a_sweep(simulated):
    sweep = exact_sweep(simulated, torch.tensor([0, 2]), "fibre_length", 4)
    place = simulated.names.index("fibre_length")
    others = [i for i in range(len(simulated.names)) if i != place]
    assert torch.equal(sweep.conditions[:, :, others], sweep.conditions[:, :1, others].expand(-1, 4, -1))
    assert torch.equal(sweep.conditions[:, :, place], sweep.values)
    column = simulated.conditions[:, place]
    assert torch.allclose(sweep.values.amin(), column.min())
    assert torch.allclose(sweep.values.amax(), column.max())


def test_points_that_cannot_be_are_not_numbers(simulated):
    values = dict(zip(simulated.names, simulated.conditions[0].double().tolist(), strict=True))
    unit = sweeps.read_unit(simulated.dataset, 0)
    assert sweeps._drawn(simulated, unit, at(values, "fibre_length", 1e-3)).isnan().all()


def test_spacing_suits_the_condition():
    assert torch.allclose(spaced("innervation_zone", 0.2, 0.8, 3), torch.tensor([0.2, 0.5, 0.8]).double())
    assert torch.allclose(spaced("number_of_fibres", 1, 100, 3), torch.tensor([1.0, 10, 100]).double())


def test_units_are_different_and_follow_the_seed(corpus):
    some = some_units(corpus, torch.arange(len(corpus)), 10, seed=0)
    assert len(corpus.motor_unit[some].unique()) == len(some) == 10
    assert torch.equal(some, some_units(corpus, torch.arange(len(corpus)), 10, seed=0))


def test_fibres_are_placed_with_the_moments_that_were_asked_for():
    limb = forearm(ForearmSettings())
    wanted = {
        "depth": 0.012,
        "angle": 1.0,
        "fibre_spread_radial": 1.5e-3,
        "fibre_spread_tangential": 1e-3,
        "fibre_correlation": 0.4,
    }
    z = 0.05
    found = layout(limb, *places_of(limb, wanted, z), z)
    assert found.depth == pytest.approx(wanted["depth"], rel=1e-3)
    assert found.angle == pytest.approx(wanted["angle"], abs=1e-3)
    # 200 points stand for an even ellipse, a ring of them makes a tenth of it: a few percent are left.
    assert found.fibre_spread_radial == pytest.approx(wanted["fibre_spread_radial"], rel=0.03)
    assert found.fibre_spread_tangential == pytest.approx(wanted["fibre_spread_tangential"], rel=0.03)
    assert found.fibre_correlation == pytest.approx(wanted["fibre_correlation"], abs=0.03)


def test_deeper_units_are_smaller(simulated, conductor):
    values = compact_values(simulated, 0) | {"angle": 0.3}
    depths = [0.010, 0.012, 0.014]
    units = [conductor.unit(values | {"depth": depth}) for depth in depths]
    sweep = sweeps._sweep(simulated, "depth", depths, units, values)
    assert sweep.conditions[0, :, simulated.names.index("depth")].tolist() == pytest.approx(depths, rel=1e-3)
    size = sweep.muap.abs().amax((2, 3, 4))[0]
    assert size[0] > size[1] > size[2]


def test_fibres_in_bone_or_fat_cannot_be(simulated, conductor):
    values = compact_values(simulated, 0)
    assert conductor.unit(values | {"depth": 1e-3}) is None
    sweep = placed_sweep(simulated, conductor, values, "angle", 4)
    assert sweep.muap.shape == (1, 4, *simulated.geometry.shape)


@pytest.mark.slow
def test_a_conductor_is_solved_again_at_every_point(simulated):
    own = sample_conductor(TINY, 0)
    values = compact_values(simulated, 0) | {"depth": 0.014, "angle": 0.3}
    sweep = conductor_sweep(simulated, own, values, "bone_conductivity", 2)
    place = simulated.names.index("bone_conductivity")
    support = TINY.conductor.bone_conductivity.support
    assert sweep.conditions[0, :, place].tolist() == pytest.approx(list(support))
    # Bone conducts little either way: a change by nine leaves MUAPs of a shallow unit much the same.
    assert 1e-5 < float(relative_l2(sweep.muap[0, :1], sweep.muap[0, 1:])) < 0.5
