"""Write the anatomical tables of a limb from the musculoskeletal models of myo-sim, in the neutral posture.

    python scripts/make_anatomy.py [forearm|lower_leg|upper_arm|all] [--pictures DIR]

Forearm and upper arm come from MyoArm, the lower leg from MyoLeg (Caggiano et al. 2022). What is taken from
where stands above each table. Nothing that the simulator runs needs MuJoCo: it reads the tables.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from jaxtyping import Float
from numpy.typing import NDArray

from numerical import plots
from numerical.anatomy import deformation, packing, segment
from numerical.anatomy.atlas import ANATOMIES, Anatomy
from numerical.anatomy.limb import Bone
from numerical.anatomy.musculoskeletal import PosedModel, cut
from numerical.anatomy.segment import table_path
from numerical.anatomy.warp import Warp
from numerical.plots import cross_section

Array = NDArray[np.float64]

BONE_GAP = 0.12  # between a bone and the fascia at least, parts of the fascia's radius
TENDON = 0.25  # cross-section beyond the belly, of the largest: tendon with its loose tissue
PLACES = 100  # across the disc, on which the warp is checked
SECTION_SPACING = 0.4e-3  # m, of places on which regions are measured
PICTURES = 7  # of each segment


class Content:
    """What a model puts inside the fascia of a segment, at any z [m]."""

    def __init__(self, anatomy: Anatomy):
        self.anatomy = anatomy
        posed = PosedModel(anatomy.model)
        origin, axes = anatomy.frame(posed)
        self.names = [*anatomy.muscles, *(bone[0] for bone in anatomy.bones)]
        actuator = dict(zip(anatomy.muscles, self._actuators(posed), strict=True))
        self.paths = {name: (posed.path(actuator[name]) - origin) @ axes for name in anatomy.muscles}
        self.surfaces = {name: (posed.triangles(mesh) - origin) @ axes for name, mesh, *_ in anatomy.bones}
        table = np.array(list(anatomy.muscles.values())) * 1e-3
        self.fibre_length, self.belly = table[:, 0], table[:, 1:]
        self.force = np.array([posed.force(actuator[name]) for name in anatomy.muscles])
        self.physiological_area = self.force / anatomy.specific_tension
        limb = anatomy.segment.bare_limb(anatomy.settings)
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.fascia = lambda z: float(limb.outer_radii(turn, np.full(24, z))[0].mean())

    def _actuators(self, posed: PosedModel) -> list[str]:
        known = {posed.model.actuator(i).name for i in range(posed.model.nu)}
        return [name if name in known else f"{name}_r" for name in self.anatomy.muscles]

    def areas(self, z: float) -> Float[Array, " muscle"]:
        """Return the muscles' cross-sections [m^2]: half a sine along the belly, which holds all its fibres.

        The volume is physiological cross-section times fibre length, and the mean of half a sine 2 / pi.
        """
        start, end = self.belly.T
        largest = self.physiological_area * self.fibre_length / ((end - start) * 2 / np.pi)
        profile = np.sin(np.pi * np.clip((z - start) / (end - start), 0, 1))
        return largest * (TENDON + (1 - TENDON) * profile)

    def _lines(self, z: float) -> Float[Array, "muscle xy"]:
        """Return the places of the muscles' paths [m]; beyond its belly a muscle stays as it ends there."""
        places = []
        for path, (start, end) in zip(self.paths.values(), self.belly, strict=True):
            order = np.argsort(path[:, 2], kind="stable")
            at = np.clip(z, start, end)
            places.append([np.interp(at, path[order, 2], path[order, i]) for i in (0, 1)])
        return np.array(places)

    def _about_axis(self, z: float) -> tuple[Array, Array, Array]:
        """Return paths and bones about the limb's axis [m], cross-sections [m^2] and bones' radii [m]."""
        cuts = [
            cut(self.surfaces[name], float(np.clip(z, low * 1e-3, high * 1e-3)))
            for name, _, low, high in self.anatomy.bones
        ]
        lines, radii = self._lines(z), np.array([radius for _, radius in cuts])
        places = np.concatenate([lines, [centre for centre, _ in cuts]])
        weight = np.concatenate([self.areas(z), np.pi * radii**2])
        return places - weight @ places / weight.sum(), weight, radii

    def about_axis(self, z: float) -> Float[Array, "region xy"]:
        """Return the model's paths and bones about the limb's axis [m]."""
        return self._about_axis(z)[0]

    def section(self, z: float) -> tuple[Float[Array, "region xy"], Float[Array, " region"]]:
        """Return places of muscles' paths and bones in parts of the fascia's radius, and shares of the disc.

        The limb's axis lies at the centroid of what it holds. Paths are scaled such that their second moment,
        like their centroid, is that of the disc they fill. Bones are as far off the axis as they are, but for
        those that would come nearer to the fascia than `BONE_GAP`.
        """
        places, weight, radii = self._about_axis(z)
        fascia, count = self.fascia(z), len(radii)
        size = np.sqrt(2 * (weight @ (places**2).sum(1)) / weight.sum())
        bones = places[-count:] / fascia
        distance = np.hypot(*bones.T)
        bones *= np.minimum(1, (1 - BONE_GAP - radii / fascia) / distance)[:, None]
        in_disc = np.concatenate([places[:-count] / size, bones])
        of_bones, areas = (radii / fascia) ** 2, self.areas(z)
        return in_disc, np.concatenate([areas / areas.sum() * (1 - of_bones.sum()), of_bones])


