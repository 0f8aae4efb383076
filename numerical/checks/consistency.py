"""A forearm's equations, sources and sums turned into checks against other ways to compute the same."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from numerical.action_potential import AMPLITUDE, source_strength
from numerical.along_fibres import UnitField, unit_field
from numerical.anatomy.forearm import ARRAY_CENTRE, forearm, mesh
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.segment import LimbResolution
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array, selection
from numerical.fibres import Fibres, muscle_regions, place_fibres
from numerical.lead_field import LeadField, System, solve_lead_field, system
from numerical.muap import muap
from numerical.report import Check, Plot, Quantity, new_figure, plain_axes
from numerical.skin import LimbSkin
from numerical.solver import solve
from numerical.style import COLOURS

Array = NDArray[np.float64]

ARRAY = ArraySettings(rows=5, columns=8)
TIMES = np.arange(160) / 4096  # s
VELOCITY = 4.0  # m/s
STEP = 0.1e-3  # m, of the plain sum over a fibre
COUNT = 40  # fibres of the unit

# An endless anisotropic medium, whose lead field is known: the point source of Plonsey, Barr 2007.
ALONG, ACROSS = 0.5, 0.1  # S/m
DISTANCES = 1e-3 * np.array([3.0, 10.0, 20.0])  # m, between fibre and electrodes
ELECTRODES = 1e-3 * np.arange(-40.0, 41.0, 8.0)  # m, along the fibre
END_PLATE, ENDS = 0.004, (-0.09, 0.09)  # m
NODES = 1e-3 * np.arange(-120.0, 120.5, 0.5)  # m, where the lead field is known


def equations_check(resolution: LimbResolution) -> Check:
    """Return the check of a forearm's stiffness matrix, its solver and reciprocity."""
    swept = mesh(forearm(), resolution)
    body = system(swept, Conductivities())
    matrix, size = body.matrix, abs(body.matrix).max()
    electrodes = electrode_array(ARRAY, LimbSkin(forearm()))
    drive = sparse.csr_array(selection(body.mesh, electrodes, order=3).toarray() - body.reference)
    solution = solve(matrix, drive, body.preconditioner)
    left = drive.toarray().T - matrix @ solution.potential.double().numpy()
    recomputed = (np.linalg.norm(left, axis=0) / sparse.linalg.norm(drive, axis=1)).max()
    x, y, fibres = _unit(swept)
    found, better = (
        muap(unit_field(solve_lead_field(body, electrodes, tolerance=t), x, y), fibres, VELOCITY, TIMES)
        for t in (1e-3, 1e-8)
    )
    return Check(
        name="equations",
        title="Equations of a forearm and their solution",
        what="The stiffness matrix of a forearm with bones is symmetric and gives no current for a constant "
        "potential; the solver's residual is what it says; a source's potential at an electrode is the "
        "electrode's potential at the source.",
        measure="Largest entries relative to the largest of the matrix; largest relative residual of any "
        "electrode, as reported and as recomputed from the result, which is kept in single precision; "
        "largest difference between the potentials both ways, relative to the largest potential, with both "
        "solved to 1e-8; relative L2 change of the MUAP of a unit when lead fields are solved to 1e-8 "
        "instead of the 1e-3 that corpora use.",
        source="Rounding in double precision for the matrix; the tolerance asked for the residual, and as "
        "much again for the rounding of the result; the tolerance of the solves times the condition of the "
        "preconditioned matrix for reciprocity; a tenth of the discretisation error for the MUAP.",
        quantities=(
            Quantity("asymmetry", float(abs(matrix - matrix.T).max() / size), at_most=1e-13),
            Quantity(
                "current of a constant",
                float(np.abs(matrix @ np.ones(matrix.shape[0])).max() / size),
                at_most=1e-12,
            ),
            Quantity("reported residual", solution.residual, at_most=1e-5),
            Quantity("recomputed residual", float(recomputed), at_most=2e-5),
            Quantity("failure of reciprocity", _reciprocity(body), at_most=1e-5),
            Quantity("change of a MUAP", 100 * _relative(found, better), "%", at_most=0.2),
        ),
    )


