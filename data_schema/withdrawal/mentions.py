"""Find recordings of others in which somebody wrote a participant's code: an operator's note, an answer.

Such a word cannot be taken out: a recording is known by the hash of its file, and all labels of it hang on that hash.
"""

from __future__ import annotations

from pathlib import Path

from data_schema.errors import SessionFileError
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    FACTS,
    LSL_TEXTS,
    MARKERS,
    NOTIFICATIONS,
    PREFLIGHT,
    RESPONSE_TEXTS,
    RESPONSES,
    decode_text,
)
from data_schema.session.reader import Session, open_session
from data_schema.study.folder import StudyFolder, parse_session_name
from data_schema.withdrawal.traces import Traces

#: Tables in which people, devices or other programs speak, and the columns in which they do.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (MARKERS.path, ("message",)),
    (FACTS.path, ("value",)),
    (RESPONSE_TEXTS.path, ("text",)),
    (RESPONSES.path, ("text",)),
    (PREFLIGHT.path, ("message", "override_reason")),
    (CALIBRATION_ATTEMPTS.path, ("note",)),
    (LSL_TEXTS.path, ("text",)),
    (NOTIFICATIONS.path, ("message",)),
)


def mentioning_recordings(study: StudyFolder, traces: Traces) -> list[Path]:
    """Return the session files of other participants in which the participant is named.

    Files that cannot be read are passed over: the search at the end looks at their bytes.
    """
    found = []
    for path in study.session_files():
        named = parse_session_name(path)
        if named is not None and named.participant == traces.code:
            continue
        try:
            with open_session(path) as session:
                if _mentions(session, traces):
                    found.append(path)
        except SessionFileError:
            continue
    return found


def _mentions(session: Session, traces: Traces) -> bool:
    for table, columns in _WORDS:
        rows = session.table(table)[:]
        for name in columns:
            if name in (rows.dtype.names or ()) and any(
                traces.mentioned(str(said)) for said in decode_text(rows[name])
            ):
                return True
    return False
