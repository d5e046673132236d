"""What the operator may ask for, and when it happens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from collection.presenter.headless import HeadlessPresenter
from collection.protocol.commands import EFFECTS, Effect, Situation
from collection.protocol.engine import Outcome, ProtocolEngine, State
from collection.protocol.operator import Command, CommandName, Decision
from collection.protocol.plan import SessionPlan
from data_schema.clocks import ScaledClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import PRESENTATIONS, RESPONSES, decode_text

from .conftest import MemoryLog, ScriptedOperator

PAUSE, GO_ON, SKIP = Command(CommandName.PAUSE), Command(CommandName.GO_ON), Command(CommandName.SKIP)
RECHECK, RECALIBRATE = Command(CommandName.RECHECK), Command(CommandName.RECALIBRATE)


@pytest.fixture
def clock() -> ScaledClock:
    """Slow enough that every step lasts longer than a look at the operator."""
    return ScaledClock.starting_now(15.0)


class Calibration:
    """Note what is called; `runs` for a while, listening as a real one does."""

    def __init__(self, clock: ScaledClock, failures: int = 0) -> None:
        self.called: list[str] = []
        self.heard: list[CommandName] = []
        self.engine: ProtocolEngine | None = None
        self._clock = clock
        self._failures = failures

    def _do(self, what: str) -> SimpleNamespace:
        self.called.append(what)
        if self._failures:
            self._failures -= 1
            raise DeviceError("the tracker is silent")
        end_us = self._clock.now_us() + 4_000_000
        stopped = False
        while self._clock.now_us() < end_us and not stopped:
            stopped = self.engine.should_stop()
            self.heard += [command.name for command in self.engine.desk.poll()]
            self._clock.sleep_until(self._clock.now_us() + 400_000)
        return SimpleNamespace(stopped=stopped, reason="")

    def run_positioning(self, text: str) -> SimpleNamespace:
        assert text
        return self._do("positioning")

    def run(self) -> SimpleNamespace:
        return self._do("calibration")

    def recheck(self) -> SimpleNamespace:
        return self._do("recheck")


def _run(
    plan: SessionPlan,
    presenter: HeadlessPresenter,
    log: MemoryLog,
    clock: ScaledClock,
    operator: ScriptedOperator,
    calibration: Calibration | None = None,
) -> Outcome:
    operator.log = log
    engine = ProtocolEngine(plan, presenter, log, clock, operator=operator, calibration=calibration)
    if calibration is not None:
        calibration.engine = engine
    outcome = engine.run()
    assert not operator.orders, f"never sent: {operator.orders}"
    return outcome


@pytest.fixture
def session(plan: SessionPlan, presenter: HeadlessPresenter, log: MemoryLog, clock: ScaledClock):
    def run(*orders, calibration: Calibration | None = None, **more) -> tuple[Outcome, ScriptedOperator]:
        operator = ScriptedOperator(*orders, **more)
        return _run(plan, presenter, log, clock, operator, calibration), operator

    return run


def test_every_command_has_an_effect_in_every_situation() -> None:
    stored = {CommandName.MARK, CommandName.NOTE, CommandName.STOP}
    assert set(EFFECTS) == set(CommandName) - stored
    assert all(set(row) == set(Situation) for row in EFFECTS.values())
    # Nothing but a second asking, or a skip, ever cuts a trial.
    assert [name for name, row in EFFECTS.items() if row[Situation.TRIAL] is Effect.CUT] == [CommandName.SKIP]


def test_marks_and_notes_are_stored_at_once_with_the_keys_time(session, log: MemoryLog) -> None:
    long_note = "参与者打了个喷嚏。" * 30
    mark = Command(CommandName.MARK, "sneezed", 123_456)
    session(("clip", 1, [mark, Command(CommandName.NOTE, long_note, 123_999)]))
    (found,) = [marker for marker in log.markers if marker[0] == markers.OPERATOR_MARK]
    assert found == (markers.OPERATOR_MARK, "sneezed", 123_456, 1)
    notes = [message for kind, message, t_us, _ in log.markers if kind == markers.OPERATOR_NOTE and t_us == 123_999]
    assert "".join(notes) == long_note
    assert all(len(note.encode()) <= 256 for note in notes)
    assert markers.TRIAL_INTERRUPTED not in log.kinds()


def test_a_pause_waits_for_the_end_of_the_trial(session, log: MemoryLog) -> None:
    outcome, operator = session(("clip", 1, [PAUSE]), ("pause", 0, [GO_ON]))
    assert (outcome.state, outcome.n_trials_completed) == (State.COMPLETE, 3)
    assert log.of(markers.TRIAL_INTERRUPTED) == []
    kinds = [(kind, trial) for kind, _, _, trial in log.markers]
    assert (
        kinds.index((markers.TRIAL_ENDED, 1))
        < kinds.index((markers.PAUSED, 0))
        < kinds.index((markers.TRIAL_STARTED, 2))
    )
    assert log.kinds().count(markers.WENT_ON) == 1
    assert "after this trial" in operator.alarms()[0]
    assert operator.alarms()[1] == "", "taken back once it happens"
    paused = [message for message in operator.told if message["kind"] == "session" and message["paused"]]
    assert paused
    assert {message["state"] for message in paused} == {"paused"}


def test_a_second_pause_cuts_the_clip_and_the_trial_is_no_clip(session, log: MemoryLog) -> None:
    outcome, _ = session(("clip", 1, [PAUSE, PAUSE]), ("pause", 0, [GO_ON]))
    assert (outcome.state, outcome.n_trials_completed) == (State.COMPLETE, 2)
    assert log.of(markers.TRIAL_INTERRUPTED) == [("the operator paused the session in it", 1)]
    shown = log.table(PRESENTATIONS.path)
    assert not shown["completed"][shown["trial_id"] == 1].any()
    assert shown["completed"][shown["trial_id"] == 2].all()
    # Nobody is asked about half a clip.
    assert 1 not in log.table(RESPONSES.path)["trial_id"]
    kinds = [(kind, trial) for kind, _, _, trial in log.markers]
    assert kinds.index((markers.TRIAL_INTERRUPTED, 1)) < kinds.index((markers.TRIAL_ENDED, 1))
    assert kinds.index((markers.TRIAL_ENDED, 1)) < kinds.index((markers.PAUSED, 0))


def test_a_pause_that_was_asked_for_can_be_taken_back(session, log: MemoryLog) -> None:
    outcome, operator = session(("clip", 1, [PAUSE, GO_ON]))
    assert outcome.n_trials_completed == 3
    assert markers.PAUSED not in log.kinds()
    assert any("Taken back" in alarm for alarm in operator.alarms())


def test_a_pause_on_a_page_is_at_once_and_the_page_comes_again(session, log: MemoryLog) -> None:
    session(("welcome", 0, [PAUSE]), ("pause", 0, [GO_ON]))
    assert [name for name, _ in log.steps()[:2]] == ["welcome", "welcome"]
    assert log.of(markers.PAUSED) == [("welcome", 0)]


def test_questions_that_were_answered_before_a_pause_are_not_asked_again(
    plan: SessionPlan, presenter: HeadlessPresenter, log: MemoryLog
) -> None:
    slow = ScaledClock.starting_now(2.0)  # the page takes a quarter of a second of real time

    class Waits(ScriptedOperator):
        def poll(self) -> list[Command]:
            return super().poll() if RESPONSES.path in log.tables else []

    presenter = HeadlessPresenter(slow, 50.0, presenter._script)
    operator = Waits(("mood_before", 0, [PAUSE]), ("pause", 0, [GO_ON]), ("practice", 0, [Command(CommandName.STOP)]))
    _run(plan, presenter, log, slow, operator)
    assert log.steps().count(("mood_before", 0)) == 2
    asked = list(decode_text(log.table(RESPONSES.path)["scale"]))
    assert len(asked) == len(set(asked)) == 7


def test_a_trial_is_skipped(session, log: MemoryLog, plan: SessionPlan) -> None:
    outcome, _ = session(("fixation", 2, [SKIP]))
    assert (outcome.state, outcome.n_trials_completed) == (State.COMPLETE, 2)
    assert log.of(markers.TRIAL_SKIPPED) == [(plan.order[1].id, 2)]
    assert log.of(markers.TRIAL_INTERRUPTED) == []
    assert 2 not in log.table(PRESENTATIONS.path)["trial_id"]
    assert log.of(markers.TRIAL_ENDED)[2:] == [("", 2), ("", 3)]


def test_a_clip_that_is_skipped_is_marked_as_not_completed(session, log: MemoryLog) -> None:
    session(("clip", 1, [SKIP]))
    shown = log.table(PRESENTATIONS.path)
    assert not shown["completed"][shown["trial_id"] == 1].any()
    assert log.of(markers.TRIAL_SKIPPED)[0][1] == 1


def test_a_break_is_ended_by_the_operator(session, log: MemoryLog) -> None:
    session(("break", 0, [GO_ON]))
    assert log.steps().count(("break", 0)) == 1
    assert markers.PAUSED not in log.kinds()


def test_go_on_leaves_no_questionnaire_out(session, log: MemoryLog) -> None:
    session(("mood_before", 0, [GO_ON]))
    answers = log.table(RESPONSES.path)
    assert (answers["occasion"] == b"before").sum() == 7


def test_the_operator_stops_the_session(session, log: MemoryLog) -> None:
    outcome, _ = session(("clip", 2, [Command(CommandName.STOP, "fire alarm")]))
    assert (outcome.state, outcome.reason) == (State.ABORTED, "stopped by the operator: fire alarm")
    assert outcome.n_trials_completed == 1
    assert log.of(markers.TRIAL_INTERRUPTED) == [("stopped by the operator: fire alarm", 2)]


def test_a_session_can_be_stopped_in_a_pause(session, log: MemoryLog) -> None:
    outcome, _ = session(("welcome", 0, [PAUSE]), ("pause", 0, [Command(CommandName.STOP)]))
    assert outcome.state is State.ABORTED
    assert markers.WENT_ON not in log.kinds()


# ---------------------------------------------------------------- the eye tracker


def test_planned_steps_of_the_tracker_are_run(session, log: MemoryLog, clock: ScaledClock) -> None:
    calibration = Calibration(clock)
    session(calibration=calibration)
    assert calibration.called == ["positioning", "calibration", "recheck", "recheck"]


def test_a_recheck_waits_for_the_trial_or_cuts_it_when_asked_twice(session, log: MemoryLog, clock: ScaledClock) -> None:
    calibration = Calibration(clock)
    outcome, _ = session(("clip", 1, [RECHECK]), ("clip", 3, [RECALIBRATE, RECALIBRATE]), calibration=calibration)
    assert outcome.n_trials_completed == 2
    assert calibration.called == ["positioning", "calibration", "recheck", "recheck", "recheck", "calibration"]
    assert log.of(markers.TRIAL_INTERRUPTED) == [("the operator had the eye tracker calibrated anew in it", 3)]
    # The participant is told what comes, whoever wants it.
    names = [name for name, _ in log.steps()]
    assert all(names[i - 1] == f"{name}_text" for i, name in enumerate(names) if name in ("recheck", "calibration"))


def test_now_means_now(session, log: MemoryLog, clock: ScaledClock) -> None:
    session(("clip", 1, [Command(CommandName.RECHECK, "now")]), calibration=Calibration(clock))
    assert log.of(markers.TRIAL_INTERRUPTED) == [("the operator had the calibration checked in it", 1)]


def test_the_tracker_is_calibrated_inside_a_pause(session, log: MemoryLog, clock: ScaledClock) -> None:
    calibration = Calibration(clock)
    outcome, _ = session(
        ("clip", 1, [PAUSE]), ("pause", 0, [RECALIBRATE]), ("resting", 0, [GO_ON]), calibration=calibration
    )
    assert outcome.state is State.COMPLETE
    assert calibration.called.count("calibration") == 2
    kinds = [kind if kind != markers.STEP_STARTED else message for kind, message, *_ in log.markers]
    after = kinds[kinds.index(markers.PAUSED) :]
    assert after.index("calibration") < after.index(markers.WENT_ON)


def test_commands_for_a_calibration_reach_it_and_no_others(session, log: MemoryLog, clock: ScaledClock) -> None:
    calibration = Calibration(clock)
    mark = Command(CommandName.MARK, "blinks a lot", 9)
    session(("calibration", 0, [GO_ON, mark, RECALIBRATE, PAUSE]), ("pause", 0, [GO_ON]), calibration=calibration)
    assert calibration.heard == [CommandName.GO_ON, CommandName.RECALIBRATE]
    assert log.of(markers.OPERATOR_MARK) == [("blinks a lot", 0)]
    assert markers.PAUSED in log.kinds()


def test_without_a_tracker_the_operator_is_told(session, log: MemoryLog) -> None:
    outcome, operator = session(("clip", 1, [RECHECK]))
    assert outcome.n_trials_completed == 3
    assert any("no eye tracker here" in alarm for alarm in operator.alarms())


@pytest.mark.parametrize(
    ("choice", "state", "called"),
    [("again", State.COMPLETE, 2), ("go_on", State.COMPLETE, 1), ("stop", State.ABORTED, 1)],
)
def test_the_operator_decides_about_a_tracker_that_fails(
    session, log: MemoryLog, clock: ScaledClock, choice: str, state: State, called: int
) -> None:
    calibration = Calibration(clock, failures=1)
    outcome, operator = session(answers={"tracker": Decision(choice, "glasses")}, calibration=calibration)
    assert outcome.state is state
    assert calibration.called.count("positioning") == called
    assert "the tracker is silent" in operator.asked[0].text
    assert operator.asked[0].reason_for == ("go_on",)
    assert log.of(markers.DEVICE_FAULT) == [("positioning: the tracker is silent", 0)]
    if choice == "go_on":
        assert log.of(markers.OPERATOR_NOTE) == [("went on without the positioning: glasses", 0)]


def test_without_an_operator_a_tracker_that_fails_ends_the_session(
    plan: SessionPlan, presenter: HeadlessPresenter, log: MemoryLog, clock: ScaledClock
) -> None:
    engine = ProtocolEngine(plan, presenter, log, clock, calibration=Calibration(clock, failures=1))
    with pytest.raises(DeviceError, match="silent"):
        engine.run()
    assert engine.state is State.ABORTED
