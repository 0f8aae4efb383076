"""A sweep shows what the generator gives along one condition."""

import numpy as np
import pytest

from surrogate.plots.sweep import sweep_figure, swept


def test_one_condition_changes_over_its_range_and_the_others_stay(untrained):
    values, muaps = swept(untrained, "conduction_velocity", {"depth": 0.01}, 3)
    item = {item.name: item for item in untrained.conditions.items}
    velocity = item["conduction_velocity"]
    # Evenly in its logarithm, which is how a generator sees it.
    middle = np.sqrt(velocity.minimum * velocity.maximum)
    np.testing.assert_allclose(values, [velocity.minimum, middle, velocity.maximum], rtol=1e-6)
    at = {name: (one.minimum + one.maximum) / 2 for name, one in item.items()} | {"depth": 0.01}
    alone = untrained.sample(at | {"conduction_velocity": float(values[1])})
    np.testing.assert_allclose(muaps[1], alone[0], rtol=1e-4, atol=1e-6 * np.abs(alone).max())


def test_amplitudes_and_units_are_drawn(untrained):
    figure = sweep_figure(untrained, "depth", points=4)
    values, muaps = swept(untrained, "depth", points=4)
    x, y = figure.axes[1].lines[0].get_data()
    np.testing.assert_allclose(x, 1e3 * values, rtol=1e-6)
    np.testing.assert_allclose(y, [1e6 * float(m.max() - m.min()) for m in muaps], rtol=1e-5)
    assert figure.axes[1].get_xlabel() == "depth (mm)"
    assert len(figure.axes[0].lines) == 4 * untrained.geometry.rows


def test_an_unknown_condition_is_refused(untrained):
    with pytest.raises(ValueError, match="condition 'colour': the generator has number_of_fibres, depth"):
        sweep_figure(untrained, "colour")


def test_a_condition_cannot_be_swept_and_given(untrained):
    with pytest.raises(ValueError, match=r"depth of 0\.01: the sweep changes it"):
        sweep_figure(untrained, "depth", {"depth": 0.01})
