"""Videos of many kinds whose frames carry their number, made by PyAV alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

BITS = 16
MICRO = Fraction(1, 1_000_000)


def picture(number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw a frame that `labelled_study.burnt_number` reads, of any size."""
    columns = np.arange(width) * BITS // width
    bars = (((number >> (BITS - 1 - columns)) & 1) * 255).astype(np.uint8)
    band = round(height * 0.15)
    grey = np.empty((height, width), dtype=np.uint8)
    grey[:] = 60 + (np.arange(width) + number * 3) % width * 120 // width
    grey[:band], grey[-band:] = bars, 255 - bars
    return np.dstack([grey] * 3)


@dataclass(frozen=True)
class Kind:
    """How a video is made."""

    ending: str = "mp4"
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)
    n_frames: int = 75
    size: tuple[int, int] = (192, 144)
    pixels: str = "yuv420p"
    variable: bool = False
    start_s: float = 0.0
    container: Mapping[str, str] = field(default_factory=dict)


def stamps(kind: Kind) -> tuple[list[int], Fraction]:
    """Return the pts of each frame and their time base: 25 a second, or at random distances."""
    if not kind.variable:
        start = round(kind.start_s * 25)
        return [start + number for number in range(kind.n_frames)], Fraction(1, 25)
    gaps = np.random.default_rng(5).integers(8, 120, kind.n_frames)
    times = np.cumsum(gaps) + round(kind.start_s * 1000)
    return (times - gaps[0]).tolist(), Fraction(1, 1000)


def write_video(path: Path, kind: Kind, numbers: Sequence[int] | None = None) -> Path:
    """Write a numbered video."""
    pts, time_base = stamps(kind)
    with av.open(str(path), "w", options=dict(kind.container)) as container:
        stream = container.add_stream(kind.codec, rate=25, options=dict(kind.options))
        stream.width, stream.height = kind.size
        stream.pix_fmt = kind.pixels
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        for number in numbers if numbers is not None else range(kind.n_frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *kind.size), format="rgb24")
            frame.pts, frame.time_base = pts[number], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def plain_pts(path: Path) -> list[int]:
    """Return the time stamps that a plain run through the file gives, without any index."""
    with av.open(str(path)) as container:
        return [frame.pts if frame.pts is not None else frame.dts for frame in container.decode(video=0)]


def _box(data: bytes | bytearray, name: bytes) -> int:
    place = data.find(name)
    if place < 0:
        raise ValueError(f"no {name!r} in the file")
    return place + 4


def turn(path: Path, quarter_turns: int) -> None:
    """Write into an mp4 that it is to be shown turned clockwise, as a phone does."""
    data = bytearray(path.read_bytes())
    place = _box(data, b"tkhd") + 40  # version 0: flags, times, track, duration, layer, volume; then the matrix
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns % 4]
    one = 1 << 16
    data[place : place + 36] = struct.pack(
        ">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(bytes(data))


def cut_by_edit_list(path: Path, first_s: float, duration_s: float) -> None:
    """Let an mp4's edit list show only a part of it; the packets stay."""
    data = bytearray(path.read_bytes())
    place = _box(data, b"elst")
    version, n_entries = data[place], struct.unpack_from(">I", data, place + 4)[0]
    if version or n_entries != 1:
        raise ValueError(f"an edit list of version {version} with {n_entries} entries")
    movie_scale = struct.unpack_from(">I", data, _box(data, b"mvhd") + 12)[0]
    media_scale = struct.unpack_from(">I", data, _box(data, b"mdhd") + 12)[0]
    begins = struct.unpack_from(">i", data, place + 12)[0]
    struct.pack_into(">Ii", data, place + 8, round(duration_s * movie_scale), begins + round(first_s * media_scale))
    path.write_bytes(bytes(data))


X264 = {"preset": "ultrafast", "g": "15", "bf": "0"}
B_FRAMES = {"preset": "veryfast", "x264-params": "keyint=20:bframes=3:b-pyramid=normal:scenecut=0"}
OPEN_GROUPS = {"preset": "veryfast", "x264-params": "keyint=20:bframes=3:open-gop=1:scenecut=0"}
REFRESH = {"preset": "veryfast", "x264-params": "keyint=20:intra-refresh=1:bframes=0:scenecut=0"}
HEVC_OPEN = {"preset": "ultrafast", "x265-params": "keyint=20:bframes=3:open-gop=1:scenecut=0:log-level=none"}

KINDS: dict[str, Kind] = {
    "constant rate": Kind(options=X264),
    "variable rate": Kind(options=X264, variable=True),
    "variable rate in mkv": Kind("mkv", options=B_FRAMES, variable=True),
    "B-frames": Kind(options=B_FRAMES),
    "open groups": Kind(options=OPEN_GROUPS),
    "open groups in mkv": Kind("mkv", options=OPEN_GROUPS, variable=True),
    "open groups of HEVC": Kind(codec="libx265", options=HEVC_OPEN),
    "one key frame": Kind(options={**X264, "g": "1000"}),
    "starts at 5 s": Kind(options=B_FRAMES, start_s=5.0),
    "starts at 5 s in mkv": Kind("mkv", options=X264, start_s=5.0),
    "fragments": Kind(
        options=X264, variable=True, container={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    ),
    "quicktime mjpeg": Kind("mov", "mjpeg", pixels="yuvj420p"),
    "MPEG-TS": Kind("ts", options=X264, start_s=3.0),
    "MPEG-TS with B-frames": Kind("ts", options=B_FRAMES),
    "MPEG-TS with open groups": Kind("ts", options=OPEN_GROUPS),
    "MPEG-TS with gradual refresh": Kind("ts", options=REFRESH),
    "MPEG-TS of MPEG-2": Kind("ts", "mpeg2video", {"bf": "2", "g": "12", "b": "2000000"}),
    "AVI of MPEG-4": Kind("avi", "mpeg4", {"g": "12", "b": "2000000"}),
    "AVI of MPEG-4 with B-frames": Kind("avi", "mpeg4", {"bf": "2", "g": "12", "b": "2000000"}),
    "AVI with B-frames": Kind("avi", options=B_FRAMES),
    "AVI of MJPEG": Kind("avi", "mjpeg", pixels="yuvj420p"),
    "WebM of VP8": Kind("webm", "libvpx", {"g": "25", "deadline": "realtime", "cpu-used": "8", "b": "200000"}),
    "WebM of VP9": Kind(
        "webm", "libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "10"}
    ),
    "WebM of AV1": Kind("webm", "libsvtav1", {"preset": "12", "svtav1-params": "keyint=20:lp=1"}, n_frames=40),
    "odd size": Kind("mkv", "ffv1", size=(193, 145), pixels="yuv444p"),
    "odd size of VP9": Kind(
        "webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, size=(321, 241), n_frames=30
    ),
    "odd size of H.264": Kind(options=X264, size=(227, 131), pixels="yuv444p"),
}
