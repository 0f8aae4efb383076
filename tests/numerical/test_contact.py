"""Plates with contact impedance lie between the plain mean and perfect conductors, and stay reciprocal."""

import numpy as np
import pytest
from scipy import sparse

from numerical.conductor import Conductivities
from numerical.contact import SMALLEST_IMPEDANCE, contact_stiffness
from numerical.electrodes import RingSettings, rings, selection
from numerical.lead_field import solve_lead_field, system
from numerical.recording_surface import Disc
from numerical.skin import LimbSkin
from numerical.solver import multigrid, solve

SOURCES = np.array([[0.02, 0.01, 0.08], [-0.01, 0.02, 0.12], [0.0, -0.025, 0.10]])
IMPEDANCES = (10.0, 0.1, 0.01, 1e-3, 1e-4, SMALLEST_IMPEDANCE)  # Ohm m^2, from a plain mean to a plate


@pytest.fixture(scope="module")
def conductor(bare_mesh):
    return system(bare_mesh, Conductivities())


@pytest.fixture(scope="module")
def plates(bare_mesh):
    settings = RingSettings(z=(0.095,), electrodes=6, first_angle=0.1, plate=Disc(radius=0.006))
    return rings(settings, LimbSkin(bare_mesh.limb))


@pytest.fixture(scope="module")
def fields(conductor, plates):
    """Lead fields of the plates at every impedance."""
    return [solve_lead_field(conductor, plates, contact_impedance=z, tolerance=1e-7) for z in IMPEDANCES]


def under(mesh, electrodes, potential):
    """Return potentials [point, ...] at the points of the first electrode."""
    return mesh.weights(electrodes.points[0]) @ potential


def test_contact_is_symmetric_and_dissipates(conductor, plates):
    matrix = contact_stiffness(conductor.mesh, plates, 0.01)
    assert abs(matrix - matrix.T).max() < 1e-15
    size = abs(matrix).sum()
    np.testing.assert_allclose(matrix.sum(1), 0, atol=1e-14 * size)
    touched = np.unique(matrix.nonzero()[0])
    eigenvalues = np.linalg.eigvalsh(matrix.toarray()[np.ix_(touched, touched)])
    assert eigenvalues.min() > -1e-14 * size


def test_contact_is_the_variance_of_the_potential_under_the_plate(conductor, plates, rng):
    # phi^T C phi = |E| / z times the variance of phi over E, for every plate.
    potential = rng.normal(size=len(conductor.mesh.points))
    z = 0.02
    at = (conductor.mesh.weights(plates.points.reshape(-1, 3)) @ potential).reshape(len(plates), -1)
    expected = (plates.area / z * at.var(1)).sum()
    np.testing.assert_allclose(potential @ contact_stiffness(conductor.mesh, plates, z) @ potential, expected)


def test_fields_go_from_the_plain_mean_to_the_perfect_plate(conductor, plates, fields):
    # A current into a plate that leaves at the ends raises it by b^T A'^-1 b, which falls as conductance is
    # added (Rayleigh): from that of the bare skin, with a deficit proportional to 1 / z at first, by some
    # per cent to that of a perfect plate.
    drive = sparse.csr_array(selection(conductor.mesh, plates, order=1).toarray() - conductor.reference)
    bare = solve(conductor.matrix, drive, conductor.preconditioner, tolerance=1e-7).potential.double().numpy()
    raised = [np.sum(drive.toarray().T * f.potential.double().numpy(), 0) for f in fields]
    deficit = 1 - np.array(raised) / np.sum(drive.toarray().T * bare, 0)
    assert (np.diff(deficit, axis=0) > 0).all()
    np.testing.assert_allclose(deficit[1] / deficit[0], 100, rtol=0.1)
    assert deficit[0].max() < 1e-3
    assert deficit[-1].max() < 0.5


def test_plates_shunt_until_they_are_equipotential(conductor, plates, fields):
    # The potential that a source elsewhere, here the third plate, causes under the first one.
    spread = [np.ptp(under(conductor.mesh, plates, field.potential.numpy()[:, 2])) for field in fields]
    assert (np.diff(spread) < 0).all()
    assert spread[-1] < 0.05 * spread[0]


def test_reciprocity_with_plates(conductor, plates, fields):
    # Driving the sources and reading the mean of the plates gives the lead fields, to the solves' tolerance.
    field = fields[3]
    matrix = sparse.csr_matrix(conductor.matrix + contact_stiffness(conductor.mesh, plates, IMPEDANCES[3]))
    drive = sparse.csr_array(conductor.mesh.weights(SOURCES).toarray() - conductor.reference)
    forward = solve(matrix, drive, multigrid(matrix), tolerance=1e-7).potential.double().numpy()
    read = selection(conductor.mesh, plates, order=1) @ forward - conductor.reference @ forward
    adjoint = field.at(SOURCES)
    np.testing.assert_allclose(read, adjoint, atol=1e-4 * np.abs(adjoint).max())


def test_the_solver_takes_every_allowed_impedance(fields):
    # The hierarchy is that of the changed matrix. Plates that conduct 10 000 times better than usual tie all
    # vertices under them into one, which no smoother sees: up to twice as many iterations, not many times.
    iterations = [field.iterations for field in fields]
    assert max(iterations) <= 2 * min(iterations)


def test_points_have_no_contact(conductor, plates):
    skin = LimbSkin(conductor.mesh.limb)
    points = rings(RingSettings(electrodes=6, plate=Disc(radius=0.0)), skin)
    assert contact_stiffness(conductor.mesh, points, 0.01).count_nonzero() == 0


@pytest.mark.parametrize("impedance", [0.0, -1.0, 1e-6, float("nan")])
def test_too_small_an_impedance_is_refused(conductor, plates, impedance):
    with pytest.raises(ValueError, match="at least 1e-05"):
        contact_stiffness(conductor.mesh, plates, impedance)
