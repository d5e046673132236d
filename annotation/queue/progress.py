"""How far an annotator is, how fast, and when a break is due. Exact counts; no window."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from annotation.items import Block, Item
from data_schema.labels import LabelRecord

#: The pace is the median of the last items: recent enough for a tired hour, many enough for one phone call.
PACE_ITEMS = 20
MIN_PACE_ITEMS = 5
#: Away from the window for as long as this, and it was a break.
AWAY_IS_BREAK_MIN = 5.0


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Parameters
    ----------
    block : str
    n_done, n_all : int
        Items of the block that are labelled or skipped, and all of them. Exact.
    n_done_today : int
    seconds_per_clip : float or None
        Median of the last 20 items; None before there are 5.
    minutes_left : float or None
        At that pace.
    minutes_since_break : float
    """

    block: str
    n_done: int
    n_all: int
    n_done_today: int
    seconds_per_clip: float | None
    minutes_left: float | None
    minutes_since_break: float


@dataclass(frozen=True)
class Done:
    """An item that is labelled or skipped: when, and how long it took (None if nobody measured)."""

    item_id: str
    when: datetime
    seconds: float | None


def done_items(items: Iterable[Item], current: Iterable[LabelRecord]) -> list[Done]:
    """Return the items of a queue that have a label or a skip, in the order in which they were given.

    Parameters
    ----------
    items : iterable of Item
    current : iterable of LabelRecord
        The labels that hold now (`LabelStore.current`).
    """
    by_key = {item.key: item.item_id for item in items}
    done = [
        Done(
            by_key[row.key],
            datetime.fromisoformat(row.created_utc.replace("Z", "+00:00")),
            None if row.duration_ms is None else row.duration_ms / 1000,
        )
        for row in current
        if row.key in by_key
    ]
    return sorted(done, key=lambda one: one.when)


def seconds_per_clip(done: Sequence[Done]) -> float | None:
    """Return the median seconds of the last items that were timed; None before there are five."""
    seconds = [one.seconds for one in done if one.seconds is not None][-PACE_ITEMS:]
    return statistics.median(seconds) if len(seconds) >= MIN_PACE_ITEMS else None


def count_by_block(items: Iterable[Item], done_ids: Collection[str]) -> dict[Block, tuple[int, int]]:
    """Return of each block that the queue has: items done, and items in all."""
    counts: dict[Block, tuple[int, int]] = {}
    for item in items:
        n_done, n_all = counts.get(item.block, (0, 0))
        counts[item.block] = (n_done + (item.item_id in done_ids), n_all + 1)
    return counts


def open_block(items: Sequence[Item], done_ids: Collection[str]) -> Block:
    """Return the first block with something left to do; the last one if all is done."""
    counts = count_by_block(items, done_ids)
    blocks = [block for block in Block if block in counts] or [Block.MAIN]
    return next((block for block in blocks if counts.get(block, (0, 0))[0] < counts.get(block, (0, 0))[1]), blocks[-1])


def progress_of(
    items: Sequence[Item],
    done: Sequence[Done],
    *,
    now: datetime | None = None,
    minutes_since_break: float = 0.0,
    block: Block | None = None,
) -> Progress:
    """Say how far a queue is.

    Parameters
    ----------
    items : sequence of Item
    done : sequence of Done
        In the order in which they were done.
    now : datetime, optional
        With a time zone, which says when a day begins; default: now, here.
    minutes_since_break : float
    block : Block, optional
        The block to be counted; default: the first with something left.
    """
    now = now or datetime.now(timezone.utc).astimezone()
    done_ids = {one.item_id for one in done}
    block = block or open_block(items, done_ids)
    n_done, n_all = count_by_block(items, done_ids).get(block, (0, 0))
    seconds = seconds_per_clip(done)
    today = {one.item_id for one in done if one.when.astimezone(now.tzinfo).date() == now.date()}
    return Progress(
        block=block.value,
        n_done=n_done,
        n_all=n_all,
        n_done_today=len(today),
        seconds_per_clip=seconds,
        minutes_left=None if seconds is None else (n_all - n_done) * seconds / 60,
        minutes_since_break=minutes_since_break,
    )


class WorkClock:
    """Counts minutes of work since the last break; time away from the window is none.

    Parameters
    ----------
    every_min : float
        Minutes of work after which a break is due; 0 for never.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, every_min: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.every_min = every_min
        self._clock = clock
        self._worked_s = 0.0
        self._since: float | None = clock()
        self._left_at = 0.0

    @property
    def minutes(self) -> float:
        """Minutes of work since the last break."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return (self._worked_s + running) / 60

    @property
    def break_due(self) -> bool:
        """True once a break should be proposed."""
        return self.every_min > 0 and self.minutes >= self.every_min

    def set_active(self, active: bool) -> None:
        """Say that the annotator left the window, or came back; a long absence was a break."""
        now = self._clock()
        if active and self._since is None:
            if now - self._left_at >= AWAY_IS_BREAK_MIN * 60:
                self._worked_s = 0.0
            self._since = now
        elif not active and self._since is not None:
            self._worked_s += now - self._since
            self._since, self._left_at = None, now

    def restart(self) -> None:
        """Begin anew: a break was taken, or put off."""
        self._worked_s = 0.0
        if self._since is not None:
            self._since = self._clock()


def share_right(given: Mapping[str, str], right: Mapping[str, str]) -> float:
    """Return the share of answers that are right; an item without an answer is wrong. 1.0 if nothing is asked.

    Parameters
    ----------
    given, right : mapping
        Emotions by item.
    """
    if not right:
        return 1.0
    return sum(given.get(item) == emotion for item, emotion in right.items()) / len(right)
