"""NGSolve's geometric multigrid CG on a layered cylinder, timed beside ours on a mesh of equal size.

A coarse mesh is refined evenly by NGSolve, which gives its multigrid the levels it needs; ours gets a swept
mesh of the same cylinder with about as many vertices. Both solve for electrodes one block at a time as
each does best (NGSolve: one; ours: sixteen), to the same relative residual.
"""

import os
import time
from collections.abc import Callable

import numpy as np

from numerical.anatomy.cylinder import LayeredCylinder
from numerical.anatomy.cylinder_mesh import conductivities, cylinder
from numerical.anatomy.mesh import SweptMesh
from numerical.electrodes import ArraySettings, electrode_array
from numerical.lead_field import solve_lead_field, system
from numerical.skin import LimbSkin

LAYERS = LayeredCylinder(bone_radius=0.010, muscle_radius=0.0357, fat_radius=0.0387, skin_radius=0.040)
HALF_LENGTH = 0.15  # m
REFINEMENTS = 2
ELECTRODES = 32


def cylinder_mesh(refinement: int) -> SweptMesh:
    """Return the cylinder meshed evenly, `refinement` times finer than the coarse mesh in each direction."""
    coarse = (0.5, 1, 1.33, 1.67, 2, 2.5, 3, 4)
    nodes = np.arange(len(coarse) * refinement + 1) / refinement
    rings = np.interp(nodes, np.arange(len(coarse) + 1), (0, *coarse))[1:]
    angles = np.linspace(0, 2 * np.pi, 20 * refinement, endpoint=False)
    slices = np.linspace(-HALF_LENGTH, HALF_LENGTH, 25 * refinement + 1)
    return SweptMesh(cylinder(LAYERS, HALF_LENGTH), rings, angles, slices)


def ours(tolerance: float) -> tuple[int, float, float, float]:
    """Return vertices, seconds of set-up and per electrode, and the residual reached."""
    mesh = cylinder_mesh(2**REFINEMENTS)
    grid = ArraySettings(rows=4, columns=ELECTRODES // 4, centre=0.0)
    electrodes = electrode_array(grid, LimbSkin(mesh.limb))
    start = time.perf_counter()
    prepared = system(mesh, conductivities(LAYERS))
    ready = time.perf_counter()
    field = solve_lead_field(prepared, electrodes, tolerance=tolerance)
    return mesh.vertices, ready - start, (time.perf_counter() - ready) / ELECTRODES, field.residual


def theirs(tolerance: float) -> tuple[int, float, float, float]:
    """Return the same of NGSolve."""
    import ngsolve as ng
    from ngsolve.krylovspace import CGSolver

    ng.SetNumThreads(os.cpu_count() or 1)
    with ng.TaskManager():
        start = time.perf_counter()
        mesh = _ngsolve_mesh(cylinder_mesh(1))
        tissue = conductivities(LAYERS)
        pairs = {name: (getattr(tissue, name),) * 2 for name in ("bone", "fat", "skin")}
        pairs["muscle"] = (tissue.muscle_transverse, tissue.muscle_longitudinal)
        tensors = {n: ng.CF((a, 0, 0, 0, a, 0, 0, 0, z), dims=(3, 3)) for n, (a, z) in pairs.items()}
        sigma = mesh.MaterialCF(tensors)
        space = ng.H1(mesh, order=1, autoupdate=True)
        u, v = space.TnT()
        form = ng.BilinearForm(space)
        # A trace of mass stands for the reference that an insulated body lacks.
        form += (sigma * ng.grad(u)) * ng.grad(v) * ng.dx + 1e-6 * u * v * ng.dx
        preconditioner = ng.Preconditioner(form, "multigrid")
        form.Assemble()
        for _ in range(REFINEMENTS):
            mesh.Refine()
            form.Assemble()
        ready = time.perf_counter()
        skin = np.flatnonzero(_on_skin(mesh))
        chosen = skin[np.linspace(0, len(skin) - 1, ELECTRODES).astype(int)]
        solver = CGSolver(form.mat, preconditioner.mat, tol=tolerance, maxiter=200)
        drive, potential, rest = (form.mat.CreateColVector() for _ in range(3))
        residual = 0.0
        for vertex in chosen:
            drive.FV().NumPy()[:] = -1 / mesh.nv
            drive.FV().NumPy()[vertex] += 1
            potential.data = solver * drive
            rest.data = drive - form.mat * potential
            residual = max(residual, ng.Norm(rest) / ng.Norm(drive))
        return mesh.nv, ready - start, (time.perf_counter() - ready) / ELECTRODES, residual


def _ngsolve_mesh(swept: SweptMesh):  # type: ignore[no-untyped-def]
    """Return a swept mesh as NGSolve's, one material for each tissue."""
    import netgen.meshing as netgen
    import ngsolve as ng

    mesh = netgen.Mesh(dim=3)
    mesh.AddPoints(np.ascontiguousarray(swept.points))
    for index, tissue in enumerate(np.unique(swept.tissue), start=1):
        corners = swept.tetrahedra[swept.tissue == tissue]
        edges = swept.points[corners[:, 1:]] - swept.points[corners[:, :1]]
        corners = np.where(np.linalg.det(edges)[:, None] < 0, corners[:, [0, 1, 3, 2]], corners)
        mesh.Add(netgen.FaceDescriptor(bc=index, domin=index))
        mesh.AddElements(dim=3, index=index, data=np.ascontiguousarray(corners, np.int32), base=0)
        mesh.SetMaterial(index, str(tissue))
    return ng.Mesh(mesh)


def _on_skin(mesh) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return whether each vertex lies on the skin, within 40 mm of the middle."""
    places = np.array([vertex.point for vertex in mesh.vertices])
    return (np.hypot(*places[:, :2].T) > 0.99 * LAYERS.skin_radius * np.cos(np.pi / 20)) & (
        np.abs(places[:, 2]) < 0.04
    )


def compare(in_fresh_process: Callable, tolerance: float) -> list[tuple[str, float, str, str]]:
    """Return both tools' times, and the ratio of their times per electrode."""
    rows, per_electrode = [], {}
    for name, step in (("myomime", ours), ("ngsolve", theirs)):
        vertices, setup, each, residual = in_fresh_process(step, tolerance)
        size = f"{vertices} vertices of a cylinder, {ELECTRODES} electrodes"
        per_electrode[name] = each / vertices
        rows += [
            (f"{name}_setup_seconds", setup, "s", size),
            (f"{name}_seconds_per_electrode", each, "s", size),
            (f"{name}_largest_residual", residual, "1", size),
        ]
    ratio = per_electrode["ngsolve"] / per_electrode["myomime"]
    rows.append(("ngsolve_over_myomime_per_electrode_and_vertex", ratio, "1", "the same run"))
    return rows
