"""A forearm exported and imported again turned into the change of its MUAPs."""

import logging
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.fibre_field import with_fibres
from numerical.anatomy.forearm import ARRAY_CENTRE, forearm, mesh
from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh_skin import MeshSkin
from numerical.anatomy.mesher import INSTALL, MeshResolution
from numerical.anatomy.segment import LimbResolution
from numerical.anatomy.surfaces import SurfaceDescription, import_surfaces
from numerical.anatomy.voxels import VoxelDescription, import_image
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.export import export_surfaces, export_voxels
from numerical.fibre_paths import FibrePaths, swept_paths
from numerical.fibres import Fibres, muscle_regions
from numerical.lead_field import LeadField, lead_field
from numerical.muap import muap, unit_field_along
from numerical.report import MARKS, Check, Plot, Quantity, new_figure, plain_axes
from numerical.skin import LimbSkin
from numerical.style import COLOURS

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

NAME, TITLE = "imported", "Imported anatomy against the parametric one"
MUSCLES = ("FCU", "FCR", "BRD", "ECU")  # whose units are compared
ARRAY = ArraySettings(rows=5, columns=8)
RESOLUTION = MeshResolution(fine_from=0.05, fine_to=0.14, skin_edge=0.0015)
PACKAGES = ("pytetwild", "pyvista", "trimesh", "nibabel")
COUNT = 40  # fibres of each unit
TIMES = np.arange(96) / 2048  # s
VELOCITY = 4.0  # m/s
MOST_CHANGE = 5.0  # %
FINER = 1.5  # than the usual mesh of the parametric forearm, in every direction
LAPLACE = "Laplace directions"


def imported_check(resolution: LimbResolution) -> Check:
    """Return the check that a forearm gives the same MUAPs when it comes from files.

    resolution: of the parametric forearm.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        return skipped(f"needs {', '.join(missing)}: {INSTALL}")
    limb = forearm()
    units = [_paths(limb, [m.name for m in limb.muscles].index(name)) for name in MUSCLES]
    electrodes = electrode_array(ARRAY, LimbSkin(limb))
    reference = mesh(limb, resolution.refined(FINER))
    expected = _muaps(lead_field(reference, Conductivities(), electrodes), units)
    change, vertices = {}, {}
    ways: dict[str, Callable[[Limb, Path], TetrahedralMesh]] = {
        "surfaces": _through_surfaces,
        "voxels": _through_voxels,
    }
    for way, imported_through in ways.items():
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = imported_through(limb, Path(folder))
        log.info("  %s to %d vertices, %.0f s", way, found.vertices, time.perf_counter() - start)
        vertices[way] = found.vertices
        for kind, limb_mesh in ((way, found), (f"{way}, {LAPLACE}", with_fibres(found))):
            skin = MeshSkin(limb_mesh)
            muaps = _muaps(lead_field(limb_mesh, Conductivities(), electrode_array(ARRAY, skin)), units)
            change[kind] = (
                100 * np.linalg.norm(muaps - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))
            )
    figure = new_figure(2.6)
    axes = figure.subplots()
    for index, (way, values) in enumerate(change.items()):
        axes.plot(np.arange(len(MUSCLES)), values, MARKS[index], color=COLOURS[index], label=way)
    axes.axhline(MOST_CHANGE, color="0.3", ls="--", lw=1, label=f"target, {MOST_CHANGE:g} %")
    axes.set_xticks(np.arange(len(MUSCLES)), MUSCLES)
    axes.set_ylim(bottom=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    plain_axes(axes, "muscle of the unit", "change of the MUAP (%)")
    return Check(
        name=NAME,
        title=TITLE,
        what=f"A forearm with {len(limb.muscles)} muscles written as closed surfaces and as a labelled "
        "image, each with an image of fibre directions, meshed again from these files, and solved; then "
        "again with fibre directions from Laplace solutions between the muscles' ends.",
        measure=f"Norm over electrodes and time of the difference of the MUAP of {COUNT} fibres in each "
        "muscle from that of the parametric forearm, over the norm of the latter; fibres run on the same "
        "paths.",
        source="At most 5 %, the sum of what the mesh's own discretisation and the voxels cost; the "
        f"parametric forearm is meshed {FINER:g} times finer than usual. Laplace "
        "directions are another model of the muscle, a degree or two from the parametric limb's lines; "
        "what they change is stated without a target.",
        quantities=[
            *(
                Quantity(
                    f"largest change, {w}",
                    float(c.max()),
                    "%",
                    at_most=None if w.endswith(LAPLACE) else MOST_CHANGE,
                )
                for w, c in change.items()
            ),
            *(Quantity(f"vertices, {w}", count) for w, count in vertices.items()),
        ],
        plots=(Plot(figure, "Change of the MUAP of a unit of each muscle, by the kind of file."),),
        data={"muscle": MUSCLES, "change_percent": change},
    )


def skipped(reason: str) -> Check:
    """Return the check, not run."""
    return Check(name=NAME, title=TITLE, what="MUAPs of a forearm that comes from files.", not_run=reason)


def _through_surfaces(limb: Limb, folder: Path) -> TetrahedralMesh:
    text = export_surfaces(limb, folder).read_text()
    return import_surfaces(SurfaceDescription(**yaml.safe_load(text), resolution=RESOLUTION), folder)


def _through_voxels(limb: Limb, folder: Path) -> TetrahedralMesh:
    text = export_voxels(limb, folder / "limb.nii.gz").read_text()
    return import_image(VoxelDescription(**yaml.safe_load(text), resolution=RESOLUTION), folder)


def _paths(limb: Limb, muscle: int) -> FibrePaths:
    """Return the paths of a unit's fibres in a muscle, 75 mm long below the array."""
    rng = np.random.default_rng(muscle)
    regions = muscle_regions(limb)
    cx, cy = regions.sample(muscle, 1, rng)
    x, y = regions.sample(muscle, COUNT, rng, (float(cx[0]), float(cy[0])), 0.1)
    return swept_paths(limb, x, y, ARRAY_CENTRE - 0.035, ARRAY_CENTRE + 0.040)


def _muaps(field: LeadField, units: list[FibrePaths]) -> Float[Array, "unit electrode time"]:
    """Return the MUAPs [V] of units of fibres that run on given paths."""
    ends = Fibres(*(np.full(COUNT, part) for part in (0.4, 0.005, 0.995)))
    return np.stack(
        [muap(unit_field_along(field, paths), ends, VELOCITY, TIMES).double().numpy() for paths in units]
    )
