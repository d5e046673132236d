"""What can be checked before a participant sits down: stimuli, codes, an existing session."""

from __future__ import annotations

import secrets
from pathlib import Path

import av
from av.error import FFmpegError

from data_schema.errors import MediaError, RecordingError
from data_schema.study.folder import StudyFolder

#: Letters and digits that are not mistaken for one another when read aloud or written down.
_ALPHABET = "ACDEFGHJKLMNPQRTUVWXY3479"
_CODE_LENGTH = 4


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


def new_session_path(study: StudyFolder, participant: str, session: str) -> Path:
    """Return where a new session will lie.

    Raises
    ------
    UsageError
        If a code is not usable.
    RecordingError
        If the session exists already.
    """
    path = study.session_path(participant, session)
    if path.exists():
        raise RecordingError(
            f"{path.name} exists already, and a recording is never overwritten. "
            f"Choose another session (--session) or participant."
        )
    return path


def new_participant(study: StudyFolder) -> str:
    """Return a random pseudonym that the study does not have yet.

    Random, so that the code says nothing about who came when.
    """
    while True:
        code = "P" + "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        if not (study.sessions_dir / f"sub-{code}").exists():
            return code
