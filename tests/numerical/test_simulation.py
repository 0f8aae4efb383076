"""Stages depend on what comes before them and on nothing else; what they give adds up to the EMG."""

import numpy as np
import pytest

from numerical.cache import Cache
from numerical.emg import sum_discharges
from numerical.results import dataset
from numerical.settings_file import validated
from numerical.simulation import simulation
from numerical.simulation_settings import SimulationSettings
from numerical.stages import Chain
from tests.numerical.conftest import COARSE, SMALL_ARRAY

VALUES = {
    "anatomy": {"resolution": COARSE.model_dump()},
    "electrodes": {"groups": {"grid": SMALL_ARRAY.model_dump()}},
    "muscles": {
        "FCR": {
            "pool": {"motor_units": 12, "largest": 100},
            "excitation": {"kind": "constant", "level": 0.5},
        },
        "FCU": {"pool": {"motor_units": 8, "largest": 100}},
    },
    "duration": 1.0,
    "sampling_rate": 2000.0,
}


def settings(**changes) -> SimulationSettings:
    """Settings with some values changed; a double underscore stands for a dot."""
    return validated(
        SimulationSettings, VALUES, {place.replace("__", "."): v for place, v in changes.items()}, "test"
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that remembers everything about the unchanged settings."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    dataset(simulation(settings(), Chain(cache)))
    return cache


def everything(cache, **changes):
    """Simulate with some settings changed; return the recording and what happened to the stages."""
    chain = Chain(cache)
    recording = dataset(simulation(settings(**changes), chain))
    return recording, chain.runs


# Stages worth remembering; all others are computed in no time.
KEPT = {"lead fields", "motor units", "layouts", "unit fields", "MUAPs", "discharges"}


def of_both(*stages):
    return {f"{stage} {muscle}" for stage in stages for muscle in ("FCR", "FCU")}


FIELDS = {"lead fields"} | of_both("unit fields")
UNITS = of_both("motor units", "layouts")
MUAPS, DISCHARGES = of_both("MUAPs"), of_both("discharges")


def keys(chosen):
    """Return the keys of all stages worth remembering."""
    its = simulation(chosen)
    found = {"lead fields": its.lead_field.key}
    for name, muscle in its.muscles.items():
        stages = (muscle.units, muscle.layouts, muscle.field, muscle.potentials, muscle.discharges)
        found |= {f"{stage.name} {name}": stage.key for stage in stages}
    return found


@pytest.mark.parametrize(
    ("place", "value", "follows"),
    [
        ("anatomy.limb.fat_thickness", 0.005, UNITS | FIELDS | MUAPS),
        ("anatomy.resolution.angles", 44, FIELDS | MUAPS),
        ("conductivities.fat", 0.04, FIELDS | MUAPS),
        ("electrodes.groups.grid.electrode_radius", 0.003, FIELDS | MUAPS),
        ("contact_impedance", 0.1, FIELDS | MUAPS),
        ("solver.tolerance", 1e-4, FIELDS | MUAPS),
        ("solver.memory", 2e9, set()),
        ("montages.grid", {"kind": "double_differential"}, set()),
        (
            "muscles.FCR.pool.largest",
            90,
            {f"{s} FCR" for s in ("motor units", "layouts", "unit fields", "MUAPs")},
        ),
        ("muscles.FCR.fibres.innervation_zone", 0.4, {"MUAPs FCR"}),
        ("muscles.FCR.fibres.thickness.velocity", 4.0, {"MUAPs FCR"}),
        ("muscles.FCU.recruitment.first_peak_rate", 35, {"discharges FCU"}),
        ("muscles.FCU.drive.common_variation", 0.05, {"discharges FCU"}),
        ("muscles.FCU.excitation.level", 0.6, {"discharges FCU"}),
        ("muscles.FCU.twitches.twitch_range", 50, set()),
        ("noise", {"signal_to_noise_ratio": 10}, set()),
        ("duration", 0.8, DISCHARGES),
        ("sampling_rate", 1500, MUAPS),
        ("trial", 1, DISCHARGES),
        ("seed", 1, UNITS | of_both("unit fields") | MUAPS | DISCHARGES),
    ],
)
def test_a_change_bears_on_what_follows_and_on_nothing_before(place, value, follows):
    before, after = keys(settings()), keys(settings(**{place: value}))
    assert {name for name in before if before[name] != after[name]} == follows


@pytest.mark.parametrize(
    ("place", "value", "computed"),
    [
        ("seed", 0, set()),
        ("conductivities.fat", 0.04, FIELDS | MUAPS),
        ("muscles.FCR.fibres.innervation_zone", 0.4, {"MUAPs FCR"}),
        ("muscles.FCU.excitation.level", 0.6, {"discharges FCU"}),
        ("montages.grid", {"kind": "double_differential"}, set()),
    ],
)
def test_stages_are_computed_where_a_change_bears_on_them(cache, place, value, computed):
    _, runs = everything(cache, **{place: value})
    ran = {
        f"{run.stage} {run.muscle or ''}".strip() for run in runs if run.stage in KEPT and not run.remembered
    }
    assert ran == computed


def test_a_change_of_fibre_properties_does_not_even_read_lead_fields(cache):
    _, runs = everything(cache, muscles__FCR__fibres__innervation_zone=0.45)
    assert not {"mesh", "conductor", "lead fields"} & {run.stage for run in runs}


def test_what_is_remembered_is_what_is_computed(cache):
    remembered, runs = everything(cache)
    computed, again = everything(None)
    assert {run.stage for run in runs if run.remembered} == KEPT - {"lead fields", "unit fields"}
    assert not any(run.remembered for run in again)
    assert computed.identical(remembered)


def test_a_change_in_one_muscle_leaves_the_other_to_the_bit(cache):
    before, _ = everything(cache)
    after, _ = everything(cache, muscles__FCU__pool__motor_units=9, muscles__FCU__excitation__level=0.9)
    alone = {name: value for name, value in VALUES["muscles"].items() if name == "FCR"}
    without, _ = everything(cache, muscles=alone)
    for recording in (after, without):
        mine, its = (data.motor_unit_muscle.values == "FCR" for data in (before, recording))
        for name in before.data_vars:
            if before[name].dims[0] == "motor_unit":
                ours, theirs = before[name].values[mine], recording[name].values[its]
                if name == "muap":  # padded to the longest of any muscle
                    lags = min(ours.shape[-1], theirs.shape[-1])
                    ours, theirs = ours[..., :lags], theirs[..., :lags]
                np.testing.assert_array_equal(ours, theirs, err_msg=name)
        np.testing.assert_array_equal(before.force[0], recording.force[0])
        np.testing.assert_array_equal(before.muscle_rms[0], recording.muscle_rms[0])
        for data in (before, recording):
            assert (np.diff(data.discharge_time) >= 0).all()
        first = before.discharge_time[before.discharge_motor_unit < 12]
        np.testing.assert_array_equal(first, recording.discharge_time[recording.discharge_motor_unit < 12])


def test_a_trial_draws_discharges_anew_from_the_same_muscles(cache):
    before, _ = everything(cache)
    other, _ = everything(cache, trial=1)
    np.testing.assert_array_equal(before.muap, other.muap)
    assert not np.array_equal(before.discharge_time[:50], other.discharge_time[:50])


def test_the_emg_is_that_of_all_discharges(cache):
    recording, _ = everything(cache)
    expected = sum_discharges(
        recording.muap.values,
        recording.discharge_time.values,
        recording.discharge_motor_unit.values,
        2000.0,
        1.0,
    )
    # Sums in single precision, of the two muscles apart: 1e-7 of the largest each.
    np.testing.assert_allclose(recording.emg, expected, atol=1e-6 * np.abs(expected).max())
    assert recording.emg.shape == (24, 2000)


def test_a_montage_is_the_same_map_of_emg_and_muaps(cache):
    monopolar, _ = everything(cache)
    differential, _ = everything(cache, montages={"grid": {"kind": "single_differential"}})
    assert differential.sizes["channel"] == 18  # 3 of 4 rows, 6 columns
    assert differential.channel.values[0] == "grid r0c0-r1c0"
    for name, axis in (("emg", 0), ("muap", 1)):
        values = np.moveaxis(monopolar[name].values, axis, 0)
        mapped = np.tensordot(differential.montage.values, values, 1)
        np.testing.assert_allclose(
            np.moveaxis(differential[name].values, axis, 0), mapped, atol=1e-6 * np.abs(values).max()
        )


def test_noise_is_as_strong_as_asked_and_changes_nothing_else(cache):
    clean, _ = everything(cache)
    noisy, _ = everything(cache, noise={"signal_to_noise_ratio": 10})
    noise = noisy.emg.values.astype(float) - clean.emg.values
    # A constant contraction is active throughout, so that the ratio is over the whole recording.
    ratio = 10 * np.log10(np.mean(clean.emg.values.astype(float) ** 2) / np.mean(noise**2))
    assert ratio == pytest.approx(10, abs=0.05)
    np.testing.assert_array_equal(clean.muscle_rms, noisy.muscle_rms)


def test_motor_units_are_as_their_settings_say(cache):
    recording, _ = everything(cache, muscles__FCR__fibres__innervation_zone=0.4)
    mine = recording.isel(motor_unit=recording.motor_unit_muscle.values == "FCR")
    length = mine.motor_unit_distal_end - mine.motor_unit_proximal_end
    zone = (mine.motor_unit_end_plate - mine.motor_unit_proximal_end) / length
    # Units' end-plates scatter evenly about the mean by 3 % of the length, at most sqrt(3) times that.
    assert float(zone.mean()) == pytest.approx(0.4, abs=0.005)
    assert float(abs(zone - 0.4).max()) < 1.75 * 0.03
    assert float(zone.std()) == pytest.approx(0.03, rel=0.15)
    # From 15 to 100 fibres, give or take those that overlapping territories trade.
    assert int(mine.motor_unit_number_of_fibres[-1]) > 3 * int(mine.motor_unit_number_of_fibres[0])
    velocity = mine.motor_unit_conduction_velocity
    assert ((velocity > 3.2) & (velocity < 4.2)).all()  # 3.7 m/s, standard error 0.11 m/s of 15 fibres
    assert (np.diff(mine.motor_unit_recruitment_threshold) > 0).all()


def test_muaps_last_as_long_as_the_slowest_wave(cache):
    recording, _ = everything(cache)
    largest = np.abs(recording.muap.values).max(axis=(1, 2))
    ending = np.abs(recording.muap.values[..., -1]).max(axis=1)
    assert (ending < 1e-4 * largest).all()
    active = (np.abs(recording.muap.values) > 1e-3 * largest[:, None, None]).any(axis=(0, 1))
    assert np.flatnonzero(active).max() > 0.5 * recording.sizes["lag"]  # and not much longer


@pytest.mark.parametrize("part", ["lower_leg", "upper_arm"])
def test_other_segments_have_a_grid_over_their_bellies_and_a_muscle(part):
    chosen = validated(SimulationSettings, {"anatomy": {"segment": part}}, {}, "test")
    its = simulation(chosen)
    z = its.electrodes.value.centre[:, 2]
    (muscle,) = chosen.muscles
    table = next(m for m in its.geometry.value.muscles if m.name == muscle)
    assert abs(z.mean() - table.fibre_centre) < 0.1
    assert its.muscles[muscle].properties.value.diameter.shape == its.muscles[muscle].units.value.x.shape


def test_fibres_beyond_the_limb_are_refused(cache):
    with pytest.raises(ValueError, match=r"fibres of FCR, 400 mm .* the limb spans -70 to 270 mm"):
        everything(cache, muscles__FCR__fibres__length=0.4)


def test_all_kinds_of_electrodes_record_together(cache):
    groups = {
        "band": {"kind": "ring", "electrodes": 6},
        "needle": {"kind": "concentric_needle", "depth": 0.012, "angle": -0.2},
    }
    montages = {
        "band": {"kind": "average_reference"},
        "needle": {"kind": "bipolar", "pairs": [["core", "cannula"]]},
    }
    recording, _ = everything(cache, electrodes={"groups": groups}, montages=montages)
    assert recording.channel.values.tolist()[-2:] == ["band r0c5-mean", "needle core-cannula"]
    np.testing.assert_allclose(
        recording.emg[:6].sum("channel"), 0, atol=1e-6 * float(abs(recording.emg).max())
    )
    assert float(abs(recording.emg[6]).max()) > 0
