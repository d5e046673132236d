from __future__ import annotations

import math
import secrets
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collection.protocol.order import (
    ROW_SEED,
    choose_row,
    n_rows,
    order_index,
    stimulus_order,
    study_row,
    used_rows,
    williams_rows,
)
from data_schema.session.synthetic import make_synthetic_session, synthetic_config
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import Stimulus
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
    follows = Counter((a, b) for row in rows for a, b in pairwise(row))
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
        assert all(a.target_emotion != b.target_emotion for a, b in pairwise(order))


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


# ---------------------------------------------------------------- exact balance


def _emotions(order: list[Stimulus]) -> list[str]:
    return [str(stimulus.target_emotion) for stimulus in order]


def _orders(stimuli: list[Stimulus], rows: range) -> list[list[Stimulus]]:
    return [stimulus_order(stimuli, "balanced", 11, "x", row=row) for row in rows]


@pytest.mark.parametrize(("n", "clips"), [(7, 1), (7, 2), (7, 3), (6, 2), (5, 4), (4, 3), (3, 2), (2, 3)])
def test_over_a_block_every_round_is_balanced(n: int, clips: int) -> None:
    """Each emotion at each place, and each after each other, equally often: exactly, in every round."""
    stimuli = _stimuli(clips, EMOTIONS[:n])
    n_block = len(williams_rows(n))
    for block in (0, 1, 5):
        orders = [_emotions(order) for order in _orders(stimuli, range(block * n_block, (block + 1) * n_block))]
        for number in range(clips):
            rounds = [order[number * n : (number + 1) * n] for order in orders]
            for place in range(n):
                assert set(Counter(row[place] for row in rounds).values()) == {n_block // n}
            follows = Counter(pair for row in rounds for pair in pairwise(row))
            assert len(follows) == n * (n - 1)
            assert len(set(follows.values())) == 1
        assert all(a != b for order in orders for a, b in pairwise(order))


@pytest.mark.parametrize(("n", "clips"), [(7, 2), (7, 3), (6, 2), (5, 3), (4, 4), (3, 2)])
def test_over_a_full_set_successions_are_balanced_across_rounds_too(n: int, clips: int) -> None:
    stimuli = _stimuli(clips, EMOTIONS[:n])
    orders = [_emotions(order) for order in _orders(stimuli, range(n_rows(stimuli, "balanced")))]
    follows = Counter(pair for order in orders for pair in pairwise(order))
    assert len(follows) == n * (n - 1)
    assert len(set(follows.values())) == 1


@pytest.mark.parametrize("clips", [2, 3, 4])
def test_fourteen_participants_are_nearly_balanced_across_rounds(clips: int) -> None:
    """With seven emotions no succession comes more often than another by more than one for the whole border."""
    stimuli = _stimuli(clips)
    orders = [_emotions(order) for order in _orders(stimuli, range(14))]
    borders = Counter((order[k * 7 - 1], order[k * 7]) for order in orders for k in range(1, clips))
    assert sum(borders.values()) == 14 * (clips - 1)
    assert max(borders.values()) - (min(borders.values()) if len(borders) == 42 else 0) <= 1


@pytest.mark.parametrize(("n", "clips"), [(7, 2), (7, 3), (6, 2), (4, 2)])
def test_each_clip_comes_first_equally_often(n: int, clips: int) -> None:
    stimuli = _stimuli(clips, EMOTIONS[:n])
    rows = range(math.lcm(len(williams_rows(n)), clips) if clips == 2 else len(williams_rows(n)) * clips)
    for emotion in EMOTIONS[:n]:
        first = Counter(
            next(stimulus.id for stimulus in order if stimulus.target_emotion == emotion)
            for order in _orders(stimuli, rows)
        )
        assert len(first) == clips
        assert len(set(first.values())) == 1


# ---------------------------------------------------------------- which row is next


def test_a_block_is_filled_before_the_next_is_begun() -> None:
    assert choose_row(3, 28, {}, 14) == 3
    assert choose_row(3, 28, {3: 1}, 14) == 4
    assert choose_row(13, 28, {13: 1}, 14) == 0
    assert choose_row(3, 28, {row: 1 for row in range(14) if row != 9}, 14) == 9
    assert choose_row(17, 28, dict.fromkeys(range(14), 1), 14) == 17
    assert choose_row(3, 28, dict.fromkeys(range(28), 2), 14) == 3
    # Consecutive codes take consecutive rows.
    used: Counter[int] = Counter()
    for number in range(40):
        row = choose_row(number, 28, used, 14)
        assert row == number % 28
        used[row] += 1


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=90), st.sampled_from([(84, 14), (30, 6), (12, 4), (1, 1)]))
def test_whatever_is_preferred_blocks_are_filled(preferred: list[int], design: tuple[int, int]) -> None:
    """Random pseudonyms: after any number of sessions whole blocks are used equally often, but for the last."""
    n, block = design
    used: Counter[int] = Counter()
    for wish in preferred:
        used[choose_row(wish, n, used, block)] += 1
        rows = [used[row] for row in range(n)]
        assert max(rows) - min(rows) <= 1
        blocks = [rows[start : start + block] for start in range(0, n, block)]
        assert sum(len(set(places)) > 1 for places in blocks) <= 1


