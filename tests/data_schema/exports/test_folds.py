from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.errors import ExportError
from data_schema.exports.folds import Folds, Split, assign_folds, check_split, freeze_folds, frozen_folds, load_folds
from data_schema.exports.splits import clip_splits, participant_splits

codes = st.lists(st.integers(0, 999).map(lambda n: f"P{n:03d}"), min_size=5, max_size=60, unique=True)


def counts_of(participants, seed):
    rows = {p: [(hash_ := (int(p[1:]) * 37 + seed) % 11), 11 - hash_, int(p[1:]) % 3] for p in participants}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["a", "b", "c"])


@given(codes, st.integers(3, 5), st.integers(0, 10**6), st.booleans())
def test_sets_are_disjoint_complete_and_even(participants, n_folds, seed, stratify):
    folds = assign_folds(participants, n_folds, seed, label_counts=counts_of(participants, seed) if stratify else None)
    assert set(folds.assignment) == set(participants)
    sizes = [list(folds.assignment.values()).count(k) for k in range(n_folds)]
    assert max(sizes) - min(sizes) <= 1
    tested = []
    for k in range(n_folds):
        split = folds.splits(k)
        sets = [set(split.train), set(split.validation), set(split.test)]
        assert all(sets)
        assert set.union(*sets) == set(participants)
        assert sum(map(len, sets)) == len(participants)
        assert split.validation == folds.splits((k + 1) % n_folds).test
        tested += split.test
    assert sorted(tested) == sorted(participants)


@given(codes, st.integers(1, 30), st.integers(0, 10**6))
def test_newcomers_move_nobody(participants, n_first, seed):
    first = participants[: max(3, n_first)]
    before = assign_folds(first, 3, seed, label_counts=counts_of(first, 1))
    after = assign_folds(participants, 3, seed, before.assignment, counts_of(participants, 2))
    assert {p: after.assignment[p] for p in first} == before.assignment
    gone = assign_folds(participants[-5:], 3, seed, after.assignment)
    assert gone.assignment == after.assignment


@given(codes, st.integers(0, 10**6))
def test_the_draw_depends_on_seed_and_people_alone(participants, seed):
    again = assign_folds(reversed(participants), 4, seed)
    assert again == assign_folds(participants, 4, seed)


def test_another_seed_draws_otherwise():
    participants = [f"P{n:03d}" for n in range(30)]
    assert assign_folds(participants, 5, 1).assignment != assign_folds(participants, 5, 2).assignment


def test_labels_are_spread_evenly():
    participants = [f"P{n:03d}" for n in range(50)]
    counts = pd.DataFrame({"rare": [10 if n % 5 == 0 else 0 for n in range(50)], "common": 10}, index=participants)
    folds = assign_folds(participants, 5, 3, label_counts=counts)
    per_fold = counts.groupby(pd.Series(folds.assignment))["rare"].sum()
    assert per_fold.tolist() == [20] * 5


@pytest.mark.parametrize(
    ("n", "n_folds", "hint"),
    [
        (1, 3, "only 1 participant with"),
        (2, 5, "at least 3. Record"),
        (4, 5, "from 3 to 4"),
        (3, 5, r"study.toml to 3\."),
        (9, 2, "at least 3 are needed"),
    ],
)
def test_too_few_participants(n, n_folds, hint):
    with pytest.raises(ExportError, match=hint):
        assign_folds([f"P{i}" for i in range(n)], n_folds, 0)


def test_a_leak_is_found():
    with pytest.raises(ExportError, match="P1 is in both the training and the test set"):
        check_split(Split(0, ("P1", "P2"), ("P3",), ("P1",)))
    with pytest.raises(ExportError, match="no participant in the validation set"):
        check_split(Split(0, ("P1",), (), ("P2",)))


def test_participants_without_data_are_no_set_and_strangers_are_refused():
    folds = Folds(0, 3, {"A": 0, "B": 1, "C": 2, "D": 0})
    assert folds.splits(0, ["A", "B", "C"]) == Split(0, ("C",), ("B",), ("A",))
    with pytest.raises(ExportError, match="no participant in the training set"):
        folds.splits(0, ["A", "B", "D"])
    with pytest.raises(ExportError, match="without a fold: E"):
        folds.splits(0, ["A", "B", "C", "E"])
    with pytest.raises(ExportError, match="no fold 3"):
        folds.splits(3)


