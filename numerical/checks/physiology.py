"""Sweeps of a simulated forearm turned into checks that it behaves as recordings from people do."""

from functools import cache

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.along_fibres import unit_field
from numerical.anatomy.forearm import ARRAY_CENTRE, ForearmSettings, forearm, mesh
from numerical.anatomy.segment import LimbResolution
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, column_angles, electrode_array
from numerical.emg import sum_discharges
from numerical.fibres import Fibres, muscle_regions, place_fibres
from numerical.force import ForceSettings, muscle_force, twitches
from numerical.lead_field import LeadField, lead_field
from numerical.motor_units import PoolSettings, motor_unit_pool
from numerical.muap import muap
from numerical.recruitment import (
    RecruitmentSettings,
    discharge_rates,
    discharge_times,
    recruitment_thresholds,
)
from numerical.report import MARKS, Check, Plot, Quantity, new_figure, plain_axes
from numerical.skin import LimbSkin
from numerical.style import COLOURS

Array = NDArray[np.float64]

ARRAY = ArraySettings(rows=10, columns=12)
LINE = ArraySettings(rows=10, columns=1)  # the first column alone
RATE = 4096.0  # Hz
TIMES = np.arange(240) / RATE
FAT = (0.001, 0.003, 0.006, 0.010)  # m
FAT_OF_SWEEPS = 0.003  # m, in all checks but the first
DEPTHS = 1e-3 * np.array([3.0, 5.0, 7.0, 9.0, 12.0, 15.0])  # m, below the fascia
DEPTH = 0.006  # m
VELOCITIES = np.array([2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5])  # m/s
LENGTHS = np.array([0.08, 0.10, 0.12, 0.14])  # m
LENGTH, ZONE = 0.12, 0.35  # m, and place of the end-plate as a part of it
EXCITATIONS = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
DURATION = 6.0  # s, of which the first holds the rise of force
UNITS = PoolSettings(motor_units=60, largest=150)
PAIR = ARRAY.rows // 2  # the differential pair between this row and the next, distal of the end-plate


@cache
def forearm_field(
    resolution: LimbResolution, fat_thickness: float = FAT_OF_SWEEPS, array: ArraySettings = ARRAY
) -> LeadField:
    """Return the lead fields of an array on a forearm under fat of a thickness [m]."""
    limb = forearm(ForearmSettings(fat_thickness=fat_thickness))
    electrodes = electrode_array(array, LimbSkin(limb))
    return lead_field(mesh(limb, resolution), Conductivities(), electrodes, tolerance=1e-4)


def potential(
    field: LeadField,
    depth: float = DEPTH,
    *,
    velocity: float = 4.0,
    length: float = LENGTH,
    zone: float = ZONE,
    times: Float[Array, " time"] = TIMES,
) -> Float[Array, "row column time"]:
    """Return the potential [V] of one fibre below the electrodes at angle 0, `depth` below the fascia [m]."""
    core = float(forearm_core(field))
    start = ARRAY_CENTRE - length / 2
    fibre = Fibres(*(np.array([z]) for z in (start + zone * length, start, start + length)))
    along = unit_field(field, np.array([1 - depth / core]), np.array([0.0]))
    return muap(along, fibre, velocity, times).double().numpy().reshape(ARRAY.rows, -1, len(times))


def forearm_core(field: LeadField) -> float:
    """Return the distance of the fascia from the axis at angle 0 in the middle of the array [m]."""
    return float(field.mesh.limb.outer_radii(np.array(0.0), np.array(ARRAY_CENTRE))[0])  # type: ignore[attr-defined]


def differential(waves: Float[Array, "row column time"]) -> Float[Array, "column time"]:
    """Return what the pair of rows in `PAIR` records [V], in every column."""
    return waves[PAIR + 1] - waves[PAIR]


