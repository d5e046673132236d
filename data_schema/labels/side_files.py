"""What lies beside an open label file: SQLite's write-ahead log, its shared memory, its rollback journal.

Other programs reach for these files too: to tidy up, to synchronize a folder, or to do harm.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from data_schema.errors import LabelError

_log = logging.getLogger(__name__)
#: What SQLite keeps beside an open file, or leaves after a kill, and needs to read it.
SIDE_FILES = ("-wal", "-shm", "-journal")
#: How a rollback journal begins, and ends if it names a further file.
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


def refuse_foreign_journal(path: Path) -> None:
    """Raise if the journal beside a file names a further file: SQLite would delete that one when it opens this.

    Journals do so where a transaction spans several databases, which none of ours does. Beside a file that came from
    elsewhere, such a name could be any file that we may delete (https://www.sqlite.org/fileformat2.html, 3.).

    Raises
    ------
    LabelError
        With the journal's name.
    OSError
        If it cannot be read.
    """
    journal = path.with_name(path.name + "-journal")
    try:
        with journal.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(_JOURNAL_MAGIC)))
            names_one = size >= 16 and file.read() == _JOURNAL_MAGIC
    except FileNotFoundError:
        return
    if names_one:
        raise LabelError(
            f"{journal}: another program wrote this journal, and it reaches for files outside of {path.name}. "
            "Do not open the two together; ask for the label file as the tool wrote it, or bring the backup."
        )


class LogWatch:
    """Sees to it that the write-ahead log beside a file is the one that SQLite writes to.

    SQLite goes on in a log that was deleted, moved or replaced by a program that tidies up or synchronizes folders;
    when the process ends without closing the file, all that is in it would be lost, though it was shown as saved.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + "-wal")
        self._known: tuple[int, int] | None = None

    def before(self, raw: sqlite3.Connection) -> None:
        """Before a transaction: bring what the lost log holds into the file, and begin a new log.

        Raises
        ------
        sqlite3.OperationalError
            If another process reads the file at the moment; it is tried again with the next transaction.
        """
        if self._known is None or self._known == self._found():
            return
        # Leaving the mode copies the log, which SQLite still has open, into the file, and syncs it.
        if raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            raw.execute("PRAGMA journal_mode=delete")
            raw.execute("PRAGMA journal_mode=wal")
        self._known = None
        _log.warning("%s was taken away while it was in use; what it held is in the label file now", self._path)

    def after(self) -> None:
        """After a transaction began: the log is there now, if the file has one."""
        if self._known is None:
            self._known = self._found()

    def _found(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino
