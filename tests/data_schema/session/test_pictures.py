"""Decoded frames that are not converted until somebody looks, and what damaged packets cost."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pytest

from data_schema.errors import SessionFileError
from data_schema.session import SessionWriter, open_session
from data_schema.session.layout import FRAMES, make_row
from data_schema.session.pictures import FramePicture
from data_schema.session.synthetic import _encoder
from data_schema.session.video import SessionVideo

N_FRAMES = 90


def drawn(index: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """Return soft colours that move, so that each packet matters to those after it."""
    y, x = np.mgrid[: size[1], : size[0]]
    waves = [np.sin((x + 6 * index) / 23 + k) + np.cos((y - 4 * index) / 17 + 2 * k) for k in range(3)]
    return np.stack([60 + 35 * (wave + 2) for wave in waves], axis=2).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    context, stream = _encoder(30.0)
    path = tmp_path_factory.mktemp("pictures") / "sub-P001_ses-01.h5"
    with SessionWriter.create(path, participant="P001", session="01", video=stream) as writer:
        for index in range(N_FRAMES):
            frame = av.VideoFrame.from_ndarray(drawn(index), format="rgb24")
            frame.pts, frame.time_base = 33_333 * (index + 1), Fraction(1, 1_000_000)
            for packet in context.encode(frame):
                row = make_row(
                    FRAMES, t_capture_us=5_000_000 + frame.pts, t_device_us=-1, pts=packet.pts,
                    keyframe=packet.is_keyframe, missed_before=0,
                )  # fmt: skip
                writer.append_packet(bytes(packet), row)
    return path


def video_of(session) -> SessionVideo:
    assert session.video is not None
    return session.video


@pytest.mark.parametrize("width", [None, 160, 100])
def test_looks_agree_with_the_whole_picture(recording: Path, width: int | None):
    with open_session(recording) as session:
        for _, picture in video_of(session).pictures([40]):
            full = picture.frame.to_ndarray(format="rgb24")
            height, seen_width, _ = picture.rgb(width).shape
            assert seen_width == (width or 320)
            assert abs(height - seen_width * 0.75) <= 1
            whole = cv2.resize(full, (seen_width, height), interpolation=cv2.INTER_AREA)
            # Shrunk colours keep their blocks of 2x2 px.
            assert np.abs(picture.rgb(width).astype(int) - whole).mean() < (6 if width else 1)
            fresh = FramePicture(picture.frame)
            # Odd corners, where blocks of colour are cut.
            region = fresh.rgb_region(31, 17, 172, 120)
            assert region.shape == (103, 141, 3)
            assert np.abs(region.astype(int) - full[17:120, 31:172]).mean() < 3
            grey = cv2.cvtColor(full, cv2.COLOR_RGB2GRAY)
            assert np.abs(fresh.grey_region(31, 17, 172, 120).astype(int) - grey[17:120, 31:172]).mean() < 2
            assert np.abs(fresh.grey(640).astype(int) - grey).mean() < 2


@pytest.mark.parametrize("pixels", ["yuvj420p", "gray", "yuv444p", "rgb24", "yuv420p10le"])
def test_every_format_gives_full_range_grey(pixels: str):
    image = drawn(3, (128, 96))
    image[:10], image[-10:] = 0, 255
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
    picture = FramePicture(frame)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    seen = picture.grey(128)
    assert np.abs(seen.astype(int) - grey).mean() < 2.5
    assert seen[:8].max() < 8
    assert seen[-8:].min() > 247


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_a_telephone_held_upright_is_turned(tmp_path: Path, degrees: int, quarters: int):
    """The display matrix of an ordinary file turns the picture, its regions and its grey."""
    path = tmp_path / "phone.mp4"
    image = drawn(0, (128, 96))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    _set_display_matrix(path, degrees)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    picture = FramePicture(frame)
    shown = np.rot90(image, quarters)
    assert (picture.height_px, picture.width_px) == shown.shape[:2]
    assert np.abs(picture.rgb().astype(int) - shown).mean() < 6
    assert np.abs(picture.rgb(64).shape[1] - 64) <= 1
    assert np.abs(picture.rgb_region(10, 20, 60, 80).astype(int) - shown[20:80, 10:60]).mean() < 6
    grey = cv2.cvtColor(np.ascontiguousarray(shown), cv2.COLOR_RGB2GRAY)
    assert np.abs(picture.grey_region(10, 20, 60, 80).astype(int) - grey[20:80, 10:60]).mean() < 6
    assert picture.grey(32).shape[1] == pytest.approx(32, abs=1)
    assert FramePicture(frame, turned=False).width_px == 128


def _set_display_matrix(path: Path, degrees: int) -> None:
    """Write a rotation (counter-clockwise as shown) into the track header of an MP4."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40  # version and flags, times, id, layer, volume: version 0
    cos, sin = round(np.cos(np.radians(degrees))), round(np.sin(np.radians(degrees)))
    matrix = [cos << 16, -sin * 65536, 0, sin * 65536, cos << 16, 0, 0, 0, 1 << 30]
    content[place : place + 36] = b"".join(int(value).to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(bytes(content))


def test_a_damaged_packet_costs_its_group_and_no_more(recording: Path, tmp_path: Path):
    path = tmp_path / recording.name
    path.write_bytes(recording.read_bytes())
    with h5py.File(path, "r+") as file:
        rows = file["/face/frames"][...]
        keys = np.flatnonzero(rows["keyframe"])
        hurt = int(keys[1]) + 4
        start, size = int(rows["packet_offset"][hurt]), int(rows["packet_size"][hurt])
        noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        file["/face/packets"][start : start + size] = noise
    with open_session(path) as session, open_session(recording) as whole:
        video = video_of(session)
        found = dict(video.pictures(range(N_FRAMES), broken="none"))
        lost = [index for index, picture in found.items() if picture is None]
        assert lost == list(range(hurt, int(keys[2])))
        for index, picture in video_of(whole).pictures([hurt - 1, int(keys[2])]):
            assert (found[index].rgb() == picture.rgb()).all()


def test_frames_before_the_first_key_frame_are_lost_not_fatal(recording: Path):
    with open_session(recording) as session:
        whole = video_of(session)
        rows = whole.frames.copy()
        rows["keyframe"][0] = 0
        video = SessionVideo(whole.path, whole._packets, rows, whole.stream)
        first = int(np.flatnonzero(rows["keyframe"])[0])
        got = dict(video.pictures([0, 3, first], broken="none"))
        assert got[0] is None
        assert got[3] is None
        assert got[first] is not None
        with pytest.raises(SessionFileError, match="no key frame before frame 0"):
            list(video.pictures([0]))


def test_decoding_stops_at_the_last_frame_wanted_of_a_group(recording: Path, monkeypatch: pytest.MonkeyPatch):
    """Every sixth frame of groups of 15: 13 and 10 packets of 15 are decoded by turns."""
    decoded = []
    plain = SessionVideo._decode_packet

    def counting(self, decoder, index, payload, wanted):
        decoded.append(index)
        return plain(self, decoder, index, payload, wanted)

    monkeypatch.setattr(SessionVideo, "_decode_packet", counting)
    with open_session(recording) as session:
        video = video_of(session)
        keys = np.flatnonzero(video.frames["keyframe"]).tolist() + [N_FRAMES]
        wanted = list(range(0, N_FRAMES, 6))
        assert [index for index, _ in video.pictures(wanted)] == wanted
    needed = []
    for first, after in zip(keys, keys[1:], strict=False):
        inside = [index for index in wanted if first <= index < after]
        needed += list(range(first, inside[-1] + 1)) if inside else []
    assert decoded == needed
    assert len(decoded) < N_FRAMES
