"""The conditions of a generator as sliders, in the units that people use, in groups."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import panel
from bokeh.models import Slider, Spinner

from numerical.conditions import CONDITIONS
from numerical.result_plots import round_down
from surrogate.conditions import SCALINGS, Condition, Conditions
from surrogate.evaluation.pictures import titled
from surrogate.explorer import look

STEPS = 100  # of a slider, at least
GROUPS = {
    "Motor unit": (
        *("depth", "angle", "number_of_fibres", "fibre_length", "conduction_velocity"),
        *("innervation_zone", "fibre_centre"),
    ),
    "Limb": (
        *("fat_thickness", "limb_radius", "skin_thickness", "bone_scale", "length_scale"),
        *("array_shift", "array_angle"),
    ),
    "Scatter of fibres": (
        *("fibre_spread_radial", "fibre_spread_tangential", "fibre_correlation"),
        *("end_plate_spread", "fibre_end_spread"),
    ),
    "Conductivities": tuple(name for name in CONDITIONS if name.endswith("_conductivity")),
}
OPEN = ("Motor unit", "Limb")


class Sliders:
    """A slider and a number for every condition of a generator, at first at its mean in the training data.

    Either may move: the page keeps them alike, and what the server hears of first counts. A number that is
    typed may lie beyond its slider. `factors`: what is shown, by the condition in SI units.
    These are Bokeh's own widgets: changes of Panel's wait for 50 ms before they are told.
    """

    def __init__(self, conditions: Conditions):
        self.conditions = conditions
        self.factors = {name: titled(name)[1] for name in conditions.names}
        varying = {item.name: item for item in conditions.items if item.maximum > item.minimum}
        self.fixed = {item.name: item.minimum for item in conditions.items if item.name not in varying}
        self.sliders = {name: _slider(item) for name, item in varying.items()}
        self.numbers = {name: _number(slider) for name, slider in self.sliders.items()}
        self._shown = {name: float(slider.value) for name, slider in self.sliders.items()}
        self._changed: Callable[[], None] = lambda: None
        for name in self.sliders:
            for widget in (self.sliders[name], self.numbers[name]):
                widget.on_change("value", partial(self._take, name))
        cards = []
        for title, names in GROUPS.items():
            mine = [self._row(name) for name in names if name in varying]
            if mine:
                cards.append(
                    panel.Card(
                        *mine,
                        title=title,
                        collapsed=title not in OPEN,
                        width=look.SIDE - 12,
                        margin=(2, 5),
                        stylesheets=[look.WIDGET, look.CARD],
                    )
                )
        self.layout = panel.Column(*cards, width=look.SIDE)

    def _row(self, name: str) -> panel.viewable.Viewable:
        label = look.text(titled(name)[0], margin=(5, 0, 0, 8), width=look.SIDE - 122)
        number, slider = panel.pane.Bokeh(self.numbers[name]), panel.pane.Bokeh(self.sliders[name])
        number.margin, slider.margin = 0, (0, 8)
        return panel.Column(panel.Row(label, number, margin=0), slider, margin=0)

    def values(self) -> dict[str, float]:
        """Return the conditions by name, SI units, in the generator's order."""
        every = self.fixed | {name: shown / self.factors[name] for name, shown in self._shown.items()}
        return {name: every[name] for name in self.conditions.names}

    def set(self, values: Mapping[str, float]) -> None:
        """Move sliders to values, SI units, as far as they reach."""
        for name, value in values.items():
            if slider := self.sliders.get(name):
                shown = float(np.clip(self.factors[name] * value, slider.start, slider.end))
                slider.value = self.numbers[name].value = round(shown, _digits(slider.step))

    def on_change(self, changed: Callable[[], None]) -> None:
        """Tell of every change of a condition."""
        self._changed = changed

    def _take(self, name: str, _: str, __: object, value: float | None) -> None:
        """Take what a slider or a number was changed to; None is a field that was cleared."""
        if value is not None and value != self._shown[name]:
            self._shown[name] = value
            self._changed()


def _slider(item: Condition) -> Slider:
    factor = titled(item.name)[1]
    low, high = factor * item.minimum, factor * item.maximum
    step = round_down((high - low) / STEPS)
    digits = _digits(step)
    start, end = (round(step * float(n), digits) for n in (np.ceil(low / step), np.floor(high / step)))
    mean = np.exp(item.mean) if SCALINGS[item.name].kind == "logarithmic" else item.mean
    value = float(np.clip(round(step * float(np.round(factor * mean / step)), digits), start, end))
    return Slider(
        name=item.name, start=start, end=end, step=step, value=value, show_value=False, width=look.SIDE - 40
    )


def _number(slider: Slider) -> Spinner:
    number = Spinner(value=slider.value, step=slider.step, width=84, height=24, stylesheets=[look.WIDGET])
    number.js_link("value", slider, "value")
    slider.js_link("value", number, "value")
    return number


def _digits(step: float) -> int:
    """Return the decimal places that tell multiples of a step."""
    return max(0, -int(np.floor(np.log10(step))))
