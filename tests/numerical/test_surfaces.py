"""Closed surfaces to a mesh: geometry kept, every broken input refused with the surface and why."""

import numpy as np
import pytest

from numerical.anatomy.closed_surface import ClosedSurface, merged
from numerical.anatomy.limb_file import import_limb, read_description
from numerical.anatomy.mesher import MeshResolution, coarsened, required
from numerical.anatomy.placement import Placement
from numerical.anatomy.surfaces import SurfaceDescription, SurfaceFile, import_surfaces
from numerical.export import write_stl

pytest.importorskip("pytetwild")
pytest.importorskip("pyvista")


def tube(radius: float, low: float = 0.0, high: float = 60.0, x: float = 0.0, spokes: int = 32) -> np.ndarray:
    """Triangles [triangle corner xyz] of a closed tube along z, mm, normals outwards."""
    turn = 2 * np.pi * np.arange(spokes) / spokes
    ring = np.stack([x + radius * np.cos(turn), radius * np.sin(turn)], -1)
    z = np.linspace(low, high, 7)
    points = np.concatenate([np.tile(ring, (7, 1)), [[x, 0]] * 2])
    points = np.column_stack([points, np.append(np.repeat(z, spokes), [low, high])])
    a = np.arange(6 * spokes).reshape(6, spokes)
    b, c, d = np.roll(a, -1, 1), np.roll(a, -1, 1) + spokes, a + spokes
    first, last = np.arange(spokes), 6 * spokes + np.arange(spokes)
    centre = 7 * spokes
    triangles = [
        np.stack([a, b, c], -1).reshape(-1, 3),
        np.stack([a, c, d], -1).reshape(-1, 3),
        np.stack([np.full(spokes, centre), np.roll(first, -1), first], -1),
        np.stack([np.full(spokes, centre + 1), last, np.roll(last, -1)], -1),
    ]
    return points[np.concatenate(triangles)]


def as_surface(corners: np.ndarray) -> ClosedSurface:
    return merged(1e-3 * corners, 1e-9)


def description(tmp_path, **surfaces: tuple[str, np.ndarray]) -> SurfaceDescription:
    """A description of surfaces by name: tissue and triangles, written as STL files."""
    files = []
    for name, (tissue, corners) in surfaces.items():
        write_stl(corners, tmp_path / f"{name}.stl")
        muscle = name if tissue == "muscle" and name != "compartment" else ""
        files.append(SurfaceFile(file=f"{name}.stl", tissue=tissue, name=muscle))
    resolution = MeshResolution(skin_edge=0.008, deep_edge=0.010, tolerance=5e-4)
    return SurfaceDescription(surfaces=tuple(files), resolution=resolution)


SKIN = ("skin", tube(20))
MUSCLE = ("muscle", tube(14))


def test_a_closed_surface_knows_its_volume_and_what_it_holds(rng):
    surface = as_surface(tube(20))
    spokes = 32
    section = spokes / 2 * np.sin(2 * np.pi / spokes) * 0.02**2
    assert surface.volume == pytest.approx(section * 0.06, rel=1e-9)
    assert not len(surface.open_edges)
    assert not len(surface.discordant_edges)
    places = rng.uniform([-0.03, -0.03, -0.01], [0.03, 0.03, 0.07], (20_000, 3))
    turn = np.mod(np.arctan2(places[:, 1], places[:, 0]), 2 * np.pi / spokes) - np.pi / spokes
    edge = 0.02 * np.cos(np.pi / spokes) / np.cos(turn)
    inside = (np.hypot(*places[:, :2].T) < edge) & (places[:, 2] > 0) & (places[:, 2] < 0.06)
    assert np.array_equal(surface.holds(places), inside)


def test_a_cavity_is_not_held(rng):
    hollow = as_surface(np.concatenate([tube(20), tube(10, 10, 50)[:, ::-1]]))
    places = np.stack([rng.uniform(0, 0.02, 500) * 0.99, np.zeros(500), np.full(500, 0.03)], -1)
    outer = places[:, 0] < 0.0199
    assert np.array_equal(hollow.holds(places)[outer], (places[:, 0] > 0.01)[outer])
    assert sorted(np.sign(list(hollow.shell_volumes.values()))) == [-1, 1]


