"""The limb's cross-section as a figure: layers, bones, muscles, and a motor unit that the pointer moves."""

from collections.abc import Mapping

import numpy as np
from bokeh.models import HoverTool, Label, Range1d
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.plots import LAYERS
from surrogate.explorer import look
from surrogate.explorer.section import Section, finely
from surrogate.plots.array import sides

Array = NDArray[np.float64]

LETTER = 0.0525  # of the limb's radius: half the width of a name's letter, twice
AROUND = 1.18  # of the limb's radius, where the sides' names stand


class SectionFigure:
    """The middle plane of the array seen from distal, angle 0 up, in millimetres."""

    def __init__(
        self, limb: str, colours: Mapping[str, str], largest: float, columns: int, height: int = 400
    ):
        """Return the figure of a limb.

        colours: of the muscles. largest: radius [m] of the limbs to come. columns: electrodes around them.
        """
        self.limb, self.columns, self.colours = limb, columns, colours
        far = 1e3 * largest * 1.26
        self.figure = look.plot(
            height,
            Range1d(-far, far),
            Range1d(-far, far),
            name="section",
            sizing_mode="fixed",
            width=height,
        )
        self.figure.update(min_border_left=6, min_border_right=6, min_border_bottom=6)
        self.heading = look.Heading(self.figure)
        self.figure.axis.visible = False
        self.layers = {name: look.source(x=[], y=[]) for name in ("skin", "fat", "muscle")}
        for name, source in self.layers.items():
            self.figure.patch("x", "y", source=source, color=LAYERS[name], line_color=look.GREY)
        self.muscles = look.source(xs=[], ys=[], name=[], colour=[])
        self.bones = look.source(xs=[], ys=[], name=[])
        style = {"line_color": "#ffffff", "line_width": 1}
        shown = [
            self.figure.patches("xs", "ys", source=self.muscles, color="colour", **style),
            self.figure.patches("xs", "ys", source=self.bones, color=LAYERS["bone"], line_color=look.GREY),
        ]
        self.figure.add_tools(HoverTool(renderers=shown, tooltips="@name", point_policy="follow_mouse"))
        self.electrodes = look.source(x=[], y=[])
        self.figure.scatter(
            "x", "y", source=self.electrodes, marker="square", size=4, color=look.INK, line_color=None
        )
        self.unit, self.centre = look.source(x=[], y=[]), look.source(x=[], y=[])
        self.unit.name = "unit"
        self.figure.patch(
            "x",
            "y",
            source=self.unit,
            color=look.SIMULATED,
            fill_alpha=0.55,
            line_color="#7a2f00",
            level="overlay",
        )
        style = {"marker": "cross", "size": 9, "color": look.INK, "level": "overlay"}
        self.figure.scatter("x", "y", source=self.centre, **style)
        self.names = look.source(x=[], y=[], text=[])
        look.texts(self.figure, self.names, "10px", align="center")
        self.sides = look.source(x=[], y=[], text=[])
        look.texts(self.figure, self.sides, "10px", look.GREY, "center")
        self._drawn: Section | None = None
        self._bar(far)

    def _bar(self, far: float) -> None:
        length = 10 if far < 80 else 20
        right, low = 0.97 * far, -0.95 * far
        self.figure.segment([right - length], [low], [right], [low], color=look.INK, line_width=2)
        given = {"text_font": look.FONT, "text_color": look.INK, "text_align": "center"}
        place = {"x": right - length / 2, "y": low + 0.02 * far}
        self.figure.add_layout(Label(text=f"{length} mm", text_font_size=look.SMALL, **place, **given))
        hint = {"x": -0.97 * far, "y": low, "text_font": look.FONT, "text_color": look.GREY}
        self.figure.add_layout(Label(text="click or drag to move the unit", text_font_size="10px", **hint))

    def show(self, section: Section, values: Mapping[str, float]) -> str:
        """Draw the section where it changed, and the motor unit of these conditions, SI units.

        Return what holds the unit's centre: a muscle, bone or layer.
        """
        if section is not self._drawn:
            self._draw(section)
        outline = seen(section.unit_outline(values))
        self.unit.data = columns_of(outline)
        centre = section.place(values["depth"], values["angle"])
        self.centre.data = {"x": [-1e3 * centre[1]], "y": [1e3 * centre[0]]}
        holder = section.holder(*centre)
        where = f"in {holder}" if holder in section.muscles else f"in no muscle ({holder or 'outside'})"
        self.heading.text = f"Motor unit {where}, {1e3 * values['depth']:.1f} mm deep"
        return holder

    def _draw(self, section: Section) -> None:
        self._name(section)
        self._drawn = section
        for name, outline in section.layers.items():
            self.layers[name].data = columns_of(seen(outline))
        for source, outlines in ((self.muscles, section.muscles), (self.bones, section.bones)):
            places = [columns_of(seen(outline)) for outline in outlines.values()]
            columns: dict[str, list] = {f"{axis}s": [place[axis] for place in places] for axis in "xy"}
            columns["name"] = list(outlines)
            if source is self.muscles:
                columns["colour"] = [self.colours[name] for name in outlines]
            source.data = columns
        skin = section.layers["skin"]
        radius = np.hypot(*skin.T).mean()
        around = 2 * np.pi * np.arange(self.columns) / self.columns + section.turn
        distance = section.limb.skin_radius(around, np.full(self.columns, section.centre))
        places = distance[:, None] * np.stack([np.cos(around), np.sin(around)], -1)
        self.electrodes.data = columns_of(seen(places))
        known = sides(self.limb)
        at = np.radians(list(known))
        names = seen(AROUND * radius * np.stack([np.cos(at), np.sin(at)], -1))
        self.sides.data = columns_of(names) | {"text": list(known.values())}

    def _name(self, section: Section) -> None:
        """Write the names of bones, and of muscles with room for them, where they have most at first."""
        if self._drawn is None:
            self._named = named(section)
        rho, angle = np.array(list(self._named.values())).T
        places = section.limb.place(rho, angle, np.full(len(rho), section.centre))[:, :2]
        self.names.data = columns_of(seen(places)) | {"text": list(self._named)}


