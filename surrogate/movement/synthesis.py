"""Discharges and the changing MUAPs of motor units to EMG: every discharge has the MUAP of its moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.threads import on_all_cores
from surrogate.generators import Generator
from surrogate.movement.drive import Discharges
from surrogate.movement.electrodes import Electrodes, recorded
from surrogate.movement.modulation import MuscleState
from surrogate.movement.muap_table import TOLERANCE, MuapTable, generated, muap_tables
from surrogate.movement.parts import Parts
from surrogate.movement.population import MotorUnits
from surrogate.movement.sampling import first_samples

Array = NDArray[np.float64]
Single = NDArray[np.float32]
Report = Callable[[str, float], None]

DISCHARGES_AT_ONCE = 16  # whose MUAPs are made together, so that they stay in the cache


@dataclass(frozen=True, eq=False)
class Contribution:
    """What the motor units of one muscle add to the EMG.

    emg: V, channels in the array's order, row by row. nodes: states in which MUAPs were generated, per
    unit, 0 for a silent one. interpolation_error: per unit, nRMSE measured between the nodes.
    """

    emg: Float[Single, "sample channel"]
    nodes: Int[NDArray[np.int64], " unit"]
    interpolation_error: Float[Array, " unit"]


def muscle_emg(
    generator: Generator,
    rest: Mapping[str, Float[Array, " unit"]],
    discharge_time: Float[Array, " discharge"],
    discharge_unit: Int[NDArray[np.int64], " discharge"],
    state: MuscleState,
    samples: int,
    tolerance: float = TOLERANCE,
    parts: Parts | None = None,
    visited: MuscleState | None = None,
) -> Contribution:
    """Return the EMG of the motor units of one muscle, whose state changes.

    rest: conditions at the optimal fibre length by name, SI units. discharge_time: s from the first
    sample. state: of the muscle at each discharge. samples: of the EMG, at the generator's rate.
    tolerance: nRMSE of interpolation that no unit may exceed. parts: of the units, whose MUAPs are generated
    and added up; without them units are generated whole. visited: states that the muscle passes through,
    those at discharges by default.
    A MUAP's sample 0 sits at its discharge, rounded to the nearest sample; overlapping discharges
    add; what reaches beyond the end is cut. Units that do not discharge cost nothing.
    Raises ValueError as `generator.sample` does, and for a discharge outside the recording.
    """
    units = len(next(iter(rest.values())))
    rate, length = generator.geometry.sampling_rate, generator.geometry.samples
    start = first_samples(discharge_time, rate)
    if len(start) and not (start.min() >= 0 and start.max() <= samples):
        raise ValueError(
            f"discharges from {discharge_time.min():g} to {discharge_time.max():g} s leave the "
            f"recording of {samples / rate:g} s"
        )
    channels = generator.geometry.rows * generator.geometry.columns
    emg = np.zeros((samples + length, channels), np.float32)
    nodes, error = np.zeros(units, np.int64), np.zeros(units)
    active, unit = np.unique(discharge_unit, return_inverse=True)
    if len(active):
        tables = muap_tables(generator, rest, visited or state, tolerance, parts, active)
        add_discharges(emg, tables, unit, state.table, start)
        nodes[active] = [len(table.nodes) for table in tables]
        error[active] = [table.error for table in tables]
    return Contribution(emg[:samples], nodes, error)


def add_discharges(
    emg: Float[Single, "sample channel"],
    tables: Sequence[MuapTable],
    unit: Int[NDArray[np.intp], " discharge"],
    states: Float[Array, "discharge dimension"],
    start: Int[NDArray[np.intp], " discharge"],
) -> None:
    """Add to an EMG [V], in place, the MUAP of every discharge.

    unit: index into the tables. start: sample of each discharge; the EMG must hold a whole MUAP from there.
    """
    for index in np.unique(unit):
        mine = np.flatnonzero(unit == index)
        for some in np.array_split(mine, -(-len(mine) // DISCHARGES_AT_ONCE)):
            muaps = tables[index].muaps(states[some]).numpy()
            for sample, muap in zip(start[some].tolist(), muaps, strict=True):
                emg[sample : sample + len(muap)] += muap


def contributions(
    generator: Generator,
    units: MotorUnits,
    parts: Parts,
    discharges: Discharges,
    frame_time: Float[Array, " frame"],
    states: Sequence[MuscleState],
    samples: int,
    tolerance: float = TOLERANCE,
) -> Iterator[Contribution]:
    """Yield every muscle's contribution to the EMG.

    frame_time: s from the first sample. states: of each muscle at the frames.
    """

    def of_muscle(muscle: int) -> Contribution:
        mine, state = units.of(muscle), states[muscle]
        chosen = np.isin(discharges.motor_unit, mine)
        when = discharges.time[chosen]
        return muscle_emg(
            generator,
            {name: values[mine] for name, values in units.conditions.items()},
            when,
            np.searchsorted(mine, discharges.motor_unit[chosen]),
            state.at(frame_time, when),
            samples,
            tolerance,
            parts.of(mine),
            state,
        )

    yield from on_all_cores(of_muscle, range(len(states)))


def summed(
    added: Iterator[Contribution],
    generator: Generator,
    electrodes: Electrodes | None,
    shape: tuple[int, int],
    muscles: int,
    report: Report,
) -> tuple[Float[Single, "channel sample"], dict[str, np.ndarray]]:
    """Return the EMG [V] and each muscle's RMS, nodes and interpolation errors.

    shape: samples and channels.
    """
    emg = np.zeros(shape, np.float32)
    rms, nodes, errors = [], [], []
    for muscle, part in enumerate(added):
        alone = recorded(part.emg, electrodes, generator.geometry)
        emg += alone
        rms.append(np.sqrt(np.mean(np.square(alone), axis=0, dtype=float)))
        nodes.append(part.nodes)
        errors.append(part.interpolation_error)
        report("synthesis", (muscle + 1) / muscles)
    return np.ascontiguousarray(emg.T), {
        "muscle_rms": np.stack(rms),
        "motor_unit_interpolation_nodes": np.concatenate(nodes),
        "motor_unit_interpolation_error": np.concatenate(errors),
    }


def mean_muaps(
    generator: Generator,
    units: MotorUnits,
    parts: Parts,
    states: Sequence[MuscleState],
    electrodes: Electrodes | None,
) -> Float[Single, "motor_unit channel time"]:
    """Return every motor unit's MUAP [V] in the mean state of its muscle, at the electrodes' first places."""

    def of_muscle(muscle: int) -> Float[Single, "unit channel time"]:
        mine, state = units.of(muscle), states[muscle]
        rest = {name: values[mine] for name, values in units.conditions.items()}
        mean = MuscleState.of_table(state.table.mean(0, keepdims=True), state.slide)
        muaps = generated(generator, rest, np.arange(len(mine)), mean, parts.of(mine))[:, 0].numpy()
        if electrodes is not None:
            muaps = muaps @ electrodes.weights(generator.geometry, 0.0).T.astype(np.float32)
        return np.ascontiguousarray(muaps.transpose(0, 2, 1))

    return np.concatenate(list(on_all_cores(of_muscle, range(len(states)))))
