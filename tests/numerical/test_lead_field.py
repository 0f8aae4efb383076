"""Lead fields obey reciprocity, scaling and symmetry and agree with the analytical cylinder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from numerical.anatomy import cylinder_mesh
from numerical.anatomy.cylinder import LayeredCylinder, skin_potential
from numerical.anatomy.forearm import forearm, mesh
from numerical.conductor import Conductivities, conductivity_tensors, end_sections, stiffness
from numerical.electrodes import ArraySettings, electrode_array, on_skin, selection
from numerical.lead_field import lead_field
from numerical.recording_surface import Disc
from numerical.skin import LimbSkin
from numerical.solver import BYTES_PER_UNKNOWN, LARGEST_BLOCK, block_size, multigrid, solve
from tests.numerical.conftest import COARSE, SMALL_ARRAY

SOURCES = np.array([[0.02, 0.01, 0.08], [-0.01, 0.02, 0.12], [0.0, -0.025, 0.10]])


def test_reciprocity(coarse_field):
    # Driving the source and reading the electrodes gives what driving the electrodes and reading the
    # source gave, to the tolerance of the two solves.
    swept = coarse_field.mesh
    sigma = conductivity_tensors(swept, Conductivities())
    remote = end_sections(swept, sigma)
    weights = swept.weights(SOURCES)
    drive = sparse.csr_array(weights.toarray() - remote)
    matrix = stiffness(swept, sigma)
    forward = solve(matrix, drive, multigrid(matrix), tolerance=1e-8).potential.double().numpy()
    array = electrode_array(SMALL_ARRAY, LimbSkin(swept.limb))
    read = selection(swept, array) @ forward - remote @ forward
    adjoint = coarse_field.at(SOURCES)
    np.testing.assert_allclose(read, adjoint, atol=1e-5 * np.abs(adjoint).max())


def test_potential_falls_as_conductivities_rise(coarse_field):
    defaults = Conductivities()
    doubled = Conductivities(**{k: 2 * v for k, v in defaults.model_dump().items()})
    array = electrode_array(SMALL_ARRAY, LimbSkin(coarse_field.mesh.limb))
    other = lead_field(coarse_field.mesh, doubled, array, tolerance=1e-8)
    np.testing.assert_allclose(2 * other.at(SOURCES), coarse_field.at(SOURCES), rtol=1e-5, atol=1e-5)


def test_conductivity_scales_out_with_the_size_of_the_limb(coarse_field):
    # In a limb c times larger the same current gives potentials 1/c as large.
    limb = coarse_field.mesh.limb
    large = replace(
        limb,
        thicknesses=tuple(2 * t for t in limb.thicknesses),
        outline_z=tuple(2 * z for z in limb.outline_z),
        outline_radius=tuple(2 * r for r in limb.outline_radius),
        warp=replace(limb.warp, levels=2 * limb.warp.levels),
    )
    swept = type(coarse_field.mesh)(
        large, coarse_field.mesh.rings, coarse_field.mesh.angles, 2 * coarse_field.mesh.slices
    )
    array = electrode_array(SMALL_ARRAY, LimbSkin(limb))
    array = replace(array, centre=2 * array.centre, points=2 * array.points, area=4 * array.area)
    other = lead_field(swept, Conductivities(), array, tolerance=1e-8)
    np.testing.assert_allclose(2 * other.at(2 * SOURCES), coarse_field.at(SOURCES), rtol=1e-4, atol=1e-4)


def test_symmetric_limb_gives_symmetric_potentials():
    # Without bones the forearm is its own mirror image in the x-z plane; diagonals of the mesh are not,
    # which is worth the discretisation error of a few per cent at this resolution.
    limb = forearm()
    bare = type(limb)(
        limb.tissues,
        limb.thicknesses,
        limb.outline_z,
        limb.outline_radius,
        limb.outline_ellipticity,
    )
    angles = np.radians([40.0, -40.0])
    skin = LimbSkin(bare)
    electrodes = on_skin(("left", "right"), skin.at(angles, 0.095), Disc(radius=0.002), skin)
    field = lead_field(mesh(bare, COARSE), Conductivities(), electrodes)
    mirrored = SOURCES * [1, -1, 1]
    left, right = field.at(SOURCES)[0], field.at(mirrored)[1]
    np.testing.assert_allclose(left, right, rtol=0.03)


def test_an_electrode_alone_reads_what_it_reads_in_the_array(coarse_field):
    # In the array its solve starts from the row before; to the tolerance of the solves, nothing changes.
    array = electrode_array(SMALL_ARRAY, LimbSkin(coarse_field.mesh.limb))
    last = array.chosen(array.names[-1:])
    alone = lead_field(coarse_field.mesh, Conductivities(), last, tolerance=1e-8).at(SOURCES)[0]
    together = coarse_field.at(SOURCES)[-1]
    np.testing.assert_allclose(alone, together, atol=1e-5 * np.abs(together).max())


def second_difference_error(layers, max_vertices):
    """Normalised squared error of the 4 mm second difference along z, per depth and angle."""
    depth, angle = np.array([1e-3, 5e-3, 11e-3]), np.radians([0.0, 20.0])
    z = 1e-3 * np.arange(-30, 31)
    cover = layers.skin_radius - layers.muscle_radius
    swept = cylinder_mesh.mesh(layers, cover + depth[0], z[-1], max_vertices)
    point = ArraySettings(rows=1, columns=1, centre=0.0, electrode_radius=0.0)
    electrode = electrode_array(point, LimbSkin(swept.limb))
    field = lead_field(swept, cylinder_mesh.conductivities(layers), electrode)
    radius, around, along = np.meshgrid(layers.muscle_radius - depth, angle, z, indexing="ij")
    places = np.stack([radius * np.cos(around), radius * np.sin(around), along], -1)
    found = field.at(places.reshape(-1, 3), order=3).reshape(radius.shape)
    exact = skin_potential(layers, depth, angle, z)
    found, exact = (p[..., 8:] - 2 * p[..., 4:-4] + p[..., :-8] for p in (found, exact))
    return ((found - exact) ** 2).sum(-1) / (exact**2).sum(-1)


CASES = [
    LayeredCylinder(0.010, 0.036, 0.039, 0.0403),
    LayeredCylinder(0.012, 0.038, 0.039, 0.040, 0.01, 0.07, 0.6, 0.0573, 0.5),
    LayeredCylinder(0.008, 0.026, 0.036, 0.038, 0.05, 0.13, 0.3, 0.03, 0.1),
]


@pytest.mark.slow
@pytest.mark.parametrize("layers", CASES)
def test_agreement_with_the_analytical_cylinder(layers):
    assert second_difference_error(layers, 300_000).max() < 0.01


def test_convergence_to_the_analytical_cylinder():
    # P1 potentials converge with the square of the spacing h, and vertices grow as h^-3, so the squared
    # error falls as vertices^(-4/3): by 2.5 for twice as many, and the plateau of the sources' own
    # interpolation is far below.
    layers = CASES[0]
    coarse, fine = (second_difference_error(layers, n).mean() for n in (12_000, 48_000))
    assert fine < 0.01
    assert coarse / fine > 3.5


def test_electrodes_average_over_their_disc(coarse_field):
    swept = coarse_field.mesh
    array = electrode_array(SMALL_ARRAY, LimbSkin(swept.limb))
    s = selection(swept, array)
    np.testing.assert_allclose(s.sum(1), 1, atol=1e-12)
    # A disc centred at z reads z from a potential that is z. It bends with the limb: its mean lies
    # radius^2 / 8 R = 12 um below its tangent plane, of which a slope of a tenth makes 1 um along z.
    np.testing.assert_allclose(s @ swept.points[:, 2], array.centre[:, 2], atol=3e-6)


def test_electrodes_beyond_the_limb_are_refused():
    with pytest.raises(ValueError, match=r"r4c0 at z = 276\.0 mm leaves the limb"):
        electrode_array(ArraySettings(centre=0.28), LimbSkin(forearm()))


def test_net_current_is_refused(coarse_field):
    swept = coarse_field.mesh
    a = stiffness(swept, conductivity_tensors(swept, Conductivities()))
    with pytest.raises(ValueError, match="net current"):
        solve(a, swept.weights(SOURCES), multigrid(a))


def test_failure_to_converge_is_an_error_with_the_residual(coarse_field):
    swept = coarse_field.mesh
    sigma = conductivity_tensors(swept, Conductivities())
    drive = sparse.csr_array(swept.weights(SOURCES).toarray() - end_sections(swept, sigma))
    matrix = stiffness(swept, sigma)
    with pytest.raises(RuntimeError, match="relative residual"):
        solve(matrix, drive, multigrid(matrix), tolerance=1e-10, max_iterations=3)


def test_memory_bounds_the_block_and_not_the_result(coarse_field):
    swept = coarse_field.mesh
    sigma = conductivity_tensors(swept, Conductivities())
    drive = sparse.csr_array(swept.weights(SOURCES).toarray() - end_sections(swept, sigma))
    matrix = stiffness(swept, sigma)
    hierarchy = multigrid(matrix)
    one = matrix.shape[0] * BYTES_PER_UNKNOWN
    assert [block_size(matrix.shape[0], m * one) for m in (1, 2.5, 1000)] == [1, 2, LARGEST_BLOCK["cpu"]]
    together, alone = (
        solve(matrix, drive, hierarchy, tolerance=1e-6, memory=m).potential for m in (4e9, one)
    )
    # Both have residuals below 1e-6; a lead field differs by the few ten times that its conditioning allows.
    assert torch.linalg.norm(together - alone) < 1e-4 * torch.linalg.norm(together)
    with pytest.raises(ValueError, match="one right-hand side"):
        solve(matrix, drive, hierarchy, memory=0.9 * one)
