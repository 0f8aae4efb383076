"""Single-fibre potentials are exact for any velocity and diameter and add up to MUAPs."""

import numpy as np
import pytest
import torch

from numerical.muap import muap
from numerical.single_fibre import single_fibre_potentials
from tests.numerical.homogeneous import TIMES, fibres, homogeneous_field

DISTANCES = (0.006, 0.009, 0.015, 0.02)
END_PLATES = np.array([0.0031, -0.006, 0.0, 0.012])
VELOCITIES = np.array([2.7, 3.5, 4.4, 5.2])
DIAMETERS = np.array([35e-6, 51e-6, 60e-6, 74e-6])


def norm(values) -> float:
    return float(torch.linalg.norm(torch.as_tensor(values).double()))


@pytest.fixture(scope="module")
def potentials():
    return single_fibre_potentials(
        homogeneous_field(DISTANCES), fibres(END_PLATES), VELOCITIES, DIAMETERS, TIMES
    )


def test_each_is_the_muap_of_a_unit_of_one_fibre(potentials):
    # The aggregated form on other cells, each good to 0.07 % at 0.5 mm (see `CELL`).
    for i, distance in enumerate(DISTANCES):
        alone = muap(
            homogeneous_field([distance]),
            fibres(END_PLATES[i]),
            float(VELOCITIES[i]),
            TIMES,
            diameter=float(DIAMETERS[i]),
        )
        assert norm(potentials[i] - alone) < 1.4e-3 * norm(alone)


def test_their_sum_is_the_muap(potentials):
    together = muap(homogeneous_field(DISTANCES), fibres(END_PLATES), VELOCITIES, TIMES, diameter=DIAMETERS)
    # The same products in another order, in single precision.
    np.testing.assert_allclose(together, potentials.sum(0), atol=1e-5 * float(together.abs().max()))


def test_velocity_is_a_stretch_of_each_fibres_time(potentials):
    field, placed = homogeneous_field(DISTANCES), fibres(END_PLATES)
    for i, factor in enumerate((0.8, 1.0, 1.3, 0.9)):
        other = single_fibre_potentials(field, placed, factor * VELOCITIES, DIAMETERS, TIMES / factor)
        np.testing.assert_allclose(other[i], potentials[i], atol=1e-5 * float(potentials[i].abs().max()))


def test_amplitude_grows_with_the_square_of_the_diameter(potentials):
    other = single_fibre_potentials(
        homogeneous_field(DISTANCES), fibres(END_PLATES), VELOCITIES, 2 * DIAMETERS, TIMES
    )
    np.testing.assert_allclose(other, 4 * potentials, rtol=1e-5, atol=1e-12)


def test_shorter_cells_converge_and_the_default_is_close():
    # A fibre 3 mm away, as close as skin and fat let an electrode come. The rule is of fourth order, and
    # the front of the wave, a cubic that starts at zero, limits it to about third: 8 for half the cell.
    field, placed = homogeneous_field([0.003], nodes=np.arange(-0.16, 0.16, 0.5e-3)), fibres(0.0031)
    found = [
        single_fibre_potentials(field, placed, 4.0, 50e-6, TIMES, cell=cell)
        for cell in (0.125e-3, 0.5e-3, 1e-3)
    ]
    fine, coarse = (norm(potential - found[0]) / norm(found[0]) for potential in found[1:])
    assert fine < 1e-3
    assert coarse > 4 * fine


def test_cells_common_to_many_fibres_change_no_fibre(potentials):
    for i, distance in enumerate(DISTANCES):
        alone = single_fibre_potentials(
            homogeneous_field([distance]), fibres(END_PLATES[i]), VELOCITIES[i], DIAMETERS[i], TIMES
        )[0]
        # Fibres share ends here, so alone they have the same cells.
        np.testing.assert_allclose(alone, potentials[i], atol=1e-6 * float(alone.abs().max()))


def test_a_fibre_is_silent_before_it_starts_and_after_its_wave_has_settled():
    times = np.concatenate([[-0.01, 0.0], TIMES, [0.2]])
    found = single_fibre_potentials(homogeneous_field([0.006]), fibres(0.0), 4.0, 50e-6, times)[0]
    assert found[:, :2].abs().max() == 0
    # 90 mm at 4 m/s, and 23 mm for the wave to pass: 28 ms. Left of the wave is less than 1e-6.
    assert found[:, times > 0.029].abs().max() < 1e-5 * found.abs().max()


@pytest.mark.parametrize(
    ("velocities", "diameters", "message"),
    [
        (np.full(3, 4.0), 50e-6, "conduction velocity"),
        (0.0, 50e-6, "must be positive"),
        (4.0, np.array([50e-6, -1e-6, 50e-6, 50e-6]), "diameter"),
    ],
)
def test_impossible_fibres_are_refused(velocities, diameters, message):
    with pytest.raises(ValueError, match=message) as error:
        single_fibre_potentials(
            homogeneous_field(DISTANCES), fibres(END_PLATES), velocities, diameters, TIMES
        )
    assert "\n" not in str(error.value)
