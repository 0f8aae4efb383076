"""A limb turned into pictures: cross-sections at any z, and the whole limb in three dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from contourpy import contour_generator
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from numerical.anatomy.limb import Limb
from numerical.fibres import muscle_regions

Array = NDArray[np.float64]

# Okabe and Ito 2008, the three dark ones lightened so that black names can be read on them.
HUES = ("#66AAD7", "#E69F66", "#66C4AB", "#DDA6C5", "#F0C566", "#9AD2F2", "#F0E442")
SIDES = ("0°", "90°", "180°", "270°")
LAYERS = {"muscle": "#ffffff", "fat": "#fff2cc", "skin": "#e8c4a8", "bone": "#e6e6e6"}
SMALL, LARGE = 7, 9  # points


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
    far = 1.55 * reach
    for side, (across, up) in zip(sides, ((0, 1), (-1, 0), (0, -1), (1, 0)), strict=True):
        axes.text(far * across, far * up, side, ha="center", va="center", fontsize=LARGE, style="italic")
    bar = 10.0 if reach < 60 else 20.0
    axes.plot([far - bar, far], [-far, -far], color="k", lw=2.5)
    axes.text(far - bar / 2, -far + 0.02 * reach, f"{bar:g} mm", ha="center", va="bottom", fontsize=LARGE)
    axes.set_title(f"z = {1e3 * z:.0f} mm, seen from distal", fontsize=LARGE)
    axes.set_xlim(-1.15 * far, 1.15 * far)
    axes.set_ylim(-1.1 * far, 1.1 * far)
    axes.set_axis_off()


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
            axes.text(place[0], place[1], name, ha="center", va="center", fontsize=SMALL)
        else:
            outside.append((float(np.arctan2(place[1], place[0])), place, name))
    if not outside:
        return
    outside.sort(key=lambda item: item[0])
    step = 2 * np.pi / max(24, len(outside))
    angles = _spread(np.array([item[0] for item in outside]), step)
    for angle, (_, place, name) in zip(angles, outside, strict=True):
        end = 1.22 * reach * np.array([np.cos(angle), np.sin(angle)])
        axes.plot([place[0], 0.93 * end[0]], [place[1], 0.93 * end[1]], color="0.2", lw=0.6)
        axes.plot(*place, ".", color="0.2", ms=2.5)
        axes.text(end[0], end[1], name, ha="center", va="center", fontsize=SMALL)


def _spread(angles: Array, step: float) -> Array:
    """Return ascending angles [rad] at least `step` apart around the turn, near the given ones."""
    spread = angles.copy()
    for _ in range(200):
        gap = np.diff(np.append(spread, spread[0] + 2 * np.pi))
        short = np.maximum(step - gap, 0) / 2 * (len(spread) > 1)
        spread = spread - short + np.roll(short, 1)
    return spread


def view_limb(
    limb: Limb,
    electrodes: Float[Array, "electrode xyz"] | None = None,
    muscles: Sequence[str] | None = None,
    off_screen: bool = False,
) -> Any:
    """Return a pyvista Plotter of the limb: skin, bones, muscles where fleshy, and electrodes.

    electrodes: their places [m]. muscles: those to show, all if not given. off_screen: without a window;
    `plotter.screenshot(path)` then writes the picture.
    Raises ValueError for a muscle that the limb has not, and RuntimeError where pyvista is missing.
    """
    try:
        import pyvista
    except ImportError as error:
        raise RuntimeError("3-D pictures need pyvista: pip install 'myomime[view]'") from error
    known = {muscle.name: muscle for muscle in limb.muscles}
    chosen = list(known) if muscles is None else list(muscles)
    for name in chosen:
        if name not in known:
            raise ValueError(f"view: unknown muscle {name!r}; the limb has {', '.join(known)}")
    plotter = pyvista.Plotter(off_screen=off_screen, window_size=[800, 1400])
    turn = np.linspace(0, 2 * np.pi, 73)
    ends = limb.outline_z[0], limb.outline_z[-1]
    skin = _tube(limb, np.full(73, float(len(limb.tissues))), turn, ends)
    plotter.add_mesh(pyvista.StructuredGrid(*skin), color=LAYERS["skin"], opacity=0.15, smooth_shading=True)
    for bone in limb.bones:
        x, y = bone.x + bone.radius * np.cos(turn), bone.y + bone.radius * np.sin(turn)
        tube = pyvista.StructuredGrid(*_tube(limb, np.hypot(x, y), np.arctan2(y, x), ends))
        plotter.add_mesh(tube, color="#f5f0dc", smooth_shading=True)
    colours = muscle_colours(limb)
    axis = np.linspace(-1.05, 1.05, 420)  # beyond the fascia, so that every outline closes
    owner = muscle_regions(limb).owner(*np.meshgrid(axis, axis))
    for name in chosen:
        inside = gaussian_filter((owner == limb.muscles.index(known[name])).astype(float), 2)
        belly = known[name].belly or ends
        for line in contour_generator(axis, axis, inside).lines(0.5):
            x, y = np.asarray(line, float).T
            tube = pyvista.StructuredGrid(*_tube(limb, np.hypot(x, y), np.arctan2(y, x), belly))
            plotter.add_mesh(tube, color=colours[name], smooth_shading=True)
    if electrodes is not None:
        plotter.add_points(electrodes, color="k", point_size=10, render_points_as_spheres=True)
    plotter.add_axes(xlabel="x", ylabel="y", zlabel="z")  # type: ignore[call-arg]
    middle = (ends[0] + ends[1]) / 2
    plotter.camera_position = [(0.45, 0.25, middle), (0, 0, middle), (0, 0, -1)]
    plotter.reset_camera()  # type: ignore[call-arg]
    plotter.camera.zoom(1.7)
    return plotter


def _tube(
    limb: Limb, rho: Array, angle: Array, ends: tuple[float, float]
) -> tuple[Float[Array, "1 slice place"], Float[Array, "1 slice place"], Float[Array, "1 slice place"]]:
    """Return x, y and z [m] of a closed line of swept coordinates drawn along the limb, within its ends."""
    first, last = (float(np.clip(end, limb.outline_z[0], limb.outline_z[-1])) for end in ends)
    z = np.linspace(first, last, 60)[:, None]
    x, y, z = np.moveaxis(limb.place(rho, angle, z), -1, 0)
    return x[None], y[None], z[None]
