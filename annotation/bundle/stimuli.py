"""What the ER pass gets besides the face: stimulus without sound and title, flips and eye evidence without likeness.

A clip and its hidden repeat hold the same evidence. So that their files do not give that away, the numbers are
disturbed far below what can be seen: times by at most 1 us, values by at most 1e-7 of them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
import numpy as np

from annotation.bundle.contents import BundleError
from annotation.evidence.eyes import EyeEvidence, StimulusTrack, Times
from data_schema.atomic import partial_path, replace_durably
from data_schema.errors import MediaError
from data_schema.session.encoder_notes import without_notes

_SIZE_OF_NOISE = 1e-7


def write_stimulus(source: Path, target: Path) -> None:
    """Copy the pictures of a stimulus into an .mp4: no sound, no title, no date, no other stream.

    Parameters
    ----------
    source, target : Path
        `target` is replaced if it exists.

    Raises
    ------
    BundleError
        If the file cannot be copied frame by frame.
    """
    partial = partial_path(target)
    try:
        _copy_pictures(source, partial)
        n_before, n_after = _n_frames(source), _n_frames(partial)
        if n_before != n_after:
            raise BundleError(
                f"{source.name}: has {n_before} frames, its copy {n_after}, so flips would point to wrong frames. "
                f"{_CONVERT}"
            )
        replace_durably(partial, target)
    except (av.error.FFmpegError, MediaError, ValueError) as error:
        raise BundleError(f"{source.name}: cannot be copied into an .mp4 ({error}). {_CONVERT}") from error
    finally:
        partial.unlink(missing_ok=True)


_CONVERT = "Convert the stimulus to H.264 in .mp4 before recording, or leave the ER pass to the lab's own PC."


def _copy_pictures(source: Path, target: Path) -> None:
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(source)) as opened, av.open(str(target), mode="w", format="mp4", options=options) as output:
        if not opened.streams.video:
            raise BundleError(f"{source.name}: has no video. Put the right file into stimuli/.")
        pictures = opened.streams.video[0]
        track = output.add_stream_from_template(pictures)
        head = bytes(pictures.codec_context.extradata or b"")
        # avcC (ISO/IEC 14496-15, 5.3.3.1): begins with 1, the size of lengths is in its fifth byte.
        length_size = (head[4] & 3) + 1 if len(head) > 4 and head[0] == 1 else 0
        for packet in opened.demux(pictures):
            if packet.dts is None and not packet.size:
                continue  # the end of the stream
            output.mux(_plain(packet, length_size, track) if pictures.codec.name == "h264" else _on(packet, track))


def _on(packet: Any, track: Any) -> Any:
    packet.stream = track
    return packet


def _plain(packet: Any, length_size: int, track: Any) -> Any:
    """Return a packet without what its encoder noted in it."""
    copy = av.Packet(without_notes(bytes(packet), length_size))
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.is_keyframe = packet.is_keyframe
    return _on(copy, track)


def _n_frames(path: Path) -> int:
    """Count the frames that the tool shows of a video."""
    from annotation.playback import open_video

    frames = open_video(path)
    try:
        return len(frames)
    finally:
        frames.close()


def disturbed_flips(track: StimulusTrack, rng: np.random.Generator) -> StimulusTrack:
    """Return the flips with times and a number of rows that are unlike those of a repeat; some are there twice."""
    rows = np.repeat(np.arange(len(track.flip_t_us)), 1 + (rng.random(len(track.flip_t_us)) < 0.1))
    return StimulusTrack(track.frames, _times(track.flip_t_us[rows], rng), track.flip_frame[rows])


def disturbed_evidence(evidence: EyeEvidence, rng: np.random.Generator) -> EyeEvidence:
    """Return the eye evidence with numbers that are unlike those of a repeat."""
    named = {
        name: _values(getattr(evidence, name), rng)
        for name in ("gaze_norm", "velocity_deg_s", "pupil_mm", "fixations", "fixation_map")
    }
    blinks = evidence.blinks_us + rng.integers(0, 2, evidence.blinks_us.shape)
    return dataclasses.replace(evidence, **named, gaze_t_us=_times(evidence.gaze_t_us, rng), blinks_us=blinks)


def _values(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # float32 holds 7 digits: there the noise is the last of them.
    noise = 1.0 + rng.uniform(-_SIZE_OF_NOISE, _SIZE_OF_NOISE, values.shape)
    disturbed = (values.astype(np.float64) * noise).astype(values.dtype)
    return np.minimum(disturbed, 1.0).astype(values.dtype) if values.dtype == np.float32 else disturbed


def _times(times: Times, rng: np.random.Generator) -> Times:
    """Return times at most 1 us later, in the same order."""
    return np.maximum.accumulate(times + rng.integers(0, 2, times.shape))
