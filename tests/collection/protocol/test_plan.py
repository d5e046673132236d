"""The plan: which steps, in which order, how long, and how it goes on after an interruption."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from collection.protocol.estimates import Estimates
from collection.protocol.plan import make_plan
from collection.protocol.steps import (
    ATTENTION_CHECK,
    AskItems,
    BeginTrial,
    Break,
    Calibration,
    EndTrial,
    Fixation,
    PlayClip,
    Positioning,
    Recheck,
    ShowText,
    Washout,
)
from data_schema.errors import StudyError, UsageError
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import CalibrationSection


def _names(plan) -> list[str]:
    return [step.name for step in plan.steps if not step.trial_id]


def test_a_session_goes_from_welcome_to_end(study: StudyFolder, durations: dict[str, float]) -> None:
    plan = make_plan(study, "P001", "01", durations)
    assert _names(plan) == [
        "welcome",
        "positioning",
        "calibration_text",
        "calibration",
        "questionnaires_before",
        "mood_before",
        "practice",
        "practice_after",
        "baseline_text",
        "baseline",
        "trials",
        "recheck_text",
        "recheck",
        "break",
        "recheck_text",
        "recheck",
        "questionnaires_after",
        "mood_after",
        "end",
    ]
    assert all(step.text.strip() for step in plan.steps if isinstance(step, (ShowText, Break, Positioning)))


def test_a_trial_is_cross_clip_questions_washout(study: StudyFolder, durations: dict[str, float]) -> None:
    plan = make_plan(study, "P001", "01", durations)
    assert plan.n_trials == 3
    for trial_id in (1, 2, 3):
        kinds = [type(step) for step in plan.steps if step.trial_id == trial_id]
        assert kinds == [BeginTrial, Fixation, PlayClip, AskItems, Washout, EndTrial]
    clips = [step for step in plan.steps if isinstance(step, PlayClip) and step.trial_id > 0]
    assert [clip.stimulus_id for clip in clips] == [stimulus.id for stimulus in plan.order]
    for clip in clips:
        assert clip.planned_s == durations[clip.stimulus_id]
        assert clip.sha256 == hashlib.sha256(clip.file.read_bytes()).hexdigest()


def test_practice_is_explained_and_is_no_trial(study: StudyFolder, durations: dict[str, float]) -> None:
    plan = make_plan(study, "P001", "01", durations)
    steps = [step for step in plan.steps if step.trial_id < 0]
    assert {step.trial_id for step in steps} == {-1}
    assert [step.name for step in steps] == [
        "trial", "fixation", "clip", "explain_emotions", "explain_sam", "explain_more", "self_report", "washout", "trial",
    ]  # fmt: skip
    assert "try" not in [stimulus.id for stimulus in plan.order]
    asked = next(step for step in steps if isinstance(step, AskItems))
    trial = next(step for step in plan.steps if isinstance(step, AskItems) and step.trial_id == 1)
    real = [item.scale for item in trial.items if item.scale != ATTENTION_CHECK]
    assert [item.scale for item in asked.items] == real


def test_a_study_without_practice_clip_has_no_practice(make_study, durations: dict[str, float]) -> None:
    plan = make_plan(make_study(practice=False), "P001", "01", durations)
    assert min(step.trial_id for step in plan.steps) == 0
    assert "practice" not in _names(plan)


def test_steps_can_be_switched_off(make_study, durations: dict[str, float]) -> None:
    study = make_study(
        protocol="questionnaires_before = []\nquestionnaires_after = []\nself_report = false\nattention_checks = 0",
        calibration="points = 0\nvalidation_points = 0",
    )
    study = StudyFolder(_without(study.root, "recheck_every = 1"))
    plan = make_plan(study, "P001", "01", durations)
    assert not any(isinstance(step, (AskItems, Positioning, Calibration, Recheck)) for step in plan.steps)
    assert "explain_emotions" not in [step.name for step in plan.steps]


def _without(root: Path, line: str) -> Path:
    path = root / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(line, ""), encoding="utf-8")
    return root


def test_rechecks_and_breaks_come_between_trials_only(study: StudyFolder, durations: dict[str, float]) -> None:
    steps = make_plan(study, "P001", "01", durations).steps
    breaks = [i for i, step in enumerate(steps) if isinstance(step, Break)]
    rechecks = [i for i, step in enumerate(steps) if isinstance(step, Recheck)]
    assert len(breaks) == 1
    assert len(rechecks) == 2
    assert isinstance(steps[breaks[0] - 1], EndTrial)
    assert steps[breaks[0] - 1].trial_id == 2
    # After a break the head has moved: the re-check comes after it.
    assert isinstance(steps[breaks[0] + 2], Recheck)


def test_total_time_counts_every_step(study: StudyFolder, durations: dict[str, float]) -> None:
    unattended = make_plan(study, "P001", "01", durations, attended=False)
    pages = sum(isinstance(step, (ShowText, Break, Positioning, AskItems)) for step in unattended.steps)
    section = CalibrationSection()
    tracker = Estimates(False).calibration_s(section) + 2 * Estimates(False).recheck_s(section)
    # Pages of half a second, baseline, four times cross, clip and washout, and the tracker.
    assert unattended.planned_s == pytest.approx(pages * 0.5 + 1 + 4 * 0.75 + 7.0 + tracker)
    attended = make_plan(study, "P001", "01", durations)
    assert 5 * 60 < attended.planned_s < 12 * 60


def test_a_long_text_takes_longer_and_so_does_chinese() -> None:
    estimates = Estimates(True)
    assert estimates.reading_s("word " * 100) > estimates.reading_s("word " * 10) + 20
    assert estimates.reading_s("字" * 60) > estimates.reading_s("a" * 60)


# ---------------------------------------------------------------- attention checks


def test_checks_are_placed_by_seed_and_carry_what_is_expected(make_study, durations: dict[str, float]) -> None:
    study = make_study(protocol="attention_checks = 2")
    places = set()
    for number in range(1, 21):
        plan = make_plan(study, f"P{number:03d}", "01", durations)
        again = make_plan(study, f"P{number:03d}", "01", durations)
        assert plan.steps == again.steps
        checks = [
            (step.trial_id, index, item)
            for step in plan.steps
            if isinstance(step, AskItems)
            for index, item in enumerate(step.items)
            if item.scale == ATTENTION_CHECK
        ]
        assert len(checks) == 2
        assert len({trial for trial, *_ in checks}) == 2
        for trial, index, item in checks:
            assert trial >= 1
            assert 1 <= index <= 6
            assert item.labels[item.expected] in item.prompt
            assert item.stored_value(item.expected) == (float(item.expected), f"expected {item.expected}")
            places.add((trial, index))
    assert len(places) > 6


# ---------------------------------------------------------------- resuming


def test_a_resumed_session_goes_on_with_the_next_trial(study: StudyFolder, durations: dict[str, float]) -> None:
    whole = make_plan(study, "P001", "01", durations)
    rest = make_plan(study, "P001", "01", durations, first_trial=3, run=2, row=whole.row)
    assert rest.order == whole.order
    assert rest.n_trials == 3
    assert {step.trial_id for step in rest.steps} == {0, 3}
    names = _names(rest)
    # The eye tracker is set up again; what was answered and practised is not asked again.
    assert {"positioning", "calibration", "baseline", "mood_after", "end"} <= set(names)
    assert not {"practice", "mood_before", "break", "recheck"} & set(names)
    assert rest.steps[0].text != whole.steps[0].text
    assert "There are 1." in next(step.text for step in rest.steps if step.name == "trials")

    # A check that was planned for the last trial is still there.
    def asked(plan):
        return [step.items for step in plan.steps if isinstance(step, AskItems) and step.trial_id == 3]

    assert asked(rest) == asked(whole)


def test_after_the_last_trial_only_the_end_is_left(study: StudyFolder, durations: dict[str, float]) -> None:
    rest = make_plan(study, "P001", "01", durations, first_trial=4, run=2)
    assert _names(rest) == ["welcome", "questionnaires_after", "mood_after", "end"]
    with pytest.raises(UsageError, match="there is no trial 5"):
        make_plan(study, "P001", "01", durations, first_trial=5)


def test_a_study_that_was_changed_is_not_resumed(study: StudyFolder, durations: dict[str, float]) -> None:
    plan = make_plan(study, "P001", "01", durations, first_trial=2, run=2)
    plan.check_shown({1: plan.order[0].id})
    with pytest.raises(StudyError, match=r"trial 1 showed 'other', but study\.toml now plans"):
        plan.check_shown({1: "other"})


# ---------------------------------------------------------------- languages, questionnaires


def test_a_session_in_chinese_is_chinese_throughout(make_study, durations: dict[str, float]) -> None:
    plan = make_plan(make_study(protocol='language = "zh"'), "P001", "01", durations)
    texts = [step.text for step in plan.steps if isinstance(step, (ShowText, Break, Positioning))]
    texts += [item.prompt for step in plan.steps if isinstance(step, AskItems) for item in step.items]
    texts += [
        label for step in plan.steps if isinstance(step, AskItems) for item in step.items for label in item.labels
    ]
    assert all(any("\u4e00" <= char <= "\u9fff" for char in text) for text in texts)


def test_what_is_missing_is_said_before_the_session(make_study, durations: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=r"questionnaires/panas\.toml"):
        make_plan(make_study(protocol='questionnaires_before = ["panas"]'), "P001", "01", durations)
    with pytest.raises(StudyError, match="no texts in the language 'fr'"):
        make_plan(make_study(protocol='language = "fr"'), "P001", "01", durations)
    with pytest.raises(StudyError, match="there is no questionnaire 'moood'. Did you mean 'mood'"):
        make_plan(make_study(protocol='questionnaires_after = ["moood"]'), "P001", "01", durations)
