"""A generator to be explored: sliders for its conditions, the MUAP, and the unit's place in the limb."""

import html
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import panel
import torch
from bokeh.events import Pan, PlotEvent, Tap
from jaxtyping import Float
from numpy.typing import NDArray

from surrogate.evaluation.measures import nrmse
from surrogate.explorer import look
from surrogate.explorer.export import downloads, generated_data, generated_figure
from surrogate.explorer.muap_figures import MuapMap, Waveforms
from surrogate.explorer.section import Sections
from surrogate.explorer.section_figure import SectionFigure
from surrogate.explorer.simulated import Simulator
from surrogate.explorer.sliders import Sliders
from surrogate.explorer.updating import Redrawing, soon
from surrogate.generators import Generator
from surrogate.losses import relative_l2
from surrogate.plots.muap import ArrayMuap

Muap = Float[NDArray, "row column time"]

NO_MUSCLE = "none"
AMPLITUDE, POTENTIAL = "amplitude", "potential"
WORKER = ThreadPoolExecutor(1)  # one solve at a time takes all cores


class GeneratorPage:
    """What a page shows of a generator; `layout` is the page.

    muap: the one shown [V]. simulated: the simulator's for the same conditions [V], where it was asked for.
    """

    def __init__(self, generator: Generator, name: str, sections: Sections, simulator: Simulator):
        self.generator, self.name = generator, name
        self.sections, self.simulator = sections, simulator
        self.sliders = Sliders(generator.conditions)
        section = self.section = sections.at(self.sliders.values())
        here = section.holder(*section.place(self.sliders.values()["depth"], np.pi))
        if here in section.muscles:  # opposite to where the unrolled array is cut
            self.sliders.set(section.in_muscle(here))
        self.simulated: Muap | None = None
        self.scores: dict[str, float] = {}
        self._started = 0.0
        self._widgets()
        self._figures()
        self._watch()
        self.show()

    def _widgets(self) -> None:
        style = {"stylesheets": [look.WIDGET]}
        self.muscle = panel.widgets.Select(
            label="in muscle", options=[NO_MUSCLE, *self.section.muscles], width=130, **style
        )
        self.number = panel.widgets.IntInput(
            label="unit drawn (0: expected)", value=0, start=0, width=130, **style
        )
        beyond = "allow conditions beyond the training data"
        self.beyond = panel.widgets.Checkbox(label=beyond, margin=(2, 10), **style)
        self.keep = panel.widgets.Checkbox(label="keep the scale", margin=(12, 8), **style)
        self.what = panel.widgets.RadioButtonGroup(
            options=[AMPLITUDE, POTENTIAL], value=AMPLITUDE, width=190, **style
        )
        geometry = self.generator.geometry
        times = (1e3 * np.arange(geometry.samples) / geometry.sampling_rate).tolist()
        options = {f"{at:.1f}": at for at in times}
        self.time = panel.widgets.DiscreteSlider(
            label="time (ms)", options=options, value=times[len(times) // 10], width=230, **style
        )
        self.button = panel.widgets.Button(label="Compare with the simulator", color="primary", **style)
        self.busy = panel.indicators.Progress(
            active=True, value=-1, bar_color="primary", width=120, visible=False, margin=(12, 5)
        )
        self.notice = look.text("", name="notice", margin=(11, 8))

    def _figures(self) -> None:
        geometry, values = self.generator.geometry, self.sliders.values()
        zero = np.zeros(geometry.shape)
        grid = ArrayMuap.of_array(zero, geometry).grid
        sampled = np.arange(geometry.samples) / geometry.sampling_rate
        self.waveforms = Waveforms(grid, sampled)
        self.map = MuapMap(grid)
        largest = max(
            (item.maximum for item in self.generator.conditions.items if item.name == "limb_radius"),
            default=values.get("limb_radius", 0.05),
        )
        self.place = SectionFigure(geometry.limb, self.sections.colours, largest, geometry.columns)

    def _watch(self) -> None:
        redraw = Redrawing(self.show)
        self.sliders.on_change(redraw)
        for widget in (self.number, self.beyond):
            widget.param.watch(redraw, "value")
        self.keep.param.watch(Redrawing(lambda: self._draw(self.values)), "value")
        remap = Redrawing(self._show_map)
        for choice in (self.what, self.time):
            choice.param.watch(remap, "value")
        self.muscle.param.watch(self._to_muscle, "value")
        self.button.on_click(lambda _: self.compare())
        for event in (Tap, Pan):
            self.place.figure.on_event(event, self._pointed)

    def _to_muscle(self, _: object) -> None:
        if self.muscle.value not in (NO_MUSCLE, self.holder):
            self.sliders.set(self.section.in_muscle(self.muscle.value))

    def _pointed(self, event: PlotEvent) -> None:
        """Put the unit where the pointer is in the limb."""
        depth, angle = self.section.depth_and_angle(1e-3 * event.y, -1e-3 * event.x)  # type: ignore[attr-defined]
        self.sliders.set({"depth": depth, "angle": angle})

    def generated(self, values: Mapping[str, float]) -> Muap:
        """Return the generator's MUAP [V] for conditions in SI units. Raises ValueError as `sample` does."""
        number = self.number.value
        muap = self.generator.sample(
            dict(values), 1 if number else None, seed=number, extrapolate=self.beyond.value
        )
        return np.asarray(muap).reshape(self.generator.geometry.shape)

    def show(self) -> None:
        """Draw everything for the sliders' conditions; what cannot be is said in a line."""
        values = self.sliders.values()
        try:
            muap, section = self.generated(values), self.sections.at(values)
        except ValueError as error:
            self._refuse(error)
            return
        self.muap, self.section, self.simulated = muap, section, None
        self._say("")
        self._draw(values)

    def _draw(self, values: Mapping[str, float]) -> None:
        self.values = dict(values)
        self.waveforms.show(self._shown(), self.simulated, self.keep.value)
        size = 1e6 * float(np.ptp(self.muap, axis=2).max())
        self.waveforms.heading.text = f"MUAP at every electrode, largest {size:.3g} µV peak to peak"
        self._show_map()
        holder = self.place.show(self.section, values)
        self.holder = holder if holder in self.section.muscles else NO_MUSCLE
        self.muscle.value = self.holder

    def _shown(self) -> ArrayMuap:
        return ArrayMuap.of_array(self.muap, self.generator.geometry)

    def _show_map(self) -> None:
        self.time.disabled = self.what.value == AMPLITUDE
        self.map.show(self._shown(), None if self.what.value == AMPLITUDE else 1e-3 * self.time.value)

    def compare(self) -> "Future[Muap]":
        """Simulate the conditions shown, beside the page, and draw the result over the generated MUAP."""
        document, values = panel.state.curdoc, self.values
        self.button.disabled = self.busy.visible = True
        self._started = time.monotonic()
        self._tick()
        ticking = document and document.add_periodic_callback(self._tick, 500)
        done = WORKER.submit(self.simulator.muap, values, self.section)

        def end(future: "Future[Muap]") -> None:
            if document is not None:
                document.remove_periodic_callback(ticking)
            self.button.disabled = self.busy.visible = False
            self.compared(values, future)

        done.add_done_callback(lambda future: soon(document, partial(end, future)))
        return done

    def _tick(self) -> None:
        self._say(f"solving the limb and its motor unit: {time.monotonic() - self._started:.0f} s")

    def compared(self, values: Mapping[str, float], future: "Future[Muap]") -> None:
        """Draw what the simulator found, and how far the generator is from it."""
        try:
            simulated = future.result()
        except (ValueError, RuntimeError) as error:
            self._refuse(error)
            return
        if values != self.values:
            self._say("the conditions moved on while the simulator worked; compare again")
            return
        self.simulated = simulated
        pair = torch.as_tensor(self.muap)[None], torch.as_tensor(simulated)[None]
        self.scores = {"nrmse": float(nrmse(*pair)), "relative_l2": float(relative_l2(*pair))}
        self._say(
            f'<b style="color:{look.GENERATED}">generated</b> over '
            f'<b style="color:{look.SIMULATED}">simulated</b>: '
            f"nRMSE {100 * self.scores['nrmse']:.2g} %, relative L2 {100 * self.scores['relative_l2']:.2g} %"
        )
        self._draw(values)

    def _say(self, message: str) -> None:
        self.notice.object = message

    def _refuse(self, error: Exception) -> None:
        self._say(f'<span style="color:{look.WRONG}">{html.escape(str(error))}</span>')

    @property
    def layout(self) -> panel.viewable.Viewable:
        """The page."""
        saving = downloads(f"{self.name}_muap", lambda: generated_figure(self), lambda: generated_data(self))
        geometry = self.generator.geometry
        title = (
            f"<b>myomime</b> · generator <b>{self.name}</b> · {geometry.limb.replace('_', ' ')}, "
            f"{geometry.rows} × {geometry.columns} electrodes"
        )
        side = panel.Column(
            look.text(title, margin=(10, 12)),
            panel.Row(self.muscle, self.number),
            self.sliders.layout,
            self.beyond,
            width=look.SIDE,
            styles={"background": "#f5f6f8", "border-right": "1px solid #dcdfe4", "min-height": "100vh"},
        )
        wide = {"sizing_mode": "stretch_width"}
        top = panel.Row(
            self.button, self.busy, self.notice, panel.Spacer(**wide), self.keep, *saving, height=44, **wide
        )
        mapped = panel.Column(panel.Row(self.what, self.time), look.wide(self.map.figure), **wide)
        place = panel.pane.Bokeh(self.place.figure)
        main = panel.Column(top, look.wide(self.waveforms.figure), panel.Row(mapped, place, **wide), **wide)
        return panel.Row(side, main, **wide)