def _reciprocity(body: System) -> float:
    """Return how far driving sources and reading electrodes is from the lead field, relative."""
    electrodes = electrode_array(ARRAY, LimbSkin(forearm()))
    sources = np.array([[0.02, 0.01, 0.08], [-0.01, 0.02, 0.12], [0.0, -0.025, 0.10]])
    adjoint = solve_lead_field(body, electrodes, tolerance=1e-8).at(sources)
    drive = sparse.csr_array(body.mesh.weights(sources).toarray() - body.reference)
    potential = solve(body.matrix, drive, body.preconditioner, tolerance=1e-8).potential.double().numpy()
    read = selection(body.mesh, electrodes, order=3) @ potential - body.reference @ potential
    return float(np.abs(read - adjoint).max() / np.abs(adjoint).max())


def source_check() -> Check:
    """Return the check of the travelling source: its charge, and its potential against plain quadrature."""
    fields = [_endless_medium(NODES, distance) for distance in DISTANCES]
    found = np.stack([_alone(field) for field in fields])
    along = np.linspace(*ENDS, 1 + round((ENDS[1] - ENDS[0]) / (STEP / 5)))
    expected = np.stack(
        [plain_sum(_endless_medium(along, d), along - END_PLATE, VELOCITY, TIMES) for d in DISTANCES]
    )
    net = np.abs(_alone(np.full_like(fields[0], fields[0].max()))).max() / np.abs(found[0]).max()
    figure = new_figure(2.8)
    for axes, distance, a, b in zip(
        figure.subplots(1, len(DISTANCES)), DISTANCES, found, expected, strict=True
    ):
        axes.plot(1e3 * TIMES, 1e6 * b[3], color="0.75", lw=4, label="plain quadrature")
        axes.plot(1e3 * TIMES, 1e6 * a[3], color=COLOURS[0], lw=1, label="simulator")
        plain_axes(axes, "time (ms)", "", f"{1e3 * distance:g} mm from the fibre")
    figure.axes[0].set_ylabel("potential (µV)")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False
    )
    return Check(
        name="source",
        title="The travelling source",
        what="The potential of a fibre in an endless anisotropic medium, whose lead field is known in closed "
        "form, against the source density of Farina et al. 2004 summed as it is written, without "
        "integration by parts; and the potential in a uniform lead field, which sees only net charge.",
        measure=f"Relative L2 difference over {len(ELECTRODES)} electrodes along the fibre and time; largest "
        "potential in a uniform lead field as high as the highest of the medium's, relative to the largest "
        "in the medium.",
        source="Cells of 0.5 mm lose 0.03 % of the potential 3 mm from a fibre; single precision loses 1e-7 "
        "of every term, of which a uniform field keeps some hundreds.",
        quantities=[
            *(
                Quantity(f"difference at {1e3 * d:g} mm", 100 * _relative(a, b), "%", at_most=0.1)
                for d, a, b in zip(DISTANCES, found, expected, strict=True)
            ),
            Quantity("potential of net charge", float(net), at_most=1e-4),
        ],
        plots=(Plot(figure, f"Potential {1e3 * ELECTRODES[3]:g} mm from the array's middle, both ways."),),
    )


def _alone(field: Float[Array, "node electrode"]) -> Float[Array, "electrode time"]:
    """Return the potential [V] of one fibre from its lead field at `NODES`."""
    along = UnitField(torch.ones(1, 1), torch.as_tensor(field)[None].float(), NODES, (NODES - NODES[0])[None])
    fibre = Fibres(*(np.array([z]) for z in (END_PLATE, *ENDS)))
    return muap(along, fibre, VELOCITY, TIMES).double().numpy()


def sum_check(resolution: LimbResolution) -> Check:
    """Return the check of MUAPs in a forearm against plain sums over every fibre of the unit."""
    swept = mesh(forearm(), resolution)
    body = system(swept, Conductivities())
    field = solve_lead_field(body, electrode_array(ARRAY, LimbSkin(forearm())), tolerance=1e-4)
    x, y, fibres = _unit(swept)
    velocities = VELOCITY + 0.3 * np.linspace(-1, 1, COUNT)
    of_unit = unit_field(field, x, y)
    shared, own = (muap(of_unit, fibres, v, TIMES) for v in (VELOCITY, velocities))
    plain_shared, plain_own = (
        _sum_over_fibres(field, x, y, fibres, np.broadcast_to(v, COUNT)) for v in (VELOCITY, velocities)
    )
    return Check(
        name="sum",
        title="MUAPs against sums fibre by fibre",
        what=f"MUAPs of a superficial unit of {COUNT} fibres, from few components of the lead field and "
        f"common cells, against the source density summed every {1e3 * STEP:g} mm along every fibre's own "
        "curve in the mesh.",
        measure=f"Relative L2 difference over {len(electrode_array(ARRAY, LimbSkin(forearm())))} electrodes "
        "and time, for fibres that share one velocity and for fibres with velocities of their own.",
        source="Components cut at 1e-4 of the lead field lose 0.1 % of a MUAP and cells of 0.5 mm 0.1 %; "
        "one arc length for all fibres of a unit costs as much again.",
        quantities=(
            Quantity("one velocity", 100 * _relative(shared, plain_shared), "%", at_most=0.5),
            Quantity("own velocities", 100 * _relative(own, plain_own), "%", at_most=0.5),
        ),
    )


