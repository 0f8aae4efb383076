"""Limbs hold the muscles and bones of their tables at every level, side by side and inside the fascia."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from numerical import plots
from numerical.anatomy import forearm, lower_leg, segment, upper_arm
from numerical.anatomy.limb import Limb
from numerical.anatomy.packing import Ring, disc_grid, pack, ring_angles
from numerical.anatomy.segment import Segment
from numerical.anatomy.warp import Warp
from numerical.fibres import muscle_regions

SEGMENTS = {
    "forearm": (forearm.FOREARM, forearm.forearm()),
    "lower_leg": (lower_leg.LOWER_LEG, lower_leg.lower_leg()),
    "upper_arm": (upper_arm.UPPER_ARM, upper_arm.upper_arm()),
}
# The muscles that a forearm must have, and those of the other segments.
FOREARM = (
    "BRD ECRL ECRB ECU FCR FCU PL PT FDS2 FDS3 FDS4 FDS5 FDP2 FDP3 FDP4 FDP5 EDC2 EDC3 EDC4 EDC5 EDM EIP EPL "
    "EPB FPL APL SUP PQ"
)
EXPECTED = {
    "forearm": set(FOREARM.split()),
    "lower_leg": {
        "tibant",
        "perlong",
        "perbrev",
        "soleus",
        "gaslat",
        "gasmed",
        "tibpost",
        "edl",
        "ehl",
        "fdl",
        "fhl",
    },
    "upper_arm": {"BIClong", "BICshort", "TRIlong", "TRIlat", "TRImed", "BRA", "CORB", "BRD"},
}


@pytest.fixture(params=list(SEGMENTS))
def name(request) -> str:
    return request.param


@pytest.fixture
def described(name) -> Segment:
    return SEGMENTS[name][0]


@pytest.fixture
def limb(name) -> Limb:
    return SEGMENTS[name][1]


@pytest.fixture
def warp(described) -> Warp:
    return segment.warp(described)


def even_z(warp: Warp, count: int) -> np.ndarray:
    """Return z from beyond the first level to beyond the last, on levels and between."""
    return np.linspace(warp.levels[0] - 0.01, warp.levels[-1] + 0.01, count)


def test_the_fascia_and_the_reference_plane_stay(described, warp, rng):
    turn = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    edge = np.stack([np.cos(turn), np.sin(turn)], -1)
    for z in even_z(warp, 7):
        np.testing.assert_allclose(warp.forward(edge, np.full(50, z)), edge, atol=1e-12)
    places = disc_grid(20)
    middle = np.full(len(places), described.array_centre)
    np.testing.assert_allclose(warp.forward(places, middle), places, atol=1e-12)


def test_the_warp_is_one_to_one(warp):
    places = disc_grid(60)
    for z in even_z(warp, 25):
        area = np.linalg.det(warp.jacobian(places, np.full(len(places), z)))
        # Made with at least 0.3 on other places and at the levels alone.
        assert area.min() > 0.25
        # The disc maps onto itself, so areas average to one; the grid's edge is worth 2 %.
        assert area.mean() == pytest.approx(1, abs=0.02)


def test_the_jacobian_is_the_derivative(warp, rng):
    places, z, h = disc_grid(20), 0.3 * warp.levels[0] + 0.7 * warp.levels[-1], 1e-6
    places = places[np.hypot(*places.T) < 0.99]
    z = np.full(len(places), z)
    columns = [(warp.forward(places + d, z) - warp.forward(places - d, z)) / (2 * h) for d in np.eye(2) * h]
    # Central differences of a function whose third derivatives are below 1e4.
    np.testing.assert_allclose(warp.jacobian(places, z), np.stack(columns, -1), atol=1e-7)


def test_swept_coordinates_round_trip_everywhere(limb, warp, rng):
    count = 3000
    rho, angle = rng.uniform(0, 3, count), rng.uniform(-np.pi, np.pi, count)
    z = rng.uniform(limb.outline_z[0], limb.outline_z[-1], count)
    back = limb.place(*limb.swept(limb.place(rho, angle, z)))
    np.testing.assert_allclose(back, limb.place(rho, angle, z), atol=1e-11)
    again = np.stack(limb.swept(limb.place(rho, angle, z)))
    away = rho > 1e-3  # on the axis an angle means nothing
    # 1e-12 of the inverse, over the least singular value of the warp's derivative, above 0.1, and rho.
    np.testing.assert_allclose(again[:, away], np.stack([rho, angle, z])[:, away], atol=1e-8)


def test_fat_and_skin_do_not_move(limb, rng):
    rho, angle = rng.uniform(1, 3, 200), rng.uniform(0, 2 * np.pi, 200)
    z = rng.uniform(limb.outline_z[0], limb.outline_z[-1], 200)
    places = limb.place(rho, angle, z)
    distance = limb.radius(rho, angle, z)
    np.testing.assert_allclose(places[:, 0], distance * np.cos(angle), atol=1e-15)
    np.testing.assert_allclose(places[:, 1], distance * np.sin(angle), atol=1e-15)


def test_bones_keep_inside_the_fascia_apart_and_round(limb, warp):
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for z in even_z(warp, 15):
        outlines = []
        for bone in limb.bones:
            edge = np.stack([bone.x + bone.radius * np.cos(turn), bone.y + bone.radius * np.sin(turn)], -1)
            outlines.append(warp.forward(edge, np.full(60, z)))
            # A bone's edge was kept 0.12 from the fascia, as a circle.
            assert np.hypot(*outlines[-1].T).max() < 0.95
            spread = np.hypot(*(outlines[-1] - outlines[-1].mean(0)).T)
            assert spread.max() < 1.35 * spread.min()
        if len(outlines) == 2:
            gap = np.linalg.norm(outlines[0][:, None] - outlines[1], axis=-1).min()
            assert gap > 0.01


def test_muscles_and_bones_lie_where_the_table_has_them(name, described, limb):
    table = segment.rows(described, "sections")
    levels = sorted({float(row["z_mm"]) for row in table})
    for z in levels[1::4]:
        section = plots.cross_section(limb, 1e-3 * z, spacing=1e-3)
        for row in (row for row in table if float(row["z_mm"]) == z):
            area = float(row["area_mm2"])
            # A grid of 1 mm misplaces the centre of a region of n places by 1 / sqrt(n) mm or less.
            reach = 0.3 + 1 / np.sqrt(area)
            x, y = section.centre(row["name"])
            assert np.hypot(1e3 * x - float(row["x_mm"]), 1e3 * y - float(row["y_mm"])) < reach, row
            perimeter = 2 * np.sqrt(np.pi * area)
            assert 1e6 * section.area(row["name"]) == pytest.approx(area, abs=2 + 0.5 * perimeter)


def test_regions_fill_the_space_inside_the_fascia_at_every_level(limb, warp):
    for z in even_z(warp, 4):
        section = plots.cross_section(limb, float(z), spacing=1e-3)
        held = [name for name in section.names if name not in limb.tissues]
        total = sum(section.area(name) for name in held)
        turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
        fascia = (limb.outer_radii(turn, np.full(400, z))[0] ** 2).mean() * np.pi
        # Each place is in one region; the border of 200 mm on a grid of 1 mm is worth some 20 mm^2.
        assert total == pytest.approx(fascia, rel=0.02)


def test_areas_in_the_middle_plane_are_the_tables_shares(limb):
    regions = muscle_regions(limb)
    shares = np.array([regions.area_share(i) for i in range(len(regions.names))])
    areas = np.array([muscle.area for muscle in limb.muscles])
    # Some 20 000 places; the smallest muscle has 100 and its border half of them.
    np.testing.assert_allclose(shares / shares.sum(), areas / areas.sum(), rtol=0.1)


def test_every_muscle_of_the_segment_is_there(name, limb):
    assert {muscle.name for muscle in limb.muscles} == EXPECTED[name]


def test_fibres_fit_in_the_conductor_and_cross_sections_are_physiological(limb):
    for muscle in limb.muscles:
        half = muscle.fibre_length / 2
        assert limb.outline_z[0] < muscle.fibre_centre - half
        assert muscle.fibre_centre + half < limb.outline_z[-1]
        # Bounds that catch a wrong unit: 0.5 to 100 cm^2.
        assert 0.5e-4 < muscle.physiological_area < 100e-4


def test_forearm_muscles_stand_in_anatomical_order():
    muscles = {muscle.name: muscle for muscle in forearm.muscles()}
    ring = ["FCU", "PL", "FCR", "PT", "BRD", "ECRL", "ECRB", "EDC2", "EDC3", "EDC4", "EDC5", "EDM", "ECU"]
    angles = np.unwrap([muscles[name].angle for name in ring])
    assert (np.diff(angles) > 0).all()
    assert angles[-1] - angles[0] < 2 * np.pi

    def distance(name: str) -> float:
        return muscles[name].distance

    assert distance("FDP3") < distance("FDS3") < distance("FCR")  # deep, middle, superficial
    assert distance("EPL") < distance("EDC5")
    x = {name: m.distance * np.cos(m.angle) for name, m in muscles.items()}
    assert min(x[n] for n in ("FCR", "PL", "FDS3", "FDP3")) > max(x[n] for n in ("ECU", "EDC3", "EPL", "APL"))


def test_muscles_swell_where_their_bellies_are():
    limb = SEGMENTS["forearm"][1]
    share = {}
    for z in (0.05, 0.2):
        section = plots.cross_section(limb, z, spacing=0.5e-3)
        whole = sum(section.area(n) for n in section.names if n not in limb.tissues)
        share[z] = {m.name: section.area(m.name) / whole for m in limb.muscles}
    assert all(share[0.05][n] > 1.2 * share[0.2][n] for n in ("SUP", "ECRL", "PT", "BRD"))
    assert all(share[0.2][n] > 1.2 * share[0.05][n] for n in ("PQ", "EIP", "EPB", "EPL", "FDP5"))


def test_larger_bones_leave_less_muscle():
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    areas = []
    for scale in (0.8, 1.2):
        limb = forearm.forearm(forearm.ForearmSettings(bone_scale=scale))
        bone = next(bone for bone in limb.bones if bone.name == "radius")
        x, y = bone.x + bone.radius * np.cos(turn), bone.y + bone.radius * np.sin(turn)
        px, py, _ = limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(200, 0.15)).T
        areas.append(abs(px @ np.roll(py, 1) - py @ np.roll(px, 1)) / 2)
    # Areas grow with the square of the radius, where the warp hardly changes over the bone: 2.25.
    assert 1.9 < areas[1] / areas[0] < 2.6


def test_ring_angles_keep_order_and_room():
    ring = Ring(0.8, -90, 90, ("a", "b", "c"))
    half = np.array([0.2, 0.1, 0.3])
    angles = ring_angles(ring, np.array([0.5, -0.5, 0.4]), half, ())
    assert (np.diff(angles) >= half[:-1] + half[1:] - 1e-12).all()
    free = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(ring_angles(ring, free, half, ()), free)


def test_packing_keeps_layers_apart():
    rings = (Ring(0.8, 0, 359, ("outer", "other")), Ring(0.1, 0, 359, ("inner",)))
    paths = {"outer": np.array([1.0, 0]), "other": np.array([-1.0, 0.1]), "inner": np.array([0.2, 0])}
    seeds = pack(rings, paths, {"outer": 0.3, "other": 0.3, "inner": 0.4}, (), 3)
    assert np.hypot(*seeds["inner"]) < min(np.hypot(*seeds[n]) for n in ("outer", "other"))


def test_a_plane_beyond_the_limb_is_refused():
    with pytest.raises(ValueError, match="spans -70 to 270 mm"):
        plots.cross_section(SEGMENTS["forearm"][1], 0.3)


def test_labels_of_a_cross_section_do_not_overlap(described, limb):
    figure = plots.cross_section_figure(limb, described.array_centre, described.sides, spacing=0.5e-3)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    names = {text.get_text() for text in texts}
    assert {m.name for m in limb.muscles} | {b.name for b in limb.bones} <= names
    boxes = [text.get_window_extent() for text in texts]
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            assert not box.overlaps(other)


def test_neighbours_differ_in_colour(limb):
    colours = plots.muscle_colours(limb)
    assert set(colours) == {muscle.name for muscle in limb.muscles}
    label = plots.cross_section(limb, SEGMENTS["forearm"][0].array_centre, 0.5e-3)
    count = len(limb.muscles)
    first, second = label.label[:, :-1].ravel(), label.label[:, 1:].ravel()
    meet = (first != second) & (first >= 0) & (second >= 0) & (first < count) & (second < count)
    pairs, times = np.unique(np.stack([first, second])[:, meet], axis=1, return_counts=True)
    long = pairs[:, times > 4].T
    if limb is SEGMENTS["forearm"][1]:
        assert all(colours[label.names[a]] != colours[label.names[b]] for a, b in long)
