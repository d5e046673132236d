"""Blocks, feedback, admission, breaks, progress, guesses and traces at the desk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.desk.state import Draft, Page
from annotation.queue.progress import Progress, done_items, progress_of
from annotation.source import Guess
from data_schema.labels import LabelStore

from .desk_source import FIRST_FRAME, MODEL, Clock, press, queue, watch

Open = Callable[..., Desk]
LABEL = ("1", "5", "5", "1", "commit")
GUESS = Guess(MODEL, "anger", 0.9, {"valence": -0.5, "arousal": 0.6, "intensity": 2.0}, offered=True)


def store(tmp_path: Path) -> LabelStore:
    return LabelStore.open(tmp_path / "a01.sqlite", "a01")


# ------------------------------------------------------------ blocks


def test_training_shows_what_experts_say_only_after_the_label(open_desk: Open) -> None:
    desk = open_desk(queue("fer", training=2, main=1))
    press(desk, "3", "3", "6", "1")
    assert desk.gold is None and desk.feedback is None
    press(desk, "commit")
    assert desk.page is Page.FEEDBACK and desk.position == 0 and desk.gold is not None
    assert desk.feedback is not None and desk.feedback.gold.explanation == "Raised brows."
    assert desk.feedback.agrees == {
        "emotion": True,
        "polarity": True,
        "valence": True,
        "arousal": True,
        "intensity": False,
    }
    press(desk, "1", "mark.apex", "trace")
    assert desk.page is Page.FEEDBACK and desk.draft.emotion == "fear"
    press(desk, "commit")
    assert desk.page is Page.CLIP and desk.position == 1 and desk.gold is None


def test_rows_say_in_their_view_that_they_were_given_in_training(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk(queue("fer", training=1, admission=1, main=1))
    desk.set_panels(["face", "traces"])
    press(desk, *LABEL)
    desk.acknowledge()
    desk.skip("no_face")
    desk.acknowledge()
    press(desk, *LABEL)
    assert desk.page is Page.FINISHED
    desk.undo()
    desk.redo()
    desk.close()
    with store(tmp_path) as log:
        assert [row.view for row in log.current()] == ["training:face+traces", "face+traces", "face+traces"]
        assert {row.view for row in log.history("clip-00000")} == {"training:face+traces"}


def test_the_feedback_page_is_there_again_after_a_restart(open_desk: Open) -> None:
    desk = open_desk(queue("fer", training=2))
    press(desk, *LABEL)
    desk.close()
    desk = open_desk(queue("fer", training=2))
    assert desk.page is Page.FEEDBACK and desk.position == 0 and desk.feedback is not None


def test_a_block_opens_once_the_one_before_is_done(open_desk: Open) -> None:
    desk = open_desk(queue("fer", training=1, main=2))
    desk.goto(1)
    assert desk.position == 0 and desk.notice is not None and desk.notice.text_id == "block_locked"
    desk.skip("no_face")
    press(desk, "commit")
    assert desk.position == 1 and desk.progress.block == "main" and desk.progress.n_all == 2


def test_an_admission_test_is_taken_once(open_desk: Open) -> None:
    asked: list[Mapping[str, str]] = []

    def judge(emotions: Mapping[str, str]) -> bool:
        asked.append(dict(emotions))
        return True

    desk = open_desk(queue("fer", admission=2, main=2), is_admitted=judge)
    press(desk, *LABEL)
    assert not asked
    desk.skip("no_face")
    assert asked == [{"i00000": "happiness"}]
    assert desk.page is Page.ADMISSION and desk.admitted is True
    press(desk, "undo")
    assert not desk.can_undo and desk.page is Page.ADMISSION
    press(desk, "commit")
    assert desk.page is Page.CLIP and desk.position == 2
    press(desk, "undo", "previous")
    assert desk.position == 2 and desk.notice is not None and desk.notice.text_id == "admission_closed"
    desk.goto(0)
    assert desk.position == 2


def test_who_failed_gets_no_main_clips_also_not_after_a_restart(open_desk: Open) -> None:
    options = {"is_admitted": lambda emotions: False}
    items = queue("fer", admission=1, main=1)
    desk = open_desk(items, **options)
    press(desk, *LABEL)
    assert desk.page is Page.ADMISSION and desk.admitted is False
    desk.acknowledge()
    desk.goto(1)
    press(desk, "next.open", "undo", "commit", "1")
    assert desk.page is Page.ADMISSION and desk.position == 0
    desk.close()
    desk = open_desk(items, **options)
    assert desk.page is Page.ADMISSION and desk.admitted is False and not desk.can_undo


def test_the_labs_code_opens_the_main_block_for_good(open_desk: Open) -> None:
    options = {"is_admitted": lambda emotions: None, "code": "RED-42"}
    items = queue("fer", admission=1, main=1)
    desk = open_desk(items, **options)
    press(desk, *LABEL)
    assert desk.page is Page.ADMISSION and desk.admitted is None
    assert not desk.enter_code("RED-41") and desk.admitted is None
    assert desk.enter_code(" RED-42 ") and desk.admitted is True
    desk.acknowledge()
    assert desk.position == 1 and desk.page is Page.CLIP
    desk.close()
    desk = open_desk(items, **options)
    assert desk.position == 1 and desk.page is Page.CLIP


def test_next_open_finds_what_was_left_out(open_desk: Open) -> None:
    desk = open_desk(queue("fer", main=4))
    press(desk, "next")
    desk.skip("no_face")
    desk.goto(3)
    press(desk, *LABEL)
    assert desk.position == 0  # after the last, what is still open
    press(desk, "next.open")
    assert desk.position == 2
    press(desk, "next.open")
    assert desk.position == 0 and desk.progress.n_done == 2


def test_a_queue_that_grew_keeps_the_place(open_desk: Open) -> None:
    desk = open_desk(queue("fer", main=2))
    press(desk, *LABEL, "6")
    desk.close()
    desk = open_desk(queue("fer", main=5))
    assert desk.position == 1 and desk.draft.emotion == "anger" and desk.progress.n_all == 5


def test_a_break_is_proposed_once_when_it_is_due(open_desk: Open, clock: Clock) -> None:
    desk = open_desk(rules={"break_every_min": 10})
    clock.s += 9 * 60
    press(desk, "next")
    assert desk.notice is None
    clock.s += 2 * 60
    press(desk, "previous")
    assert desk.notice is not None and desk.notice.text_id == "break_due" and desk.notice.values["minutes"] == "11"
    press(desk, "next")
    assert desk.notice is None
    desk.take_break()
    press(desk, "commit")
    assert desk.progress.minutes_since_break == 0 and desk.page is Page.CLIP


def test_pace_is_the_median_of_what_was_done(open_desk: Open, clock: Clock) -> None:
    desk = open_desk(queue("fer", main=8))
    for seconds in (4, 6, 8, 10, 300):
        assert desk.progress.seconds_per_clip is None
        clock.s += seconds
        desk.skip("no_face")
    progress = desk.progress
    assert (progress.n_done, progress.n_all, progress.seconds_per_clip) == (5, 8, 8.0)
    assert progress.minutes_left == pytest.approx(0.4) and progress.n_done_today == 5


def test_the_counts_that_are_kept_are_those_of_a_fresh_count(open_desk: Open, clock: Clock) -> None:
    items = queue("fer", training=2, main=6)
    desk = open_desk(items)

    def fresh() -> Progress:
        done = done_items(items, desk._store.current("fer"))
        minutes, block = desk.progress.minutes_since_break, desk.item.block
        return progress_of(items, done, minutes_since_break=minutes, block=block)

    for action in ("skip", "skip", "skip", "label", "undo", "undo", "redo", "redo", "back", "skip", "skip", "skip"):
        clock.s += 3
        if action == "skip":
            desk.skip("no_face")
            desk.acknowledge()
        elif action == "label":
            press(desk, *LABEL)
        elif action == "back":
            desk.goto(3)
            desk.skip("too_dark")
        else:
            press(desk, action)
        assert desk.progress == fresh(), action


def test_the_eyes_are_computed_beside_the_er_pass_and_never_asked_for_in_the_fer_pass(open_desk: Open) -> None:
    desk = open_desk(task="er")
    assert desk._media._ahead.wait()
    assert "i00001" in desk.source.asked_for_eyes
    desk.close()
    desk = open_desk()
    assert desk._media._ahead.wait()
    assert desk.source.asked_for_eyes == []


# ------------------------------------------------------------ guesses


def test_a_guess_is_offered_once_the_clip_was_seen_and_taken_over_with_one_key(
    open_desk: Open, tmp_path: Path, clock: Clock
) -> None:
    desk = open_desk(guesses={"i00000": GUESS})
    told: list[object] = []
    desk.subscribe(state.GUESS, lambda: told.append(desk.guess))
    press(desk, "clip.end")
    clock.play(desk, 0.1)
    press(desk, "guess.accept")
    assert desk.guess is None and not desk.has_seen_clip and desk.notice.text_id == "see_clip_first"
    watch(desk, clock)
    assert desk.guess == GUESS and told[-1] == GUESS
    press(desk, "guess.accept")
    with store(tmp_path) as log:
        (label,), (row,) = log.current("fer"), log.guesses("fer")
    assert (label.emotion, label.polarity, label.valence, label.intensity) == ("anger", "negative", -0.5, 2.0)
    assert (row.outcome, row.label_row_id, row.model_sha256) == ("accepted", label.row_id, MODEL)
    assert row.shown_utc is not None and row.label_ms == label.duration_ms
    assert json.loads(row.guess) == {"emotion": "anger", "confidence": 0.9, **GUESS.scales}
    assert desk.position == 1 and desk.guess is None


def test_what_the_study_asks_for_beyond_the_guess_is_asked_for(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    rules = {"required": ("emotion", "valence", "arousal", "intensity", "confidence")}
    desk = open_desk(guesses={"i00000": GUESS}, rules=rules)
    desk.set("valence", 0.25)
    watch(desk, clock)
    press(desk, "guess.accept")
    assert desk.position == 0 and desk.focus == "confidence" and desk.draft.valence == 0.25
    desk.close()
    desk = open_desk(guesses={"i00000": GUESS}, rules=rules)
    press(desk, "4", "commit")
    with store(tmp_path) as log:
        assert [row.outcome for row in log.guesses("fer")] == ["accepted"]
        assert log.current("fer")[0].confidence == 0.75


@pytest.mark.parametrize(
    ("emotion", "sees", "outcome"), [("2", True, "changed"), ("6", True, "dismissed"), ("2", False, "dismissed")]
)
def test_what_became_of_a_guess_that_was_not_taken_over(
    open_desk: Open, tmp_path: Path, clock: Clock, emotion: str, sees: bool, outcome: str
) -> None:
    desk = open_desk(guesses={"i00000": GUESS})
    if sees:
        watch(desk, clock)
    press(desk, emotion, "5", "5", "1", "commit")
    with store(tmp_path) as log:
        (row,) = log.guesses("fer")
    assert (row.outcome, row.shown_utc is not None) == (outcome, sees)


def test_a_guess_of_the_control_share_is_logged_and_never_shown(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk(guesses={"i00000": Guess(MODEL, "anger", 0.9, {}, offered=False)})
    watch(desk, clock)
    assert desk.has_seen_clip and desk.guess is None
    press(desk, "guess.accept", "6", "5", "5", "1", "commit")
    with store(tmp_path) as log:
        (row,) = log.guesses("fer")
    assert (row.outcome, row.shown_utc) == ("control", None)


def test_whoever_changes_a_label_had_seen_the_guess(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk(guesses={"i00000": GUESS})
    watch(desk, clock)
    press(desk, "guess.accept", "previous")
    assert desk.guess is None
    press(desk, "field.clear")
    desk.set("emotion", "sadness")
    press(desk, "commit")
    with store(tmp_path) as log:
        first, second = log.guesses("fer")
    assert (first.outcome, second.outcome) == ("accepted", "changed") and second.shown_utc == first.shown_utc


# ------------------------------------------------------------ traces


def test_a_trace_keeps_every_sample_with_its_frame(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk(rules={"trace": "bounded", "trace_of": "both"})
    press(desk, "step.forward", "trace")
    assert desk.tracing
    desk.trace_to(0.5, -7.0)
    assert desk.trace_point == (0.5, -1.0)
    clock.play(desk, 0.3)
    press(desk, "1", "next", "scale.up")
    assert desk.draft == Draft() and desk.position == 0 and desk.trace_point == (0.55, -1.0)
    clock.play(desk, 0.3)
    assert not desk.tracing  # the clip ended
    with store(tmp_path) as log:
        (trace,) = log.traces("fer")
        samples = log.samples(trace.row_id)
    assert (trace.mode, trace.traced, trace.speed, trace.clip_id) == ("bounded", "both", 1.0, "clip-00000")
    assert (np.diff(samples["t_work_us"]) > 0).all() and len(samples) >= 20
    assert samples["frame_index"][0] == FIRST_FRAME and samples["frame_index"][-1] == FIRST_FRAME + 11
    assert (samples["frame_pts"] == 5_000_000 + 40_000 * (samples["frame_index"] - FIRST_FRAME)).all()
    assert set(samples["valence"]) == {0.5, 0.55} and set(samples["arousal"]) == {-1.0}


def test_a_relative_trace_is_free_of_ends_and_a_new_one_replaces_it(
    open_desk: Open, tmp_path: Path, clock: Clock
) -> None:
    desk = open_desk(rules={"trace": "relative"})
    press(desk, "slower", "trace")
    desk.trace_to(3.5, 1.0)
    assert desk.trace_point == (3.5, 1.0)
    clock.play(desk, 0.1)
    press(desk, "trace", "trace")
    clock.play(desk, 0.1)
    desk.stop_trace()
    with store(tmp_path) as log:
        (trace,) = log.traces("fer")  # the one that holds
        samples = log.samples(trace.row_id)
        assert len(log.samples(str(trace.supersedes))) > 0
        steps = [row.kind for row in log.steps("fer")]
    assert trace.speed == 0.75 and steps == ["trace", "trace"]
    assert np.isnan(samples["arousal"]).all()
    assert not desk.can_undo  # a trace is replaced, not taken back


def test_samples_reach_the_disk_while_the_trace_runs(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk(rules={"trace": "bounded"})
    press(desk, "slower", "slower", "slower", "trace")
    clock.play(desk, 1.2)
    assert desk.tracing
    with store(tmp_path) as log:
        (trace,) = log.traces("fer")
        assert log.samples(trace.row_id)["t_work_us"][-1] >= 900_000


def test_a_trace_outlives_a_disk_that_is_away(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk(rules={"trace": "bounded"})
    press(desk, "slower", "slower", "slower", "trace")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for path in list(tmp_path.glob("a01.*")):
        path.rename(hidden / path.name)
    clock.play(desk, 1.2)
    assert desk.tracing and desk.saving is state.Saving.FAILED
    for path in list(hidden.iterdir()):
        path.rename(tmp_path / path.name)
    clock.play(desk, 1.0)
    assert not desk.tracing and desk.saving is state.Saving.SAVED
    with store(tmp_path) as log:
        samples = log.samples(log.traces("fer")[0].row_id)
    assert samples["frame_index"][-1] == FIRST_FRAME + 11 and np.diff(samples["t_work_us"]).max() < 100_000


def test_there_is_no_trace_where_the_study_has_none(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, "trace")
    assert not desk.tracing and desk.notice is not None and desk.notice.text_id == "no_trace"