def test_random_pseudonyms_are_balanced_exactly() -> None:
    stimuli = _stimuli(2)
    period, used, orders = n_rows(stimuli, "balanced"), Counter(), []
    for _ in range(28):
        code = "P" + "".join(secrets.choice("ACDEFGHJKLMNPQRTUVWXY3479") for _ in range(4))
        row = choose_row(order_index(code), period, used, 14)
        used[row] += 1
        orders.append(_emotions(stimulus_order(stimuli, "balanced", 11, code, row=row)))
    for place in range(14):
        assert set(Counter(order[place] for order in orders).values()) == {4}
    within = Counter(pair for order in orders for half in (order[:7], order[7:]) for pair in pairwise(half))
    assert set(within.values()) == {8}


# ---------------------------------------------------------------- rows of a study


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    text = '[study]\ntitle = "t"\nseed = 3\n'
    for emotion in ("happiness", "sadness", "fear", "neutral"):
        text += f'[[stimuli]]\nid = "{emotion}"\nfile = "{emotion}.mp4"\ntarget_emotion = "{emotion}"\n'
    text += '[[stimuli]]\nid = "try"\nfile = "try.mp4"\ntarget_emotion = "anger"\npractice = true\n'
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    return StudyFolder(tmp_path)


def _record(
    study: StudyFolder, participant: str, row: int | None, session: str = "01", simulated: bool = False
) -> Path:
    import h5py

    path = study.session_path(participant, session)
    path.parent.mkdir(parents=True)
    make_synthetic_session(
        path,
        participant=participant,
        session=session,
        n_trials=1,
        trial_s=0.2,
        config=synthetic_config(),
        with_video=False,
    )
    with h5py.File(path, "r+") as file:
        seeds = '{"order": 3}' if row is None else f'{{"order": 3, "{ROW_SEED}": {row}}}'
        file["study"].attrs["seeds_json"] = seeds
        file.attrs["simulated"] = simulated
    return path


def test_a_study_gives_out_the_row_it_has_used_least(study: StudyFolder) -> None:
    assert n_rows(study.config.trial_stimuli, "balanced") == 12
    assert study_row(study, "P001", "01") == 0
    _record(study, "P001", 0)
    _record(study, "PXKQ", 1)
    assert study_row(study, "P002", "01") == 2
    # What was begun goes on with its own row, also when others would come first now.
    assert study_row(study, "PXKQ", "01") == 1
    # Another session of everybody is balanced by itself, and starts one row further.
    assert study_row(study, "P001", "02") == 1


def test_rehearsals_count_until_the_first_real_session(study: StudyFolder) -> None:
    _record(study, "P001", 0, simulated=True)
    assert study_row(study, "P005", "01") == 1
    _record(study, "P002", 1)
    assert study_row(study, "P005", "01") == 0


def test_rows_of_files_that_say_nothing_are_not_counted(study: StudyFolder) -> None:
    _record(study, "P001", None)
    _record(study, "P002", 1).write_bytes(b"broken")
    assert used_rows(study, "P009", "01") == (Counter(), None)
