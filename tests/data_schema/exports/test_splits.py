"""Schemes of training, validation and test sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.errors import ExportError
from data_schema.exports.folds import Folds, add_stimulus_folds, assign_folds, freeze_folds, frozen_folds, load_folds
from data_schema.exports.splits import PARTICIPANT_SCHEMES, SCHEMES, clip_splits, participant_splits
from data_schema.exports.stratify import draw_folds, unevenness
from data_schema.vocabularies import EMOTIONS

people = st.lists(st.integers(0, 99).map(lambda n: f"P{n:02d}"), min_size=4, max_size=14, unique=True)
stimuli = st.lists(st.integers(0, 99).map(lambda n: f"s{n:02d}"), min_size=3, max_size=12, unique=True)


def all_clips(participants, shown):
    rows = [(f"{p}-{s}", p, s) for p in participants for s in shown]
    return pd.DataFrame(rows, columns=["clip_id", "participant", "stimulus_id"])


def emotions_of(shown):
    return {name: EMOTIONS[int(name[1:]) % 7] for name in shown}


def drawn(participants, shown, seed, before: Folds | None = None):
    folds = assign_folds(participants, 4, seed, before.assignment if before else None)
    if before:
        folds = Folds(seed, 4, folds.assignment, before.n_stimulus_folds, before.stimuli)
    return add_stimulus_folds(folds, emotions_of(shown))


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=30)
@given(participants=people, shown=stimuli, seed=st.integers(0, 10**6))
def test_each_clip_is_tested_once_and_nothing_leaks(name, participants, shown, seed):
    clips = all_clips(participants, shown)
    splits = clip_splits(drawn(participants, shown, seed), clips, name)
    of = clips.set_index("clip_id")
    tested = []
    for split in splits:
        sets = [split.train, split.validation, split.test]
        assert all(sets)
        assert sum(map(len, sets)) == len(set().union(*sets))
        for column, apart in (("participant", SCHEMES[name].new_people), ("stimulus_id", SCHEMES[name].new_stimuli)):
            if apart:
                members = [set(of.loc[list(part), column]) for part in sets]
                assert sum(map(len, members)) == len(set().union(*members))
        tested += split.test
    assert sorted(tested) == sorted(clips["clip_id"])
    if name != "cross-stimulus+subject":
        assert all(len(split.train) + len(split.validation) + len(split.test) == len(clips) for split in splits)


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=30)
@given(participants=people, shown=stimuli, seed=st.integers(0, 10**6), data=st.data())
def test_who_joins_moves_nobody(name, participants, shown, seed, data):
    first_people = participants[: data.draw(st.integers(4, len(participants)))]
    first_shown = shown[: data.draw(st.integers(3, len(shown)))]
    before = drawn(first_people, first_shown, seed)
    after = drawn(participants, shown, seed, before)
    old = {split.name: split for split in clip_splits(before, all_clips(first_people, first_shown), name)}
    new = {split.name: split for split in clip_splits(after, all_clips(participants, shown), name)}
    assert set(old) <= set(new)
    for key, split in old.items():
        for part in ("train", "validation", "test"):
            assert set(getattr(split, part)) <= set(getattr(new[key], part))


def test_leave_one_subject_out_has_a_split_for_each():
    participants = [f"P{n:02d}" for n in range(9)]
    splits = clip_splits(drawn(participants, ["s01", "s02", "s03"], 1), all_clips(participants, ["s01", "s02"]), "loso")
    assert [split.name for split in splits] == participants
    assert [split.fold for split in splits] == list(range(9))
    assert all(len(split.test) == 2 for split in splits)


@given(people, st.integers(0, 10**6))
def test_participants_are_split_as_their_clips(participants, seed):
    folds = drawn(participants, ["s01", "s02"], seed)
    clips = all_clips(participants, ["s01", "s02"])
    assert PARTICIPANT_SCHEMES == ("subject", "loso")
    for name in PARTICIPANT_SCHEMES:
        whole = clip_splits(folds, clips, name)
        people_alone = participant_splits(folds, participants, name)
        assert [split.fold for split in people_alone] == [split.fold for split in whole]
        for mine, theirs in zip(people_alone, whole, strict=True):
            for part in ("train", "validation", "test"):
                assert set(getattr(mine, part)) == {clip.split("-")[0] for clip in getattr(theirs, part)}
    with pytest.raises(ExportError, match="'cross-stimulus' does not split participants alone"):
        participant_splits(folds, participants, "cross-stimulus")


def test_what_cannot_be_split_is_said():
    clips = all_clips(["P01", "P02", "P03", "P04"], ["s01", "s02"])
    folds = drawn(["P01", "P02", "P03", "P04"], ["s01", "s02"], 1)
    assert (folds.n_stimulus_folds, folds.stimuli) == (0, {})
    with pytest.raises(ExportError, match="at least 3 stimuli, there are 2"):
        clip_splits(folds, clips, "cross-stimulus")
    with pytest.raises(ExportError, match="no scheme 'stimuli'. There are: subject, loso, cross-stimulus"):
        clip_splits(folds, clips, "stimuli")
    with pytest.raises(ExportError, match="participants without a fold: P04"):
        clip_splits(folds.restricted(["P01", "P02", "P03"]), clips)
    with pytest.raises(ExportError, match="stimuli without a fold: s01, s02, s03"):
        clip_splits(folds, all_clips(["P01", "P02", "P03", "P04"], ["s01", "s02", "s03"]), "cross-stimulus")
    # Each person saw one stimulus alone: those who could train for a pair of folds saw none of its stimuli.
    folds = Folds(1, 3, {"A": 0, "B": 1, "C": 2}, 3, {"x": 0, "y": 1, "z": 2})
    sparse = pd.DataFrame({"clip_id": ["1", "2", "3"], "participant": list("ABC"), "stimulus_id": list("xzy")})
    with pytest.raises(ExportError, match="no clip in the train and the validation set"):
        clip_splits(folds, sparse, "cross-stimulus+subject")


def test_folds_of_stimuli_are_frozen_beside_those_of_people(tmp_path):
    path = tmp_path / "folds.json"
    names = ["A", "B", "C", "D"]
    few = frozen_folds(path, names, 3, 5, target_emotions=emotions_of(["s01", "s02"]))
    with freeze_folds(path, few):
        assert "stimuli" not in path.read_text(encoding="utf-8")
    shown = [f"s{n:02d}" for n in range(14)]
    first = frozen_folds(path, names, 3, 5, target_emotions=emotions_of(shown))
    with freeze_folds(path, first):
        pass
    assert load_folds(path) == first
    assert first.assignment == few.assignment
    # Two stimuli of each emotion: no fold of three has both, and all have about as many.
    of_fold = [sorted(EMOTIONS[int(s[1:]) % 7] for s, k in first.stimuli.items() if k == fold) for fold in range(3)]
    assert sorted(map(len, of_fold)) == [4, 5, 5]
    assert all(len(set(emotions)) == len(emotions) for emotions in of_fold)
    later = frozen_folds(path, [*names, "E"], 3, 5, target_emotions=emotions_of([*shown, "s50"]))
    assert {name: later.stimuli[name] for name in shown} == first.stimuli
    assert set(later.restricted(names, ["s50"]).stimuli) == {"s50"}
    path.write_text('{"seed": 1, "n_folds": 3, "assignment": {}, "n_stimulus_folds": 3, "stimuli": {"s": 9}}', "utf-8")
    with pytest.raises(ExportError, match="expected a fold from 0 to 3 - 1"):
        load_folds(path)


def emer_like(seed):
    """Clips of 121 people in seven classes as unbalanced as 5 to 1, of which each person has but a few."""
    rng = np.random.default_rng(seed)
    odds = np.array([377, 250, 200, 170, 131, 100, 75]) / 1303
    counts = [rng.multinomial(rng.integers(5, 17), rng.dirichlet(odds * 7)) for _ in range(121)]
    return pd.DataFrame(counts, index=[f"P{n:03d}" for n in range(121)], columns=list(EMOTIONS))


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_far_more_even_than_chance(seed):
    counts = emer_like(seed)
    names = list(counts.index)
    mine = unevenness(draw_folds(names, 5, seed, label_counts=counts), 5, counts)
    rng = np.random.default_rng(seed)
    chance = [unevenness(dict(zip(names, rng.permutation(121) % 5, strict=True)), 5, counts) for _ in range(200)]
    assert mine < 0.25 * np.median(chance)
    assert mine < min(chance)
    # People who come in ten times evens out less, since nobody is moved, but still more than chance.
    grown: dict[str, int] = {}
    for n in range(12, 122, 11):
        grown = draw_folds(names[:n], 5, seed, grown, counts)
    grown = draw_folds(names, 5, seed, grown, counts)
    assert unevenness(grown, 5, counts) < 0.6 * np.median(chance)
