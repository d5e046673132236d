from __future__ import annotations

import pytest

from collection.protocol.plan import make_plan, self_report_items
from collection.protocol.steps import AskItems, BeginTrial, Break, EndTrial, Fixation, ItemKind, PlayClip, Washout
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS


def test_a_trial_is_cross_clip_questions_washout(study: StudyFolder, durations: dict[str, float]) -> None:
    plan = make_plan(study, "P001", "01", durations)
    assert plan.n_trials == 3
    assert [step.name for step in plan.steps[:2]] == ["welcome", "baseline"]
    assert plan.steps[-1].name == "end"
    for trial_id in (1, 2, 3):
        kinds = [type(step) for step in plan.steps if step.trial_id == trial_id]
        assert kinds == [BeginTrial, Fixation, PlayClip, AskItems, Washout, EndTrial]
    clips = [step for step in plan.steps if isinstance(step, PlayClip)]
    assert [clip.stimulus_id for clip in clips] == [stimulus.id for stimulus in plan.order]
    assert all(clip.planned_s == durations[clip.stimulus_id] for clip in clips)
    assert all(clip.file.is_file() for clip in clips)


def test_breaks_come_between_trials_only(study: StudyFolder, durations: dict[str, float]) -> None:
    steps = make_plan(study, "P001", "01", durations).steps
    breaks = [i for i, step in enumerate(steps) if isinstance(step, Break)]
    assert len(breaks) == 1
    assert isinstance(steps[breaks[0] - 1], EndTrial)
    assert steps[breaks[0] - 1].trial_id == 2


def test_total_time_counts_every_step(study: StudyFolder, durations: dict[str, float]) -> None:
    unattended = make_plan(study, "P001", "01", durations, attended=False)
    # welcome 0.5, baseline 1, three trials of 0.5 + clip + 0.5 + 0.25, break 0.5, end 0.25
    assert unattended.planned_s == pytest.approx(0.5 + 1 + 3 * 1.25 + 6.0 + 0.5 + 0.25)
    assert make_plan(study, "P001", "01", durations).planned_s > unattended.planned_s + 100


def test_self_report_asks_for_emotions_sam_familiarity_attention() -> None:
    items = {item.scale: item for item in self_report_items()}
    assert list(items) == [*EMOTIONS, "valence", "arousal", "familiarity", "attention"]
    assert items["valence"].kind is ItemKind.SAM
    assert items["valence"].stored_value(9) == (1.0, "SAM 9 of 9")
    assert items["arousal"].stored_value(4) == (-0.25, "SAM 4 of 9")
    assert items["fear"].stored_value(3) == (3.0, "")
    with pytest.raises(ValueError, match="fear: a rating lies between 0 and 4, got 5"):
        items["fear"].stored_value(5)
    with pytest.raises(ValueError, match="valence"):
        items["valence"].stored_value(0)