def test_coarsening_keeps_volume_and_stays_closed():
    fine = as_surface(tube(20, spokes=200))
    coarse = coarsened(fine, 0.008)
    assert len(coarse.triangles) < 0.5 * len(fine.triangles)
    assert not len(coarse.open_edges)
    assert coarse.volume == pytest.approx(fine.volume, rel=5e-3)


def test_placement_turns_shifts_and_scales():
    placement = Placement(unit="cm", origin=(1, 2, 3), distal=(0, -1, 0), angle_zero=(0, 0, 1))
    # Two units towards distal and one towards angle 0.
    assert np.allclose(placement.to_limb(np.array([1, 0, 4])), [0.01, 0, 0.02])
    assert np.linalg.det(placement.rotation) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"angle_zero .* must point across distal"):
        _ = Placement(distal=(1, 0, 0), angle_zero=(2, 0, 0)).rotation


def test_two_nested_tubes_become_skin_and_muscle(tmp_path):
    mesh = import_surfaces(description(tmp_path, skin=SKIN, biceps=MUSCLE), tmp_path)
    assert mesh.muscles == ("biceps",)
    assert set(mesh.tissue) == {"skin", "muscle"}
    # The mesher may move surfaces by its tolerance, 0.5 mm of 14 mm: at most 7 % of volume, and by chance
    # far less as it moves them both ways.
    volume = as_surface(MUSCLE[1]).volume
    assert mesh.volume[mesh.tissue == "muscle"].sum() == pytest.approx(volume, rel=0.03)
    assert mesh.volume.sum() == pytest.approx(as_surface(SKIN[1]).volume, rel=0.03)
    inner = (mesh.tissue == "muscle") & (np.abs(mesh.points[mesh.tetrahedra].mean(1)[:, 2] - 0.03) < 0.015)
    assert mesh.fibre_direction[inner, 2].min() > np.cos(np.radians(5))
    assert {round(float(mesh.points[end, 2].mean()), 3) for end in mesh.ends} == {0.0, 0.06}


def flipped(corners: np.ndarray, number: int) -> np.ndarray:
    """The triangles with the corners of one of them in the other direction."""
    changed = corners.copy()
    changed[number] = changed[number, ::-1]
    return changed


@pytest.mark.parametrize(
    ("surfaces", "message"),
    [
        (
            {"skin": SKIN, "biceps": ("muscle", tube(14)[:-3])},
            r"surface biceps \(biceps.stl\): not watertight; 5 open edges, one at \(.* 60.0\) mm",
        ),
        (
            {"skin": SKIN, "biceps": ("muscle", tube(14)[:, ::-1])},
            r"surface biceps \(biceps.stl\): inverted; its normals point inwards \(volume -36.* cm3\)",
        ),
        (
            {"skin": ("skin", flipped(tube(20), 40)), "biceps": MUSCLE},
            r"surface skin \(skin.stl\): normals disagree along 3 edges, the first at \(",
        ),
        (
            {"skin": ("skin", np.concatenate([tube(20), tube(1, 10, 12, x=30)])), "biceps": MUSCLE},
            r"surface skin \(skin.stl\): 2 separate pieces, the smallest only 6.24 mm3 at \(30.0, .*stray",
        ),
        (
            {"skin": SKIN, "biceps": ("muscle", tube(8, x=-5)), "triceps": ("muscle", tube(8, x=5))},
            r"surface .*ceps.stl\): overlaps surface .*ceps.stl\) by .* mm3, 2\d(\.\d)? % of its volume",
        ),
        (
            {"skin": SKIN, "biceps": MUSCLE, "ulna": ("bone", tube(4, x=18))},
            r"surface bone \(ulna.stl\): sticks out of surface skin \(skin.stl\) by .* mm3, 2\d.* %",
        ),
        (
            {"skin": SKIN, "biceps": MUSCLE, "triceps": MUSCLE},
            r"surface biceps \(biceps.stl\) and surface triceps \(triceps.stl\): the same body twice",
        ),
        (
            {"skin": ("skin", tube(20) / 1000), "biceps": ("muscle", tube(14) / 1000)},
            r"surface skin \(skin.stl\): 0.04 x 0.04 x 0.06 mm is not the size of a limb with unit mm; unit",
        ),
        (
            {"skin": ("skin", np.zeros((0, 3, 3))), "biceps": MUSCLE},
            r"surface skin \(skin.stl\): (holds no triangles|cannot be read)",
        ),
        (
            {"skin": ("skin", np.where(tube(20) == 60.0, np.nan, tube(20))), "biceps": MUSCLE},
            r"surface skin \(skin.stl\): (holds (coordinates that are not|no triangles)|cannot be read)",
        ),
    ],
)
def test_broken_surfaces_are_refused_in_one_line(tmp_path, surfaces, message):
    with pytest.raises(ValueError, match=message) as refusal:
        import_surfaces(description(tmp_path, **surfaces), tmp_path)
    assert "\n" not in str(refusal.value)


