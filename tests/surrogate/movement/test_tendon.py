import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.movement.force_curves import TOE_FORCE, ForceCurves, tendon_strain
from surrogate.movement.kinematics import muscle_kinematics
from surrogate.movement.posture import match_joints
from surrogate.movement.tendon import (
    Architecture,
    Tendon,
    architecture,
    compliant_fibre_length,
    with_compliant_tendons,
)
from surrogate.movement.trajectory import Trajectory

SLACK = np.array([0.0, 1.0, 3.9, 6.0])  # FCR has 3.9 in Holzbaur, Murray, Delp 2005, FCU 5.1
HAND = Architecture(
    ("none", "short", "FCR", "long"),
    ForceCurves(*(np.full(4, value) for value in (400.0, 0.5, 1.6, 10.0, 1.3, 1.2))),
    SLACK,
)
rigid_lengths = st.lists(st.floats(0.4, 1.5), min_size=4, max_size=4).map(np.array)
activations = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(np.array)


@given(rigid_lengths, activations)
def test_fibres_and_tendons_pull_equally_and_fill_the_muscle(rigid, active):
    fibre = compliant_fibre_length(rigid, active, HAND)
    force = active * HAND.curves.of_length(fibre) + HAND.curves.at_rest(fibre)
    strain = tendon_strain(force, Tendon().strain)
    # Fibre lengths are found to 1e-9 optimal lengths; the sum's slope there is below 10.
    np.testing.assert_allclose(fibre + SLACK * strain, rigid, atol=1e-8)


@given(rigid_lengths, activations)
def test_tendons_only_shorten_fibres_and_a_fibre_without_one_not_at_all(rigid, active):
    fibre = compliant_fibre_length(rigid, active, HAND)
    assert (fibre <= rigid + 1e-12).all()
    assert fibre[0] == rigid[0]


@given(rigid_lengths, activations)
def test_rigid_tendons_are_the_limit_of_stiff_ones(rigid, active):
    fibre = compliant_fibre_length(rigid, active, HAND, Tendon(strain=1e-6))
    # The longest tendon stretches by 6 optimal lengths x 1e-6 under the maximal force, by some more under
    # passive ones.
    np.testing.assert_allclose(fibre, rigid, atol=5e-5)


def test_activation_shortens_fibres_of_a_muscle_that_keeps_its_length():
    active = np.linspace(0, 1, 21)[:, None] * np.ones(4)
    fibre = compliant_fibre_length(np.ones(4), active, HAND)
    assert (np.diff(fibre[:, 1:], axis=0) < 0).all()
    # Fully active at the optimum, a tendon of 3.9 optimal lengths stretches by up to 3.3 %, less as the
    # shorter fibres grow weaker.
    assert 0.08 < 1 - fibre[-1, 2] < 0.033 * 3.9


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0.01, 0.1))
def test_a_tendons_strain_grows_with_force_and_is_as_stated_at_the_maximum(low, high, at_maximum):
    strain = tendon_strain(np.array([0.0, *sorted((low, high)), 1.0]), at_maximum)
    assert strain[0] == 0
    assert strain[1] <= strain[2] + 1e-15
    assert strain[3] == pytest.approx(at_maximum)


def test_the_toe_meets_the_line_smoothly():
    force = TOE_FORCE + np.array([-1e-6, 0, 1e-6])
    slope = np.diff(tendon_strain(force, 0.033)) / 1e-6
    # Thelen's rounded constants leave a kink of a few per cent.
    assert slope[1] == pytest.approx(slope[0], rel=0.05)


def test_tendons_of_the_arm_are_as_long_as_measured(arm):
    """Slack over optimal fibre length from Holzbaur, Murray, Delp 2005; MyoArm's geometry is near theirs."""
    found = dict(zip(arm.muscles, architecture(arm).slack, strict=True))
    published = {"FCR": 24.4 / 6.3, "ECRB": 22.2 / 5.9, "ECRL": 22.4 / 8.1, "FDS3": 29.5 / 7.5}
    for muscle, ratio in published.items():
        assert found[muscle] == pytest.approx(ratio, rel=0.2)


def test_a_movements_fibres_follow_with_their_velocities(arm):
    time = np.arange(101) / 100
    angles = 0.5 * np.sin(2 * np.pi * time)[:, None]
    rigid = muscle_kinematics(arm, match_joints(Trajectory(time, ("flexion",), angles), arm))
    active = np.tile(0.5 + 0.4 * np.sin(2 * np.pi * time)[:, None], (1, len(arm.muscles)))
    soft = with_compliant_tendons(rigid, active, architecture(arm))
    fcr = arm.muscles.index("FCR")
    assert soft.fibre_length[25, fcr] < rigid.fibre_length[25, fcr] - 0.05
    np.testing.assert_array_equal(soft.length, rigid.length)
    lengthened = np.trapezoid(soft.fibre_velocity[:, fcr], time)
    travelled = soft.fibre_length[-1, fcr] - soft.fibre_length[0, fcr]
    assert lengthened == pytest.approx(travelled, abs=2e-3)
    assert np.isfinite(soft.fibre_length).all()


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.1])
def test_activations_that_make_no_sense_are_refused(arm, wrong):
    time = np.arange(3) / 100
    rigid = muscle_kinematics(arm, match_joints(Trajectory(time, ("flexion",), np.zeros((3, 1))), arm))
    active = np.full(rigid.length.shape, 0.2)
    active[1, 4] = wrong
    with pytest.raises(ValueError, match="activation"):
        with_compliant_tendons(rigid, active, architecture(arm))
    with pytest.raises(ValueError, match="shape"):
        with_compliant_tendons(rigid, active[:, :3], architecture(arm))
    with pytest.raises(ValueError, match="architecture"):
        with_compliant_tendons(rigid, active, HAND)
