"""Published codes: random names for participants and annotators that only the study can trace back.

They are drawn once, frozen in ``publishing/pseudonyms.json`` of the study folder, and never leave it. A newcomer gets a new
code and moves nobody's; the order of the codes says nothing of the order of recording. The same file keeps by how many days
each participant's dates are shifted.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_schema.atomic import partial_path, replace_durably
from data_schema.errors import ExportError
from data_schema.files import disk_problem, read_json
from data_schema.locks import sole_writer
from data_schema.publishing.dates import draw_shift
from data_schema.study.folder import StudyFolder

PSEUDONYMS_NAME = "pseudonyms.json"
_ABOUT = (
    "Which published code stands for whom, and by how many days dates are shifted. Never hand it out; keep a copy with the "
    "consent forms: without it, published data cannot be traced back, also when a participant withdraws."
)
_RESTORE = (
    "Bring it back from the backup: with codes drawn anew, earlier publications could not be traced back any more."
)
#: No vowels, so that no code is a word, and no look-alikes.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_DIGITS = "23456789"
#: 20 * 28^3 * 8 codes, a letter first and a digit last: 3.5 million, more than any study draws from.
_LENGTH = 5
_WAIT_S = 30.0


@dataclass(frozen=True)
class Pseudonyms:
    """Published codes by the study's own, and days by which dates are shifted.

    Parameters
    ----------
    participants, annotators : dict of str to str
    shifts_days : dict of str to int
        By the study's own code of the participant; negative.
    """

    participants: dict[str, str] = field(default_factory=dict)
    annotators: dict[str, str] = field(default_factory=dict)
    shifts_days: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "about": _ABOUT,
            "version": 1,
            "participants": dict(sorted(self.participants.items())),
            "annotators": dict(sorted(self.annotators.items())),
            "shifts_days": dict(sorted(self.shifts_days.items())),
        }


def pseudonyms_path(study: StudyFolder) -> Path:
    """Return where the study keeps its published codes."""
    return study.root / "publishing" / PSEUDONYMS_NAME


def load_pseudonyms(path: Path) -> Pseudonyms:
    """Read the codes that were drawn; none if there is no file yet.

    Raises
    ------
    ExportError
        If the file is damaged or gives two people one code.
    """
    if not path.is_file():
        return Pseudonyms()
    content = read_json(path, "list of published codes", _RESTORE)
    parts = [content.get(name) for name in ("participants", "annotators", "shifts_days")]
    if content.get("version") != 1 or not all(isinstance(part, dict) for part in parts):
        raise ExportError(f"{path}: is no list of published codes of version 1. {_RESTORE}")
    people, annotators, shifts = (dict(part) for part in parts if isinstance(part, dict))
    codes = [*people.values(), *annotators.values()]
    if not all(isinstance(code, str) and code.isalnum() for code in codes) or len(set(codes)) != len(codes):
        raise ExportError(f"{path}: a code is used twice, or is none. {_RESTORE}")
    if not all(isinstance(days, int) and not isinstance(days, bool) for days in shifts.values()):
        raise ExportError(f"{path}: shifts_days holds something else than whole days. {_RESTORE}")
    return Pseudonyms(people, annotators, shifts)


def save_pseudonyms(path: Path, pseudonyms: Pseudonyms) -> None:
    """Write the codes whole or not at all, readable by their owner alone (where the system knows owners).

    Raises
    ------
    ExportError
        If they cannot be written.
    """
    text = json.dumps(pseudonyms.as_json(), indent=1, ensure_ascii=False) + "\n"
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made with its rights, not given them afterwards: nobody reads it in between. Windows keeps the folder's rights.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        replace_durably(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise disk_problem(error, path) from error


def frozen_pseudonyms(study: StudyFolder, participants: Iterable[str], annotators: Iterable[str]) -> Pseudonyms:
    """Return the study's published codes, with newcomers added and stored.

    Parameters
    ----------
    study : StudyFolder
    participants, annotators : iterable of str
        The study's own codes.

    Raises
    ------
    ExportError
        If the file is damaged, cannot be written, or another process holds it.
    """
    path = pseudonyms_path(study)
    wanted, raters = sorted(set(participants)), sorted(set(annotators))
    with sole_writer(path, "another publication is drawing codes. Try again when it has ended.", _WAIT_S):
        known = load_pseudonyms(path)
        taken = {*known.participants.values(), *known.annotators.values(), *wanted, *raters}
        people, others, shifts = dict(known.participants), dict(known.annotators), dict(known.shifts_days)
        for names, codes in ((wanted, people), (raters, others)):
            for name in names:
                if name not in codes:
                    codes[name] = _draw(taken)
        for name in wanted:
            shifts.setdefault(name, draw_shift())
        drawn = Pseudonyms(people, others, shifts)
        if drawn != known:
            save_pseudonyms(path, drawn)
    return drawn


def _draw(taken: set[str]) -> str:
    """Draw a code that nobody has, and remember it as taken."""
    while True:
        middle = "".join(secrets.choice(_LETTERS + _DIGITS) for _ in range(_LENGTH - 2))
        code = secrets.choice(_LETTERS) + middle + secrets.choice(_DIGITS)
        if code not in taken:
            taken.add(code)
            return code
