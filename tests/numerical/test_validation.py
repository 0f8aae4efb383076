"""Comparisons with the exact cylinder measure what they say, and errors fall with the mesh."""

import numpy as np
import pytest

from numerical.anatomy.cylinder import LayeredCylinder
from numerical.validation import (
    Comparison,
    compare,
    mesh_around,
    second_difference,
    single_fibre_comparison,
    single_fibre_error,
)

LAYERS = LayeredCylinder(0.010, 0.036, 0.039, 0.0403)
Z = 1e-3 * np.arange(-30.0, 31.0)


@pytest.mark.parametrize("spacing", [0.5e-3, 1e-3, 2e-3])
def test_the_second_difference_spans_4_mm_whatever_the_spacing(spacing):
    z = spacing * np.arange(20)
    np.testing.assert_allclose(second_difference(z**2, spacing), 2 * 0.004**2, rtol=1e-9)


def test_the_error_is_absolute_and_blind_to_references():
    exact = np.exp(-((Z / 0.01) ** 2))[None, None]
    # 3 % too large everywhere is an error of 0.03 squared; what is linear along z has no second difference.
    found = 1.03 * exact + 5.0 + 200.0 * Z
    error = Comparison(found, exact, 1e-3, 0).second_difference_error
    np.testing.assert_allclose(error, [[0.03**2]], rtol=1e-9)


def test_meshes_keep_to_their_size_and_hold_their_sources():
    mesh = mesh_around(LAYERS, [1e-3, 11e-3], Z, 20_000)
    assert mesh.vertices <= 20_000
    assert mesh.slices[0] < Z[0]
    assert mesh.slices[-1] > Z[-1]
    assert {0.0} <= set(mesh.slices)
    with pytest.raises(ValueError, match="max_vertices"):
        mesh_around(LAYERS, [1e-3], Z, 100)


def test_lead_fields_approach_the_exact_ones():
    # The squared error falls as vertices^(-4/3) (see the convergence test of lead fields): by 6.3 for four
    # times as many. The whole numbers of rings and slices may halve that.
    coarse, fine = (
        compare(LAYERS, mesh_around(LAYERS, [5e-3], Z, most), [5e-3], [0.35], Z).second_difference_error
        for most in (10_000, 40_000)
    )
    assert coarse.shape == fine.shape == (1, 1)
    assert fine < coarse / 3
    assert fine < 2e-3


def test_single_fibres_approach_the_exact_ones():
    depths = [5e-3, 11e-3]
    coarse, fine = (single_fibre_error(LAYERS, depths, max_vertices=most) for most in (15_000, 60_000))
    # The error falls as vertices^(-2/3), by 2.5; whole numbers of rings and slices may take a third of it.
    assert (fine < coarse / 1.6).all()
    assert (fine < 0.1).all()


def test_single_fibre_waves_leave_the_end_plate_both_ways():
    found, exact = single_fibre_comparison(LAYERS, [5e-3], max_vertices=15_000)
    assert found.shape == exact.shape == (1, 15, 160)
    for waves in (found[0], exact[0]):
        for early, late in ((10, 12), (5, 3)):
            lag = np.correlate(waves[late], waves[early], "full").argmax() - 159
            # 10 mm at 4 m/s are 2.5 ms or 10.2 samples.
            assert 9 <= lag <= 11
