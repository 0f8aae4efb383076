import numpy as np
import pytest

from surrogate.generators import ArrayGeometry
from surrogate.movement.electrodes import Electrodes, Shift, bracelet, part_of_array, recorded

GEOMETRY = ArrayGeometry(
    row_position=tuple(0.008 * (np.arange(10) - 4.5)), columns=32, samples=96, sampling_rate=2048.0
)
ROUNDING = 2e-6  # float32, of sums of 320 products


def smooth_emg(samples=512, places=None):
    """Return an EMG whose maps are cubics along the limb and the first harmonics around it, and its law."""
    rng = np.random.default_rng(0)
    along, around, time = rng.normal(size=4), rng.normal(size=(3, 2)), rng.normal(size=samples)

    def law(z, angle):
        waves = sum(a * np.cos(k * angle) + b * np.sin(k * angle) for k, (a, b) in enumerate(around))
        return np.polynomial.Polynomial(along)(z / 0.036) * waves

    z = np.repeat(GEOMETRY.row_position, 32)
    angle = np.tile(2 * np.pi * np.arange(32) / 32, 10)
    return (time[:, None] * law(z, angle)).astype(np.float32), time, law


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * np.abs(expected).max() * 10)


def test_a_part_of_the_array_has_the_arrays_own_channels():
    emg = np.random.default_rng(1).normal(size=(64, 320)).astype(np.float32)
    chosen = part_of_array(GEOMETRY, rows=[0, 3, 9], columns=[0, 5, 31])
    found = recorded(emg, chosen, GEOMETRY)
    rows, columns = np.meshgrid([0, 3, 9], [0, 5, 31], indexing="ij")
    assert_close(found, emg[:, (32 * rows + columns).ravel()])


def test_a_bracelet_reads_a_smooth_map_exactly():
    """Splines through ten rows reproduce cubics, Fourier series of 32 columns the first harmonics."""
    emg, time, law = smooth_emg()
    ring = bracelet(8, along_mm=5.3, first_deg=7, rings=2)
    z, angle = ring.shifted(0.0)
    assert_close(recorded(emg, ring, GEOMETRY), time[:, None] * law(z, angle))


def test_a_bipolar_channel_is_the_difference_of_two_electrodes():
    emg, _, _ = smooth_emg()
    single = bracelet(4, rings=2, ring_spacing_mm=20)
    pairs = tuple((f"E{i}", f"E{i + 4}") for i in range(4))
    both = recorded(emg, single, GEOMETRY)
    found = recorded(emg, single.model_copy(update={"montage": "bipolar", "pairs": pairs}), GEOMETRY)
    assert_close(found, both[:, :4] - both[:, 4:])


def test_turning_the_electrodes_by_a_column_is_choosing_the_next_column():
    emg = np.random.default_rng(2).normal(size=(64, 320)).astype(np.float32)
    ring = part_of_array(GEOMETRY, [4], range(32))
    turned = ring.model_copy(update={"shift": (Shift(time_s=0, around_deg=360 / 32),)})
    found = recorded(emg, turned, GEOMETRY)
    assert_close(found, np.roll(recorded(emg, ring, GEOMETRY), -1, axis=1))


def test_moving_electrodes_read_the_map_where_they_are():
    emg, time, law = smooth_emg(2048)
    start = bracelet(6, along_mm=-20)
    way = (Shift(time_s=0.0), Shift(time_s=1.0, along_mm=30, around_deg=40))
    moving = start.model_copy(update={"shift": way})
    seconds = np.arange(2048) / 2048
    expected = np.stack([t * law(*moving.shifted(s)) for t, s in zip(time, seconds, strict=True)])
    found = recorded(emg, moving, GEOMETRY)
    # Linear between knots of 0.1 s: h^2 / 8 of the second derivative in time. In a step of 3 mm and 4 degrees
    # a cubic over 36 mm and two harmonics bend by some 6 (3 / 36)^2 + 4 (4 pi / 180)^2 = 0.06, an eighth of
    # which is below a hundredth of the map's largest value.
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()


def test_blocks_of_a_recording_are_its_parts():
    emg, _, _ = smooth_emg(1000)
    way = (Shift(time_s=0.1), Shift(time_s=0.4, along_mm=10, around_deg=20))
    moving = bracelet(5).model_copy(update={"shift": way})
    whole = recorded(emg, moving, GEOMETRY)
    parts = [recorded(emg[i : i + 137], moving, GEOMETRY, start=i / 2048) for i in range(0, 1000, 137)]
    assert_close(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"along_mm": (0, 1), "around_deg": (0,)}, "2 places along the limb and 1 around it"),
        ({"along_mm": (0, 1), "around_deg": (0, 9), "names": ("a", "a")}, "1 different names of 2"),
        ({"along_mm": (0,), "around_deg": (0,), "montage": "bipolar"}, "0 pairs"),
        (
            {"along_mm": (0, 1), "around_deg": (0, 9), "montage": "bipolar", "pairs": (("E0", "E2"),)},
            "no electrode 'E2'",
        ),
        (
            {"along_mm": (0,), "around_deg": (0,), "shift": ({"time_s": 1}, {"time_s": 1})},
            "must increase",
        ),
    ],
)
def test_electrodes_that_do_not_fit_together_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Electrodes(**settings)


def test_electrodes_off_the_array_are_refused():
    emg = np.zeros((4, 320), np.float32)
    with pytest.raises(ValueError, match="off the array"):
        recorded(emg, bracelet(4, along_mm=40), GEOMETRY)
    with pytest.raises(ValueError, match="row 10: the array has rows 0 to 9"):
        part_of_array(GEOMETRY, [10], [0])
    with pytest.raises(ValueError, match="at least 1"):
        bracelet(0)
