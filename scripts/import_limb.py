"""Mesh a limb from surfaces or a voxel image: `python scripts/import_limb.py limb.yaml --output limb.npz`."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from numerical.anatomy.imported import TetrahedralMesh, save
from numerical.anatomy.limb_file import import_limb


@dataclass(frozen=True)
class Options:
    """Mesh a limb from closed surfaces or a labelled voxel image, once; `imported.load` reads it back.

    The description is a YAML or JSON file. Surfaces (STL, OBJ, PLY) lie one inside the other, the largest
    around all; what each holds and no smaller one does is of its tissue: skin, fat, muscle or bone.

        surfaces:
        - {file: skin.stl, tissue: skin}
        - {file: fascia.stl, tissue: fat}
        - {file: ulna.ply, tissue: bone}
        - {file: muscles.obj, tissue: muscle}         # shared out among the muscles inside it
        - {file: fcr.stl, tissue: muscle, name: FCR}
        placement: {unit: mm, origin: [0, 0, 0], distal: [0, 0, 1], angle_zero: [1, 0, 0]}
        muscle_ends:                                  # else the two ends of the muscle's long axis
          FCR: {proximal: [[20, 5, -60]], distal: [[8, 12, 210]], reach: 0.008}
        resolution: {skin_edge: 0.002, fine_from: 0.05, fine_to: 0.14}   # m

    An image (NIfTI) has labels in place of surfaces; 0 is what surrounds the limb:

        image: forearm.nii.gz
        labels:
          1: {tissue: skin}
          2: {tissue: fat}
          3: {tissue: bone}
          11: {tissue: muscle, name: FCR}

    Fibres run along the gradient of a Laplace solution between a muscle's ends, or as measured: the entry
    `fibre_directions: v1.nii.gz` names an image of vectors, such as the first eigenvectors of diffusion
    tensors, with components along the axes of the file's world coordinates and zero where unknown.

    Placement, muscle ends and resolution may be left out. Placement and the points of ends are in the
    files' coordinates and unit, lengths in m; in the limb z runs from proximal to distal through `origin`,
    and angle 0 is towards `angle_zero`. A forearm takes three to eight minutes.
    """

    description: tyro.conf.Positional[Path]
    """Description of the limb (YAML or JSON)."""
    output: Path
    """File for the mesh (.npz)."""


def report(mesh: TetrahedralMesh, console: Console) -> None:
    """Print size, quality, and the volumes of tissues and muscles."""
    corners = mesh.points[mesh.tetrahedra]
    edges = np.linalg.norm(corners[:, [0, 0, 0, 1, 1, 2]] - corners[:, [1, 2, 3, 2, 3, 3]], axis=-1)
    # 1 for a regular tetrahedron, 0 for a flat one (Liu, Joe 1994).
    quality = 12 * (3 * mesh.volume) ** (2 / 3) / (edges**2).sum(1)
    low, high = mesh.points.min(0), mesh.points.max(0)
    size = " x ".join(f"{1e3 * s:.0f}" for s in high - low)
    console.print(
        f"{mesh.vertices} vertices, {len(mesh.tetrahedra)} tetrahedra, {size} mm, "
        f"z from {1e3 * low[2]:.0f} to {1e3 * high[2]:.0f} mm\n"
        f"quality: median {np.median(quality):.2f}, worst 1 % below {np.percentile(quality, 1):.2f}, "
        f"least {quality.min():.3f}; edges {1e3 * edges.min():.2f} to {1e3 * edges.max():.1f} mm"
    )
    table = Table("tissue", "muscle", "volume cm3", "tetrahedra")
    for tissue in np.unique(mesh.tissue).tolist():
        for muscle in np.unique(mesh.muscle[mesh.tissue == tissue]).tolist():
            mine = (mesh.tissue == tissue) & (mesh.muscle == muscle)
            table.add_row(tissue, muscle, f"{1e6 * mesh.volume[mine].sum():.2f}", str(mine.sum()))
    console.print(table)


def main(options: Options) -> None:
    if options.output.suffix != ".npz" or not options.output.parent.is_dir():
        raise ValueError(f"--output {options.output} must be a .npz file in a folder that exists")
    console = Console()
    start = time.perf_counter()
    with console.status(f"meshing {options.description}"):
        mesh = import_limb(options.description)
    save(mesh, options.output)
    report(mesh, console)
    console.print(f"{options.output}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"import_limb: {error}", file=sys.stderr)
        sys.exit(2)