def make(name: str) -> None:
    """Write the tables of a segment."""
    anatomy = ANATOMIES[name]
    content = Content(anatomy)
    centre, levels, count = anatomy.segment.array_centre, anatomy.levels, len(anatomy.bones)
    path, share = content.section(centre)
    muscles = list(anatomy.muscles)
    bones = [
        Bone(bone[0], *place, float(np.sqrt(part)))
        for bone, place, part in zip(anatomy.bones, path[-count:], share[-count:], strict=True)
    ]
    paths, shares = (dict(zip(muscles, values, strict=False)) for values in (path, share))
    seeds = packing.pack(anatomy.rings, paths, shares, bones, anatomy.relaxations)
    seed_places = np.array([seeds[m] for m in muscles])

    def owner(places: Array) -> NDArray[np.int64]:
        return _owner(places, seed_places, share[:-count], bones)

    places = packing.disc_grid(PLACES)
    start = np.array([places[owner(places) == i].mean(0) for i in range(len(share))])
    start[-count:] = path[-count:]
    sections = deformation.Sections(lambda z: content.section(z)[0], lambda z: content.section(z)[1], count)
    middle = anatomy.before
    distal = deformation.deformed(sections, start, owner, levels[middle:])
    proximal = deformation.deformed(sections, start, owner, levels[middle::-1])
    warp = Warp(levels, np.concatenate([proximal[:0:-1], distal]))
    write_tables(anatomy, content, seeds, bones, warp)
    for cached in (segment.muscles, segment.bones, segment.warp):
        cached.cache_clear()
    squeezed = np.linalg.det(warp.jacobian(np.tile(places, (len(levels), 1)), np.repeat(levels, len(places))))
    print(f"{name}: small areas keep {squeezed.min():.2f} to {squeezed.max():.2f} of their size")
    write_sections(anatomy, content)


def _owner(places: Array, seeds: Array, shares: Array, bones: list[Bone]) -> NDArray[np.int64]:
    """Return the region of places in the reference disc: muscles, then bones."""
    owner = np.full(len(places), -1)
    for i, bone in enumerate(bones):
        owner[np.hypot(*(places - [bone.x, bone.y]).T) < bone.radius] = len(seeds) + i
    free = owner < 0
    owner[free] = packing.regions(seeds, shares, places[free])
    return owner


