"""A description file, YAML or JSON, of surfaces or of an image turned into the mesh of the limb."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.surfaces import SurfaceDescription, import_surfaces
from numerical.anatomy.voxels import VoxelDescription, import_image


def read_description(path: str | Path) -> SurfaceDescription | VoxelDescription:
    """Return what a description file says; ValueError, with the entry, for one that cannot be understood."""
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict) or ("surfaces" in content) == ("image" in content):
        raise ValueError(f"{path}: must have either the entry surfaces or the entry image")
    kind = SurfaceDescription if "surfaces" in content else VoxelDescription
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{path}: {where}{': ' if where else ''}{said}") from None


def import_limb(path: str | Path) -> TetrahedralMesh:
    """Return the mesh of the limb that a description file describes; files lie relative to it.

    Errors as in `read_description`, `surfaces.import_surfaces` and `voxels.import_image`.
    """
    description = read_description(path)
    if isinstance(description, SurfaceDescription):
        return import_surfaces(description, Path(path).parent)
    return import_image(description, Path(path).parent)