def test_files_that_are_none_are_refused(tmp_path):
    given = description(tmp_path, skin=SKIN, biceps=MUSCLE)
    (tmp_path / "skin.stl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"surface skin \(skin.stl\): holds no triangles"):
        import_surfaces(given, tmp_path)
    (tmp_path / "skin.stl").unlink()
    with pytest.raises(ValueError, match=r"surface skin \(skin.stl\): there is no file"):
        import_surfaces(given, tmp_path)
    other = SurfaceDescription(surfaces=(SurfaceFile(file="arm.vtk", tissue="muscle"),))
    with pytest.raises(ValueError, match=r"\(arm.vtk\): a file must be one of .stl, .obj, .ply"):
        import_surfaces(other, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("surfaces: [{file: a.stl, tissue: skin}]", "surfaces: no muscle"),
        (
            "surfaces: [{file: a.stl, tissue: tendon}]",
            "surfaces.0.tissue: .*'skin', 'fat', 'muscle' or 'bone'",
        ),
        (
            "surfaces: [{file: a.stl, tissue: muscle, name: A}, {file: b.stl, tissue: muscle, name: A}]",
            "A named more",
        ),
        ("{}", "must have either the entry surfaces or the entry image"),
        ("image: a.nii\nlabels: {0: {tissue: muscle}}", "0 is what surrounds the limb"),
        ("surfaces: [", "cannot be read"),
        ("surfaces: [{file: a.stl, tissue: muscle}]\nplacement: {unit: furlong}", "placement.unit"),
    ],
)
def test_descriptions_that_say_nothing_sensible_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "limb.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"limb\.yaml: .*{message}") as refusal:
        read_description(path)
    assert "\n" not in str(refusal.value)


def test_obj_and_ply_are_read_as_stl_is(tmp_path):
    pyvista = required("pyvista")
    given = description(tmp_path, skin=SKIN, biceps=("muscle", tube(8, x=30)))
    for kind in ("ply", "obj"):
        for item in given.surfaces:
            stem = item.file.removesuffix(".stl")
            pyvista.read(tmp_path / item.file).save(tmp_path / f"{stem}.{kind}")
        path = tmp_path / f"{kind}.yaml"
        entries = [
            f"{{file: {i.file.replace('stl', kind)}, tissue: {i.tissue}, name: '{i.name}'}}"
            for i in given.surfaces
        ]
        path.write_text(f"surfaces: [{', '.join(entries)}]")
        # Read and found closed, it is refused for what it is: a muscle beside its skin.
        with pytest.raises(
            ValueError, match=rf"surface biceps \(biceps.{kind}\): sticks out of surface skin"
        ):
            import_limb(path)


def test_a_missing_package_is_said_with_how_to_install_it():
    with pytest.raises(
        ValueError, match=r"needs the package no_such_mesher: pip install 'myomime\[import\]'"
    ):
        required("no_such_mesher")