def write_tables(
    anatomy: Anatomy, content: Content, seeds: dict[str, Array], bones: list[Bone], warp: Warp
) -> None:
    """Write the muscles, the bones and the warp of a segment, each aside and then in its place."""
    z, tension = anatomy.segment.array_centre, anatomy.specific_tension / 1e4
    start, end = np.clip(content.belly, 0, anatomy.length).T
    length, centre = np.minimum(content.fibre_length, end - start), (start + end) / 2
    columns = (
        "name,angle_deg,distance,area_mm2,physiological_area_mm2,force_n,fibre_length_mm,fibre_centre_mm"
    )
    lines = [
        f"# Muscles of the {anatomy.segment.name.replace('_', ' ')}, written by scripts/make_anatomy.py.",
        f"# angle_deg, distance (of the fascia's radius): seed in the cross-section at z = {1e3 * z:g} mm.",
        f"# force_n: maximal isometric force of {anatomy.source} (myo-sim {version('myo-sim')}).",
        f"# physiological_area_mm2: force / {tension:g} N/cm^2 ({anatomy.tension_source}).",
        f"# area_mm2: cross-section at z = {1e3 * z:g} mm; the volume is physiological area x fibre length.",
        f"# fibre_length_mm: {anatomy.fibre_source}; no longer than the belly within the segment.",
        "# fibre_centre_mm: middle of the belly within the segment (extents set by hand).",
        f"{columns},belly_from_mm,belly_to_mm",
    ]
    for i, name in enumerate(anatomy.muscles):
        x, y = seeds[name]
        values = [
            f"{np.degrees(np.arctan2(y, x)) % 360:.1f},{np.hypot(x, y):.4f},{1e6 * content.areas(z)[i]:.1f}",
            f"{1e6 * content.physiological_area[i]:.0f},{content.force[i]:.1f}",
            f"{1e3 * length[i]:.0f},{1e3 * centre[i]:.1f}",
            "{:.0f},{:.0f}".format(*(1e3 * content.belly[i])),
        ]
        lines.append(",".join([name, *values]))
    _write(table_path(anatomy.segment, "muscles.csv"), lines)
    lines = [
        f"# Bones at z = {1e3 * z:g} mm as circles of equal area, parts of the fascia's radius at default",
        f"# size, cut from the meshes of {anatomy.source} (myo-sim {version('myo-sim')}).",
        "name,x,y,radius",
        *(f"{bone.name},{bone.x:.4f},{bone.y:.4f},{bone.radius:.4f}" for bone in bones),
    ]
    _write(table_path(anatomy.segment, "bones.csv"), lines)
    aside = table_path(anatomy.segment, "warp.new.csv")
    warp.save(aside)
    aside.replace(table_path(anatomy.segment, "warp.csv"))


def write_sections(anatomy: Anatomy, content: Content) -> None:
    """Write where the tables bring each muscle and bone at every level, beside where the model has it."""
    limb = anatomy.segment.limb(anatomy.settings)
    lines = [
        f"# Muscles and bones of the {anatomy.segment.name.replace('_', ' ')} along z at default size:",
        "# centre and area of the region that the tables give; model_x, model_y: path or bone of the model",
        "# about the same axis, wherever that lies.",
        "name,z_mm,x_mm,y_mm,area_mm2,model_x_mm,model_y_mm",
    ]
    for z in anatomy.levels:
        section = cross_section(limb, float(z), SECTION_SPACING)
        for name, model in zip(content.names, content.about_axis(z), strict=True):
            x, y = section.centre(name)
            values = (1e3 * x, 1e3 * y, 1e6 * section.area(name), *(1e3 * model))
            lines.append("{},{:g},{:.1f},{:.1f},{:.1f},{:.1f},{:.1f}".format(name, 1e3 * z, *values))
    _write(table_path(anatomy.segment, "sections.csv"), lines)


def _write(path: Path, lines: list[str]) -> None:
    aside = path.with_name(path.name + ".new")
    aside.write_text("\n".join(lines) + "\n")
    aside.replace(path)


def draw(anatomy: Anatomy, folder: Path) -> None:
    """Write cross-sections of a segment at levels across its muscles' bellies."""
    limb = anatomy.segment.limb(anatomy.settings)
    folder.mkdir(parents=True, exist_ok=True)
    for z in np.linspace(anatomy.levels[0], anatomy.levels[-1], PICTURES):
        figure = plots.cross_section_figure(limb, float(z), anatomy.segment.sides)
        figure.savefig(folder / f"{anatomy.segment.name}_{1e3 * z:03.0f}mm.png", dpi=120)


@dataclass(frozen=True)
class Options:
    """Which segments to write, and where pictures of them go."""

    segment: Annotated[Literal["forearm", "lower_leg", "upper_arm", "all"], tyro.conf.Positional] = "all"
    pictures: Path | None = None


def main(options: Options) -> None:
    """Write the tables of the chosen segments."""
    for name in ANATOMIES if options.segment == "all" else [options.segment]:
        make(name)
        if options.pictures:
            draw(ANATOMIES[name], options.pictures)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
