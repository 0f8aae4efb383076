"""Needles and wires lie where they are pushed and record their surroundings."""

import numpy as np
import pytest

from numerical.anatomy.forearm import forearm
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.intramuscular import (
    ConcentricNeedleSettings,
    MonopolarNeedleSettings,
    WireSettings,
    concentric_needle,
    monopolar_needle,
    wire,
)
from numerical.lead_field import lead_field
from numerical.montage import bipolar
from numerical.skin import LimbSkin

SKIN = LimbSkin(forearm())


def test_the_tip_lies_at_its_depth_on_the_normal():
    settings = WireSettings(z=0.1, angle=0.7, depth=0.015, bare_length=0.001)
    entry = SKIN.at(np.array([0.7]), np.array([0.1]))
    centre = wire(settings, SKIN).centre
    np.testing.assert_allclose(centre, entry - 0.0145 * SKIN.normal(entry), atol=1e-12)


def test_inclined_shafts_lean_towards_their_heading():
    # Leaning distally by i moves a tip at depth d distally by d sin(i) and brings it up to d cos(i).
    upright, distal, around = (
        wire(WireSettings(depth=0.02, bare_length=1e-6, inclination=i, heading=h), SKIN).centre[0]
        for i, h in ((0.0, 0.0), (0.5, 0.0), (0.5, -np.pi / 2))
    )
    entry = SKIN.at(np.array([0.0]), np.array([0.095]))[0]
    inward = (upright - entry) / np.linalg.norm(upright - entry)
    for tip in (distal, around):
        np.testing.assert_allclose(np.linalg.norm(tip - entry), 0.02, atol=1e-6)
        np.testing.assert_allclose((tip - entry) @ inward, 0.02 * np.cos(0.5), atol=1e-6)
    assert distal[2] - upright[2] > 0.009
    assert around[1] - upright[1] > 0.009


def test_contacts_follow_each_other_towards_the_skin():
    contacts = wire(WireSettings(contacts=4, spacing=0.003, depth=0.02), SKIN)
    depth = SKIN.at(np.array([0.0]), np.array([0.095]))[0] - contacts.centre
    np.testing.assert_allclose(np.linalg.norm(depth, axis=1), [0.019, 0.016, 0.013, 0.010])


def test_a_concentric_needle_has_its_published_surfaces():
    needle = concentric_needle(ConcentricNeedleSettings(depth=0.02, facing=0.4), SKIN)
    assert needle.names == ("core", "cannula")
    np.testing.assert_allclose(needle.area[0], 0.07e-6, rtol=0.03)
    core = needle.points[0][needle.weight[0] > 0]
    spread = np.linalg.svd(core - core.mean(0), compute_uv=False)
    np.testing.assert_allclose(spread[0] / spread[1], 580 / 150)
    assert spread[2] < 1e-12
    # Its plane leans against the shaft by the angle at which a round core of 150 um looks 580 um long.
    normal = np.linalg.svd(core - core.mean(0))[2][2]
    axis = needle.centre[1] - needle.centre[0]
    np.testing.assert_allclose(abs(normal @ axis) / np.linalg.norm(axis), 150 / 580, rtol=1e-6)


def test_nearby_sources_reach_the_core_and_distant_ones_the_whole_needle(bare_mesh):
    # Of a source far away core and cannula read nearly the same, and the needle nearly nothing.
    needle = concentric_needle(ConcentricNeedleSettings(depth=0.015, angle=0.4), SKIN)
    field = lead_field(bare_mesh, Conductivities(), needle)
    near, far = (needle.centre[:1] + np.array([0.0, 0.0, z]) for z in (0.004, 0.06))
    channel = bipolar(needle.names, [("core", "cannula")])
    near, far = (float((channel @ field.at(place))[0, 0]) / field.at(place)[0, 0] for place in (near, far))
    assert abs(far) < 0.1 * abs(near)


def test_reciprocity_between_wire_and_skin(bare_mesh):
    # A current into the wire's contact raises a skin electrode as much as one into that electrode raises
    # the contact. Linear and cubic averages of smooth far fields differ by a few per cent on this mesh.
    contact = wire(WireSettings(depth=0.015, bare_length=0.002, angle=0.4), SKIN)
    array = electrode_array(ArraySettings(rows=2, columns=3, row_spacing=0.03, electrode_radius=0.001), SKIN)
    in_wire = lead_field(bare_mesh, Conductivities(), contact, tolerance=1e-7)
    on_skin = lead_field(bare_mesh, Conductivities(), array, tolerance=1e-7)
    there = in_wire.at(array.centre, order=3)[0]
    back = on_skin.at(contact.points[0], order=3) @ contact.weight[0]
    np.testing.assert_allclose(there, back, rtol=0.02)


@pytest.mark.parametrize(
    ("build", "settings", "message"),
    [
        (wire, WireSettings(depth=0.1), r"contact0 reaches out of the body at \[-6\d\.\d, "),
        (wire, WireSettings(contacts=9), r"contact3 reaches out of the body"),
        (wire, WireSettings(contacts=2, spacing=0.001), "contacts of 2 mm overlap at a spacing of 1 mm"),
        (wire, WireSettings(z=0.3), r"at z = 300\.0 mm misses the limb"),
        (monopolar_needle, MonopolarNeedleSettings(depth=0.0004), "tip reaches out of the body"),
        (concentric_needle, ConcentricNeedleSettings(depth=0.001), "needle's bevel outside"),
        (concentric_needle, ConcentricNeedleSettings(core_width=6e-4), "longer than wide"),
    ],
)
def test_needles_outside_the_body_are_refused(build, settings, message):
    with pytest.raises(ValueError, match=message):
        build(settings, SKIN)