def depth_check(resolution: LimbResolution) -> Check:
    """Return the check that amplitudes fall with depth and with fat."""
    amplitude = 1e9 * np.array(
        [
            [
                np.ptp(differential(potential(forearm_field(resolution, fat, LINE), depth))[0])
                for depth in DEPTHS
            ]
            for fat in FAT
        ]
    )
    figure = new_figure(3.0)
    axes = figure.subplots()
    for index, (fat, row) in enumerate(zip(FAT, amplitude, strict=True)):
        axes.semilogy(
            1e3 * DEPTHS, row, marker=MARKS[index], color=COLOURS[index], label=f"fat {1e3 * fat:g} mm"
        )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    plain_axes(axes, "depth of the fibre below the fascia (mm)", "peak to peak (nV)")
    return Check(
        name="depth",
        title="Amplitude by depth and fat",
        what="Peak-to-peak amplitude of one fibre in a differential channel, by its depth below the fascia "
        "and by the fat above.",
        measure="Largest ratio of the amplitudes of neighbours in depth, deeper over shallower, and in fat, "
        "thicker over thinner.",
        source="Both fall steadily: Roeleveld, Stegeman, Vingerhoets, van Oosterom 1997 (depth); Kuiken, "
        "Lowery, Stoykov 2003 (fat).",
        quantities=(
            Quantity("deeper over shallower", float((amplitude[:, 1:] / amplitude[:, :-1]).max()), at_most=1),
            Quantity("thicker fat over thinner", float((amplitude[1:] / amplitude[:-1]).max()), at_most=1),
        ),
        plots=(Plot(figure, "Amplitude of one fibre by its depth, for four thicknesses of fat."),),
        data={"depth_mm": 1e3 * DEPTHS, "fat_mm": 1e3 * np.array(FAT), "peak_to_peak_nV": amplitude},
    )


def spectrum_check(resolution: LimbResolution) -> Check:
    """Return the check that the spectrum scales with conduction velocity."""
    field = forearm_field(resolution)
    long = np.arange(1024) / RATE
    median = np.array(
        [
            median_frequency(differential(potential(field, velocity=v, times=long))[0], RATE)
            for v in VELOCITIES
        ]
    )
    ratio = median / VELOCITIES
    figure = new_figure(3.0)
    axes = figure.subplots()
    axes.plot(
        [0, VELOCITIES[-1]], [0, VELOCITIES[-1] * ratio.mean()], "--", color="0.4", label="in proportion"
    )
    axes.plot(VELOCITIES, median, MARKS[0], color=COLOURS[0], label="simulated")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    plain_axes(axes, "conduction velocity (m/s)", "median frequency (Hz)")
    return Check(
        name="spectrum",
        title="Spectrum by conduction velocity",
        what="Median frequency of one fibre's potential in a differential channel, by conduction velocity.",
        measure="Largest departure of median frequency over velocity from its mean.",
        source="In proportion: Lindström, Magnusson 1977. Time enters the source as velocity times time "
        "alone, so that only sampling is left.",
        quantities=(
            Quantity("departure", 100 * float(np.abs(ratio / ratio.mean() - 1).max()), "%", at_most=0.5),
        ),
        plots=(Plot(figure, "Median frequency by velocity, and the line through the origin."),),
        data={"velocity_m_per_s": VELOCITIES, "median_frequency_Hz": median},
    )


def median_frequency(signal: Float[Array, " time"], rate: float) -> float:
    """Return the frequency [Hz] that halves the power of a signal sampled at `rate` [Hz]."""
    power = np.abs(np.fft.rfft(signal, 1 << 16)) ** 2
    part = power.cumsum() / power.sum()
    return float(np.interp(0.5, part, np.fft.rfftfreq(1 << 16, 1 / rate)))


