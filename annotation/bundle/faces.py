"""A clip's face video as a file of its own: packets copied, nothing else taken along.

The picture is not encoded again. The file begins at a key frame before the clip, its time stamps begin at 0, and it
has no sound, no title and no date. Encoders leave notes in the stream and equal clips give equal bytes; so notes
are taken out, and filler that decoders pass over (NAL unit type 12) goes in, of another length in each packet of
each file.

References
----------
ITU-T H.264 (2021), 7.3.2.7 filler data.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from data_schema.atomic import partial_path, replace_durably
from data_schema.errors import MediaError
from data_schema.session import SessionVideo
from data_schema.session.encoder_notes import without_notes
from data_schema.session.video import VideoStream

_CODECS = ("libx264", "h264")
_FILLER = 12
#: A group of frames more before the clip is taken along only if the lead stays this short.
_LONGEST_LEAD_US = 2_000_000


@dataclass(frozen=True)
class FaceFacts:
    """What has to be known of a written face video to show it, and to find its frames in the session again.

    Parameters
    ----------
    n_frames : int
        Frames in the file.
    n_lead : int
        Frames before the clip, that are decoded and never shown.
    time_base : Fraction
        Of the file's time stamps.
    times_us : ndarray of int64, shape (n_frames - n_lead,)
        Capture times of the shown frames, microseconds from the clip's onset.
    home_first : int
        The file's first frame in the session's video.
    home_pts : int
        Time stamp of that frame there.
    home_time_base : Fraction
        Of the session's time stamps.
    """

    n_frames: int
    n_lead: int
    time_base: Fraction
    times_us: npt.NDArray[np.int64]
    home_first: int
    home_pts: int
    home_time_base: Fraction


def write_face(video: SessionVideo, span_us: tuple[int, int], target: Path, seed: bytes, turn: int) -> FaceFacts:
    """Write the face video of one clip, whole or not at all.

    Parameters
    ----------
    video : SessionVideo
    span_us : tuple of int
        Start and end (excluded) of the clip, host clock, microseconds.
    target : Path
        An .mp4; replaced if it exists.
    seed : bytes
        Chooses the filler; the same seed gives the same bytes.
    turn : int
        An odd number begins one group of frames earlier where there is one, so that a clip and its repeat differ
        in their number of frames, too.

    Raises
    ------
    MediaError
        If the clip has no frames, or its video is not H.264.
    """
    first, shown, stop = _frame_range(video, span_us, turn)
    frames = video.frames[first:stop]
    pts = frames["pts"].astype(np.int64)
    if (np.diff(pts) <= 0).any():
        raise MediaError(f"{video.path.name}: the time stamps of frames {first} to {stop} go back; run `emer repair`.")
    rng = np.random.default_rng(np.frombuffer(seed, dtype=np.uint32))
    packets = [without_notes(video.packet(index)) for index in range(first, stop)]
    longest = max(64, int(np.mean([len(packet) for packet in packets]) * 0.2))
    packets = [packet + _filler(int(rng.integers(8, longest))) for packet in packets]
    partial = partial_path(target)
    try:
        time_base = _mux(packets, pts - pts[0], frames["keyframe"].astype(bool), video.stream, partial)
        replace_durably(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    times = frames["t_capture_us"].astype(np.int64)[shown - first :] - span_us[0]
    return FaceFacts(len(frames), shown - first, time_base, times, first, int(pts[0]), video.stream.time_base)


def _frame_range(video: SessionVideo, span_us: tuple[int, int], turn: int) -> tuple[int, int, int]:
    """Return the file's first frame, the clip's first and the one after its last."""
    if video.stream.codec not in _CODECS:
        raise MediaError(
            f"{video.path.name}: the face video is {video.stream.codec}, expected H.264. A bundle copies packets and "
            "knows that codec alone."
        )
    times = video.frame_times_us
    shown, stop = (int(np.searchsorted(times, moment)) for moment in span_us)
    if stop <= shown:
        raise MediaError(f"{video.path.name}: there is no camera frame from {span_us[0]} to {span_us[1]} us.")
    keys = np.flatnonzero(video.frames["keyframe"][: shown + 1])
    if not len(keys):
        raise MediaError(f"{video.path.name}: there is no key frame before frame {shown}; run `emer repair`.")
    first = int(keys[-1])
    if turn % 2 and len(keys) > 1 and times[shown] - times[keys[-2]] <= _LONGEST_LEAD_US:
        first = int(keys[-2])
    return first, shown, stop


def _filler(length: int) -> bytes:
    """Return a NAL unit that decoders pass over."""
    return b"\x00\x00\x00\x01" + bytes([_FILLER]) + b"\xff" * length + b"\x80"


def _mux(
    packets: list[bytes], pts: npt.NDArray[np.int64], keyframes: npt.NDArray[np.bool_], stream: VideoStream, path: Path
) -> Fraction:
    """Write the packets as an .mp4 and return the time base that its time stamps got."""
    head = io.BytesIO(stream.extradata + packets[0])
    # A frame stands until the next; the last as long as the one before it.
    durations = np.diff(pts, append=2 * pts[-1] - pts[-2] if len(pts) > 1 else 1)
    # bitexact: no name of the program that wrote it.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(head, mode="r", format="h264") as demuxed:
        with av.open(str(path), mode="w", format="mp4", options=options) as output:
            track = output.add_stream_from_template(demuxed.streams.video[0])
            track.time_base = stream.time_base
            for index, data in enumerate(packets):
                packet = av.Packet(data)
                packet.stream = track
                packet.time_base = stream.time_base
                packet.pts = packet.dts = int(pts[index])
                packet.duration = int(durations[index])
                packet.is_keyframe = bool(keyframes[index])
                output.mux(packet)
    with av.open(str(path)) as written:
        return Fraction(written.streams.video[0].time_base)
