"""Participant codes: a new one, one that was used before."""

from __future__ import annotations

import secrets
from pathlib import Path

from data_schema.errors import RecordingError
from data_schema.study.folder import StudyFolder, parse_session_name

#: Letters and digits that are not mistaken for one another when read aloud or written down.
_ALPHABET = "ACDEFGHJKLMNPQRTUVWXY"
_DIGITS = "3479"
_CODE_LENGTH = 4


def used_sessions(study: StudyFolder) -> dict[str, list[str]]:
    """Return the sessions that each participant of the study has, by code."""
    found: dict[str, list[str]] = {}
    for path in study.session_files():
        named = parse_session_name(path)
        if named is not None and named.session not in found.setdefault(named.participant, []):
            found[named.participant].append(named.session)
    return found


def free_session(sessions: list[str]) -> str:
    """Return the first name of two digits that is not among `sessions`."""
    number = 1
    while f"{number:02d}" in sessions:
        number += 1
    return f"{number:02d}"


def new_session_path(study: StudyFolder, participant: str, session: str) -> Path:
    """Return where a new session will lie.

    Raises
    ------
    UsageError
        If a code is not usable.
    RecordingError
        If the participant has this session already, in upper or lower case.
    """
    path = study.session_path(participant, session)
    for code, sessions in used_sessions(study).items():
        # Windows and macOS do not tell p001 from P001.
        taken = {name.lower(): name for name in sessions}
        if code.lower() != participant.lower() or session.lower() not in taken:
            continue
        raise RecordingError(
            f"participant {code} has a session {taken[session.lower()]} already, and a recording is never overwritten "
            f"({path.name} exists already). If this is the same person again, record another session: --session "
            f"{free_session(sessions)}. If it is someone else, take another code: leave --participant out for a new one. "
            f"To go on with a session that was cut off: emer record resume {study.root} --participant {code} "
            f"--session {taken[session.lower()]}"
        )
    if path.exists():
        raise RecordingError(f"{path.name} exists already, and a recording is never overwritten. Take it away.")
    return path


def new_participant(study: StudyFolder) -> str:
    """Return a random pseudonym that the study does not have yet.

    Random, so that the code says nothing about who came when. It ends in a digit, so that
    it is not mistaken for a name.
    """
    taken = {path.name.lower() for path in study.sessions_dir.glob("sub-*")}
    while True:
        letters = "".join(secrets.choice(_ALPHABET + _DIGITS) for _ in range(_CODE_LENGTH - 1))
        code = f"P{letters}{secrets.choice(_DIGITS)}"
        if f"sub-{code}".lower() not in taken:
            return code
