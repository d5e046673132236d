"""Which items may be worked on: blocks follow each other, and an admission test is taken once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from annotation.items import Block, Item
from annotation.source import ClipSource
from data_schema.labels import LabelRecord

Current = Mapping[tuple[str, str, int], LabelRecord]


class Blocks:
    """The queue with what is done in it.

    Parameters
    ----------
    source : ClipSource
        Says whether the admission test is passed.
    items : sequence of Item
    current : mapping
        The labels that hold, by what they judge; it is read, never copied.
    """

    def __init__(self, source: ClipSource, items: Sequence[Item], current: Current) -> None:
        self._source, self._items, self._current = source, items, current
        self._keys = [item.key for item in items]
        self._block = [item.block for item in items]
        self._starts = {block: self._block.index(block) for block in set(self._block)}
        self._unlocked = False
        self._admitted: bool | None = None
        self._admission = [place for place, item in enumerate(items) if item.block is Block.ADMISSION]
        self.refresh()

    def is_done(self, position: int) -> bool:
        """Say whether an item is labelled or skipped."""
        return self._keys[position] in self._current

    def refresh(self) -> None:
        """Look again at what is done, after a label came or went."""
        done = [key in self._current for key in self._keys]
        self._open = [place for place, is_done in enumerate(done) if not is_done]
        self._admission_over = bool(self._admission) and all(done[place] for place in self._admission)
        if self._admission_over and not self._unlocked:
            emotions = {
                self._items[place].item_id: self._current[self._keys[place]].emotion or ""
                for place in self._admission
                if self._current[self._keys[place]].emotion is not None
            }
            self._admitted = self._source.admission(emotions)
        self._reach = self._reachable()

    @property
    def admission_over(self) -> bool:
        """True once every item of the admission test is answered; they are closed then."""
        return self._admission_over

    @property
    def admitted(self) -> bool | None:
        """Whether the main block may be worked on; None while it is not known. True without a test."""
        if not self._admission or self._unlocked:
            return True
        return self._admitted if self._admission_over else None

    @property
    def waits_for_admission(self) -> bool:
        """True if the test is over and does not open the main block (yet)."""
        return self._admission_over and self.admitted is not True

    @property
    def all_done(self) -> bool:
        """True if the whole queue is labelled or skipped."""
        return not self._open

    def unlock(self, code: str) -> bool:
        """Take the lab's code."""
        self._unlocked = self._unlocked or self._source.unlock(code)
        self._reach = self._reachable()
        return self._unlocked

    def may_open(self, position: int) -> bool:
        """Say whether an item may be put on the desk."""
        return 0 <= position < self._reach and not self.is_closed(self._items[position])

    def is_locked(self, position: int) -> bool:
        """Say whether an earlier block has to be finished first."""
        return position >= self._reach

    def is_closed(self, item: Item) -> bool:
        """Say whether an item's answer counts already and cannot be changed any more."""
        return item.block is Block.ADMISSION and self._admission_over

    def next_open(self, position: int) -> int | None:
        """Return the next item without a label, from the start again after the last; None if none is left."""
        reachable = bisect_left(self._open, self._reach)  # what is open is not closed, so these may be opened
        after = bisect_right(self._open, position, 0, reachable)
        if after < reachable:
            return self._open[after]
        return self._open[0] if reachable else None

    def _reachable(self) -> int:
        """Return the number of items up to the end of the first block that is not finished."""
        order = list(Block)
        if self.waits_for_admission:
            last = Block.ADMISSION
        elif self._open:
            last = min({self._block[place] for place in self._open}, key=order.index)
        else:
            return len(self._items)
        later = [self._starts[block] for block in order[order.index(last) + 1 :] if block in self._starts]
        return min(later, default=len(self._items))