def plain_sum(
    potential: Float[Array, "place electrode"],
    from_end_plate: Float[Array, " place"],
    velocity: float,
    times: Float[Array, " time"],
) -> Float[Array, "electrode time"]:
    """Return the potential [V] of one fibre: its source density times the lead field, summed as written.

    potential: lead field along the fibre [V/A], from one end to the other. from_end_plate: distance along
    the fibre [m], negative on the proximal side.

    I(x, t) = s d/dx [ psi(x - v t) w(x; L_distal) - psi(-x - v t) w(-x; L_proximal) ]; Farina et al. 2004,
    with the potential of Rosenfalck 1969, whose slope psi(u) is 96 (d^3 - 3 d^2) exp(-d) V/m at d = -u in mm.
    """
    distance, side = np.abs(from_end_plate), np.sign(from_end_plate)
    length = np.where(side < 0, distance[0], distance[-1])
    behind = np.maximum(1e3 * (velocity * times - distance[:, None]), 0)  # mm
    slope = 1e3 * AMPLITUDE * (behind**3 - 3 * behind**2) * np.exp(-behind)
    to_end = np.minimum(distance, length - distance) / (0.1 * length)
    window = np.where(to_end < 1, 0.5 - 0.5 * np.cos(np.pi * to_end.clip(0, 1)), 1.0)
    current = source_strength() * np.diff((side * window)[:, None] * slope, axis=0)
    return ((potential[1:] + potential[:-1]) / 2).T @ current


def _sum_over_fibres(
    field: LeadField, x: Array, y: Array, fibres: Fibres, velocities: Float[Array, " fibre"]
) -> Float[Array, "electrode time"]:
    """Return the sum over fibres of `plain_sum`, with the lead field read along each one's own curve."""
    total = np.zeros((field.potential.shape[1], len(TIMES)))
    ends = zip(fibres.proximal_end, fibres.end_plate, fibres.distal_end, strict=True)
    for rho, angle, (first, z0, last), velocity in zip(
        np.hypot(x, y), np.arctan2(y, x), ends, velocities, strict=True
    ):
        z = np.concatenate([np.arange(first, z0, STEP), np.arange(z0, last, STEP), [last]])
        places = field.mesh.limb.place(rho, angle, z)  # type: ignore[attr-defined]
        arc = np.concatenate([[0.0], np.linalg.norm(np.diff(places, axis=0), axis=1).cumsum()])
        total += plain_sum(field.at(places, order=3).T, arc - np.interp(z0, z, arc), velocity, TIMES)
    return total


def _unit(swept: SweptMesh) -> tuple[Array, Array, Fibres]:
    """Return places in the disc and fibres of one unit of the first muscle, below the array."""
    rng = np.random.default_rng(0)
    regions = muscle_regions(swept.limb)
    centre = regions.extent(0)[0]
    x, y = regions.sample(0, COUNT, rng, centre, 0.1)
    fibres = place_fibres(
        len(x),
        fibre_centre=ARRAY_CENTRE,
        fibre_length=0.07,
        innervation_zone=0.45,
        end_plate_spread=0.002,
        fibre_end_spread=0.002,
        rng=rng,
    )
    return x, y, fibres


def _endless_medium(z: Float[Array, " place"], distance: float) -> Float[Array, "place electrode"]:
    """Return the potential [V/A] of unit sources along z at electrodes that lie `distance` from them [m]."""
    stretched = np.sqrt((z[:, None] - ELECTRODES) ** 2 + ALONG / ACROSS * distance**2)
    return 1 / (4 * np.pi * ACROSS * stretched)


def _relative(found: object, expected: object) -> float:
    """Return the relative L2 difference of two arrays."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
