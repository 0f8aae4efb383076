"""Rasters show every discharge, and rates count them."""

import numpy as np
import pytest
from matplotlib.collections import EventCollection

from surrogate.plots import discharge_figure
from surrogate.plots.choice import units_of
from surrogate.plots.discharges import HANN, recruited, smoothed_rate

TIME = np.linspace(0, 4, 2001)


def test_the_area_under_a_rate_is_the_number_of_discharges():
    train = np.sort(np.random.default_rng(0).uniform(0.5, 3.5, 37))
    area = np.trapezoid(smoothed_rate(train, TIME), TIME)
    assert area == pytest.approx(37, rel=1e-6)  # a Hann window is summed exactly by 200 samples


def test_a_regular_train_has_its_rate_in_the_middle_and_nearly_at_the_ends():
    rate = smoothed_rate(np.arange(0.025, 4, 0.05), TIME)
    middle = (TIME > HANN) & (TIME < 4 - HANN)
    np.testing.assert_allclose(
        rate[middle], 20, rtol=1e-9
    )  # eight windows to a window: they add to a constant
    np.testing.assert_allclose(rate, 20, rtol=0.05)  # at the ends of four, whose sum is not constant


def test_no_discharges_no_rate():
    np.testing.assert_array_equal(smoothed_rate(np.empty(0), TIME), 0)


def test_every_discharge_is_marked_in_order_of_recruitment(recording):
    figure = discharge_figure(recording, ["ECRL"])
    marks = [one for one in figure.axes[0].collections if isinstance(one, EventCollection)]
    units = recruited(recording, "ECRL")
    assert len(marks) == len(units) > 1
    for rank, (mark, unit) in enumerate(zip(marks, units, strict=True), start=1):
        mine = recording.discharge_time.values[recording.discharge_motor_unit.values == unit]
        np.testing.assert_array_equal(mark.get_positions(), mine)
        assert mark.get_lineoffset() == rank
    threshold = recording.motor_unit_recruitment_threshold.values
    assert (np.diff(threshold[units]) >= 0).all()
    assert set(units) <= set(units_of(recording, "ECRL"))


def test_the_loudest_muscles_are_shown_without_names(recording):
    titles = [axes.get_title("left") for axes in discharge_figure(recording).axes]
    assert [title.split(":")[0] for title in titles if title] == ["FCU", "ECRL"]
    with pytest.raises(ValueError, match="unknown muscle"):
        discharge_figure(recording, ["nothing"])
