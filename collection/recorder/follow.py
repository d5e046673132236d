"""Rows on their way to the presenter's process, while it follows a table."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame

#: Rows that may wait for a presenter that does not read: ten seconds of a fast tracker.
_MAX_ROWS = 12_000


class FollowTap:
    """An observer of the sink that keeps rows of the followed tables until they are fetched."""

    def __init__(self) -> None:
        self._tables: frozenset[str] = frozenset()
        self._blocks: deque[tuple[str, npt.NDArray[np.void]]] = deque()
        self._n_rows = 0

    def follow(self, tables: tuple[str, ...]) -> None:
        """Keep rows of these tables from now on; of none if there are none."""
        self._tables = frozenset(tables)

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Take rows that have arrived; cheap, since a device's callback waits."""
        if table not in self._tables:
            return
        self._blocks.append((table, rows))
        self._n_rows += len(rows)
        while self._n_rows > _MAX_ROWS and len(self._blocks) > 1:
            try:
                _, dropped = self._blocks.popleft()
            except IndexError:
                break
            self._n_rows -= len(dropped)

    def frame(self, stream: str, frame: CapturedFrame) -> None:
        """Pictures are not followed."""

    def fetch(self) -> list[tuple[str, npt.NDArray[np.void]]]:
        """Return what has come since the last call, one block a table and run."""
        fetched: list[tuple[str, npt.NDArray[np.void]]] = []
        while self._blocks:
            try:
                fetched.append(self._blocks.popleft())
            except IndexError:
                break
        # Approximate while devices deliver; it only bounds what waits.
        self._n_rows = sum(len(rows) for _, rows in list(self._blocks))
        by_table: dict[str, list[npt.NDArray[np.void]]] = {}
        for table, rows in fetched:
            by_table.setdefault(table, []).append(rows)
        return [(table, np.concatenate(blocks)) for table, blocks in by_table.items()]
