"""Saving a step, and what becomes of one that could not be saved."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from annotation.desk.state import Notice, Saving
from data_schema.errors import EmerError
from data_schema.labels import LabelStore, LabelValueError
from data_schema.labels.journal import fold_journal

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
#: What a full disk, a share that went away, or a lost connection may raise on its way up.
STORE_ERRORS = (EmerError, OSError, SQLAlchemyError)


class Saver:
    """Runs one step at a time against the store; a step that failed waits and is not shown as done.

    Parameters
    ----------
    store : LabelStore
    tell : callable
        Takes a notice.
    changed : callable
        Called when `state` changed.
    """

    def __init__(self, store: LabelStore, tell: Callable[[Notice], None], changed: Callable[[], None]) -> None:
        self._store, self._tell, self._changed = store, tell, changed
        self._waiting: Callable[[], bool] | None = None
        self.state = Saving.SAVED

    @property
    def is_waiting(self) -> bool:
        """True while a step waits to be saved."""
        return self._waiting is not None

    def run(self, work: Callable[[], _T], then: Callable[[_T], Any]) -> bool:
        """Do a step, then show it.

        While an earlier step waits, that one is tried instead, and the new one is not done: it was meant for what the
        earlier one would have led to, and the order of the log has to be that of the work.

        Returns
        -------
        bool
            True if `work` was done and shown.
        """
        if self._waiting is not None:
            if self.retry():
                self._tell(Notice("info", "saved_again"))
            return False
        return self._attempt(work, then)

    def retry(self) -> bool:
        """Try what waits once more; True if nothing waits (any more)."""
        return self._waiting is None or self._waiting()

    def settle(self) -> None:
        """Let the label file alone hold all that is saved: whoever looks away from the window may be about to send it."""
        path = getattr(self._store, "path", None)
        if isinstance(path, Path) and not fold_journal(path):
            _log.info("%s: its newest rows are in the log beside it until it is closed", path.name)

    def drop(self) -> None:
        """Forget the step that waits: it was never shown as done."""
        self._waiting = None
        self._set(Saving.SAVED)

    def _attempt(self, work: Callable[[], _T], then: Callable[[_T], Any]) -> bool:
        try:
            result = work()
        except LabelValueError as error:
            # What was said is at fault, not the disk: trying again would not help.
            self._waiting = None
            self._tell(Notice("warning", "not_possible", str(error)))
            return False
        except STORE_ERRORS as error:
            _log.warning("a step was not saved: %s", error)
            self._waiting = lambda: self._attempt(work, then)
            self._set(Saving.READ_ONLY if self._is_read_only() else Saving.FAILED)
            self._tell(Notice("error", "save_failed", str(error)))
            return False
        self._waiting = None
        self._set(Saving.SAVED)
        then(result)
        return True

    def _set(self, state: Saving) -> None:
        if state is not self.state:
            self.state = state
            self._changed()

    def _is_read_only(self) -> bool:
        path = getattr(self._store, "path", None)
        if not isinstance(path, Path) or not path.exists():
            return False
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
