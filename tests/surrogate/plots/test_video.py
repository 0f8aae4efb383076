"""A video lasts as long as its recording, and its electrodes go where the array goes."""

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from PIL import Image

from surrogate.movement.electrodes import Electrodes, Shift
from surrogate.plots.video import FRAME_RATE, frame_times, places_at, rms_at, video


def test_a_gif_lasts_as_long_as_the_recording(recording, tmp_path):
    told = []
    path = video(recording, tmp_path / "new" / "a.gif", lambda stage, done: told.append(done))
    with Image.open(path) as gif:
        frames = gif.n_frames
        last = gif.info["duration"]
        shown = [np.asarray((gif.seek(frame), gif.convert("RGB"))[1]) for frame in (0, 8)]
    assert frames == 16  # 0 to 1.5 s in tenths
    assert last == 1000 / FRAME_RATE
    assert (shown[0] != shown[1]).any()
    assert told[-1] == 1
    assert (np.diff(told) > 0).all()
    assert [file.name for file in path.parent.iterdir()] == ["a.gif"]


def test_frames_show_the_rms_about_their_times(recording):
    times = frame_times(recording)
    np.testing.assert_allclose(times, 3 + 0.1 * np.arange(16))
    near = np.abs(recording.time.values - times[7]) < 0.05
    expected = np.sqrt(np.mean(recording.emg.values[:, near].astype(float) ** 2, axis=1))
    np.testing.assert_allclose(rms_at(recording, times)[7], expected, rtol=1e-2)  # a sample of 205


def test_electrodes_move_as_the_array_does(recording):
    still = places_at(recording, np.array([3.0, 4.0]))
    np.testing.assert_array_equal(still[0], still[1])
    np.testing.assert_allclose(still[0, :, 1], 1e3 * recording.electrode_z)
    way = (Shift(time_s=0), Shift(time_s=1, along_mm=4, around_deg=30))
    array = Electrodes(along_mm=(0, 8), around_deg=(0, 350), shift=way)
    moving = recording.copy()
    moving.attrs = recording.attrs | {"electrodes": array.model_dump_json()}
    first, half, whole = places_at(moving, np.array([3.0, 3.5, 4.0]))
    np.testing.assert_array_equal(first, still[0])
    np.testing.assert_allclose(whole[:, 1] - first[:, 1], 4)
    np.testing.assert_allclose((half[:, 0] - first[:, 0]) % 360, 15)
    assert whole[:, 0].max() < 360  # round the limb and on


def test_what_cannot_be_written_is_refused(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(FFMpegWriter, "isAvailable", lambda: False)
    with pytest.raises(ValueError, match="needs the program ffmpeg"):
        video(recording, tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=r"a picture of this kind is \.gif or \.mp4"):
        video(recording, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
