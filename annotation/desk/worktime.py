"""Time and progress at the desk: how long an item was looked at, how far the queue is, when a break is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice

from annotation.items import Block, Item
from annotation.queue.progress import PACE_ITEMS, Done, Progress, WorkClock, done_items, seconds_per_clip
from data_schema.labels import LabelRecord

Current = Mapping[tuple[str, str, int], LabelRecord]


class Worktime:
    """Counts the time in which the window was in front and a clip was on the desk.

    Parameters
    ----------
    items : sequence of Item
    current : mapping
        The labels that hold, by what they judge; it is read, never copied.
    break_every_min : float
    clock : callable
        Seconds, monotonic.
    now_utc : callable
        The time, with its zone.
    """

    def __init__(
        self,
        items: Sequence[Item],
        current: Current,
        break_every_min: float,
        clock: Callable[[], float],
        now_utc: Callable[[], datetime],
    ) -> None:
        self._current, self._clock, self._now_utc = current, clock, now_utc
        self._work = WorkClock(break_every_min, clock)
        self._n_all, self._n_done = Counter(item.block for item in items), Counter[Block]()
        self._n_of_day: Counter[date] = Counter()
        blocks = {item.item_id: item.block for item in items}
        #: In the order in which they were done.
        self._done = {done.item_id: done for done in done_items(items, current.values())}
        for done in self._done.values():
            self._count(blocks[done.item_id], done, 1)
        self._next_proposal_min = 0.0
        self._spent: dict[str, float] = {}
        self._item_id = ""
        self._active, self._at_clip = True, False
        self._since: float | None = None

    # ------------------------------------------------------------ one item

    @property
    def seconds(self) -> float:
        """Seconds spent on the item since it was last committed."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return self._spent.get(self._item_id, 0.0) + running

    def open(self, item_id: str, seconds: float | None = None) -> None:
        """Count for another item, from what was spent on it before."""
        self._stop()
        self._item_id = item_id
        if seconds is not None:
            self._spent[item_id] = seconds
        self._go()

    def committed(self, item_id: str) -> None:
        """Begin anew for an item."""
        self._stop()
        self._spent.pop(item_id, None)
        self._go()

    def set_active(self, active: bool) -> None:
        """Say whether the window is in front."""
        self._stop()
        self._active = active
        self._work.set_active(active)
        self._go()

    def set_at_clip(self, at_clip: bool) -> None:
        """Say whether the clip's page is shown; on no other page does an item's time pass."""
        self._stop()
        self._at_clip = at_clip
        self._go()

    # ------------------------------------------------------------ the queue

    def progress(self, block: Block) -> Progress:
        """Say how far a block is. Counts are kept, not counted anew: a queue may hold 10,000 clips."""
        seconds = seconds_per_clip(list(islice(reversed(self._done.values()), 4 * PACE_ITEMS))[::-1])
        n_done, n_all = self._n_done[block], self._n_all[block]
        return Progress(
            block=block.value,
            n_done=n_done,
            n_all=n_all,
            n_done_today=self._n_of_day[self._now_utc().astimezone().date()],
            seconds_per_clip=seconds,
            minutes_left=None if seconds is None else (n_all - n_done) * seconds / 60,
            minutes_since_break=self._work.minutes,
        )

    def label_changed(self, item: Item) -> None:
        """Count an item again: its label came, changed or went."""
        before = self._done.pop(item.item_id, None)
        if before is not None:
            self._count(item.block, before, -1)
        label = self._current.get(item.key)
        for done in done_items([item], [] if label is None else [label]):
            self._done[item.item_id] = done
            self._count(item.block, done, 1)

    def _count(self, block: Block, done: Done, n: int) -> None:
        self._n_done[block] += n
        self._n_of_day[done.when.astimezone().date()] += n

    # ------------------------------------------------------------ breaks

    @property
    def minutes(self) -> float:
        """Minutes of work since the last break."""
        return self._work.minutes

    @property
    def break_due(self) -> bool:
        """True once a break should be proposed; proposed once, it is proposed again after as long."""
        return self._work.break_due and self._work.minutes >= self._next_proposal_min

    def put_off_break(self) -> None:
        """Note that a break was proposed."""
        self._next_proposal_min = self._work.minutes + self._work.every_min

    def end_break(self) -> None:
        """Begin to count anew: a break was taken."""
        self._work.restart()
        self._next_proposal_min = 0.0

    def _stop(self) -> None:
        self._spent[self._item_id] = self.seconds
        self._since = None

    def _go(self) -> None:
        self._since = self._clock() if self._active and self._at_clip and self._item_id else None
