from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collection.recorder.queues import QUEUE_FULL, RECORDER_STOPPED, CountedQueue, RateMeter


def test_a_full_queue_drops_and_counts_with_its_reason() -> None:
    queue = CountedQueue("gaze", 10)
    assert queue.put("a", 6)
    assert not queue.put("b", 5)
    assert queue.dropped_by_reason == {QUEUE_FULL: 5}
    assert queue.dropped_since_accepted == 5
    assert queue.put("c", 4)
    assert queue.dropped_since_accepted == 0
    assert queue.take_all() == ["a", "c"]
    assert queue.unreported_drops() == {QUEUE_FULL: 5}
    assert queue.unreported_drops() == {}


def test_an_item_larger_than_the_queue_fits_into_an_empty_one() -> None:
    queue = CountedQueue("gaze", 3)
    assert queue.put("big", 100)
    assert queue.take(0.0) == "big"


def test_a_blocking_queue_makes_the_caller_wait_instead_of_dropping() -> None:
    queue = CountedQueue("frames", 2, block=True)
    done = threading.Event()

    def deliver() -> None:
        for number in range(50):
            queue.put(number)
        done.set()

    thread = threading.Thread(target=deliver)
    thread.start()
    taken = []
    while len(taken) < 50:
        item = queue.take(5.0)
        assert item is not None
        taken.append(item)
    thread.join(5.0)
    assert done.is_set()
    assert taken == list(range(50))
    assert queue.dropped == 0
    assert queue.peak <= 2


def test_whether_to_wait_is_up_to_the_caller() -> None:
    dropping, waiting = CountedQueue("events", 1), CountedQueue("events", 1, block=True)
    assert waiting.put("kept")
    assert not waiting.put("at once", block=False)
    assert waiting.dropped_by_reason == {QUEUE_FULL: 1}

    assert dropping.put("first")
    thread = threading.Thread(target=lambda: dropping.put("second", block=True))
    thread.start()
    assert dropping.take(5.0) == "first"
    assert dropping.take(5.0) == "second"
    thread.join(5.0)
    assert dropping.dropped == 0


def test_closing_wakes_who_waits_and_counts_the_rest_as_dropped() -> None:
    queue = CountedQueue("frames", 1, block=True)
    queue.put("kept")
    accepted: list[bool] = []
    thread = threading.Thread(target=lambda: accepted.append(queue.put("late")))
    thread.start()
    queue.close()
    thread.join(5.0)
    assert accepted == [False]
    assert queue.dropped_by_reason == {RECORDER_STOPPED: 1}
    assert queue.take(0.0) == "kept"
    assert queue.take(0.0) is None


def test_pressure_is_reported_when_more_than_half_full() -> None:
    calls: list[int] = []
    queue = CountedQueue("gaze", 10, on_pressure=lambda: calls.append(queue.waiting))
    queue.put("a", 5)
    assert calls == []
    queue.put("b", 1)
    assert calls == [6]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 7)),
            st.tuples(st.just("take"), st.just(0)),
            st.tuples(st.just("take_all"), st.just(0)),
            st.tuples(st.just("discard"), st.just(0)),
            st.tuples(st.just("close"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_every_row_is_taken_waiting_or_dropped(operations: list[tuple[str, int]]) -> None:
    queue = CountedQueue("any", 12)
    offered = 0
    for word, n in operations:
        if word == "put":
            offered += n
            queue.put(n, n)
        elif word == "take":
            queue.take(0.0)
        elif word == "take_all":
            queue.take_all()
        elif word == "discard":
            queue.discard_waiting("test")
        else:
            queue.close()
        assert queue.received == offered
        assert queue.received == queue.taken + queue.waiting + queue.dropped
        assert queue.waiting <= 12


def test_a_queue_needs_room() -> None:
    with pytest.raises(ValueError, match="room for at least 1"):
        CountedQueue("gaze", 0)


def test_rate_looks_back_on_its_window_only() -> None:
    meter = RateMeter(window_s=2.0)
    for second in range(10):
        rate = meter.update(100 * second, float(second))
    assert rate == pytest.approx(100.0)
    assert meter.update(900, 20.0) < 10.0
