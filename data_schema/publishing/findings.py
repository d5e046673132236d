"""What the session files say of their participants: read once, for consent, facts, and what must not leave the study."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from data_schema.errors import SessionFileError
from data_schema.labels.tables import read_log
from data_schema.publishing.consent import Permission, most_restrictive, permission, read_consent
from data_schema.publishing.dates import recorded_day
from data_schema.publishing.free_text import worth_seeking
from data_schema.publishing.sessions import origin_us
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    FACTS,
    LSL_STREAMS,
    MARKERS,
    PREFLIGHT,
    RESPONSE_TEXTS,
    RESPONSES,
    decode_text,
)
from data_schema.session.reader import Session, open_session
from data_schema.study.folder import StudyFolder, parse_session_name
from data_schema.study.sections import PublishSection

_log = logging.getLogger(__name__)

#: Parts of the name of a device's property that says which device it is, or where.
_TELLING = ("serial", "address", "host", "url", "file", "path", "source_id", "uid", "replayed_from", "device_name")
#: Facts that people write in their own words.
_FREE_FACTS = ("note",)
#: Markers whose message a person typed.
_TYPED = frozenset({markers.OPERATOR_NOTE, markers.OPERATOR_MARK, markers.PREFLIGHT_OVERRIDDEN})
#: What log of a label file holds which words of annotators.
_COMMENTS = {"labels": "comment", "marks": "comment", "decisions": "reason"}


@dataclass(frozen=True)
class FileFindings:
    """What one session file says.

    Parameters
    ----------
    path : Path
    participant, session : str
        The study's own codes.
    run : int
    consent : dict of str to bool
    facts : dict of str to str
    has_video, simulated : bool
    day : date or None
        When it was recorded (UTC).
    devices : tuple of str
        Serial numbers, addresses and hosts.
    texts : tuple of str
        Words of people that are worth searching for.
    n_texts : int
        Answers in the participant's own words.
    """

    path: Path
    participant: str
    session: str
    run: int
    consent: dict[str, bool]
    facts: dict[str, str]
    has_video: bool
    simulated: bool
    day: date | None
    devices: tuple[str, ...]
    texts: tuple[str, ...]
    n_texts: int


@dataclass(frozen=True)
class Person:
    """What all files of a participant say together.

    Parameters
    ----------
    permission : Permission
    facts : dict of str to str
        The last value of each.
    session_names : dict of str to str
        Published names of the sessions, by the study's own.
    """

    permission: Permission
    facts: dict[str, str]
    session_names: dict[str, str]


@dataclass(frozen=True)
class StudyFindings:
    """What a study's session and label files say.

    Parameters
    ----------
    files : tuple of FileFindings
        Sorted by participant, session and run.
    people : dict of str to Person
    annotators : tuple of str
        All who wrote into a label file.
    comments : tuple of str
        Words of annotators that are worth searching for.
    unreadable : tuple of str
        Names of session files that were passed over.
    """

    files: tuple[FileFindings, ...]
    people: dict[str, Person]
    annotators: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = field(default=())


def read_findings(study: StudyFolder, settings: PublishSection) -> StudyFindings:
    """Read all session and label files of a study.

    Session files that cannot be read, or are not closed, are logged and passed over. What participants said in a file that
    is not closed counts; whoever has a file that nobody can read is not published.
    """
    files, unreadable = [], []
    #: What was said in files that are not published themselves; None where nobody can read it.
    unpublished: dict[str, list[dict[str, bool] | None]] = {}
    for path in study.session_files():
        answer: dict[str, bool] | None = None
        try:
            with open_session(path) as session:
                if session.status in ("recording", "interrupted"):
                    answer = read_consent(session)
                    raise SessionFileError(path, f"the recording is not closed ({session.status})")
                files.append(_read_file(path, session))
        except SessionFileError as error:
            _log.warning("not published: %s", error)
            unreadable.append(path.name)
            unpublished.setdefault(_participant_of(path.name), []).append(answer)
    people = {}
    names = {file.participant for file in files} | set(unpublished)
    dated = any(len(file.session) > 3 for file in files)
    for name in sorted(names):
        own = [file for file in files if file.participant == name]
        facts: dict[str, str] = {}
        for file in own:
            facts.update(file.facts)
        others = unpublished.get(name, [])
        answers = [*(file.consent for file in own), *(answer for answer in others if answer is not None)]
        may = permission(most_restrictive(answers), settings.faces, elsewhere=settings.consent == "elsewhere")
        if not own:
            may = Permission(False, "no session file of the participant can be read", "none")
        elif None in others:
            # Sharing may have been refused in it.
            may = Permission(
                False, "a session file cannot be read, and with it what the participant said there", "none"
            )
        sessions = sorted({file.session for file in own})
        renamed = settings.pseudonyms == "new" and dated
        people[name] = Person(
            may, facts, {said: f"{place:02d}" if renamed else said for place, said in enumerate(sessions, start=1)}
        )
    annotators, comments = _read_annotators(study)
    return StudyFindings(tuple(files), people, annotators, comments, tuple(unreadable))


def _participant_of(file_name: str) -> str:
    named = parse_session_name(Path(file_name))
    return named.participant if named is not None else ""


def _read_file(path: Path, session: Session) -> FileFindings:
    facts = session.table(FACTS)[:]
    texts = session.table(RESPONSE_TEXTS).column("text").tolist()
    answers = [text for text in session.table(RESPONSES).column("text").tolist() if text]
    rows = session.table(MARKERS)[:]
    typed = [
        str(said)
        for kind, said in zip(decode_text(rows["kind"]), decode_text(rows["message"]), strict=True)
        if kind in _TYPED
    ]
    values = {
        str(key): str(value) for key, value in zip(decode_text(facts["key"]), decode_text(facts["value"]), strict=True)
    }
    notes = [text for key, text in values.items() if key in _FREE_FACTS]
    reasons = session.table(PREFLIGHT).column("override_reason").tolist()
    remarks = session.table(CALIBRATION_ATTEMPTS).column("note").tolist()
    found = [*texts, *answers, *typed, *notes, *reasons, *remarks]
    streams = session.table(LSL_STREAMS).column("source_id").tolist()
    return FileFindings(
        path=path,
        participant=session.participant,
        session=session.session,
        run=session.run,
        consent=read_consent(session),
        facts=values,
        has_video=session.video is not None and len(session.video) > 0,
        simulated=session.simulated,
        day=recorded_day(session, origin_us(session)),
        devices=tuple(sorted({*_telling(session.devices), *(text for text in streams if text)})),
        texts=tuple(sorted({text.strip() for text in found if worth_seeking(text)})),
        n_texts=sum(bool(text.strip()) for text in (*texts, *answers)),
    )


def _telling(devices: Any) -> Iterator[str]:
    """Yield serial numbers, addresses, hosts and files out of what devices said of themselves."""
    if isinstance(devices, Mapping):
        for key, value in devices.items():
            if isinstance(value, str):
                if any(part in str(key).lower() for part in _TELLING) and value:
                    yield value
                elif str(key) == "kind" and ":" in value:
                    yield value.partition(":")[2]
            else:
                yield from _telling(value)
    elif isinstance(devices, (list, tuple)):
        for item in devices:
            yield from _telling(item)


def _read_annotators(study: StudyFolder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    places = study.label_places()
    names: set[str] = set()
    comments: set[str] = set()
    for log, column in _COMMENTS.items() if places else ():
        table = read_log(places, log)
        names.update(str(name) for name in table["annotator_id"])
        comments.update(str(text).strip() for text in table[column] if text and worth_seeking(str(text)))
    return tuple(sorted(names)), tuple(sorted(comments))
