"""Electrodes on a limb's skin turned into weighted points, and these into the selection matrix S.

An electrode is the set of points over which it averages the potential. What made the points, an array on
the skin here or a needle in `intramuscular`, no longer matters to lead fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.spatial import cKDTree

from numerical.anatomy.mesh import Mesh
from numerical.recording_surface import Disc, Plate, Rectangle, plate
from numerical.skin import Skin, frame, lay

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Electrodes:
    """Electrodes of any kind: each reads the weighted mean of the potential over its points.

    names: of the electrodes, all different.
    centre: [m]. points: on the recording surface [m]; rows are filled up with points of no weight.
    weight: of every point; rows add up to one. area: of the recording surface [m^2], 0 for a point.

    Raises ValueError where shapes do not match, names repeat or weights do not add up to one.
    """

    names: tuple[str, ...]
    centre: Float[Array, "electrode xyz"]
    points: Float[Array, "electrode point xyz"]
    weight: Float[Array, "electrode point"]
    area: Float[Array, " electrode"]

    def __post_init__(self) -> None:
        n = len(self.names)
        shapes = {name: np.shape(getattr(self, name)) for name in ("centre", "points", "weight", "area")}
        number = np.shape(self.points)[1:2]
        if shapes != {"centre": (n, 3), "points": (n, *number, 3), "weight": (n, *number), "area": (n,)}:
            raise ValueError(f"electrodes: shapes {shapes} do not fit {n} names")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise ValueError(f"electrodes: names must differ, got {repeated} more than once")
        if not np.allclose(self.weight.sum(1), 1, rtol=0, atol=1e-9):
            wrong = self.names[np.abs(self.weight.sum(1) - 1).argmax()]
            raise ValueError(f"electrodes: the weights of {wrong!r} must add up to one")

    def __len__(self) -> int:
        return len(self.names)

    def chosen(self, names: Sequence[str]) -> Self:
        """Return the electrodes of these names, in their order; ValueError for a name there is not."""
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise ValueError(f"electrodes: no {', '.join(unknown)}; there are {', '.join(self.names)}")
        i = [self.names.index(name) for name in names]
        return type(self)(tuple(names), self.centre[i], self.points[i], self.weight[i], self.area[i])


def together(*groups: Electrodes) -> Electrodes:
    """Return the electrodes of all groups, one after the other; ValueError where names repeat."""
    most = max(group.points.shape[1] for group in groups)
    points, weights = [], []
    for group in groups:
        missing = most - group.points.shape[1]
        points.append(np.concatenate([group.points, np.repeat(group.centre[:, None], missing, 1)], 1))
        weights.append(np.pad(group.weight, ((0, 0), (0, missing))))
    return Electrodes(
        tuple(name for group in groups for name in group.names),
        np.concatenate([group.centre for group in groups]),
        np.concatenate(points),
        np.concatenate(weights),
        np.concatenate([group.area for group in groups]),
    )


def selection(mesh: Mesh, electrodes: Electrodes, order: int = 3) -> sparse.csr_array:
    """Return S [electrode, vertex]: each row averages the potential over an electrode's points.

    order: of the interpolation between vertices, 1 or, on a swept mesh, 3. Rows add up to one.

    Raises ValueError for an electrode outside the mesh.
    """
    electrode, point = np.nonzero(electrodes.weight)
    weight = electrodes.weight[electrode, point]
    shape = (len(electrodes), len(weight))
    average = sparse.csr_array((weight, (electrode, np.arange(len(weight)))), shape)
    return sparse.csr_array(average @ mesh.weights(electrodes.points[electrode, point], order=order))


class ArraySettings(BaseModel):
    """A grid of disc electrodes: rows along the limb, columns evenly around it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["grid"] = "grid"
    rows: int = Field(10, ge=1, description="electrodes along the limb, the first most proximal")
    columns: int = Field(32, ge=1, description="electrodes around the limb")
    row_spacing: float = Field(0.008, gt=0, description="between the centres of rows, m")
    first_angle: float = Field(0.0, description="of the first column around the limb, rad")
    centre: float = Field(0.095, description="z of the array's middle, m")
    electrode_radius: float = Field(0.002, ge=0, description="of the discs, 0 for points, m")


