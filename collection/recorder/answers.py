"""What the recorder's process sends back to who asked: answers to requests, and rows that are followed."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

import data_schema.errors as errors
from data_schema.errors import EmerError, RecordingError
from data_schema.session.layout import TABLE_BY_PATH

#: Seconds of rows that are kept for `recent`.
KEPT_S = 60.0


class Answers:
    """Answers that somebody waits for, by number. Use it under the handle's lock."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._awaited: set[int] = set()
        self._given: dict[int, tuple[bool, Any]] = {}

    def expect(self) -> int:
        """Return the number of a new request."""
        number = next(self._numbers)
        self._awaited.add(number)
        return number

    def take_in(self, number: int, good: bool, answer: Any) -> None:
        """Keep an answer, if it is still waited for."""
        if number in self._awaited:
            self._given[number] = (good, answer)

    def has(self, number: int) -> bool:
        """Tell whether the answer is there."""
        return number in self._given

    def take(self, number: int) -> tuple[bool, Any] | None:
        """Return the answer, None if there is none, and wait for it no longer."""
        self._awaited.discard(number)
        return self._given.pop(number, None)


class FollowedRows:
    """The last minute of followed rows. Use it under the handle's lock."""

    def __init__(self) -> None:
        self._blocks: dict[str, deque[npt.NDArray[np.void]]] = {}

    def add(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Add rows that arrived and forget those that are too old."""
        blocks = self._blocks.setdefault(table, deque())
        blocks.append(rows)
        name = TABLE_BY_PATH[table].time_column
        oldest = int(rows[name][-1]) - round(KEPT_S * 1e6)
        while len(blocks) > 1 and int(blocks[0][name][-1]) < oldest:
            blocks.popleft()

    def since(self, table: str, since_us: int) -> npt.NDArray[np.void]:
        """Return the rows of `table` whose time is not before `since_us`, in order of arrival."""
        declared = TABLE_BY_PATH[table]
        name = declared.time_column
        blocks = [block for block in self._blocks.get(table, ()) if int(block[name].max()) >= since_us]
        if not blocks:
            return declared.empty()
        rows = np.concatenate(blocks)
        return rows[rows[name] >= since_us]  # type: ignore[no-any-return]


def error_as_words(error: EmerError) -> tuple[str, str]:
    """Return what goes through the pipe in place of an error: its class and its message."""
    return type(error).__name__, str(error)


def error_from_words(name: str, message: str) -> EmerError:
    """Return the error again that `error_as_words` took apart; an unknown class becomes a RecordingError."""
    kind = getattr(errors, name, RecordingError)
    if not (isinstance(kind, type) and issubclass(kind, EmerError)):
        return RecordingError(message)
    # Not by calling the class: some take more than a message.
    error = kind.__new__(kind, message)
    error.args = (message,)
    return error
