"""The order of a queue: everything once, repeats far enough away, and nothing that is fixed moves."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotation.queue.order import Role, Slot, main_order

CLIPS = [f"c{number:04d}" for number in range(400)]


def check_repeats(line: list[Slot], distance: int) -> int:
    """Every repeat comes after its clip, at the distance, once; returns how many there are."""
    first = {slot.clip_id: at for at, slot in enumerate(line) if slot.role is Role.CLIP}
    repeats = [(at, slot.clip_id) for at, slot in enumerate(line) if slot.role is Role.REPEAT]
    assert len({clip for _, clip in repeats}) == len(repeats)
    for at, clip in repeats:
        assert at - first[clip] - 1 >= distance
    return len(repeats)


@given(
    st.integers(0, 200), st.integers(0, 20), st.floats(0, 0.5), st.integers(1, 60), st.integers(0, 2**32),
)  # fmt: skip
def test_all_clips_once_and_repeats_at_the_distance(
    n: int, n_gold: int, share: float, distance: int, seed: int
) -> None:
    clips, gold = CLIPS[:n], CLIPS[-n_gold:] if n_gold else []
    line = main_order(clips, gold, random.Random(seed), repeats_share=share, distance=distance)
    assert sorted(s.clip_id for s in line if s.role is Role.CLIP) == clips
    assert sorted(s.clip_id for s in line if s.role is Role.GOLD) == gold
    n_repeats = check_repeats(line, distance)
    assert n_repeats <= round(share * n)
    # Half of the clips lie far enough before the end: then the share is met to the clip.
    if n + n_gold >= 2 * distance and n_gold <= n // 4 and share <= 0.25:
        assert n_repeats == round(share * n)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(1, 15), st.integers(0, 2**32))
def test_a_queue_grows_at_its_end_alone(batches: list[int], distance: int, seed: int) -> None:
    line: list[Slot] = []
    used = 0
    for number in batches:
        before = list(line)
        new = main_order(
            CLIPS[used : used + number],
            [],
            random.Random(seed + used),
            repeats_share=0.2,
            distance=distance,
            before=line,
        )
        used += number
        line = line + new
        assert line[: len(before)] == before
        check_repeats(line, distance)
    if used >= 60:
        # Also many small batches reach the share, since earlier clips may come again.
        assert abs(check_repeats(line, distance) - 0.2 * used) <= 0.1 * used


def test_nothing_new_adds_nothing() -> None:
    line = main_order(CLIPS[:50], [], random.Random(1), repeats_share=0.1, distance=5)
    assert main_order([], [], random.Random(2), repeats_share=0.5, distance=5, before=line) == []


def test_repeats_lie_everywhere_not_at_the_end() -> None:
    places = []
    for seed in range(40):
        line = main_order(CLIPS[:200], [], random.Random(seed), repeats_share=0.1, distance=20)
        places += [at for at, slot in enumerate(line) if slot.role is Role.REPEAT]
    thirds = np.histogram(places, bins=[22, 88, 154, 220])[0]
    assert len(places) == 800
    assert thirds.min() > 0.28 * len(places)


def test_each_annotator_has_an_order_of_their_own() -> None:
    firsts = Counter(
        main_order(CLIPS[:20], [], random.Random(f"7/fer/a{n}/0"), repeats_share=0, distance=1)[0].clip_id
        for n in range(200)
    )
    assert len(firsts) > 15
