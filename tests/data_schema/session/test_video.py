"""The frame that is asked for is the frame that comes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data_schema.errors import MediaError, SessionFileError
from data_schema.session import SessionWriter, VideoStream, open_session
from data_schema.session import video as video_module
from data_schema.session.layout import FRAMES, make_row
from data_schema.session.synthetic import _encoder, make_synthetic_session

N_FRAMES = 100


def picture(index: int) -> np.ndarray:
    """Return a picture that carries its number as eight bright or dark blocks."""
    image = np.full((240, 320, 3), 90, np.uint8)
    for bit in range(8):
        image[80:160, bit * 40 : bit * 40 + 40] = 235 if index >> bit & 1 else 20
    return image


def number_in(image: np.ndarray) -> int:
    return sum(int(image[100:140, bit * 40 + 10 : bit * 40 + 30].mean() > 128) << bit for bit in range(8))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A session whose frames have random intervals (variable rate)."""
    rng = np.random.default_rng(3)
    context, stream = _encoder(30.0)
    path = tmp_path / "sub-P001_ses-01.h5"
    with SessionWriter.create(path, participant="P001", session="01", video=stream) as writer:
        pts = 0
        for index in range(N_FRAMES):
            pts += int(rng.integers(20_000, 50_000))
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 1_000_000)
            for packet in context.encode(frame):
                writer.append_packet(
                    bytes(packet),
                    make_row(
                        FRAMES, t_capture_us=5_000_000 + pts, t_device_us=-1, pts=packet.pts,
                        keyframe=packet.is_keyframe, missed_before=0,
                    ),
                )  # fmt: skip
    return path


def test_random_seeks_return_the_frame_asked_for(recording: Path) -> None:
    order = np.random.default_rng(1).permutation(N_FRAMES)
    with open_session(recording) as session:
        video = session.video
        assert video is not None
        assert [number_in(video.decode(int(index))) for index in order] == order.tolist()
        assert number_in(video.decode(-1)) == N_FRAMES - 1


def test_many_frames_come_in_ascending_order_without_double_decoding(recording: Path) -> None:
    wanted = [3, 97, 14, 15, 16, 60, 3]
    with open_session(recording) as session:
        video = session.video
        assert video is not None
        got = [(index, number_in(image)) for index, image in video.decode_many(wanted)]
    assert got == [(index, index) for index in sorted(set(wanted))]


def test_a_frame_that_does_not_exist_is_refused(recording: Path) -> None:
    with open_session(recording) as session:
        video = session.video
        assert video is not None
        with pytest.raises(IndexError, match="0 to 99"):
            video.decode(N_FRAMES)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(MediaError("a packet is damaged"), SessionFileError), (OSError("the disk is full"), OSError)],
)
def test_a_remux_that_fails_leaves_nothing(recording: Path, tmp_path: Path, monkeypatch, failure, raised) -> None:
    left = iter([video_module.without_notes] * 5)

    def failing(packet: bytes) -> bytes:
        step = next(left, None)
        if step is None:
            raise failure
        return step(packet)

    monkeypatch.setattr(video_module, "without_notes", failing)
    (tmp_path / "out").mkdir()
    with open_session(recording) as session, pytest.raises(raised, match=str(failure)):
        assert session.video is not None
        session.video.remux(tmp_path / "out" / "face.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_remuxing_keeps_every_frame_and_its_time(recording: Path, tmp_path: Path) -> None:
    target = tmp_path / "face.mp4"
    with open_session(recording) as session:
        video = session.video
        assert video is not None
        pts = video.frames["pts"] - video.frames["pts"][0]
        assert b"x264" in video.packet(0)
        video.remux(target)
        assert b"x264" not in target.read_bytes()
        with pytest.raises(SessionFileError, match="exists already"):
            video.remux(target)
    with av.open(str(target)) as container:
        frames = [
            (float(frame.time or 0.0) * 1e6, number_in(frame.to_ndarray(format="rgb24")))
            for frame in container.decode(video=0)
        ]
    assert [number for _, number in frames] == list(range(N_FRAMES))
    assert np.abs(np.array([time for time, _ in frames]) - pts).max() < 100


def test_a_session_without_camera_has_no_video(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5, with_video=False)
    with open_session(path) as session:
        assert session.video is None


def test_the_stream_description_round_trips(recording: Path) -> None:
    with open_session(recording) as session:
        stream = VideoStream.from_attributes(session.file["/face/packets"])
    assert stream is not None
    assert (stream.codec, stream.width_px, stream.height_px) == ("libx264", 320, 240)
    assert stream.time_base == Fraction(1, 1_000_000)
    assert stream.extradata