class RectangleSettings(BaseModel):
    """A flexible rectangular array on one side of the limb, its spacing measured along the skin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rectangle"] = "rectangle"
    rows: int = Field(13, ge=1, description="electrodes along the limb, the first most proximal")
    columns: int = Field(5, ge=1, description="electrodes around the limb, the first at the least angle")
    row_spacing: float = Field(0.008, gt=0, description="between the centres of rows, m")
    column_spacing: float = Field(0.008, gt=0, description="between the centres of columns, m")
    z: float = Field(0.095, description="of the array's centre, m")
    angle: float = Field(0.0, description="of the array's centre around the limb, rad")
    rotation: float = Field(0.0, description="about its centre, counter-clockwise seen from outside, rad")
    plate: Plate = Field(Disc(radius=0.0015), description="bare surface of every electrode")


class RingSettings(BaseModel):
    """Bracelets: rings of electrodes around the limb, evenly along the skin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ring"] = "ring"
    z: tuple[float, ...] = Field((0.095,), min_length=1, description="of every ring, m")
    electrodes: int = Field(8, ge=1, description="in each ring")
    first_angle: float = Field(0.0, description="of the first electrode of each ring, rad")
    plate: Plate = Field(Disc(radius=0.005), description="bare surface of every electrode")


class ListSettings(BaseModel):
    """Electrodes at listed places, each moved to the nearest place on the skin."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["list"] = "list"
    places: dict[str, tuple[float, float, float]] = Field(
        min_length=1, description="x, y and z of every electrode, by its name, m"
    )
    furthest: float = Field(0.02, gt=0, description="that a place may lie from the skin, m")
    rotation: float = Field(0.0, description="of every plate, counter-clockwise seen from outside, rad")
    plate: Plate = Field(Disc(radius=0.002), description="bare surface of every electrode")


def row_positions(settings: ArraySettings) -> Float[Array, " row"]:
    """Return the z of every row relative to the array's centre [m]."""
    return settings.row_spacing * _centred(settings.rows)


def column_angles(settings: ArraySettings) -> Float[Array, " column"]:
    """Return the angle of every column [rad]."""
    return settings.first_angle + 2 * np.pi * np.arange(settings.columns) / settings.columns


def grid_names(rows: int, columns: int) -> tuple[str, ...]:
    """Return the names of the electrodes of a grid, row by row: r0c0, r0c1, ..."""
    return tuple(f"r{row}c{column}" for row in range(rows) for column in range(columns))


def electrode_array(settings: ArraySettings, skin: Skin) -> Electrodes:
    """Return the electrodes of a grid around a limb, row by row; errors as in `on_skin`."""
    z, angle = np.meshgrid(settings.centre + row_positions(settings), column_angles(settings), indexing="ij")
    names = grid_names(settings.rows, settings.columns)
    centres = _places(names, angle.ravel(), z.ravel(), skin)
    return on_skin(names, centres, Disc(radius=settings.electrode_radius), skin)


def rectangular_array(settings: RectangleSettings, skin: Skin) -> Electrodes:
    """Return the electrodes of an array laid flat on the skin, row by row; errors as in `on_skin`.

    Every electrode keeps its distance and direction from the array's centre, see `skin.lay`.
    """
    u, v = np.meshgrid(
        settings.row_spacing * _centred(settings.rows),
        settings.column_spacing * _centred(settings.columns),
        indexing="ij",
    )
    middle = _places(["array centre"], np.array([settings.angle]), np.array([settings.z]), skin)
    centres = lay(skin, middle, np.stack([u, v], -1).reshape(-1, 2), settings.rotation)[0]
    names = grid_names(settings.rows, settings.columns)
    return on_skin(names, centres, settings.plate, skin, settings.rotation)


def rings(settings: RingSettings, skin: Skin) -> Electrodes:
    """Return the electrodes of bracelets, ring by ring in the order given; errors as in `on_skin`.

    Within a ring all gaps are equally long along the skin at constant z.
    """
    turn = settings.first_angle + np.linspace(0, 2 * np.pi, 1441)
    centres = []
    for ring, z in enumerate(settings.z):
        around = _places([f"ring {ring}"] * len(turn), turn, np.full_like(turn, z), skin)
        length = np.append(0.0, np.linalg.norm(np.diff(around, axis=0), axis=1).cumsum())
        wanted = length[-1] * np.arange(settings.electrodes) / settings.electrodes
        centres.append(skin.at(np.interp(wanted, length, turn), np.full_like(wanted, z)))
    names = grid_names(len(settings.z), settings.electrodes)
    return on_skin(names, np.concatenate(centres), settings.plate, skin)