def named(section: Section) -> dict[str, tuple[float, float]]:
    """Return where names of bones and muscles stand, in swept coordinates."""
    whole = [at for bone in section.bones.values() for at in shrunk(bone, (0.0, 0.4, 0.7, 1.0))]
    bones = np.array(whole).reshape(-1, 2)
    letter = LETTER * np.hypot(*section.layers["skin"].T).mean()
    names = {name: outline.mean(0) for name, outline in section.bones.items()}
    for name, outline in section.muscles.items():
        place, room = roomiest(finely(outline, 1e-3), bones)
        if room > letter * max(len(name), 3) / 2:
            names[name] = place
    places = np.array([[*place, section.centre] for place in names.values()])
    rho, angle, _ = section.limb.swept(places)
    return dict(zip(names, zip(rho.tolist(), angle.tolist(), strict=True), strict=True))


def roomiest(outline: Float[Array, "vertex xy"], others: Float[Array, "place xy"]) -> tuple[Array, float]:
    """Return a place inside a convex outline far from it and from other places, and how far."""
    inside = shrunk(outline, (0.0, 0.25, 0.5))
    away = np.concatenate([outline, others])
    room = np.sqrt(((inside[:, None] - away) ** 2).sum(-1).min(1))
    best = int(room.argmax())
    return inside[best], float(room[best])


def columns_of(places: Float[Array, "place xy"]) -> dict[str, list]:
    """Return places [mm] as columns of a source: lists, for each array would be a message of its own."""
    return dict(zip("xy", places.T.round(2).tolist(), strict=True))


def shrunk(outline: Float[Array, "vertex xy"], parts: tuple[float, ...]) -> Float[Array, "place xy"]:
    """Return the vertices of an outline some parts of the way from its middle."""
    middle = outline.mean(0)
    return np.concatenate([middle + part * (outline - middle) for part in parts])


def seen(places: Float[Array, "place xy"]) -> Float[Array, "place xy"]:
    """Return places [m] as the figure shows them [mm]: x up and y to the left."""
    return 1e3 * np.stack([-places[:, 1], places[:, 0]], -1)
