"""The engine: a whole session, commands, stops, trouble. Every session here runs for real, on a fast clock."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from collection.presenter.base import Presentation
from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
from collection.protocol.engine import TRANSITIONS, Progress, ProtocolEngine, State
from collection.protocol.plan import SessionPlan, make_plan
from collection.protocol.self_report import count_checks
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import ScaledClock
from data_schema.errors import RecordingError
from data_schema.session import markers
from data_schema.session.layout import FLIPS, PRESENTATIONS, RESPONSE_TEXTS, RESPONSES, decode_text
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS

REFRESH_HZ = 50.0


def test_a_whole_session_is_stored(
    plan: SessionPlan, log, clock: ScaledClock, script: ScriptedParticipant, presenter: HeadlessPresenter
) -> None:
    participant = SimulatedParticipant(3, "P001")
    onsets: dict[int, int] = {}

    def plant(step, onset_us: int) -> None:
        onsets[step.trial_id] = onset_us
        script.feel(participant.react_to(step.trial_id, step.target_emotion))

    engine = ProtocolEngine(plan, presenter, log, clock, before_trial=plant)
    outcome = engine.run()
    assert outcome.state is engine.state is State.COMPLETE
    assert outcome.n_trials_completed == 3
    shown = log.table(PRESENTATIONS.path)
    assert shown["trial_id"].tolist() == [-1, 1, 2, 3]
    assert list(decode_text(shown["stimulus_id"])) == ["try", *(stimulus.id for stimulus in plan.order)]
    assert shown["completed"].all()
    assert not shown["ended_early"].any()
    clips = {step.stimulus_id: step for step in plan.steps if step.name == "clip"}
    for row in shown:
        clip = clips[row["stimulus_id"].decode()]
        assert row["duration_expected_s"] == clip.planned_s
        assert row["duration_actual_s"] == pytest.approx(clip.planned_s, abs=1e-6)
        assert row["n_flips"] == clip.planned_s * REFRESH_HZ
        assert row["stimulus_sha256"].decode() == clip.sha256
        assert len(clip.sha256) == 64
        assert (row["t_offset_us"] - row["t_onset_us"]) / 1e6 == pytest.approx(
            clip.planned_s - 1 / REFRESH_HZ, abs=0.001
        )
        # The reaction was planted for the moment at which the clip began.
        assert abs(int(row["t_onset_us"]) - onsets[row["trial_id"]]) < 3_000_000

    flips = log.table(FLIPS.path)
    assert len(flips) == shown["n_flips"].sum()
    assert np.all(np.diff(flips["t_flip_us"]) > 0)
    for row in shown:
        times = flips["clip_time_us"][flips["trial_id"] == row["trial_id"]]
        assert times[0] == 0
        assert times[-1] == round((row["duration_expected_s"] - 1 / REFRESH_HZ) * 1e6)

    kinds = log.kinds()
    assert kinds.count(markers.TRIAL_STARTED) == kinds.count(markers.TRIAL_ENDED) == 4
    assert kinds.count(markers.STIMULUS_ONSET) == kinds.count(markers.STIMULUS_OFFSET) == 4
    assert kinds.count(markers.STEP_STARTED) == kinds.count(markers.STEP_ENDED)
    assert markers.TRIAL_INTERRUPTED not in kinds


def test_answers_are_stored_with_what_was_felt_and_where_they_belong(
    plan: SessionPlan, log, clock: ScaledClock, script: ScriptedParticipant, presenter: HeadlessPresenter
) -> None:
    participant = SimulatedParticipant(3, "P001")
    ProtocolEngine(
        plan,
        presenter,
        log,
        clock,
        before_trial=lambda step, _: script.feel(participant.react_to(step.trial_id, step.target_emotion)),
    ).run()
    answers = log.table(RESPONSES.path)
    assert np.all(answers["t_answered_us"] > answers["t_shown_us"])
    # Three trials and the practice of 11 numbers each, one attention check, seven items of mood before and after.
    assert len(answers) == 4 * 11 + 1 + 2 * 7
    asked, failed = count_checks(answers)
    assert (asked, failed) == (1, 0)
    mood = answers[answers["questionnaire"] == b"mood"]
    assert sorted(set(mood["occasion"])) == [b"after", b"before"]
    assert set(mood["trial_id"]) == {0}
    trial = answers[answers["trial_id"] == 1]
    first = dict(zip(decode_text(trial["scale"]), trial["value"].tolist(), strict=True))
    planted = participant.react_to(1, str(plan.order[0].target_emotion))
    assert max(EMOTIONS, key=lambda name: first[name]) == planted.felt
    assert abs(first["valence"] - planted.valence) <= 0.5
    texts = log.table(RESPONSE_TEXTS.path)
    assert texts["trial_id"].tolist() == [-1, 1, 2, 3]
    assert texts["text"][1].decode() == planted.felt
    assert b"free_text" not in answers["scale"]


def test_an_abort_during_a_clip_keeps_what_was_shown(plan: SessionPlan, log, script: ScriptedParticipant) -> None:
    engine: ProtocolEngine

    def tick(progress: Progress) -> None:
        if progress.step == "clip" and progress.trial == 2:
            engine.request_abort("the fire alarm went off")

    slow = ScaledClock.starting_now(15.0)
    engine = ProtocolEngine(plan, HeadlessPresenter(slow, REFRESH_HZ, script), log, slow, on_tick=tick)
    outcome = engine.run()
    assert outcome.state is State.ABORTED
    assert outcome.reason == "the fire alarm went off"
    assert outcome.n_trials_completed == 1
    assert log.of(markers.TRIAL_INTERRUPTED) == [("the fire alarm went off", 2)]
    shown = log.table(PRESENTATIONS.path) if PRESENTATIONS.path in log.tables else PRESENTATIONS.empty(0)
    assert shown["completed"][shown["trial_id"] == 1].tolist() == [1]
    assert not shown["completed"][shown["trial_id"] == 2].any()
    assert log.markers[-1][0] == markers.TRIAL_ENDED


class _Remembering(HeadlessPresenter):
    """Remember the pages that were shown."""

    def show(self, step, until_us, should_stop) -> None:
        self.pages = [*getattr(self, "pages", []), step]
        super().show(step, until_us, should_stop)


def test_a_participant_may_stop_at_any_time(plan: SessionPlan, log, clock: ScaledClock) -> None:
    script = ScriptedParticipant(SimulatedParticipant(3, "P001"), stop_in=(2, "self_report"))
    presenter = _Remembering(clock, REFRESH_HZ, script)
    outcome = ProtocolEngine(plan, presenter, log, clock).run()
    assert presenter.pages[-1].text == plan.texts["end.stopped"]
    assert (outcome.state, outcome.reason) == (State.ABORTED, "the participant asked to stop")
    assert outcome.n_trials_completed == 1
    assert log.of(markers.PARTICIPANT_STOPPED) == [("", 2)]
    assert log.of(markers.TRIAL_INTERRUPTED) == [("the participant asked to stop", 2)]
    # The clip itself was seen to its end; what was recorded is kept.
    shown = log.table(PRESENTATIONS.path)
    assert shown["trial_id"].tolist() == [-1, 1, 2]


@pytest.mark.parametrize("step", ["welcome", "mood_before", "fixation", "clip", "washout", "break", "end"])
def test_a_stop_is_heard_in_every_kind_of_step(plan: SessionPlan, log, clock: ScaledClock, step: str) -> None:
    trial = 1 if step in ("fixation", "clip", "washout") else 0
    script = ScriptedParticipant(SimulatedParticipant(3, "P001"), stop_in=(trial, step))
    outcome = ProtocolEngine(plan, HeadlessPresenter(clock, REFRESH_HZ, script), log, clock).run()
    assert outcome.reason == "the participant asked to stop"
    assert log.steps()[-1] == (step, trial)


def test_ctrl_c_inside_a_step_is_an_abort(plan: SessionPlan, log, clock: ScaledClock) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    presenter = SimpleNamespace(show=interrupt, stop_requested=lambda: False)
    outcome = ProtocolEngine(plan, presenter, log, clock).run()
    assert (outcome.state, outcome.reason) == (State.ABORTED, "stopped by the operator")


def test_a_recorder_that_is_gone_ends_the_session(
    plan: SessionPlan, log, clock: ScaledClock, presenter: HeadlessPresenter
) -> None:
    log.gone = RecordingError("the recorder's process ended")
    engine = ProtocolEngine(plan, presenter, log, clock)
    with pytest.raises(RecordingError, match="process ended"):
        engine.run()
    assert engine.state is State.ABORTED


def test_an_engine_runs_once(plan: SessionPlan, log, clock: ScaledClock, presenter: HeadlessPresenter) -> None:
    engine = ProtocolEngine(plan, presenter, log, clock)
    engine.request_abort("at once")
    assert engine.run().state is State.ABORTED
    with pytest.raises(RuntimeError, match="cannot go from aborted to running"):
        engine.run()


def test_an_abort_from_another_thread_is_heard(plan: SessionPlan, log, script: ScriptedParticipant) -> None:
    slow = ScaledClock.starting_now(2.0)
    engine = ProtocolEngine(plan, HeadlessPresenter(slow, REFRESH_HZ, script), log, slow)
    threading.Timer(0.3, engine.request_abort, args=("from elsewhere",)).start()
    assert engine.run().reason == "from elsewhere"


def test_ends_have_no_way_out() -> None:
    assert set(TRANSITIONS) == set(State)
    assert TRANSITIONS[State.COMPLETE] == TRANSITIONS[State.ABORTED] == frozenset()
    reachable, frontier = {State.READY}, [State.READY]
    while frontier:
        for state in TRANSITIONS[frontier.pop()]:
            if state not in reachable:
                reachable.add(state)
                frontier.append(state)
    assert reachable == set(State)


# ---------------------------------------------------------------- stimuli


@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_a_clip_that_cannot_be_shown_costs_its_trial_alone(
    study: StudyFolder, durations: dict[str, float], log, clock: ScaledClock, presenter: HeadlessPresenter, damage: str
) -> None:
    plan = make_plan(study, "P001", "01", durations, attended=False)
    bad = plan.order[1].id
    path = study.stimuli_dir / f"{bad}.mp4"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"no video at all")
    told: list[dict] = []
    operator = SimpleNamespace(poll=list, tell=told.append)
    outcome = ProtocolEngine(plan, presenter, log, clock, operator=operator).run()
    assert (outcome.state, outcome.n_trials_completed) == (State.COMPLETE, 2)
    ((message, trial),) = log.of(markers.TRIAL_INTERRUPTED)
    assert trial == 2
    assert f"'{bad}' cannot be shown" in message
    assert log.table(PRESENTATIONS.path)["trial_id"].tolist() == [-1, 1, 3]
    (alarm,) = [item for item in told if item["kind"] == "alarm"]
    assert alarm["level"] == "error"
    assert f"Trial 2 is left out, '{bad}' cannot be shown" in alarm["text"]
    assert "again" in alarm["text"] or "back" in alarm["text"]
    # Nothing was asked about a clip that nobody saw.
    assert set(log.table(RESPONSES.path)["trial_id"].tolist()) == {-1, 0, 1, 3}


def test_a_file_that_vanishes_after_it_was_prepared_is_told(
    study: StudyFolder, durations: dict[str, float], log, clock: ScaledClock, presenter: HeadlessPresenter
) -> None:
    plan = make_plan(study, "P001", "01", durations, attended=False)
    gone: list[Path] = []

    def before(step, _onset_us: int) -> None:
        if step.trial_id == 1:
            gone.append(study.stimuli_dir / f"{step.stimulus_id}.mp4")
            gone[0].unlink()

    outcome = ProtocolEngine(plan, presenter, log, clock, before_trial=before).run()
    assert (outcome.state, outcome.n_trials_completed) == (State.COMPLETE, 2)
    ((message, trial),) = log.of(markers.TRIAL_INTERRUPTED)
    assert trial == 1
    assert "is not there any more" in message


class _Hasty(HeadlessPresenter):
    """Shows only the first part of every clip."""

    def play(self, clip, t_due_us, take_flips, should_stop) -> Presentation:
        shown = super().play(clip, t_due_us, take_flips, should_stop)
        return Presentation(
            shown.t_onset_us, shown.t_offset_us, shown.n_flips, 0, True, 3,
            # Longer on the screen than it is: its last frame shown stood for long.
            clip.planned_s + 0.07, ended_early=True, n_frames_missing=3, missing_s=0.1,
        )  # fmt: skip


def test_a_clip_that_ends_early_is_flagged(plan: SessionPlan, log, clock: ScaledClock, script) -> None:
    ProtocolEngine(plan, _Hasty(clock, REFRESH_HZ, script), log, clock).run()
    shown = log.table(PRESENTATIONS.path)
    assert shown["ended_early"].tolist() == [1, 1, 1, 1]
    assert shown["completed"].all()
    assert shown["n_flips_dropped"].tolist() == [3, 3, 3, 3]
    assert log.of(markers.CLIP_ENDED_EARLY)[0] == ("the last 3 frames of try were not shown", -1)
    early = [
        value for (kind, *_), value in zip(log.markers, log.values, strict=True) if kind == markers.CLIP_ENDED_EARLY
    ]
    assert early == pytest.approx([0.1] * 4)


class _Reader(HeadlessPresenter):
    """A participant who reads every page at once, and clips of which one is cut short; notes how long steps last."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.waited: list[tuple[str, float, float]] = []

    def show(self, step, until_us, should_stop) -> None:
        if getattr(step, "text", ""):
            return
        self.waited.append((step.name, (until_us - self._clock.now_us()) / 1e6, step.planned_s))
        super().show(step, until_us, should_stop)

    def play(self, clip, t_due_us, take_flips, should_stop) -> Presentation:
        self.waited.append((clip.name, (t_due_us - self._clock.now_us()) / 1e6, 0.0))
        if clip.trial_id != 2:
            return super().play(clip, t_due_us, take_flips, should_stop)
        t_us = self._clock.now_us()
        return Presentation(t_us, t_us, 1, 0, True)


