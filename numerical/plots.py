"""A limb turned into pictures of its cross-sections, with motor units where they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from numerical.anatomy.limb import Limb
from numerical.fibres import muscle_regions
from numerical.style import LARGE

Array = NDArray[np.float64]

# Okabe and Ito 2008, the three dark ones lightened so that black names can be read on them.
HUES = ("#66AAD7", "#E69F66", "#66C4AB", "#DDA6C5", "#F0C566", "#9AD2F2", "#F0E442")
SIDES = ("0°", "90°", "180°", "270°")
SIDE, TOP = 0.46, 0.32  # from the skin to the names of sides, in parts of the limb's reach
LAYERS = {"muscle": "#ffffff", "fat": "#fff2cc", "skin": "#e8c4a8", "bone": "#e6e6e6"}
NAMES = 7  # points, of muscles and bones


@dataclass(frozen=True, eq=False)
class CrossSection:
    """What lies where in a plane across a limb.

    spacing: of the places [m]. x, y: of the columns and rows of places [m].
    label: index into `names`, -1 outside the limb.
    names: muscles, then bones, then layers outside the fascia.
    """

    spacing: float
    x: Float[Array, " column"]
    y: Float[Array, " row"]
    label: Int[NDArray[np.int64], "row column"]
    names: tuple[str, ...]

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return where a muscle, bone or layer is [row, column]."""
        return self.label == self.names.index(name)

    def area(self, name: str) -> float:
        """Return the area of a muscle, bone or layer [m^2]."""
        return float(self.mask(name).sum()) * self.spacing**2

    def centre(self, name: str) -> tuple[float, float]:
        """Return the centroid x, y of a muscle, bone or layer [m]."""
        row, column = np.nonzero(self.mask(name))
        return float(self.x[column].mean()), float(self.y[row].mean())


def cross_section(limb: Limb, z: float, spacing: float = 0.25e-3) -> CrossSection:
    """Return what lies where in the plane z [m], on a grid of places `spacing` [m] apart.

    Raises ValueError where the plane misses the limb.
    """
    if not limb.outline_z[0] <= z <= limb.outline_z[-1]:
        raise ValueError(
            f"cross-section: z of {1e3 * z:g} mm misses the limb, which spans "
            f"{1e3 * limb.outline_z[0]:g} to {1e3 * limb.outline_z[-1]:g} mm"
        )
    reach = limb.skin_radius(np.linspace(0, np.pi, 9), np.full(9, z)).max() + 2 * spacing
    axis = spacing * np.arange(-np.ceil(reach / spacing), np.ceil(reach / spacing) + 1)
    x, y = np.meshgrid(axis, axis)
    skin = limb.skin_radius(np.arctan2(y, x), np.full(x.shape, z))
    inside = np.hypot(x, y) < skin
    rho, angle, _ = limb.swept(np.column_stack([x[inside], y[inside], np.full(inside.sum(), z)]))
    muscles = tuple(muscle.name for muscle in limb.muscles)
    bones = tuple(bone.name for bone in limb.bones)
    names = (*muscles, *bones, *limb.tissues[1:])
    px, py = rho * np.cos(angle), rho * np.sin(angle)
    found = muscle_regions(limb).owner(px, py)
    for index, bone in enumerate(limb.bones):
        mine = (px - bone.x) ** 2 + (py - bone.y) ** 2 < bone.radius**2
        found[mine & (rho < 1)] = len(muscles) + index
    outer = rho >= 1
    layer = np.clip(rho[outer].astype(int), 1, len(limb.tissues) - 1)
    found[outer] = len(muscles) + len(bones) + layer - 1
    label = np.full(x.shape, -1)
    label[inside] = found
    return CrossSection(spacing, axis, axis, label, names)


def muscle_colours(limb: Limb) -> dict[str, str]:
    """Return a colour for every muscle, such that neighbours in the reference plane differ."""
    regions = muscle_regions(limb)
    axis = np.linspace(-1, 1, 200)
    owner = regions.owner(*np.meshgrid(axis, axis))
    pairs = np.concatenate(
        [
            np.stack([owner[:-4].ravel(), owner[4:].ravel()]),
            np.stack([owner[:, :-4].ravel(), owner[:, 4:].ravel()]),
        ],
        axis=1,
    )
    pairs = np.unique(pairs[:, (pairs >= 0).all(0) & (pairs[0] != pairs[1])], axis=1)
    colours: dict[int, int] = {}
    for muscle in range(len(regions.names)):
        beside = {*pairs[1, pairs[0] == muscle].tolist(), *pairs[0, pairs[1] == muscle].tolist()}
        taken = {colours[other] for other in beside if other in colours}
        uses = [sum(c == i for c in colours.values()) for i in range(len(HUES))]
        free = [i for i in range(len(HUES)) if i not in taken] or list(range(len(HUES)))
        colours[muscle] = min(free, key=lambda i: uses[i])
    return {name: HUES[colours[i]] for i, name in enumerate(regions.names)}


