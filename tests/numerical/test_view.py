"""Pictures in three dimensions are to scale, and lead fields are brightest at their electrode."""

import ctypes.util

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from numerical import view
from numerical.anatomy.forearm import forearm
from numerical.anatomy.forearm import mesh as mesh_forearm
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.lead_field import lead_field
from numerical.skin import LimbSkin
from numerical.style import COLOURS, SEQUENTIAL
from tests.numerical.conftest import COARSE

pytest.importorskip("pyvista")

CHOSEN = "r1c3"


@pytest.fixture(scope="module")
def limb():
    if not view.draws_off_screen():
        pytest.skip("there is no OpenGL")
    return forearm()


@pytest.fixture(scope="module")
def array(limb):
    return electrode_array(ArraySettings(rows=3, columns=16), LimbSkin(limb))


def near(picture, colour, reach=30):
    """Where a picture has a colour, rows and columns."""
    away = np.abs(picture[..., :3].astype(float) - 255 * np.array(to_rgb(colour))).max(axis=2)
    return np.argwhere(away < reach)


def test_a_limb_is_drawn_to_scale(limb):
    plotter = view.view_limb(limb, muscles=["FCR"], off_screen=True)
    picture = plotter.screenshot(return_img=True)
    drawn = np.argwhere((picture < 250).any(axis=2))
    pixel = 2 * plotter.parallel_scale / len(picture)  # m
    length = pixel * (np.ptp(drawn[:, 1]) + 1)
    assert length == pytest.approx(limb.outline_z[-1] - limb.outline_z[0], abs=3 * pixel)
    # Seen from 30 degrees, an ellipse of these half-axes reaches from one side to the other.
    turn = np.linspace(0, 2 * np.pi, 361)
    x, y, _ = np.moveaxis(
        LimbSkin(limb).at(turn[:, None], np.linspace(*limb.outline_z[:: len(limb.outline_z) - 1], 99)), -1, 0
    )
    across = np.ptp(np.sin(np.radians(30)) * x - np.cos(np.radians(30)) * y)
    assert pixel * (np.ptp(drawn[:, 0]) + 1) == pytest.approx(across, abs=3 * pixel)


def test_a_lead_field_is_brightest_at_its_electrode(limb, array):
    field = lead_field(mesh_forearm(limb, COARSE), Conductivities(), array.chosen([CHOSEN]))
    place = array.centre[array.names.index(CHOSEN)]
    plotter = view.view_lead_field(field, limb, place, array.centre)
    picture = plotter.screenshot(return_img=True)
    pixel = 2 * plotter.parallel_scale / len(picture)
    ball = np.median(near(picture, COLOURS[1]), axis=0)
    bright = near(picture, colormaps[SEQUENTIAL](1.0))
    assert len(bright) > 50
    # Above 500 V/A within some 3 mm of it, told below by the 2 mm of its ball and a coarse mesh.
    assert pixel * np.hypot(*(bright - ball).T).max() < 8e-3
    # 32 V/A; a cut may be seen from the side, which halves what is along it.
    dark = near(picture, colormaps[SEQUENTIAL](0.15), 6)
    assert len(dark) > 50
    assert pixel * np.hypot(*(dark - ball).T).min() > 10e-3


def test_an_unknown_muscle_is_named(limb):
    with pytest.raises(ValueError, match="'FCX'"):
        view.view_limb(limb, muscles=["FCX"], off_screen=True)


@pytest.mark.skipif(ctypes.util.find_library("OSMesa") is not None, reason="there is OSMesa")
def test_without_opengl_one_line_says_so(monkeypatch):
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")  # which needs OSMesa
    view.draws_off_screen.cache_clear()
    with pytest.raises(RuntimeError, match="3-D pictures need OpenGL") as caught:
        view.view_limb(forearm(), off_screen=True)
    assert "\n" not in str(caught.value)
    view.draws_off_screen.cache_clear()