def test_a_fold_that_a_withdrawal_emptied_is_passed_over_and_filled_by_the_next_who_joins():
    frozen = {"A": 0, "C": 2, "D": 3}
    folds = assign_folds(["A", "C", "D"], 4, 0, frozen)
    assert folds.assignment == frozen
    assert participant_splits(folds, frozen) == [
        Split(0, ("D",), ("C",), ("A",)),
        Split(2, ("A",), ("D",), ("C",)),
        Split(3, ("C",), ("A",), ("D",)),
    ]
    clips = pd.DataFrame({"clip_id": list(frozen), "participant": list(frozen), "stimulus_id": ""})
    assert [(s.fold, s.validation) for s in clip_splits(folds, clips, "subject")] == [
        (0, ("C",)),
        (2, ("D",)),
        (3, ("A",)),
    ]
    assert [s.validation for s in clip_splits(folds, clips, "loso")] == [("C",), ("D",), ("A",)]
    assert assign_folds([*frozen, "E"], 4, 0, frozen).assignment == {**frozen, "E": 1}
    with pytest.raises(ExportError, match="at least 3. Record"):
        assign_folds(["A", "C"], 4, 0, frozen)


def freeze(path, participants):
    """Assign and write folds, as an export does that succeeds."""
    folds = frozen_folds(path, participants, 3, 1)
    with freeze_folds(path, folds):
        return folds


def test_two_exports_at_once_keep_both_assignments_or_refuse(tmp_path):
    path = tmp_path / "folds.json"
    freeze(path, ["A", "B", "C"])
    mine = frozen_folds(path, ["A", "B", "C", "D"], 3, 1)
    theirs = freeze(path, ["A", "B", "C", "E"])
    with freeze_folds(path, mine):
        pass
    assert load_folds(path).assignment == {**mine.assignment, **theirs.assignment}
    # Had they put D elsewhere, this export would say one thing and the study another.
    moved = {**mine.assignment, "D": (mine.assignment["D"] + 1) % 3}
    content = path.read_bytes()
    with pytest.raises(ExportError, match="froze other folds meanwhile"), freeze_folds(path, Folds(1, 3, moved)):
        pytest.fail("went on")
    assert path.read_bytes() == content


def test_folds_are_frozen_in_a_file(tmp_path):
    path = tmp_path / "folds.json"
    first = freeze(path, ["A", "B", "C"])
    content = path.read_bytes()
    assert frozen_folds(path, ["A", "B", "C"], 3, 999) == first
    assert path.read_bytes() == content
    later = freeze(path, ["A", "B", "C", "D"])
    assert {k: later.assignment[k] for k in "ABC"} == first.assignment
    assert load_folds(path) == later
    with pytest.raises(ExportError, match="set \\[folds\\] n back to 3"):
        frozen_folds(path, ["A", "B", "C", "D"], 4, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "may be cut off"),
        ('{"seed": 1, "n_folds": 3, "assignment": {"A', "may be cut off"),
        ("[]", "should be a JSON object"),
        ("{}", "seed is None, expected an integer"),
        ('{"seed": 1, "n_folds": 3, "assignment": [1]}', "expected a fold for each participant"),
        ('{"seed": 1, "n_folds": 3, "assignment": {"A": "x"}}', "the fold of A is 'x', expected an integer"),
        ('{"seed": 1, "n_folds": 3, "assignment": {"A": [0]}}', r"the fold of A is \[0\], expected an integer"),
        ('{"seed": 1, "n_folds": 3, "assignment": {"A": 7}}', "A has a fold outside 0 to 2"),
    ],
)
def test_a_damaged_file_is_refused_with_the_next_step(tmp_path, content, said):
    path = tmp_path / "folds.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ExportError, match=said) as caught:
        load_folds(path)
    assert str(path) in str(caught.value)
    assert "copy folds.json from an export of the same study" in str(caught.value)
    assert "Error" not in str(caught.value)


def test_the_file_is_plain_json(tmp_path):
    freeze(tmp_path / "folds.json", ["A", "B", "C"])
    content = json.loads((tmp_path / "folds.json").read_text(encoding="utf-8"))
    assert set(content) == {"seed", "n_folds", "assignment"}
