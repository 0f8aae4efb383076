"""MUAPs of the simulated forearm behave as those that electrodes on skin have recorded."""

import dataclasses

import numpy as np
import pytest
import torch

from numerical.along_fibres import unit_field
from numerical.anatomy.forearm import ForearmSettings, forearm, mesh
from numerical.conductor import Conductivities
from numerical.electrodes import electrode_array
from numerical.fibres import Fibres
from numerical.lead_field import LeadField, lead_field
from numerical.muap import muap
from numerical.skin import LimbSkin
from tests.numerical.conftest import COARSE, SMALL_ARRAY
from tests.numerical.homogeneous import homogeneous_field

RATE = 4096.0
TIMES = np.arange(240) / RATE
ROWS, COLUMNS = SMALL_ARRAY.rows, SMALL_ARRAY.columns  # 16 mm apart along the limb, 60 degrees around it
VOLAR = 0  # the column at angle 0, under which the units lie
CENTRE = SMALL_ARRAY.centre


def unit(field: LeadField, rho: float, velocity=4.0, length=0.12, zone=0.35) -> torch.Tensor:
    """The MUAP [row, column, time] of 7 fibres about a place at angle 0, rho of the way to the fascia."""
    turn = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    x, y = rho + 0.03 * np.cos(turn), 0.03 * np.sin(turn)
    start = CENTRE - length / 2
    ends = (np.full(7, end) for end in (start + zone * length, start, start + length))
    return muap(unit_field(field, x, y), Fibres(*ends), velocity, TIMES).reshape(ROWS, COLUMNS, -1)


def size(potential: torch.Tensor) -> float:
    return float(potential.square().mean().sqrt())


def differential(potential: torch.Tensor) -> torch.Tensor:
    return torch.diff(potential, dim=0)


def median_frequency(signal: np.ndarray, rate: float) -> float:
    """The frequency [Hz] that halves the power of a signal."""
    power = np.abs(np.fft.rfft(signal, 1 << 16)) ** 2
    part = power.cumsum() / power.sum()
    return float(np.interp(0.5, part, np.fft.rfftfreq(1 << 16, 1 / rate)))


def test_amplitude_falls_with_depth(coarse_field):
    # Roeleveld, Stegeman, Vingerhoets, van Oosterom 1997, Acta Physiologica Scandinavica 160: the surface
    # potential of a motor unit falls steadily with its depth, bipolar ones more steeply than monopolar ones.
    depths = [unit(coarse_field, rho)[:, VOLAR] for rho in (0.9, 0.75, 0.6, 0.45, 0.3)]
    monopolar = np.array([size(potential) for potential in depths])
    bipolar = np.array([size(differential(potential)) for potential in depths])
    assert (np.diff(monopolar) < 0).all()
    assert (np.diff(bipolar) < 0).all()
    assert bipolar[0] / bipolar[-1] > monopolar[0] / monopolar[-1]


@pytest.fixture(scope="module")
def fat_fields():
    """Lead fields of forearms that differ in fat alone, their muscles straight."""
    fields = []
    for thickness in (0.001, 0.004, 0.008):
        limb = dataclasses.replace(forearm(ForearmSettings(fat_thickness=thickness)), warp=None)
        array = electrode_array(SMALL_ARRAY, LimbSkin(limb))
        fields.append(lead_field(mesh(limb, COARSE), Conductivities(), array, tolerance=1e-5))
    return fields


def just_below_the_fascia(field: LeadField) -> torch.Tensor:
    """A unit 6 mm below the fascia, whatever the fat above it takes of the muscles."""
    limb = field.mesh.limb
    at_the_fascia = limb.outer_radii(np.array(0.0), np.array(CENTRE))[0]
    return unit(field, float(1 - 0.006 / at_the_fascia))


def test_amplitude_falls_with_fat_thickness(fat_fields):
    # Kuiken, Lowery, Stoykov 2003, Prosthetics and Orthotics International 27: every millimetre of fat
    # between muscle and electrode lowers the amplitude.
    sizes = [size(differential(just_below_the_fascia(field)[:, VOLAR])) for field in fat_fields]
    assert sizes[0] > 1.2 * sizes[1] > 1.2**2 * sizes[2]