def duration_check(resolution: LimbResolution) -> Check:
    """Return the check that potentials last as long as the wave needs to the fibre's ends."""
    field = forearm_field(resolution)
    velocities = np.array([3.0, 4.0, 5.0])
    long = np.arange(1024) / RATE
    expected = LENGTHS[:, None] / 2 / velocities
    found = np.array(
        [
            [
                _ending(potential(field, velocity=v, length=L, zone=0.5, times=long), L / 2 / v)
                for v in velocities
            ]
            for L in LENGTHS
        ]
    )
    slope = float(np.polyfit(expected.ravel(), found.ravel(), 1)[0])
    figure = new_figure(3.0)
    axes = figure.subplots()
    for index, velocity in enumerate(velocities):
        axes.plot(
            1e3 * expected[:, index],
            1e3 * found[:, index],
            marker=MARKS[index],
            ls="",
            color=COLOURS[index],
            label=f"{velocity:g} m/s",
        )
    ends = 1e3 * np.array([expected.min(), expected.max()])
    axes.plot(ends, ends, "--", color="0.4", label="when the wave is there")
    axes.legend(frameon=False)
    plain_axes(axes, "semi-length over velocity (ms)", "time of the last component (ms)")
    return Check(
        name="duration",
        title="Duration by fibre length and velocity",
        what="Time at which the component appears that stands at the fibres' ends, for fibres of 80 to 140 "
        "mm innervated in the middle, and three velocities.",
        measure="Slope of that time against the semi-length over the velocity.",
        source="One: Dimitrova 1974; Gootzen, Stegeman, van Oosterom 1991. Windows that close over the last "
        "tenth of a semi-length bring the component forward by up to a tenth.",
        quantities=(Quantity("slope", slope, at_least=0.9, at_most=1.1),),
        plots=(Plot(figure, "Time of the last component, and the time at which the wave reaches the ends."),),
        data={"expected_ms": 1e3 * expected, "found_ms": 1e3 * found, "velocity_m_per_s": velocities},
    )


