"""Video files in place of cameras, and OpenCV's cameras."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from collection.devices.video_file import VideoFileCamera
from data_schema.errors import MediaError

from .device_lab import Collector, ManualClock, record, write_video

PTS_MS = [0, 40, 73, 150, 160, 300, 333]


def test_a_variable_frame_rate_is_kept_in_both_stamps(tmp_path: Path) -> None:
    clock = ManualClock()
    started_us = clock.now_us()
    camera = VideoFileCamera(clock, write_video(tmp_path / "a.mp4", PTS_MS), loop=False)
    sink = record(camera, clock, 1.0)
    camera.close()
    expected_us = np.array(PTS_MS) * 1000
    np.testing.assert_array_equal(sink.times_us - started_us, expected_us)
    assert [frame.t_device_us for frame in sink.frames] == expected_us.tolist()
    levels = [int(frame.image[32, 48, 0]) for frame in sink.frames]
    np.testing.assert_allclose(levels, 8 * np.arange(len(PTS_MS)), atol=6)


def test_a_looping_file_goes_on_and_one_that_does_not_says_that_it_ended(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", PTS_MS)
    clock = ManualClock()
    looping = VideoFileCamera(clock, path)
    sink = record(looping, clock, 1.5)
    looping.close()
    assert len(sink.frames) > 3 * len(PTS_MS)
    assert np.all(np.diff(sink.times_us) > 0)
    assert sink.events == []

    clock = ManualClock()
    once = VideoFileCamera(clock, path, loop=False)
    sink = record(once, clock, 5.0)
    once.close()
    assert len(sink.frames) == len(PTS_MS)
    assert [kind for kind, *_ in sink.events] == ["device_fault"]
    assert "ended" in sink.events[0][1]


def test_an_odd_size_is_cut_to_an_even_one(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 97, 65, "bgr0"
        for pts in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((65, 97, 3), 9, np.uint8), format="bgr24")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clock = ManualClock()
    camera = VideoFileCamera(clock, tmp_path / "odd.mkv")
    sink = record(camera, clock, 0.25)
    assert (camera.describe().width_px, camera.describe().height_px) == (96, 64)
    camera.close()
    assert sink.frames[0].image.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("name", "n_frames", "rate_hz"), [("single_face.mp4", 72, 30.0), ("face_noface.mov", 169, None)]
)
def test_real_recordings_play_with_their_own_times(
    shared_data: Path, name: str, n_frames: int, rate_hz: float | None
) -> None:
    path = shared_data / "face_video" / name
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pts_us = np.array([float(f.pts * stream.time_base) * 1e6 for f in container.decode(stream)])
    clock = ManualClock()
    camera = VideoFileCamera(clock, path, loop=False)
    started_us = clock.now_us()
    sink = record(camera, clock, 30.0, Collector(keep_images=False))
    info = camera.describe()
    camera.close()
    assert len(sink.frames) == len(pts_us) == n_frames
    np.testing.assert_allclose(sink.times_us - started_us, pts_us - pts_us[0], atol=1)
    assert info.replayed_from == name
    if rate_hz is not None:
        assert info.rates_hz["/face/frames"] == pytest.approx(rate_hz, rel=0.01)
    else:
        assert np.diff(sink.times_us).std() > 1000


def test_what_is_no_video_is_refused_with_a_next_step(tmp_path: Path) -> None:
    clock = ManualClock()
    with pytest.raises(MediaError, match="no such file"):
        VideoFileCamera(clock, tmp_path / "absent.mp4").connect()
    (tmp_path / "text.mp4").write_text("no video at all", encoding="utf-8")
    with pytest.raises(MediaError, match=r"cannot be read as a video.*convert it to"):
        VideoFileCamera(clock, tmp_path / "text.mp4").connect()
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(MediaError, match=r"empty\.mp4"):
        VideoFileCamera(clock, tmp_path / "empty.mp4").connect()
    whole = write_video(tmp_path / "whole.mp4", PTS_MS).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        VideoFileCamera(clock, tmp_path / "cut.mp4").connect()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(MediaError, match="holds no video"):
        VideoFileCamera(clock, tmp_path / "sound.wav").connect()
