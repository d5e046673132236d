from __future__ import annotations

import pytest

from data_schema.errors import TrainingError
from emer_model.prediction.membership import Learned, may_disagree, may_judge


def clips(*names: str) -> frozenset[str]:
    return frozenset(f"sub-{name[0]}_ses-01_trial-{name[1:].zfill(3)}" for name in names)


def ordered(*names: str) -> list[str]:
    return [next(iter(clips(name))) for name in names]


def test_no_model_judges_whom_it_learned_from() -> None:
    learned = [Learned(clips("B1", "C1"), clips("D1")), Learned(clips("A1", "C1"), clips("B1"))]
    allowed = may_judge(ordered("A1", "B1", "C1", "D1", "N1"), learned)
    assert allowed.T.tolist() == [[1, 0], [0, 1], [1, 1], [0, 1], [1, 1]]


def test_a_new_clip_of_a_person_whom_a_model_knows_is_judged_by_the_others() -> None:
    learned = [Learned(clips("A1"), clips("B1")), Learned(clips("B1"), clips("C1"))]
    assert may_judge(ordered("A9"), learned).tolist() == [[0], [1]]


def test_where_all_models_know_the_person_those_judge_that_do_not_know_the_clip() -> None:
    """Under the scheme cross-stimulus everybody is in every training part."""
    learned = [Learned(clips("A1", "A2"), clips("A3")), Learned(clips("A2", "A3"), clips("A1"))]
    allowed = may_judge(ordered("A1", "A2", "A3", "A4"), learned)
    assert allowed.T.tolist() == [[0, 1], [1, 1], [1, 0], [1, 1]]


def test_disagreement_is_of_models_that_were_not_told_the_answer() -> None:
    learned = [Learned(clips("A1", "A2"), clips("B1")), Learned(clips("B1"), clips("A1"))]
    asked = ordered("A1", "A2", "B1", "N1")
    assert may_disagree(asked, learned, clips("A1")).T.tolist() == [[0, 1], [1, 1], [1, 1], [1, 1]]
    assert may_disagree(asked, learned, None).T.tolist() == [[0, 1], [0, 1], [1, 0], [1, 1]]


def test_folds_that_are_not_stored_are_named() -> None:
    with pytest.raises(TrainingError, match="fold 3"):
        Learned.of({"0": {"train": [], "validation": []}}, 3)