def test_what_is_left_early_holds_up_nothing_that_follows(
    study: StudyFolder, durations: dict[str, float], log, clock: ScaledClock, script: ScriptedParticipant
) -> None:
    plan = make_plan(study, "P001", "01", durations, attended=True)
    presenter = _Reader(clock, REFRESH_HZ, script)
    ProtocolEngine(plan, presenter, log, clock).run()
    assert {name for name, *_ in presenter.waited} >= {"baseline", "fixation", "clip", "washout"}
    assert [item for item in presenter.waited if item[1] > item[2] + 0.31] == []


# ---------------------------------------------------------------- progress


def test_the_operator_is_told_where_the_session_is(
    plan: SessionPlan, log, clock: ScaledClock, presenter: HeadlessPresenter
) -> None:
    from collection.console import messages

    told: list[dict] = []
    operator = SimpleNamespace(poll=list, tell=told.append)
    ProtocolEngine(plan, presenter, log, clock, operator=operator).run()
    told = [message for message in told if message["kind"] == "session"]
    assert [problem for message in told for problem in messages.problems_of(message)] == []
    assert told[-1]["state"] == "complete"
    assert told[-1]["remaining_s"] == 0.0
    steps = {message["step"] for message in told}
    assert {"welcome", "mood_before", "clip", "self_report", "end"} <= steps
    assert next(message["trial"] for message in told if message["step"] == "clip") == 0  # practice
    assert told[-1]["trial"] == told[-1]["n_trials"] == 3
    left = [message["remaining_s"] for message in told]
    assert left[0] == pytest.approx(plan.planned_s, abs=2.0)
    assert all(later <= earlier + 0.5 for earlier, later in zip(left, left[1:], strict=False))
    assert {m["stimulus_id"] for m in told if m["step"] == "clip"} == {"try", "joy", "loss", "calm"}
