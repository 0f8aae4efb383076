import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from numerical.motor_units import PoolSettings
from surrogate.movement.environment import FRAME_RATE, EMGEnvironment, fibre_length_ranges
from surrogate.movement.population import Subject
from surrogate.movement.settings import SimulationSettings

SETTINGS = SimulationSettings(
    subject=Subject(pool=PoolSettings(motor_units=3)), frame_rate_hz=FRAME_RATE, tolerance=0.02
)


@pytest.fixture(scope="module")
def environment(untrained):
    return EMGEnvironment("hand", generator=untrained, settings=SETTINGS, seconds=1.0)


def excited(environment, *names):
    return np.array([0.6 if name in names else 0.0 for name in environment.muscles], np.float32)


@pytest.mark.filterwarnings("ignore:.*Box.*")
def test_it_passes_gymnasiums_own_checker(environment):
    check_env(environment, skip_render_check=True)


def test_an_episode_ends_after_its_time(environment):
    environment.reset(seed=0)
    ends = [environment.step(excited(environment))[3] for _ in range(16)]
    assert ends == [False] * 15 + [True]


def test_flexors_flex_and_extensors_extend_and_are_heard(environment):
    wrist = environment.joints.index("flexion")
    angles, maps = [], []
    for names in (("FCR", "FCU", "PL"), ("ECRL", "ECRB", "ECU")):
        environment.reset(seed=1)
        for _ in range(8):
            observation, *_, info = environment.step(excited(environment, *names))
        angles.append(observation["joint_angle"][wrist])
        maps.append(observation["emg"].std(0))
        assert len(info["discharge_time"])
        units = environment.stream.units
        heard = {units.muscles[m] for m in units.muscle[info["discharge_motor_unit"]]}
        assert heard & set(names)
    assert angles[0] > 0.1 > -0.1 > angles[1]
    assert np.corrcoef(*maps)[0, 1] < 0.9


def test_no_excitation_no_emg(environment):
    environment.reset(seed=2)
    observation = environment.step(excited(environment))[0]
    assert not observation["emg"].any()


def test_the_same_seed_gives_the_same_emg_and_another_another(environment):
    def run(seed):
        environment.reset(seed=seed)
        return np.concatenate([environment.step(excited(environment, "FCR"))[0]["emg"] for _ in range(4)])

    np.testing.assert_array_equal(run(4), run(4))
    assert not np.array_equal(run(4), run(5))


@pytest.mark.parametrize("action", [np.zeros(3), np.full(39, np.nan), np.zeros((39, 1))])
def test_an_action_that_is_none_is_refused(environment, action):
    environment.reset(seed=0)
    with pytest.raises(ValueError, match="finite excitations"):
        environment.step(action)


def test_lengths_hold_what_movement_visits(environment):
    ranges = fibre_length_ranges(environment.limb)
    environment.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(16):
        environment.step(rng.uniform(0, 0.5, len(environment.muscles)).astype(np.float32))
        for name, length in zip(environment.recorded, environment._fibre_lengths(), strict=True):
            assert ranges[name][0] - 0.05 < length < ranges[name][1] + 0.05


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "foot"}, "allowed are hand, arm, leg"),
        ({"model": "leg"}, "limb is the forearm, of which the model leg has no muscle"),
        ({"settings": SimulationSettings()}, "frame_rate_hz is 100"),
    ],
)
def test_what_it_cannot_be_is_refused(untrained, options, words):
    with pytest.raises(ValueError, match=words):
        EMGEnvironment(generator=untrained, **options)