def cross_section_figure(
    limb: Limb, z: float, sides: Sequence[str] = SIDES, spacing: float = 0.2e-3
) -> Figure:
    """Return a picture of the plane z [m]: layers, bones and muscles by name, seen from distal, angle 0 up.

    sides: what lies at 0, 90, 180 and 270 degrees. spacing: of the places that are coloured [m].
    """
    figure = Figure(figsize=(7.2, 7.2), layout="constrained")
    draw_cross_section(figure.add_subplot(), limb, z, sides, spacing)
    return figure


def draw_cross_section(
    axes: Axes, limb: Limb, z: float, sides: Sequence[str] = SIDES, spacing: float = 0.2e-3
) -> None:
    """Draw the plane z [m] of a limb, see `cross_section_figure`."""
    section = cross_section(limb, z, spacing)
    colours = muscle_colours(limb)
    palette = [colours.get(name, LAYERS.get(name, LAYERS["bone"])) for name in section.names]
    image = to_rgba_array([*palette, "#ffffff"])[section.label, :3]
    border = np.zeros(section.label.shape, bool)
    border[1:] |= section.label[1:] != section.label[:-1]
    border[:, 1:] |= section.label[:, 1:] != section.label[:, :-1]
    image[border] = 0.2
    reach = 1e3 * section.x[-1]
    turned = image.transpose(1, 0, 2)[:, ::-1]  # x upwards, y to the left
    axes.imshow(turned, origin="lower", extent=(-reach, reach, -reach, reach), interpolation="antialiased")
    _label(axes, section, [name for name in section.names if name not in limb.tissues])
    wide, tall = _reaches(section)
    far, high = wide + SIDE * reach, tall + TOP * reach
    for side, (across, up) in zip(sides, ((0, 1), (-1, 0), (0, -1), (1, 0)), strict=True):
        axes.text(far * across, high * up, side, ha="center", va="center", fontsize=LARGE, style="italic")
    bar = 10.0 if reach < 60 else 20.0
    axes.plot([far - bar, far], [-high, -high], color="k", lw=2.5)
    axes.text(far - bar / 2, -high + 0.02 * reach, f"{bar:g} mm", ha="center", va="bottom", fontsize=LARGE)
    axes.set_title(f"z = {1e3 * z:.0f} mm, seen from distal", fontsize=LARGE)
    axes.set_xlim(-far - 0.2 * reach, far + 0.2 * reach)
    axes.set_ylim(-high - 0.1 * reach, high + 0.1 * reach)
    axes.set_axis_off()


def draw_motor_unit(
    axes: Axes, fibres: Float[Array, "fibre xy"], centre: Sequence[float], radius: float, colour: str
) -> None:
    """Draw fibres and the circle of a territory on a cross-section; all are places in its plane [m]."""
    x, y = (1e3 * at for at in centre)
    axes.add_patch(Circle((-y, x), 1e3 * radius, fill=False, edgecolor=colour, linewidth=0.9, zorder=4))
    axes.plot(-1e3 * fibres[:, 1], 1e3 * fibres[:, 0], ".", color=colour, markersize=1.6, zorder=3)


def _reaches(section: CrossSection) -> tuple[float, float]:
    """Return how far a limb reaches across the picture and up [mm]."""
    row, column = np.nonzero(section.label >= 0)
    return 1e3 * float(np.abs(section.y[row]).max()), 1e3 * float(np.abs(section.x[column]).max())


def _label(axes: Axes, section: CrossSection, names: Sequence[str]) -> None:
    """Write names into regions that have room for them, and those of the others around the limb."""
    reach = 1e3 * section.x[-1]
    outside = []
    for name in names:
        mask = section.mask(name)
        if not mask.any():
            continue
        depth = distance_transform_edt(mask)
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        place = np.array([-1e3 * section.y[row], 1e3 * section.x[column]])
        room = 2e3 * section.spacing * depth[row, column]
        if room > 0.030 * reach * max(len(name), 3):
            axes.text(place[0], place[1], name, ha="center", va="center", fontsize=NAMES)
        else:
            outside.append((float(np.arctan2(place[1], place[0])), place, name))
    if not outside:
        return
    outside.sort(key=lambda item: item[0])
    step = 2 * np.pi / max(24, len(outside))
    ellipse = 1.22 * np.array(_reaches(section))
    angles = _spread(np.array([item[0] for item in outside]), step)
    for angle, (_, place, name) in zip(angles, outside, strict=True):
        end = ellipse * [np.cos(angle), np.sin(angle)]
        axes.plot([place[0], 0.93 * end[0]], [place[1], 0.93 * end[1]], color="0.2", lw=0.6)
        axes.plot(*place, ".", color="0.2", ms=2.5)
        axes.text(end[0], end[1], name, ha="center", va="center", fontsize=NAMES)


def _spread(angles: Array, step: float) -> Array:
    """Return ascending angles [rad] at least `step` apart around the turn, near the given ones."""
    spread = angles.copy()
    for _ in range(200):
        gap = np.diff(np.append(spread, spread[0] + 2 * np.pi))
        short = np.maximum(step - gap, 0) / 2 * (len(spread) > 1)
        spread = spread - short + np.roll(short, 1)
    return spread