def listed(settings: ListSettings, skin: Skin) -> Electrodes:
    """Return electrodes at the places of the skin nearest to those listed; errors as in `on_skin`.

    Raises ValueError also for a place further from the skin than the settings allow.
    """
    names, places = tuple(settings.places), np.array(list(settings.places.values()))
    centres = skin.project(places)
    distance = np.linalg.norm(centres - places, axis=1)
    if distance.max() > settings.furthest:
        far = distance.argmax()
        raise ValueError(
            f"electrodes: {names[far]} at {np.round(1e3 * places[far], 1).tolist()} mm is "
            f"{1e3 * distance[far]:.1f} mm from the skin; at most {1e3 * settings.furthest:.1f} mm allowed"
        )
    return on_skin(names, centres, settings.plate, skin, settings.rotation)


def on_skin(
    names: Sequence[str],
    centres: Float[Array, "electrode xyz"],
    shape: Disc | Rectangle,
    skin: Skin,
    rotation: float = 0.0,
) -> Electrodes:
    """Return electrodes of one shape at centres on the skin [m].

    rotation: of the plates, counter-clockwise seen from outside [rad].

    Raises ValueError, with names and values, for electrodes over the limb's ends (a centre of NaN stands
    for one that lies there) and for electrodes that overlap; they may touch.
    """
    offsets, weight, area = plate(shape)
    points = np.full((len(names), len(offsets), 3), np.nan)
    held = ~np.isnan(centres).any(1)
    points[held] = lay(skin, centres[held], offsets, rotation)
    _refuse_beyond(names, np.isnan(points).any((1, 2)), centres[:, 2], skin)
    _refuse_overlap(names, centres, shape, skin, rotation)
    n = len(names)
    return Electrodes(tuple(names), centres, points, np.tile(weight, (n, 1)), np.full(n, area))


def _centred(count: int) -> Float[Array, " count"]:
    return np.arange(count, dtype=np.float64) - (count - 1) / 2


def _places(names: Sequence[str], angle: Array, z: Array, skin: Skin) -> Float[Array, "place xyz"]:
    """Return the places on the skin at angles and z; ValueError beyond the limb's ends."""
    _refuse_beyond(names, ~((skin.ends[0] <= z) & (z <= skin.ends[1])), z, skin)
    return skin.at(angle, z)


def _refuse_beyond(names: Sequence[str], lost: Bool[NDArray, " name"], z: Array, skin: Skin) -> None:
    if lost.any():
        first = int(lost.argmax())
        where = "" if np.isnan(z[first]) else f" at z = {1e3 * z[first]:.1f} mm"
        raise ValueError(
            f"electrodes: {names[first]}{where} leaves the limb, which spans "
            f"{1e3 * skin.ends[0]:.1f} to {1e3 * skin.ends[1]:.1f} mm"
        )


def _refuse_overlap(
    names: Sequence[str], centres: Array, shape: Disc | Rectangle, skin: Skin, rotation: float
) -> None:
    """Raise ValueError for two plates that overlap, judged in the tangent plane of the first."""
    if isinstance(shape, Disc):
        wide, size = 2 * shape.radius, f"{2e3 * shape.radius:.2f} mm wide"
    else:
        wide = float(np.hypot(shape.length, shape.width))
        size = f"{1e3 * shape.length:.2f} x {1e3 * shape.width:.2f} mm large"
    touching = 1 - 1e-6
    pairs = cKDTree(centres).query_pairs(wide * touching, output_type="ndarray")
    if isinstance(shape, Rectangle) and len(pairs):
        along, around, _ = frame(skin, centres[pairs[:, 0]])
        apart = centres[pairs[:, 1]] - centres[pairs[:, 0]]
        u, v = ((apart * axis).sum(1) for axis in (along, around))
        cos, sin = np.cos(rotation), np.sin(rotation)
        over_length = np.abs(cos * u - sin * v) < touching * shape.length
        over_width = np.abs(sin * u + cos * v) < touching * shape.width
        pairs = pairs[over_length & over_width]
    if len(pairs) and wide:
        first, second = min(pairs.tolist())
        apart = 1e3 * np.linalg.norm(centres[first] - centres[second])
        raise ValueError(
            f"electrodes: {names[first]} and {names[second]} overlap, with {apart:.2f} mm between their "
            f"centres and plates {size}"
        )
