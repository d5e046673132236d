"""What there is to know of a clip's file before it plays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_schema.errors import MediaError


@dataclass(frozen=True)
class ClipFile:
    """A clip that can be played.

    Parameters
    ----------
    width_px, height_px : int
        Of the picture as it is to be shown: pixels that are not square are made so.
    frame_s : float
        Mean time between two frames.
    last_frame_s : float
        When the last frame begins, or should begin by the file's index, counted from the first.
    has_sound : bool
        Whether there is a sound track.
    """

    width_px: int
    height_px: int
    frame_s: float
    last_frame_s: float
    has_sound: bool


def read_clip_file(path: Path) -> ClipFile:
    """Open a clip, decode its first frame and find its last.

    Raises
    ------
    MediaError
        If it is missing, is no video, or its first frame cannot be decoded.
    """
    try:
        stamp = path.stat()
    except OSError as error:
        raise MediaError(f"{path}: cannot be opened: {error.strerror or error}. Put the clip back.") from error
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, changed_ns: int, n_bytes: int) -> ClipFile:
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path.name}: holds no video. Clips are video files, such as .mp4 with H.264.")
            stream = container.streams.video[0]
            first = next(container.decode(stream), None)
            if first is None:
                raise MediaError(
                    f"{path.name}: not one frame of it can be decoded. Convert it anew to .mp4 with H.264."
                )
            aspect = float(stream.sample_aspect_ratio or 1) or 1.0
            has_sound = bool(container.streams.audio)
        # Packets tell the times of all frames without decoding any: 4 to 40 ms for 20 s.
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            base = float(stream.time_base or 0)
            rate_fps = float(stream.average_rate or 25)
            times = sorted(packet.pts * base for packet in container.demux(stream) if packet.pts is not None)
            # What the file's own index says there should be, though the end may have been cut off.
            promised_s = float(stream.duration or 0) * base
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path.name}: cannot be decoded: {error}. Convert it anew to .mp4 with H.264.") from error
    span_s = times[-1] - times[0] if times else 0.0
    frame_s = span_s / (len(times) - 1) if len(times) > 1 else 1.0 / rate_fps
    last_s = max(span_s, promised_s - frame_s)
    return ClipFile(round(first.width * aspect), first.height, frame_s, last_s, has_sound)
