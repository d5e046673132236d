from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collection.protocol.order import order_index, stimulus_order, williams_rows
from data_schema.study.config import Stimulus
from data_schema.vocabularies import EMOTIONS


def _stimuli(per_emotion: int, emotions: tuple[str, ...] = EMOTIONS) -> list[Stimulus]:
    return [
        Stimulus(id=f"{emotion}-{number}", file=f"{emotion}-{number}.mp4", target_emotion=emotion)
        for emotion in emotions
        for number in range(per_emotion)
    ]


@pytest.mark.parametrize("n", range(1, 9))
def test_williams_rows_balance_places_and_successions(n: int) -> None:
    rows = williams_rows(n)
    assert len(rows) == (n if n % 2 == 0 or n == 1 else 2 * n)
    for place in range(n):
        assert set(Counter(row[place] for row in rows).values()) == {len(rows) // n}
    follows = Counter((a, b) for row in rows for a, b in zip(row, row[1:], strict=False))
    if n > 1:
        assert len(follows) == n * (n - 1)
        assert len(set(follows.values())) == 1


def test_balanced_order_is_balanced_over_numbered_participants() -> None:
    stimuli = _stimuli(2)
    orders = [stimulus_order(stimuli, "balanced", 11, f"P{number:03d}") for number in range(1, 15)]
    for place in range(7):
        assert set(Counter(order[place].target_emotion for order in orders).values()) == {2}
    follows = Counter(
        (a.target_emotion, b.target_emotion) for order in orders for a, b in zip(order[:7], order[1:7], strict=False)
    )
    assert set(follows.values()) == {2}


@given(
    st.integers(0, 2**31),
    st.text("ABCDEFGHJK0123456789", min_size=1, max_size=8),
    st.integers(1, 4),
    st.sampled_from(["balanced", "random", "listed"]),
)
def test_every_stimulus_is_shown_once_and_the_order_is_reproducible(
    seed: int, participant: str, per_emotion: int, rule: str
) -> None:
    stimuli = _stimuli(per_emotion)
    order = stimulus_order(stimuli, rule, seed, participant)
    assert sorted(s.id for s in order) == sorted(s.id for s in stimuli)
    assert [s.id for s in stimulus_order(stimuli, rule, seed, participant)] == [s.id for s in order]


@pytest.mark.parametrize("n_emotions", [4, 5, 6, 7])
def test_no_emotion_follows_itself(n_emotions: int) -> None:
    stimuli = _stimuli(3, EMOTIONS[:n_emotions])
    for number in range(1, 30):
        order = stimulus_order(stimuli, "balanced", 3, f"P{number:03d}")
        assert all(a.target_emotion != b.target_emotion for a, b in zip(order, order[1:], strict=False))


def test_which_clip_of_an_emotion_comes_first_rotates() -> None:
    stimuli = _stimuli(2)
    first = {
        next(s.id for s in stimulus_order(stimuli, "balanced", 3, f"P{number:03d}") if s.target_emotion == "fear")
        for number in range(1, 40)
    }
    assert first == {"fear-0", "fear-1"}


def test_unequal_numbers_of_clips_are_all_shown() -> None:
    stimuli = [*_stimuli(1), Stimulus(id="joy-2", file="j.mp4", target_emotion="happiness")]
    order = stimulus_order(stimuli, "balanced", 3, "P001")
    assert len(order) == 8
    assert order[-1].target_emotion == "happiness"


def test_participants_differ_and_the_seed_matters() -> None:
    stimuli = _stimuli(2)
    orders = {tuple(s.id for s in stimulus_order(stimuli, "random", 1, f"P{n:03d}")) for n in range(1, 9)}
    assert len(orders) == 8
    assert [s.id for s in stimulus_order(stimuli, "balanced", 1, "P001")] != [
        s.id for s in stimulus_order(stimuli, "balanced", 2, "P001")
    ]


def test_numbered_codes_count_and_others_are_spread() -> None:
    assert [order_index("P001"), order_index("P002"), order_index("12")] == [0, 1, 11]
    assert order_index("P001", "02") == 1
    assert order_index("PXKQ") == order_index("PXKQ") > 100
    with pytest.raises(ValueError, match="unknown order"):
        stimulus_order([], "sorted", 1, "P001")
