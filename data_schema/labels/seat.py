"""One window an annotator: who sits at a label log, and what a second one is told.

Two windows of one annotator would lose nothing, since rows are only added, but each
would show what the other has replaced, and undo what the other said. The seat is a
lock of the operating system beside the file, or an advisory lock of PostgreSQL's:
both end with the process that holds them, however it ends. Readers need no seat.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from data_schema.errors import LabelError

_log = logging.getLogger(__name__)
#: The desk row in which whoever has the seat says so. Emptied when the store is closed: a computer's name may be a person's.
SEAT_KEY = "seat"


@dataclass(frozen=True)
class Sitting:
    """Who has the seat.

    Parameters
    ----------
    host : str
        Name of the computer.
    pid : int
        Number of the process there.
    since_utc : str
        As the log writes times.
    token : str
        Random, 32 hexadecimal digits; tells two sittings of one process apart.
    """

    host: str
    pid: int
    since_utc: str
    token: str

    @classmethod
    def here(cls, now_utc: str) -> Sitting:
        """Return this process's sitting, from now on."""
        return cls(platform.node() or "this computer", os.getpid(), now_utc, uuid.uuid4().hex)

    @classmethod
    def read(cls, text: str | None) -> Sitting | None:
        """Return what a desk row says; None if it says nothing, or nothing that we know."""
        try:
            sitting = cls(**json.loads(text or ""))
            return sitting if sitting.since and -(2**63) <= sitting.number < 2**63 else None
        except (AttributeError, TypeError, ValueError):
            return None

    @property
    def text(self) -> str:
        """As it stands in the desk row."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def number(self) -> int:
        """Number of its advisory lock: a new one each time, so that nobody else can take it beforehand."""
        return int(self.token[:16], 16) - 2**63

    @property
    def since(self) -> str:
        """When it began, in this computer's time."""
        began = datetime.fromisoformat(self.since_utc.replace("Z", "+00:00"))
        return began.astimezone().strftime("%Y-%m-%d %H:%M")


class SeatTakenError(LabelError):
    """The annotator's labels are open in another window or process.

    Parameters
    ----------
    place : str
        The file, or the database.
    annotator_id : str
    sitting : Sitting or None
        Who has the seat, where that is known.
    """

    def __init__(self, place: str, annotator_id: str, sitting: Sitting | None) -> None:
        self.annotator_id = annotator_id
        self.sitting = sitting
        who = ""
        if sitting is not None:
            who = f": on {sitting.host}, process {sitting.pid}, since {sitting.since}"
        super().__init__(
            f"{place}: the labels of '{annotator_id}' are open in another window or program{who}. "
            "Go on there, or close it and try again; nothing was changed."
        )


def lock_path(path: Path) -> Path:
    """Return the lock beside a label file. It stays, empty: to remove it would let two processes lock two files."""
    return path.with_name(f".{path.name}.lock")


def lock_file(path: Path) -> FileLock | None:
    """Take the seat of a label file; None if another process, or another store of this one, has it.

    Raises
    ------
    OSError
        If the lock cannot be made.
    """
    place = path.resolve()
    # Not of one thread: a window may be closed by another than the one that opened it.
    lock = FileLock(lock_path(place), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    except NotImplementedError:
        _log.warning("%s: this drive has no locks, so nobody can tell whether a second window is open", path)
    return lock
