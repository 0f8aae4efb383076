"""A recording to be explored: played with movement, skin, traces, sound and MUAPs in step."""

import numpy as np
import panel
from bokeh.events import PlotEvent, Tap
from bokeh.models import DataTable, NumberFormatter, StringFormatter, TableColumn

from surrogate.explorer import look
from surrogate.explorer.export import downloads, recorded_data, recorded_figure
from surrogate.explorer.muap_figures import Waveforms
from surrogate.explorer.recorded import AROUND, FRAME, Played
from surrogate.explorer.recording_figures import OverTime, SkinMap, Traces
from surrogate.explorer.updating import Redrawing
from surrogate.plots.choice import muscles_of
from surrogate.plots.muap import ArrayMuap

MOST = 6  # channels that colours can tell
FIRST = 4  # channels shown to begin with
COLUMNS = {
    "muscle": ("muscle", StringFormatter(), 52),
    "rank": ("unit", NumberFormatter(), 34),
    "threshold": ("threshold (%)", NumberFormatter(format="0.0"), 76),
    "discharges": ("discharges", NumberFormatter(), 66),
    "depth": ("depth (mm)", NumberFormatter(format="0.0"), 68),
    "angle": ("angle (°)", NumberFormatter(format="0"), 56),
    "fibres": ("fibres", NumberFormatter(format="0"), 44),
    "velocity": ("velocity (m/s)", NumberFormatter(format="0.00"), 80),
}


