"""Distributions draw what they say; a plan refuses, in one line, what cannot be."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from numerical.conditions import CONDITIONS, NEUTRAL
from numerical.corpus.distributions import KINDS, Distribution
from numerical.corpus.settings import POSSIBLE, CorpusSettings
from numerical.corpus.store import prepare_store
from numerical.settings_file import read_yaml, to_yaml, validated

GIVEN = {
    "fixed": 0.3,
    "uniform": [2.0, 5.0],
    "log_uniform": [0.001, 0.1],
    "normal": [4.0, 0.5],
    "truncated_normal": [4.0, 0.5, 3.8, 6.0],
    "discrete": [1.0, 2.0, 5.0],
}
REFERENCE = {
    "uniform": stats.uniform(2.0, 3.0),
    "log_uniform": stats.loguniform(0.001, 0.1),
    "normal": stats.truncnorm(-4, 4, 4.0, 0.5),
    "truncated_normal": stats.truncnorm(-0.4, 4, 4.0, 0.5),
}


def test_every_kind_of_distribution_is_covered():
    assert set(GIVEN) == set(KINDS)


@pytest.mark.parametrize("kind", REFERENCE)
def test_quantiles_are_those_of_an_independent_implementation(kind):
    q = np.linspace(0.001, 0.999, 101)
    distribution = Distribution.model_validate({kind: GIVEN[kind]})
    np.testing.assert_allclose(distribution.at(q), REFERENCE[kind].ppf(q), rtol=1e-9)


@pytest.mark.parametrize("kind", GIVEN)
def test_values_keep_to_their_support_and_rise_with_the_quantile(kind):
    distribution = Distribution.model_validate({kind: GIVEN[kind]})
    values = distribution.at(np.linspace(0, 1, 1001))
    assert (np.diff(values) >= 0).all()
    assert (values.min(), values.max()) == pytest.approx(distribution.support, rel=1e-12)
    assert distribution.varies == (kind != "fixed")


def test_discrete_values_are_equally_likely():
    values = Distribution.model_validate({"discrete": [3, 1, 2]}).at((np.arange(300) + 0.5) / 300)
    assert np.unique(values, return_counts=True)[1].tolist() == [100, 100, 100]


@pytest.mark.parametrize("kind", GIVEN)
def test_distributions_are_written_as_they_are_read(kind):
    distribution = Distribution.model_validate({kind: GIVEN[kind]})
    assert list(distribution.model_dump()) == [kind]
    assert Distribution.model_validate(distribution.model_dump()) == distribution
    assert Distribution.model_validate_json(distribution.model_dump_json()) == distribution
    assert Distribution.model_validate(0.3) == Distribution.model_validate({"fixed": 0.3})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unifrm": [0, 1]}, "'unifrm' is no kind of distribution; there are fixed, uniform"),
        ({"uniform": [1, 0]}, "the range is reversed; want lowest, highest"),
        ({"uniform": [1]}, "want lowest, highest"),
        ({"log_uniform": [0, 1]}, "must be above 0"),
        ({"normal": [1, 0]}, "the deviation must be above 0"),
        ({"truncated_normal": [1, 1, 3, 2]}, "the range is reversed"),
        ({"discrete": []}, "want values"),
        ({"uniform": [0, float("inf")]}, "must be finite"),
        ("wide", "want a number or one of fixed"),
        ({"uniform": [0, 1], "fixed": 1}, "want a number or one of fixed"),
    ],
)
def test_other_distributions_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Distribution.model_validate(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 1}, r"^plan\.yaml: depth: "),
        ({"conductor": {"depth": 1}}, r"^plan\.yaml: conductor\.depth: "),
        ({"units": 0}, r"units: .*greater than or equal to 1, got 0"),
        ({"conductor": {"fat_thickness": {"uniform": [0.01, 0.001]}}}, "conductor.fat_thickness: .*reversed"),
        (
            {"conductor": {"fat_thickness": {"uniform": [-0.01, 0.001]}}},
            "fat_thickness .* reaches from -0.01",
        ),
        ({"conductor": {"skin_conductivity": 0}}, r"skin_conductivity .*possible are 0.0001 to 5 S/m"),
        ({"conductor": {"limb_radius": 0.005}}, "limb_radius"),
        ({"conductor": {"muscle_longitudinal_conductivity": 0.05}}, "conducts best along its fibres"),
        ({"conductor": {"fat_thickness": 0.02, "limb_radius": 0.025}}, "leave no room"),
        ({"motor_unit": {"muscles": ["FCR", "biceps"]}}, "motor_unit.muscles: no 'biceps' in the forearm"),
        ({"limb": "lower_leg", "motor_unit": {"muscles": ["FCR"]}}, "no 'FCR' in the lower_leg"),
        ({"limb": "tail"}, "limb: .*'forearm'"),
        ({"array": {"centre": 0.25}}, r"array: its rows reach from 0\.212 to 0\.288 m"),
        ({"conductor": {"array_shift": {"uniform": [0, 0.15]}}}, r"array: .*array_shift 0\.15"),
        ({"contents": {"muaps": "none", "lead_fields": "none"}}, "neither muaps nor lead_fields"),
        ({"split": {"held_out_corner": {"depth": [0, 1]}}}, "'depth' is not a condition of conductors"),
        ({"split": {"held_out_corner": {"limb_radius": [0.5, 0.2]}}}, "want 0 <= from < to <= 1"),
        ({"draw": {"innervation_zone": {"uniform": [0, 1]}}}, "innervation_zone .*possible are 0.05 to 0.95"),
    ],
)
def test_plans_that_cannot_be_are_refused_in_one_line(given, message):
    with pytest.raises(ValueError, match=message) as refusal:
        validated(CorpusSettings, given, {}, "plan.yaml")
    assert "\n" not in str(refusal.value)


def test_a_plan_written_as_a_file_reads_back_the_same(tmp_path):
    plan = CorpusSettings.model_validate(
        {"limb": "upper_arm", "conductor": {"array_angle": {"normal": [0, 0.1]}}, "draw": {"fibre_length": 1}}
    )
    (tmp_path / "plan.yaml").write_text(to_yaml(plan))
    assert validated(CorpusSettings, read_yaml(tmp_path / "plan.yaml"), {}, "plan.yaml") == plan
    assert CorpusSettings.model_validate_json(plan.model_dump_json()) == plan


def test_what_suits_the_limb_is_filled_in():
    leg, arm = (CorpusSettings.model_validate({"limb": limb}) for limb in ("lower_leg", "forearm"))
    assert leg.conductor.limb_radius.support[0] > arm.conductor.limb_radius.support[0]
    assert leg.array.centre > arm.array.centre
    assert "tibant" in leg.muscles


def test_usual_conditions_are_kept_and_others_only_where_they_vary():
    usual = CorpusSettings()
    assert usual.condition_names == tuple(name for name in CONDITIONS if name not in NEUTRAL)
    shifted = CorpusSettings.model_validate({"conductor": {"array_shift": {"uniform": [-0.01, 0.01]}}})
    assert set(shifted.condition_names) - set(usual.condition_names) == {"array_shift"}


def test_everything_that_can_be_drawn_has_bounds():
    for part in (CorpusSettings().conductor, CorpusSettings().motor_unit, CorpusSettings().draw):
        drawn = {n for n in type(part).model_fields if isinstance(getattr(part, n), Distribution)}
        assert drawn <= set(POSSIBLE)


@pytest.mark.parametrize("limb", ["forearm", "lower_leg", "upper_arm"])
def test_lead_fields_are_kept_as_far_as_the_usual_fibres_reach(limb):
    settings = CorpusSettings(limb=limb)
    settings.check_span()
    assert settings.farthest_fibres()[1] > settings.half_span - 0.03  # and not much farther


def test_fibres_beyond_the_kept_lead_fields_are_refused_in_a_new_corpus(tmp_path):
    cut = CorpusSettings(limb="lower_leg", half_span=0.15)
    with pytest.raises(ValueError, match=r"half_span is 0.15 m; fibres of perbrev may reach 0.169 m"):
        prepare_store(tmp_path / "corpus.zarr", cut)
    assert not (tmp_path / "corpus.zarr").exists()
    near = CorpusSettings(limb="lower_leg", half_span=0.15, motor_unit={"muscles": ["tibant", "gasmed"]})
    near.check_span()