def _ending(waves: Float[Array, "row column time"], expected: float) -> float:
    """Return when [s] the potential far from the fibre, where only its ends are seen, is largest.

    expected: when the wave reaches the ends; what comes before two thirds of that is the start.
    """
    times = np.arange(waves.shape[-1]) / RATE
    late = times > expected * 2 / 3
    far = np.abs(waves[:, ARRAY.columns // 4 : -(ARRAY.columns // 4)]).mean((0, 1))
    return float(times[late][far[late].argmax()])


def crosstalk_check(resolution: LimbResolution) -> Check:
    """Return the check that amplitudes fall around the limb, differential ones faster."""
    field = forearm_field(resolution)
    waves = potential(field)
    half = ARRAY.columns // 2 + 1
    angles = np.degrees(column_angles(ARRAY))[:half]
    amplitudes = {
        "monopolar": np.sqrt((waves[PAIR] ** 2).mean(-1))[:half],
        "differential": np.sqrt((differential(waves) ** 2).mean(-1))[:half],
    }
    shares = {name: 100 * amplitude / amplitude[0] for name, amplitude in amplitudes.items()}
    figure = new_figure(3.0)
    axes = figure.subplots()
    for index, (name, share) in enumerate(shares.items()):
        axes.semilogy(angles, share, marker=MARKS[index], color=COLOURS[index], label=name)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(angles)
    axes.legend(frameon=False)
    plain_axes(axes, "angle around the limb (degrees)", "RMS, relative (%)")
    beside = {name: share[ARRAY.columns // 4] for name, share in shares.items()}
    return Check(
        name="crosstalk",
        title="Crosstalk by distance",
        what=f"RMS of the potential of one fibre {1e3 * DEPTH:g} mm below the fascia, around the limb.",
        measure="Largest ratio of neighbours, the farther over the nearer; what is left a quarter turn away.",
        source="Falls with distance, differential channels faster: De Luca, Merletti 1988; Winter, "
        "Fuglevand, Archer 1994. On the far side of a limb, potentials hardly change any more.",
        quantities=(
            *(
                Quantity(
                    f"farther over nearer, {name}, first quarter turn",
                    float((share[1:] / share[:-1])[: ARRAY.columns // 4].max()),
                    at_most=1,
                )
                for name, share in shares.items()
            ),
            Quantity("monopolar a quarter turn away", float(beside["monopolar"]), "%"),
            Quantity(
                "differential a quarter turn away",
                float(beside["differential"]),
                "%",
                at_most=float(beside["monopolar"]),
            ),
        ),
        plots=(Plot(figure, "RMS by the angle from the fibre, relative to that above it."),),
        data={"angle_deg": angles, **{f"{name}_percent": share for name, share in shares.items()}},
    )


def excitation_check(resolution: LimbResolution, seed: int) -> Check:
    """Return the check that rates, EMG and force of a muscle rise with excitation."""
    field = forearm_field(resolution)
    rng = np.random.default_rng(seed)
    recruitment = RecruitmentSettings()
    muaps = _muaps_of_pool(field, rng)
    wave = twitches(UNITS.motor_units, ForceSettings(), recruitment)
    amplitude, force = [], []
    for excitation in EXCITATIONS:
        drive = np.full(round(100 * DURATION), excitation)
        time, unit = discharge_times(
            drive, 100.0, UNITS.motor_units, recruitment, np.random.default_rng(seed)
        )
        settled = slice(round(RATE), None)
        emg = sum_discharges(muaps, time, unit, RATE, DURATION)[..., settled]
        amplitude.append(1e6 * float(np.sqrt((emg.astype(np.float64) ** 2).mean(-1)).max()))
        force.append(100 * muscle_force(time, unit, wave, RATE, DURATION)[settled].mean())
    thresholds = recruitment_thresholds(UNITS.motor_units, recruitment)
    rates = discharge_rates(EXCITATIONS, thresholds, recruitment)
    mean_rate = rates.sum(0) / (rates > 0).sum(0)
    rise = {"EMG": np.array(amplitude), "force": np.array(force)}
    figure = new_figure(2.8)
    panels = {
        "mean rate (Hz)": mean_rate,
        "EMG, RMS (µV)": rise["EMG"],
        "force (% MVC)": rise["force"],
    }
    for index, (axes, (label, values)) in enumerate(zip(figure.subplots(1, 3), panels.items(), strict=True)):
        axes.plot(100 * EXCITATIONS, values, marker=MARKS[index], color=COLOURS[index])
        axes.set_ylim(bottom=0)
        plain_axes(axes, "excitation (%)", label)
    return Check(
        name="excitation",
        title="EMG and force by excitation",
        what=f"A pool of {UNITS.motor_units} units of a superficial muscle at constant excitation: mean rate "
        "of the units that discharge, differential EMG of the channel that sees most, and force.",
        measure="Least ratio of neighbours in excitation, higher over lower; force at full excitation.",
        source="EMG and force rise with excitation by recruitment and rate coding (Fuglevand, Winter, Patla "
        "1993); force is relative to that at full excitation, from which intervals depart by chance.",
        quantities=(
            *(
                Quantity(f"{name}, higher over lower", float((v[1:] / v[:-1]).min()), at_least=1)
                for name, v in rise.items()
            ),
            Quantity("force at full excitation", force[-1], "% MVC", at_least=95, at_most=105),
        ),
        plots=(Plot(figure, "Mean rate of the units that discharge, EMG and force, by excitation."),),
        data={"excitation": EXCITATIONS, "mean_rate_Hz": mean_rate, "emg_rms_uV": amplitude}
        | {"force_percent_mvc": force},
    )


def _muaps_of_pool(
    field: LeadField, rng: np.random.Generator
) -> Float[NDArray[np.float32], "motor_unit channel time"]:
    """Return the MUAPs [V] in differential channels of the units of the first, superficial muscle."""
    limb = field.mesh.limb  # type: ignore[attr-defined]
    pool, muscle = motor_unit_pool(muscle_regions(limb), 0, UNITS, rng), limb.muscles[0]
    muaps = []
    for unit in range(UNITS.motor_units):
        x, y = pool.fibres_of(unit)
        fibres = place_fibres(
            len(x),
            fibre_centre=ARRAY_CENTRE,
            fibre_length=muscle.fibre_length,
            innervation_zone=0.5,
            end_plate_spread=0.03 * muscle.fibre_length,
            fibre_end_spread=0.03 * muscle.fibre_length,
            rng=rng,
        )
        waves = muap(unit_field(field, x, y), fibres, 4.0, TIMES).numpy()
        muaps.append(np.diff(waves.reshape(ARRAY.rows, ARRAY.columns, -1), axis=0).reshape(-1, len(TIMES)))
    return np.stack(muaps)
