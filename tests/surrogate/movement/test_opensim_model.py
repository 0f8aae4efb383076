"""An OpenSim model gives what its geometry and inertia say."""

import sys

import numpy as np
import pytest

from numerical.motor_units import PoolSettings
from surrogate.movement.kinematics import muscle_kinematics
from surrogate.movement.models import load_model
from surrogate.movement.naming import Renaming, with_muscle_names
from surrogate.movement.population import Subject
from surrogate.movement.posture import match_joints
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.tendon import architecture, compliant_fibre_length
from surrogate.movement.trajectory import Trajectory

UPPER, LOWER = 0.3, 0.25  # m
ORIGIN, INSERTION = np.array([0.03, -0.02]), np.array([0.02, -0.05])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("osim")


@pytest.fixture(scope="module")
def path(folder):
    """Write two links that hang, with a flexor and an extensor of the elbow, and a wheel tied to it."""
    osim = pytest.importorskip("opensim")
    osim.Logger.removeFileSink()
    osim.Logger.setLevelString("Off")
    model = osim.Model()
    model.setGravity(osim.Vec3(0, -9.81, 0))
    links = [osim.Body(name, 1.0, osim.Vec3(0, -0.12, 0), osim.Inertia(0.01)) for name in ("upper", "lower")]
    wheel = osim.Body("wheel", 1e-6, osim.Vec3(0), osim.Inertia(1e-9))
    for body in (*links, wheel):
        model.addBody(body)
    zero = osim.Vec3(0)
    joints = [
        osim.PinJoint("shoulder", model.getGround(), zero, zero, links[0], zero, zero),
        osim.PinJoint("elbow", links[0], osim.Vec3(0, -UPPER, 0), zero, links[1], zero, zero),
        osim.PinJoint("axle", links[0], zero, zero, wheel, zero, zero),
    ]
    ranges = [("shoulder_flexion_r", -1, 2), ("elbow_flexion_r", 0, 2.3), ("wheel_r", -10, 10)]
    for joint, (name, low, high) in zip(joints, ranges, strict=True):
        coordinate = joint.updCoordinate()
        coordinate.setName(name)
        coordinate.setRangeMin(low)
        coordinate.setRangeMax(high)
        model.addJoint(joint)
    ends = {"flexor_r": (ORIGIN, INSERTION), "extensor_r": (-ORIGIN, np.array([-0.02, 0.01]))}
    for name, (start, end) in ends.items():
        muscle = osim.Millard2012EquilibriumMuscle(name, 500.0, 0.12, 0.15, 0.1)
        muscle.addNewPathPoint(f"{name}1", links[0], osim.Vec3(*start, 0))
        muscle.addNewPathPoint(f"{name}2", links[1], osim.Vec3(*end, 0))
        model.addForce(muscle)
    tie = osim.CoordinateCouplerConstraint()
    tie.setName("tie")
    names = osim.ArrayStr()
    names.append("elbow_flexion_r")
    tie.setIndependentCoordinateNames(names)
    tie.setDependentCoordinateName("wheel_r")
    tie.setFunction(osim.LinearFunction(2.0, 0.5))
    model.addConstraint(tie)
    model.finalizeConnections()
    model.printToXML(str(folder / "links.osim"))
    return folder / "links.osim"


@pytest.fixture(scope="module")
def model(path):
    return load_model(str(path))


def posed(model, joints, angles):
    return match_joints(Trajectory(np.arange(len(angles)) / 100, joints, np.array(angles, float)), model)


def length_of_flexor(elbow):
    """Return the distance of its two points [m]."""
    turn = np.array([[np.cos(elbow), -np.sin(elbow)], [np.sin(elbow), np.cos(elbow)]])
    return np.linalg.norm(turn @ INSERTION + [0, -UPPER] - ORIGIN)


def test_joints_muscles_and_ranges_are_the_models(model):
    assert model.joints == ("shoulder_flexion", "elbow_flexion", "wheel")
    assert model.muscles == ("flexor", "extensor")
    np.testing.assert_allclose(model.upper[:2], [2, 2.3])
    assert model.free_joints == ("shoulder_flexion", "elbow_flexion")


