"""Every kind of video shows, for each frame, the number that is burnt into it, in whatever order frames are asked for."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from annotation.playback import decoding, packets
from annotation.playback.frames import FrameSource
from annotation.playback.video_file import open_video
from data_schema.errors import MediaError

from ..labelled_study import burnt_number
from .numbered_video import B_FRAMES, KINDS, OPEN_GROUPS, X264, Kind, cut_by_edit_list, plain_pts, turn, write_video

DATA = Path(__file__).parent / "data"


@pytest.fixture
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep so few decoded frames that nearly every one has to be decoded anew."""
    monkeypatch.setattr(decoding, "KEPT_BYTES", 0)
    monkeypatch.setattr(decoding, "KEPT_FRAMES", 3)


def shuffled(frames: FrameSource, seed: int = 1) -> list[int]:
    """All frames in a random order, then a run forwards and one backwards across two groups."""
    n = len(frames)
    some = range(n // 3, min(n, n // 3 + 25))
    return [*np.random.default_rng(seed).permutation(n).tolist(), *some, *reversed(some)]


def mismatches(frames: FrameSource, first: int = 0) -> list[tuple[int, int]]:
    """Frames whose burnt-in number is not their own."""
    read = ((index, burnt_number(frames.frame(index))) for index in shuffled(frames))
    return [(index, number) for index, number in read if number != index + first]


@pytest.mark.usefixtures("few_kept")
@pytest.mark.parametrize("name", KINDS)
def test_each_frame_is_the_one_that_was_asked_for(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    path = write_video(tmp_path / f"video.{kind.ending}", kind)
    frames = open_video(path)
    assert len(frames) == kind.n_frames
    assert mismatches(frames) == []
    assert frames.frame(0).shape == (kind.size[1], kind.size[0], 3)
    assert (np.diff(frames.pts) > 0).all()
    # FFmpeg makes up stamps for B-frames in AVI that do not even ascend.
    if name != "AVI with B-frames":
        assert frames.pts.tolist() == plain_pts(path)
    assert frames.times_us[0] == 0
    assert frames.identity(7).frame_index == 7
    assert frames.identity(7).frame_pts == frames.pts[7]
    frames.close()


@pytest.mark.usefixtures("few_kept")
@pytest.mark.parametrize("name", ["variable rate in mkv", "open groups", "MPEG-TS with B-frames", "AVI of MPEG-4"])
def test_a_video_too_long_for_memory_is_read_by_checked_seeks(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "HELD_BYTES", 1000)
    kind = KINDS[name]
    frames = open_video(write_video(tmp_path / f"video.{kind.ending}", kind))
    assert mismatches(frames) == []
    frames.close()


def test_a_clip_in_memory_outlives_its_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", KINDS["constant rate"])
    frames = open_video(path)
    path.unlink()
    assert mismatches(frames) == []
    frames.close()


@pytest.mark.usefixtures("few_kept")
def test_frames_that_vp8_hides_are_not_counted() -> None:
    frames = open_video(DATA / "hidden_frames_vp8.webm")
    with av.open(str(DATA / "hidden_frames_vp8.webm")) as container:
        n_packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert n_packets > len(frames) == 60
    assert mismatches(frames) == []
    frames.close()


@pytest.mark.usefixtures("few_kept")
@pytest.mark.parametrize("options", [X264, B_FRAMES], ids=["from amid a group", "B-frames"])
def test_an_edit_list_leaves_frames_out(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_video(tmp_path / "edited.mp4", Kind(options=options))
    cut_by_edit_list(path, 1.12, 1.2)
    frames = open_video(path)
    assert len(frames) == 30
    assert mismatches(frames, first=28) == []
    assert frames.pts.tolist() == plain_pts(path)
    assert frames.identity(0).frame_index == 0
    frames.close()


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_video_is_shown_upright(tmp_path: Path, quarter_turns: int) -> None:
    path = write_video(tmp_path / "phone.mp4", Kind(options=X264, n_frames=20))
    turn(path, quarter_turns)
    frames = open_video(path)
    sizes = {1: (144, 192), 2: (192, 144), 3: (144, 192)}
    assert (frames.width_px, frames.height_px) == sizes[quarter_turns]
    image = frames.frame(7)
    assert image.shape == (frames.height_px, frames.width_px, 3)
    # The file says: turn it clockwise. Turned back, it must be what was filmed.
    assert burnt_number(np.rot90(image, quarter_turns)) == 7
    frames.close()


def test_pixels_that_are_no_squares_are_stretched(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    write_video(path, Kind(options={**X264, "aspect": "16:9"}, n_frames=10))
    with av.open(str(path)) as container:
        ratio = container.streams.video[0].codec_context.sample_aspect_ratio
    frames = open_video(path)
    assert frames.width_px == round(192 * (ratio or 1))
    assert burnt_number(frames.frame(5)) == 5
    frames.close()


def test_a_part_of_a_file_keeps_the_numbers_of_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", Kind(options=OPEN_GROUPS, variable=True))
    whole = open_video(path)
    times = np.arange(30) * 40_000
    part = open_video(path, first=23, stop=53, times_us=times)
    assert len(part) == 30
    assert mismatches(part, first=23) == []
    assert part.identity(3) == whole.identity(26)
    assert part.times_us.tolist() == times.tolist()
    assert part.group_starts[0] <= 0
    assert (part.index_at(-5), part.index_at(39_999), part.index_at(40_000), part.index_at(10**9)) == (0, 0, 1, 29)
    part.close()
    whole.close()


def test_a_damaged_frame_is_said_and_the_rest_stays_usable(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", Kind(options=X264, container={"movflags": "faststart"}))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(bytes(data))
    frames = open_video(path)
    good, bad = [], []
    for index in shuffled(frames):
        try:
            good.append((index, burnt_number(frames.frame(index))))
        except MediaError as error:
            bad.append(index)
            assert f"video.mp4: frame {index} " in str(error)
            assert "Copy the file again" in str(error)
    assert all(index == number for index, number in good)
    # From the damage on to the next key frame, and no further.
    assert 1 <= len(set(bad)) <= 15
    assert max(bad) % 15 == 14
    frames.close()


def _whole(tmp_path: Path, kind: Kind) -> bytes:
    return write_video(tmp_path / f"whole.{kind.ending}", kind).read_bytes()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Kind(options=X264, container={"movflags": "faststart"}), "cut short"),
        (Kind(options=X264), "no video that can be read"),  # its index lay at the end
        (Kind(options=X264, container={"movflags": "frag_keyframe+empty_moov+default_base_moof"}), "cut short"),
        (Kind("mkv", options=X264), "cut short"),
        (Kind("avi", "mjpeg", pixels="yuvj420p"), "cut short"),
    ],
    ids=["mp4", "mp4 without its index", "fragments", "mkv", "avi"],
)
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, kind: Kind, says: str) -> None:
    data = _whole(tmp_path, kind)
    path = tmp_path / f"cut.{kind.ending}"
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(MediaError, match=says) as caught:
        open_video(path)
    assert str(caught.value).startswith(path.name)
    assert "again" in str(caught.value)


def test_what_is_no_video_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video " * 100, encoding="utf-8")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16_000))
    with pytest.raises(MediaError, match="no video that can be read"):
        open_video(tmp_path / "text.mp4")
    with pytest.raises(MediaError, match="no video that can be read"):
        open_video(tmp_path / "empty.mp4")
    with pytest.raises(MediaError, match="there is no video in this file"):
        open_video(tmp_path / "sound.wav")
    with pytest.raises(MediaError, match="no such file"):
        open_video(tmp_path / "missing.mp4")
    with pytest.raises(MediaError, match="no such file"):
        open_video(tmp_path)


def test_a_part_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", Kind(options=X264, n_frames=20))
    with pytest.raises(MediaError, match="the file has 20"):
        open_video(path, first=5, stop=30)
    with pytest.raises(MediaError, match="3 frame times for 20 frames"):
        open_video(path, times_us=np.arange(3))
    frames = open_video(path)
    with pytest.raises(IndexError, match="frames 0 to 19"):
        frames.frame(20)
    frames.close()
    frames.close()
    with pytest.raises(MediaError, match="closed already"):
        frames.frame(0)
