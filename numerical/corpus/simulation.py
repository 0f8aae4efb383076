"""One conductor of a corpus simulated: everything that the store keeps of it."""

from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS
from numerical.corpus.sampling import (
    SampledUnit,
    sample_conductor,
    sample_draws,
    sample_unit,
    scatter_generator,
)
from numerical.corpus.settings import CorpusSettings, conductivities
from numerical.corpus.stored_unit import (
    COMPONENTS,
    StoredUnit,
    at_stored_positions,
    stored_positions,
    with_expected_scatter,
)
from numerical.electrodes import electrode_array
from numerical.fibres import MuscleRegions, even_scatter, layout, muscle_regions
from numerical.lead_field import LeadField, lead_field
from numerical.motor_units import territory_radius
from numerical.muap import unit_field
from numerical.skin import LimbSkin
from numerical.threads import one_thread

Arrays = dict[str, NDArray]


def simulate_conductor(settings: CorpusSettings, conductor: int, device: str = "cpu") -> Arrays:
    """Return everything a corpus keeps of one conductor, one array per variable of the store.

    On one CPU core, whatever the caller uses: the same machine gives the same bits.
    Raises what meshing, solving and placing fibres raise.
    """
    values = sample_conductor(settings, conductor)
    with one_thread():
        field, regions, centre = solved(settings, values, device)
        units = [
            simulate_unit(settings, values, field, regions, centre, (conductor, unit))
            for unit in range(settings.units)
        ]
    return {name: np.concatenate([unit[name] for unit in units]) for name in units[0]}


def solved(
    settings: CorpusSettings, values: dict[str, float], device: str = "cpu"
) -> tuple[LeadField, MuscleRegions, float]:
    """Return the lead fields of a conductor, its muscles, and z of its array's centre [m]."""
    segment, size = SEGMENTS[settings.limb], settings.limb_settings(values)
    limb = segment.limb(size)
    centre = settings.array.centre * size.length_scale + values["array_shift"]
    first = settings.array.first_angle + values["array_angle"]
    array = settings.array.model_copy(update={"centre": centre, "first_angle": first})
    field = lead_field(
        segment.mesh(limb, settings.resolution, centre),
        conductivities(values),
        electrode_array(array, LimbSkin(limb)),
        tolerance=settings.solver_tolerance,
        device=device,
    )
    return field, muscle_regions(limb), centre


def simulate_unit(
    settings: CorpusSettings,
    values: dict[str, float],
    field: LeadField,
    regions: MuscleRegions,
    centre: float,
    place: tuple[int, int],
) -> Arrays:
    """Return what is kept of a motor unit, its `place` the conductor and its number there."""
    sampled = sample_unit(settings, *place)
    muscle = regions.limb.muscles[sampled.muscle]
    x, y = unit_places(sampled, regions)
    lying = layout(regions.limb, x, y, centre)
    spreads = tuple(muscle.fibre_length * s for s in (sampled.end_plate_spread, sampled.fibre_end_spread))
    along = at_stored_positions(unit_field(field, x, y), centre, stored_positions(settings))
    middle = muscle.fibre_centre + sampled.fibre_centre - centre
    if settings.motor_unit.scatter == "expected":
        unit = with_expected_scatter(
            along.field[0],
            along.positions,
            number_of_fibres=len(x),
            fibre_centre=middle,
            end_plate_spread=spreads[0],
            fibre_end_spread=spreads[1],
        )
    else:
        each = (spreads[0], spreads[1], spreads[1])
        offsets = even_scatter(len(x), each, scatter_generator(settings, *place))
        unit = StoredUnit(along, offsets.astype(np.float32).astype(np.float64), middle)
    first_angle = settings.array.first_angle + values["array_angle"]
    draws = sample_draws(settings, *place)
    draws["fibre_length"] = muscle.fibre_length * draws["fibre_length"]
    conditions = (
        values
        | draws
        | {
            "number_of_fibres": len(x),
            **asdict(replace(lying, angle=(lying.angle - first_angle) % (2 * np.pi))),
            "fibre_centre": unit.fibre_centre,
            "end_plate_spread": spreads[0],
            "fibre_end_spread": spreads[1],
        }
    )
    table = [np.broadcast_to(conditions[name], settings.draws) for name in settings.condition_names]
    return {
        "conditions": np.stack(table, -1),
        "muscle": np.array([sampled.muscle], np.int16),
        **_lead_fields(settings, unit),
        **_muaps(settings, unit, draws),
    }


def unit_places(sampled: SampledUnit, regions: MuscleRegions) -> tuple[NDArray, NDArray]:
    """Return where the fibres of a unit lie in the disc: evenly in its territory in the muscle."""
    reach = float(territory_radius(regions, sampled.muscle, sampled.territory))
    middle = regions.extent(sampled.muscle)
    (cx,), (cy,) = regions.sample(sampled.muscle, 1, sampled.places, *middle)
    return regions.sample(
        sampled.muscle, sampled.number_of_fibres, sampled.places, (float(cx), float(cy)), reach
    )


def _lead_fields(settings: CorpusSettings, unit: StoredUnit) -> Arrays:
    """Return the lead fields of a unit as the settings ask, dimensions filled up with zeros."""
    if settings.contents.lead_fields == "none":
        return {}
    rows, columns = settings.array.rows, settings.array.columns
    along = unit.field.field.numpy().reshape(len(unit.field.field), -1, rows, columns)
    along = np.moveaxis(along, 1, -1).astype(np.float32)
    if not settings.keeps_fibres:
        return {"lead_field": along[None, :1]}
    fibres = most_fibres(settings)
    return {
        "lead_field": _filled(along, COMPONENTS)[None],
        "fibre_weight": _filled(_filled(unit.field.coefficients.numpy(), fibres).T, COMPONENTS).T[None],
        "fibre_arc_length": _filled(unit.field.arc_length.astype(np.float32), fibres)[None],
        "fibre_offset": _filled(unit.offsets.T.astype(np.float32), fibres)[None],
    }


def most_fibres(settings: CorpusSettings) -> int:
    """Return the largest number of fibres that the plan can draw."""
    return round(settings.motor_unit.number_of_fibres.support[1])


def _filled(values: NDArray, length: int) -> NDArray:
    return np.pad(values, ((0, length - len(values)), *((0, 0),) * (values.ndim - 1)))


def _muaps(settings: CorpusSettings, unit: StoredUnit, draws: dict[str, NDArray]) -> Arrays:
    """Return the MUAPs [V] of all draws of a unit, in float16 divided by their largest values."""
    if settings.contents.muaps == "none":
        return {}
    times = np.arange(settings.samples) / settings.sampling_rate
    shape = (settings.array.rows, settings.array.columns, settings.samples)
    every = np.stack(
        [
            unit.muap(times, **{name: float(value[i]) for name, value in draws.items()}).numpy()
            for i in range(settings.draws)
        ]
    ).reshape(-1, *shape)
    if settings.contents.muaps == "float32":
        return {"muap": every}
    scale = np.maximum(np.abs(every).max((1, 2, 3)), np.finfo(np.float32).tiny)
    return {"muap": (every / scale[:, None, None, None]).astype(np.float16), "muap_scale": scale}