def test_lengths_and_moment_arms_are_those_of_the_geometry(model):
    elbow = np.linspace(0.2, 2.0, 60)
    kinematics = muscle_kinematics(model, posed(model, ("elbow_flexion",), elbow[:, None]))
    expected = np.array([length_of_flexor(angle) for angle in elbow])
    np.testing.assert_allclose(kinematics.length[:, 0], expected, rtol=1e-9)
    step = 1e-6
    slope = np.array([length_of_flexor(a + step) - length_of_flexor(a - step) for a in elbow]) / (2 * step)
    np.testing.assert_allclose(kinematics.moment_arm[:, 0, 0], -slope, rtol=1e-6, atol=1e-9)
    assert (kinematics.moment_arm[:, 1, 0] < 0).all()
    fibre = (kinematics.length[:, 0] - 0.15) / (0.12 * np.cos(0.1))
    np.testing.assert_allclose(kinematics.fibre_length[:, 0], fibre)


def test_followers_follow(model):
    pose = posed(model, ("elbow_flexion",), [[0.4], [1.0]])
    np.testing.assert_allclose(pose.angles[:, 2], [2 * 0.4 + 0.5, 2.5], atol=1e-3)


def test_gravity_asks_for_the_torque_of_the_weights(model):
    from surrogate.movement.torque import inverse_dynamics

    still = posed(model, ("shoulder_flexion", "elbow_flexion"), [[0.5, 0.7]] * 20)
    shoulder, elbow = inverse_dynamics(model, still)[10]
    lower = 9.81 * 0.12 * np.sin(1.2)
    assert elbow == pytest.approx(lower, rel=1e-3)
    upper = 9.81 * (0.12 + UPPER) * np.sin(0.5)
    assert shoulder == pytest.approx(lower + upper, rel=1e-3)


def test_its_tendons_are_those_it_states(model):
    found = architecture(model)
    np.testing.assert_allclose(found.slack, 0.15 / 0.12)
    assert (compliant_fibre_length(np.ones(2), np.ones(2), found) < 1).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "", "not a model that OpenSim reads"),
        (lambda text: "hello", "not a model that OpenSim reads"),
        (lambda text: text[: len(text) // 2], "not a model that OpenSim reads"),
        (lambda text: text.replace("Millard2012EquilibriumMuscle", "NoMuscle"), "OpenSim reads: .*NoMuscle"),
        (lambda text: text.replace("Millard2012EquilibriumMuscle", "PathActuator"), "no muscle in it"),
        (lambda text: text.replace("<range>-1 2<", "<range>2 -1<"), "joint 'shoulder_flexion' .* 2 to -1"),
        (
            lambda text: text.replace("<optimal_fiber_length>0.12", "<optimal_fiber_length>-1"),
            "flexor|OpenSim",
        ),
        (lambda text: text.replace("/bodyset/lower<", "/bodyset/nobody<"), "not a model that OpenSim reads"),
    ],
)
def test_malformed_models_are_refused_in_one_line(path, folder, change, words):
    broken = folder / "broken.osim"
    broken.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=words) as error:
        load_model(str(broken))
    assert str(error.value).startswith(f"{broken}: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(folder):
    pytest.importorskip("opensim")
    with pytest.raises(ValueError, match=r"none.osim: no such file"):
        load_model(str(folder / "none.osim"))


def test_without_opensim_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensim", None)
    with pytest.raises(ValueError, match=r"a.osim: .*pip install 'myomime\[opensim\]'"):
        load_model("a.osim")


def test_its_muscles_drive_those_of_the_anatomy_by_a_map(model, untrained):
    mapping = {"flexor": Renaming(to="FCR"), "extensor": Renaming(to="ECRL")}
    renamed = with_muscle_names(model, mapping)
    bend = Trajectory(np.arange(50) / 50, ("elbow_flexion",), np.linspace(0.3, 1.5, 50)[:, None])
    few = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=3)), tolerance=0.01)
    recording = simulate(bend, untrained, model=renamed, settings=few)
    data = recording.dataset
    assert data.muscle.values.tolist() == ["FCR", "ECRL"]
    # Against the forearm's weight only the flexor works, and it shortens.
    assert data.activation.sel(muscle=data.muscle == "FCR").max() > 0.01
    length = data.fibre_length.values[data.muscle.values == "FCR"][0]
    assert length[-1] < length[0]
    assert any("muscles stay in place under the skin" in note for note in recording.warnings)
    assert any("the model links does not have them" in note for note in recording.warnings)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"flexer": Renaming(to="FCR")}, "no muscle 'flexer' to rename; the nearest are flexor"),
        ({"flexor": Renaming(to="FCR", scale=2)}, "muscle 'flexor' can be renamed, not scaled"),
        ({"flexor": Renaming(to="extensor")}, "two muscles would be called 'extensor'"),
    ],
)
def test_a_map_of_muscles_that_does_not_fit_is_refused(model, mapping, words):
    with pytest.raises(ValueError, match=words):
        with_muscle_names(model, mapping)
