"""The simulator asked for one motor unit, beside the corpus that it makes and beside the generator."""

import numpy as np
import pytest
import torch

from numerical.corpus.simulation import simulate_conductor
from numerical.fibres import layout
from surrogate.explorer.simulated import Simulator, fibre_places, settings_of
from surrogate.losses import relative_l2

LYING = {
    "depth": 0.012,
    "angle": 6.05,
    "fibre_spread_radial": 0.0012,
    "fibre_spread_tangential": 0.0015,
    "fibre_correlation": 0.3,
}


def test_fibres_lie_as_the_conditions_say(sections, page):
    values = page.values | LYING
    section = sections.at(values)
    places = fibre_places(values, section)
    found = vars(layout(section.limb, *places.T, section.centre))
    # The angle of a layout is that of the mean in the disc, which the limb stretches a little.
    np.testing.assert_allclose(list(found.values()), [LYING[name] for name in found], rtol=0.01)


def test_units_in_bone_or_fat_are_refused(sections, page):
    values = page.values | {"fat_thickness": 0.008}
    section = sections.at(values)
    depth, angle = section.depth_and_angle(*section.bones["radius"].mean(0))
    for place in ({"depth": depth, "angle": angle}, {"depth": 0.004, "angle": angle}):
        with pytest.raises(ValueError, match="the simulator needs fibres in muscle; 100 %"):
            fibre_places(values | place, section)


def test_a_unit_of_the_corpus_is_simulated_again_from_its_conditions(sections, coarse):
    # Its fibres, 700 at random in a territory, are replaced by others with the same centre, spreads and
    # correlation: what is left is how the shape of the territory differs, a few percent under the skin.
    plan = coarse.settings.motor_unit.model_validate(
        {"muscles": ["FCR", "FDS3", "ECRB"], "number_of_fibres": 700, "territory": 0.15}
    )
    settings = coarse.settings.model_copy(
        update={"conductors": 1, "units": 3, "draws": 1, "motor_unit": plan}
    )
    kept = simulate_conductor(settings, 0)
    simulator = Simulator(settings)
    for row, muap in zip(kept["conditions"], kept["muap"], strict=True):
        values = dict(zip(settings.condition_names, row.tolist(), strict=True))
        again = simulator.muap(values, sections.at(values))
        assert np.linalg.norm(again - muap) < 0.08 * np.linalg.norm(muap)


@pytest.mark.slow
def test_the_shipped_generator_agrees_with_it(sections, forearm, page):
    # 1.5 % on average in units of new limbs, twice that in nearly all.
    simulator = Simulator(settings_of(forearm.geometry))
    for name in ("FCR", "FDS3", "EDC3", "ECRB"):
        values = page.values | sections.at(page.values).in_muscle(name)
        simulated = torch.as_tensor(simulator.muap(values, sections.at(values)))[None]
        assert float(relative_l2(torch.as_tensor(forearm.sample(values)), simulated)) < 0.03
