"""What a withdrawal has to finish, and what is left of it afterwards.

While it runs, ``withdrawal.json`` in the study folder says whom it is about and what is to be done, so that it can be finished
after a crash: the files that knew which opaque names stand for the participant may be gone by then. It is removed last, after
the search has found nothing. What stays is ``withdrawals.json``: that somebody withdrew, when, and how much was removed;
neither code nor anything computed from it, since the few codes of a study could be tried one by one.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from data_schema import __version__
from data_schema.errors import StudyError
from data_schema.files import read_json, write_json
from data_schema.withdrawal.traces import Traces

JOURNAL_NAME = "withdrawal.json"
RECORDS_NAME = "withdrawals.json"
_ABOUT = (
    "A withdrawal that has not ended. Run `emer withdraw` for the same participant again: it goes on. Do not delete this file, "
    "it knows names that stand for the participant."
)


@dataclass
class Journal:
    """An unfinished withdrawal.

    Parameters
    ----------
    code, published : str
        The participant's codes.
    opaque : list of str
        Names that stand for their clips.
    actions : list of list of str
        What is to be done: kind and path, relative to the study.
    delete_models : bool
    counts : dict of str to int
        How much was removed so far, by kind.
    record_id : str
        Tells a record that was written before a crash.
    common : bool
        As in :class:`Traces`.
    """

    code: str
    published: str
    opaque: list[str]
    actions: list[list[str]]
    delete_models: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    record_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    common: bool = False

    @property
    def traces(self) -> Traces:
        """What stands for the participant."""
        return Traces(self.code, self.published, tuple(self.opaque), self.common)

    def save(self, root: Path) -> None:
        """Write the journal, whole or not at all."""
        write_json(root / JOURNAL_NAME, {"about": _ABOUT, "version": 1, **asdict(self)})


def read_journal(root: Path) -> Journal | None:
    """Read the unfinished withdrawal of a study; None if there is none.

    Raises
    ------
    ExportError
        If it is damaged.
    """
    path = root / JOURNAL_NAME
    if not path.is_file():
        return None
    advice = "Bring it back from the backup, or begin the withdrawal anew without it."
    content = read_json(path, "journal of a withdrawal", advice)
    content.pop("about", None)
    content.pop("version", None)
    try:
        return Journal(**content)
    except TypeError as error:
        raise StudyError(f"{path}: is no journal of a withdrawal ({error}). {advice}") from error


def read_records(root: Path) -> list[dict[str, Any]]:
    """Return the records of finished withdrawals, the oldest first."""
    path = root / RECORDS_NAME
    if not path.is_file():
        return []
    content = read_json(path, "record of withdrawals", "Bring it back from the backup.")
    return list(content.get("withdrawals", []))


def finish(root: Path, journal: Journal) -> dict[str, Any]:
    """Write the record without the identity, and remove the journal."""
    records = read_records(root)
    record = next((item for item in records if item.get("id") == journal.record_id), None)
    if record is None:
        record = {
            "id": journal.record_id,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "toolkit_version": __version__,
            "removed": dict(sorted(journal.counts.items())),
            "verified": "a search of every byte of the study folder, also inside compressed files, found none of their names",
        }
        kept = sum(kind == "mention" for kind, _ in journal.actions)
        if kept:
            record["left"] = f"the code in words that were said in {kept} recordings of others"
        about = "Withdrawals of participants, without their identity. Keep it: it shows that they were carried out."
        write_json(root / RECORDS_NAME, {"about": about, "withdrawals": [*records, record]})
    path = root / JOURNAL_NAME
    # Its text goes before its name does: a file that is only unlinked keeps it on the disk.
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    return record
