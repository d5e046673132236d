"""Exact counts, the pace, and breaks."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from annotation.items import Block, Item
from annotation.queue.progress import (
    Done,
    WorkClock,
    count_by_block,
    done_items,
    open_block,
    progress_of,
    seconds_per_clip,
    share_right,
)
from data_schema.labels import Label, LabelStore

BLOCKS = [Block.TRAINING] * 2 + [Block.ADMISSION] * 2 + [Block.MAIN] * 30
ITEMS = [Item(f"i{at}", f"c{at}", "a" * 64, "fer", 0, block, at) for at, block in enumerate(BLOCKS)]
NOW = datetime(2026, 3, 4, 0, 30, tzinfo=timezone(timedelta(hours=8)))


def done(numbers: range, seconds: float | None = 10.0, minutes_ago: float = 5.0) -> list[Done]:
    return [Done(f"i{number}", NOW - timedelta(minutes=minutes_ago), seconds) for number in numbers]


def test_blocks_are_counted_and_follow_each_other() -> None:
    assert progress_of(ITEMS, [], now=NOW).block == "training"
    assert open_block(ITEMS, {"i0", "i1"}) is Block.ADMISSION
    half = progress_of(ITEMS, done(range(7)), now=NOW)
    assert (half.block, half.n_done, half.n_all) == ("main", 3, 30)
    assert count_by_block(ITEMS, {"i0", "i5", "stray"}) == {
        Block.TRAINING: (1, 2), Block.ADMISSION: (0, 2), Block.MAIN: (1, 30),
    }  # fmt: skip
    assert open_block(ITEMS, {item.item_id for item in ITEMS}) is Block.MAIN
    assert progress_of([], [], now=NOW).n_all == 0


def test_the_pace_is_the_median_of_the_last_twenty() -> None:
    assert seconds_per_clip(done(range(4))) is None
    assert seconds_per_clip(done(range(4)) + done(range(4, 9), None)) is None
    mixed = done(range(10), 100.0) + done(range(10, 30), 8.0)
    assert seconds_per_clip(mixed) == 8.0
    assert seconds_per_clip(done(range(4), 8.0) + done(range(4, 5), 900.0)) == 8.0, "one long pause does not count"
    assert progress_of(ITEMS, mixed, now=NOW).minutes_left == pytest.approx(4 * 8 / 60)


def test_today_begins_at_the_annotators_midnight() -> None:
    # 20 minutes ago is today, 40 minutes ago was yesterday here, and in UTC both are the same day.
    both = done(range(3), minutes_ago=20) + done(range(3, 8), minutes_ago=40)
    assert progress_of(ITEMS, both, now=NOW).n_done_today == 3
    assert progress_of(ITEMS, both, now=NOW.astimezone(timezone.utc)).n_done_today == 8


def test_done_items_come_from_the_log(tmp_path) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        store.add(Label("c1", "a" * 64, "fer", emotion="fear", duration_ms=4000))
        store.add(Label("c0", "a" * 64, "fer", skip_reason="no_face"))
        store.add(Label("c0", "a" * 64, "fer", repetition=1, emotion="fear"))
        store.add(Label("c2", "a" * 64, "fer", emotion="fear"))
        store.undo()
        found = done_items(ITEMS, store.current())
    assert [(one.item_id, one.seconds) for one in found] == [("i1", 4.0), ("i0", None)]
    assert found[0].when.tzinfo is not None


def test_breaks_come_after_minutes_of_work_not_of_absence() -> None:
    now = [0.0]
    work = WorkClock(30.0, lambda: now[0])
    now[0] = 29 * 60
    assert not work.break_due
    work.set_active(False)
    now[0] += 4 * 60
    assert work.minutes == pytest.approx(29)
    work.set_active(True)
    now[0] += 61
    assert work.break_due
    work.restart()
    assert work.minutes == 0
    now[0] += 20 * 60
    work.set_active(False)
    work.set_active(False)
    now[0] += 6 * 60
    work.set_active(True)
    assert work.minutes == 0, "six minutes away were a break"
    never = WorkClock(0.0, lambda: now[0])
    now[0] += 10**6
    assert not never.break_due


def test_the_share_right_counts_missing_answers_as_wrong() -> None:
    right = {"i0": "fear", "i1": "anger"}
    assert share_right({"i0": "fear", "i1": "anger", "i9": "fear"}, right) == 1.0
    assert share_right({"i0": "fear"}, right) == 0.5
    assert share_right({}, {}) == 1.0