def test_fat_spreads_potentials_around_the_limb(fat_fields):
    # The same study: crosstalk, the part of the amplitude that is seen elsewhere, grows with fat.
    shares = []
    for field in fat_fields:
        seen = differential(just_below_the_fascia(field))
        shares.append(size(seen[:, VOLAR + 1]) / size(seen[:, VOLAR]))
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize("velocity", [3.0, 4.5, 5.5])
def test_spectrum_shifts_with_conduction_velocity_in_proportion(coarse_field, velocity):
    # Lindstrom, Magnusson 1977, Proceedings of the IEEE 65: the power spectrum is G(f / v) / v^2. Time enters
    # the source as v t alone, so that over a whole MUAP this holds of any lead field, exactly.
    long = np.arange(1024) / RATE
    x, y = np.array([0.8]), np.array([0.0])
    fibre = Fibres(*(np.array([z]) for z in (CENTRE - 0.02, CENTRE - 0.06, CENTRE + 0.06)))
    field = unit_field(coarse_field, x, y)
    waves = (muap(field, fibre, v, long).reshape(ROWS, COLUMNS, -1)[:, VOLAR] for v in (velocity, 4.0))
    fast, reference = (median_frequency(differential(w)[0].double().numpy(), RATE) for w in waves)
    # Potentials on the skin hold next to nothing beyond half the sampling rate, 2 kHz.
    assert fast / reference == pytest.approx(velocity / 4.0, rel=1e-3)


@pytest.mark.parametrize(("length", "velocity"), [(0.08, 4.0), (0.12, 4.0), (0.12, 3.0), (0.14, 5.0)])
def test_duration_scales_with_fibre_length_over_velocity(coarse_field, length, velocity):
    # Dimitrova 1974, Electromyography and Clinical Neurophysiology 14; Gootzen, Stegeman, van Oosterom 1991,
    # Electroencephalography and Clinical Neurophysiology 81: the last component of a MUAP appears when the
    # wave meets the tendon, everywhere at once. Between two lengths and velocities it moves by the difference
    # of semi-length / velocity.
    def end(length, velocity):
        seen = unit(coarse_field, 0.7, velocity, length, zone=0.5).flatten(0, 1).abs()
        late = TIMES * velocity > 0.35 * length
        far = seen[:, late].amax(1).argsort()[: len(seen) // 2]
        return TIMES[late][seen[far][:, late].sum(0).argmax()]

    delay = end(length, velocity) - end(0.10, 4.0)
    # The taper of the window is a tenth of each semi-length, which shifts the component's middle by at most
    # half of that; a sample is 0.24 ms.
    expected = length / 2 / velocity - 0.05 / 4.0
    assert delay == pytest.approx(expected, abs=0.05 * abs(expected) + 1.5 / RATE)


def test_end_of_fibre_components_decay_slower_than_propagating_ones():
    # Stegeman, Dumitru, King, Roeleveld 1997, Journal of Clinical Neurophysiology 14; Farina, Merletti,
    # Stegeman 2004 in Electromyography (IEEE Press): what travels falls off like a tripole, what stands at
    # the tendon like a dipole, one power of the distance less.
    distances = np.array([0.02, 0.04, 0.08])
    times = np.arange(480) / RATE
    electrode = np.array([0.04])
    travelling, standing = [], []
    for distance in distances:
        field = homogeneous_field([distance], electrode, np.arange(-0.4, 0.4, 0.002))
        fibre = Fibres(*(np.array([z]) for z in (-0.18, -0.30, 0.22)))
        seen = muap(field, fibre, 4.0, times)[0].numpy()
        # At 4 m/s the wave passes the electrode after 55 ms and ends after 100 ms.
        travelling.append(np.ptp(seen[(times > 0.045) & (times < 0.065)]))
        standing.append(np.ptp(seen[(times > 0.085) & (times < 0.115)]))
    wave, end = (-np.diff(np.log(found)) for found in (travelling, standing))
    assert (wave > end).all()
    assert (end > 0).all()


def test_ends_weigh_more_beside_the_unit_than_above_it(coarse_field):
    # The same in the limb: what stands at the fibres' ends is a growing part of the MUAP with distance around
    # it, and differences along the limb suppress it (the same chapter). On the far side nothing travels any
    # more, and the part grows no further.
    seen = unit(coarse_field, 0.8, zone=0.25)
    ending = TIMES > 0.017

    def share(potential):
        return size(potential[..., ending]) / size(potential[..., ~ending])

    around = [share(seen[:2, column]) for column in range(COLUMNS // 2)]
    assert (np.diff(around) > 0).all()
    assert share(differential(seen)[0, VOLAR]) < share(seen[:2, VOLAR])


def test_crosstalk_falls_with_distance_around_the_limb(coarse_field):
    # Winter, Fuglevand, Archer 1994, Journal of Electromyography and Kinesiology 4; De Luca, Merletti 1988,
    # Electroencephalography and Clinical Neurophysiology 69: neighbours of an active muscle record less of
    # it the further they are, and differential channels less than monopolar ones.
    seen = unit(coarse_field, 0.8)
    monopolar, bipolar = (
        np.array([size(signal[:, column]) for column in range(COLUMNS)])
        for signal in (seen, differential(seen))
    )
    for amplitude in (monopolar, bipolar):
        one_side, other_side = amplitude[: COLUMNS // 2 + 1], amplitude[[0, *range(COLUMNS - 1, 2, -1)]]
        assert (np.diff(one_side) < 0).all()
        assert (np.diff(other_side) < 0).all()
    assert bipolar[1] / bipolar[0] < monopolar[1] / monopolar[0]