class RecordingPage:
    """What a page shows of a recording; `layout` is the page.

    frame: of the player. channels: whose traces are shown. unit: motor unit whose MUAP is shown.
    """

    def __init__(self, played: Played, name: str):
        self.played, self.name = played, name
        loudest = [int(played.dataset.muscle_rms.values[row].argmax()) for row in self._loud_muscles()]
        self.channels = list(dict.fromkeys(loudest))
        self.over_time, self.skin, self.traces = OverTime(played), SkinMap(played), Traces(played)
        self._widgets()
        self.unit = self._loud_unit()
        self._muap()
        self._table()
        self._watch()
        self._choose()

    def _loud_muscles(self) -> list[int]:
        names = self.played.muscles()
        return [names.index(name) for name in muscles_of(self.played.dataset, None, FIRST)]

    def _loud_unit(self) -> int | None:
        """Return the last recruited of the motor units that discharge around the cursor, or of all."""
        data = self.played.dataset
        near = np.abs(data.discharge_time.values - self.played.times[self.frame]) <= AROUND
        active = np.unique(data.discharge_motor_unit.values[near])
        units = active if len(active) else self.played.units()
        threshold = data.motor_unit_recruitment_threshold.values[units]
        return int(units[threshold.argmax()]) if len(units) else None

    def _widgets(self) -> None:
        played, names = self.played, self.played.channels
        self.player = panel.widgets.Player(
            start=0,
            end=len(played.times) - 1,
            value=int(np.square(played.rms).sum(1).argmax()),
            interval=round(1e3 * FRAME),
            loop_policy="once",
            show_loop_controls=False,
            show_value=False,
            visible_buttons=["slower", "first", "previous", "pause", "play", "next", "last", "faster"],
            scale_buttons=0.9,
            width=480,
            height=62,
        )
        self.chosen = panel.widgets.MultiChoice(
            label="channels (or click on the map)",
            options=names,
            value=[names[channel] for channel in self.channels],
            max_items=MOST,
            width=380,
            stylesheets=[look.WIDGET],
        )
        self.heard = panel.widgets.Select(
            label="listen to",
            options=names,
            value=names[self.channels[0]],
            width=84,
            stylesheets=[look.WIDGET],
        )
        self.audio = panel.pane.Audio(
            None, sizing_mode="stretch_width", height=34, margin=(20, 12, 0, 5), throttle=100
        )

    def _muap(self) -> None:
        """Make the figure of the unit's MUAP, or the line that says why there is none."""
        self.muap: ArrayMuap | None = None
        if self.unit is None:
            self.muap_view: panel.viewable.Viewable = look.text("no motor unit discharges")
            return
        try:
            self.muap = ArrayMuap.of_recording(self.played.dataset, self.unit)
        except ValueError as error:
            self.muap_view = look.text(str(error))
            return
        self.waveforms = Waveforms(self.muap.grid, self.muap.time, height=240)
        self.muap_view = look.wide(self.waveforms.figure)

    def _table(self) -> None:
        columns = self.played.unit_table()
        self.units = look.source(**columns)
        self.units.name = "units"
        if self.unit is not None:
            self.units.selected.indices = [int(np.flatnonzero(columns["motor_unit"] == self.unit)[0])]
        shown = [
            TableColumn(field=name, title=title, formatter=form, width=width)
            for name, (title, form, width) in COLUMNS.items()
        ]
        self.table = DataTable(
            source=self.units,
            columns=shown,
            width=500,
            height=230,
            index_position=None,
            row_height=20,
            autosize_mode="none",
            reorderable=False,
        )

    def _watch(self) -> None:
        self.player.param.watch(Redrawing(self.show), "value")
        self.chosen.param.watch(Redrawing(self._choose), "value")
        self.heard.param.watch(lambda _: self._listen(), "value")
        self.audio.param.watch(self._to_sound, "time")
        self.units.selected.on_change("indices", self._to_unit)
        self.skin.figure.on_event(Tap, self._to_channel)
        for figure in self.over_time.figures:
            figure.on_event(Tap, self._to_time)

    def _to_time(self, event: PlotEvent) -> None:
        self.player.value = self.played.frame_at(event.x)  # type: ignore[attr-defined]

    def _to_sound(self, _: object) -> None:
        """Follow the sound while it is heard."""
        if not self.audio.paused:
            self.player.value = self.played.frame_at(self.heard_from + self.audio.time)

    def _to_channel(self, event: PlotEvent) -> None:
        """Show the channel under the pointer, or no longer."""
        channel = self.skin.channel_at(event.x, event.y)  # type: ignore[attr-defined]
        if channel is None:
            return
        name, shown = self.played.channels[channel], list(self.chosen.value)
        self.chosen.value = [n for n in shown if n != name] if name in shown else [*shown, name][-MOST:]

    def _to_unit(self, _: str, __: object, indices: list[int]) -> None:
        if indices:
            self.unit = int(self.units.data["motor_unit"][indices[0]])
            Redrawing(self._show_unit)()

    def _choose(self) -> None:
        """Take the chosen channels; the first of them is heard."""
        self.channels = [self.played.channels.index(name) for name in self.chosen.value]
        self.skin.mark(self.channels)
        if self.channels:
            self.traces.choose(self.channels)
            self.heard.value = self.chosen.value[0]
        self._listen()
        self._show_unit()

    def _listen(self) -> None:
        channel = self.played.channels.index(self.heard.value)
        rate, heard, self.heard_from = self.played.sound(channel, self.frame)
        self.audio.param.update(sample_rate=rate, object=heard)

    def _show_unit(self) -> None:
        if self.muap is not None and self.unit is not None:
            self.muap = ArrayMuap.of_recording(self.played.dataset, self.unit)
            self.waveforms.show(self.muap)
            size = 1e6 * float(np.nanmax(np.ptp(self.muap.potential, axis=2)))
            self.waveforms.heading.text = f"MUAP of {self.muap.title}; largest {size:.3g} µV peak to peak"
        self.show()

    @property
    def frame(self) -> int:
        """The player's frame."""
        return int(self.player.value)

    def show(self) -> None:
        """Draw the moment of the cursor."""
        time = float(self.played.times[self.frame])
        self.over_time.move(time)
        self.skin.show(self.frame)
        self.traces.show(self.frame, self.channels, self.unit)

    @property
    def layout(self) -> panel.viewable.Viewable:
        """The page."""
        saving = downloads(self.name, lambda: recorded_figure(self), lambda: recorded_data(self))
        data = self.played.dataset
        title = (
            f"<b>myomime</b> · recording <b>{self.name}</b> · {data.sizes['channel']} channels, "
            f"{data.sizes['muscle']} muscles, {data.sizes['discharge']} discharges"
        )
        wide = {"sizing_mode": "stretch_width"}
        left = panel.Column(
            self.player,
            *map(look.wide, self.over_time.figures),
            **wide,
        )
        right = panel.Column(
            look.wide(self.skin.figure),
            panel.Row(self.chosen, self.heard, self.audio, **wide),
            look.wide(self.traces.figure),
            **wide,
        )
        below = panel.Row(panel.pane.Bokeh(self.table, margin=(10, 10)), self.muap_view, **wide)
        top = panel.Row(look.text(title, margin=(12, 12)), panel.Spacer(**wide), *saving, **wide)
        return panel.Column(top, panel.Row(left, right, **wide), below, **wide)
