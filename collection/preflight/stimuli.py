"""Stimuli: there, long enough, decodable to their last frame, with or without sound."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from collection.preflight.checks import ERROR, GOOD, NOTE, Check
from data_schema.errors import MediaError, StudyError
from data_schema.session.reader import file_sha256
from data_schema.study.folder import StudyFolder
from data_schema.wording import counted

logger = logging.getLogger(__name__)

#: A file whose pictures end this much earlier than it says is damaged, or was cut; chosen by us, three frames at 30 Hz.
_SHORT_BY_S = 0.1
_CACHE_NAME = "decoded-v1.json"

Progress = Callable[[str], None]


def clip_duration_s(path: Path) -> float:
    """Return the length of a video, seconds.

    Raises
    ------
    MediaError
        If the file is no video that can be decoded, or says no length.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path}: there is no video in this file. Put a video clip there, such as an .mp4.")
            stream = container.streams.video[0]
            if next(container.decode(stream), None) is None:
                raise MediaError(f"{path}: not one frame can be decoded. Put the clip there again.")
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            if container.duration is not None:
                return container.duration / av.time_base
    except (FFmpegError, OSError) as error:
        raise MediaError(f"{path}: this is no video that can be read: {error}. Put the clip there again.") from error
    raise MediaError(f"{path}: the file does not say how long it is. Convert it to .mp4.")


def stimulus_durations(study: StudyFolder) -> dict[str, float]:
    """Check all stimuli of a study and return their lengths in seconds by identifier.

    Raises
    ------
    StudyError
        If there are none or files are missing.
    MediaError
        If one is no video.
    """
    study.check_stimuli()
    return {stimulus.id: clip_duration_s(study.stimulus_path(stimulus)) for stimulus in study.config.stimuli}


@dataclass(frozen=True)
class DecodedClip:
    """What decoding a whole clip showed.

    Parameters
    ----------
    n_frames : int
        Pictures that were decoded.
    duration_s : float
        From the first to one frame after the last.
    expected_s : float
        What the file says.
    has_sound : bool
    problem : str
        Why decoding ended early; empty if it did not.
    """

    n_frames: int
    duration_s: float
    expected_s: float
    has_sound: bool
    problem: str = ""


def decode_whole(path: Path) -> DecodedClip:
    """Decode every picture of a clip."""
    n_frames, first_s, last_s, expected_s, step_s = 0, 0.0, 0.0, 0.0, 0.0
    has_sound, problem = False, ""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            has_sound = bool(container.streams.audio)
            if stream.duration is not None and stream.time_base is not None:
                expected_s = float(stream.duration * stream.time_base)
            step_s = 1.0 / float(stream.average_rate) if stream.average_rate else 0.0
            for frame in container.decode(stream):
                shown_s = float(frame.time or 0.0)
                first_s = shown_s if not n_frames else min(first_s, shown_s)
                last_s = max(last_s, shown_s)
                n_frames += 1
    except (FFmpegError, OSError, IndexError) as error:
        problem = f"cannot be decoded after {n_frames} frames ({error})"
    duration_s = last_s - first_s + step_s if n_frames else 0.0
    if not problem and expected_s - duration_s > max(_SHORT_BY_S, 1.5 * step_s):
        problem = f"its pictures end after {duration_s:.1f} s, but it says that it lasts {expected_s:.1f} s"
    return DecodedClip(n_frames, duration_s, expected_s, has_sound, problem)


def decoded_stimuli(study: StudyFolder, progress: Progress | None = None) -> dict[str, DecodedClip]:
    """Decode all stimuli to their end, by identifier; a file that was decoded before is not decoded again.

    What was found is kept in ``stimuli/.cache`` under the file's SHA-256.

    Raises
    ------
    StudyError
        If a file is missing.
    """
    cache_path = study.stimuli_dir / ".cache" / _CACHE_NAME
    known = _read_cache(cache_path)
    found: dict[str, DecodedClip] = {}
    changed = False
    for stimulus in study.config.stimuli:
        path = study.stimulus_path(stimulus)
        sha256 = file_sha256(path)
        if sha256 not in known:
            if progress is not None:
                progress(f"decoding {path.name}")
            known[sha256], changed = decode_whole(path), True
        found[stimulus.id] = known[sha256]
    if changed:
        _write_cache(cache_path, known)
    return found


def check_stimuli(study: StudyFolder, progress: Progress | None = None) -> list[Check]:
    """Check that all stimuli are there and can be decoded from the first to the last frame."""
    try:
        clips = decoded_stimuli(study, progress)
    except StudyError as error:
        return [Check("stimuli", ERROR, str(error).replace("\n", "; "))]
    broken = {name: clip for name, clip in clips.items() if clip.problem}
    if broken:
        said = "; ".join(f"stimulus '{name}' {clip.problem}" for name, clip in broken.items())
        return [Check("stimuli", ERROR, said, "Put the file there again, whole.", float(len(broken)))]
    if not clips:
        return [Check("stimuli", ERROR, "study.toml has no [[stimuli]]", "Add one table per clip.")]
    total_s = sum(clip.duration_s for clip in clips.values())
    shown = f"{counted(len(clips), 'clip')}, {total_s / 60:.1f} min, decoded to the last frame"
    placeholders = sum("placeholder" in stimulus.licence for stimulus in study.config.stimuli)
    if placeholders:
        text = f"{shown}; {placeholders} are placeholders of `emer init`, which induce nothing"
        return [Check("stimuli", NOTE, text, "Put your own clips into stimuli/.", float(len(clips)))]
    return [Check("stimuli", GOOD, shown, value=float(len(clips)))]


def any_sound(study: StudyFolder) -> bool:
    """Tell whether a stimulus has sound.

    Raises
    ------
    StudyError
        If a file is missing.
    """
    return any(clip.has_sound for clip in decoded_stimuli(study).values())


def _read_cache(path: Path) -> dict[str, DecodedClip]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {sha256: DecodedClip(**item) for sha256, item in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_cache(path: Path, known: dict[str, DecodedClip]) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps({sha256: asdict(clip) for sha256, clip in known.items()}), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        # A read-only stimulus folder costs the time again, nothing else.
        logger.warning("that the stimuli were decoded is not kept: %s", error)
