from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
from collection.protocol.engine import TRANSITIONS, Progress, ProtocolEngine, State
from collection.protocol.plan import SessionPlan, make_plan
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import ScaledClock
from data_schema.errors import RecordingError
from data_schema.session import markers
from data_schema.session.layout import FLIPS, PRESENTATIONS, RESPONSES, decode_text
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS

REFRESH_HZ = 50.0


@pytest.fixture
def plan(study: StudyFolder, durations: dict[str, float]) -> SessionPlan:
    return make_plan(study, "P001", "01", durations, attended=False)


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock.starting_now(40.0)


@pytest.fixture
def script() -> ScriptedParticipant:
    return ScriptedParticipant(SimulatedParticipant(3, "P001"))


def test_a_whole_session_is_stored(plan: SessionPlan, log, clock: ScaledClock, script: ScriptedParticipant) -> None:
    participant = SimulatedParticipant(3, "P001")
    onsets: dict[int, int] = {}

    def plant(step, onset_us: int) -> None:
        onsets[step.trial_id] = onset_us
        script.feel(participant.react_to(step.trial_id, step.target_emotion))

    engine = ProtocolEngine(plan, HeadlessPresenter(clock, REFRESH_HZ, script), log, clock, before_trial=plant)
    outcome = engine.run()
    assert outcome.state is engine.state is State.COMPLETE
    assert outcome.n_trials_completed == 3
    shown = log.table(PRESENTATIONS.path)
    assert shown["trial_id"].tolist() == [1, 2, 3]
    assert list(decode_text(shown["stimulus_id"])) == [stimulus.id for stimulus in plan.order]
    assert shown["completed"].all()
    for row, stimulus in zip(shown, plan.order, strict=True):
        expected = {"joy": 2.0, "loss": 1.0, "calm": 3.0}[stimulus.id]
        assert row["duration_expected_s"] == expected
        assert row["n_flips"] == expected * REFRESH_HZ
        assert (row["t_offset_us"] - row["t_onset_us"]) / 1e6 == pytest.approx(expected - 1 / REFRESH_HZ, abs=0.001)
        # The reaction was planted for the moment at which the clip began.
        assert abs(int(row["t_onset_us"]) - onsets[row["trial_id"]]) < 1_500_000

    flips = log.table(FLIPS.path)
    assert len(flips) == shown["n_flips"].sum()
    assert np.all(np.diff(flips["t_flip_us"]) > 0)
    for row in shown:
        times = flips["clip_time_us"][flips["trial_id"] == row["trial_id"]]
        assert times[0] == 0
        assert times[-1] == round((row["duration_expected_s"] - 1 / REFRESH_HZ) * 1e6)

    answers = log.table(RESPONSES.path)
    assert len(answers) == 3 * 11
    assert np.all(answers["t_answered_us"] > answers["t_shown_us"])
    first = {
        str(scale): float(value)
        for scale, value in zip(decode_text(answers["scale"][:11]), answers["value"][:11], strict=True)
    }
    planted = participant.react_to(1, str(plan.order[0].target_emotion))
    assert max(EMOTIONS, key=lambda name: first[name]) == planted.felt
    assert abs(first["valence"] - planted.valence) <= 0.5

    kinds = log.kinds()
    assert kinds.count(markers.TRIAL_STARTED) == kinds.count(markers.TRIAL_ENDED) == 3
    assert kinds.count(markers.STIMULUS_ONSET) == kinds.count(markers.STIMULUS_OFFSET) == 3
    assert kinds.count(markers.STEP_STARTED) == kinds.count(markers.STEP_ENDED)


def test_an_abort_during_a_clip_keeps_what_was_shown(
    plan: SessionPlan, log, clock: ScaledClock, script: ScriptedParticipant
) -> None:
    engine: ProtocolEngine

    def tick(progress: Progress) -> None:
        if progress.step == "clip" and progress.trial == 2:
            engine.request_abort("participant asked to stop")

    engine = ProtocolEngine(
        plan, HeadlessPresenter(slow := ScaledClock.starting_now(4.0), REFRESH_HZ, script), log, slow, on_tick=tick
    )
    outcome = engine.run()
    assert outcome.state is State.ABORTED
    assert outcome.reason == "participant asked to stop"
    assert outcome.n_trials_completed == 1
    shown = log.table(PRESENTATIONS.path)
    assert shown["completed"].tolist() == [1, 0]
    assert len(log.table(FLIPS.path)) == shown["n_flips"].sum()
    assert log.kinds()[-1] == markers.STEP_ENDED


def test_ctrl_c_inside_a_step_is_an_abort(plan: SessionPlan, log, clock: ScaledClock) -> None:
    closed: list[bool] = []

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    presenter = SimpleNamespace(open=lambda: None, close=lambda: closed.append(True), show=interrupt)
    engine = ProtocolEngine(plan, presenter, log, clock)
    assert engine.run().state is State.ABORTED
    assert closed == [True]


def test_a_recorder_that_is_gone_ends_the_session(
    plan: SessionPlan, log, clock: ScaledClock, script: ScriptedParticipant
) -> None:
    log.gone = RecordingError("the recorder's process ended")
    engine = ProtocolEngine(plan, HeadlessPresenter(clock, REFRESH_HZ, script), log, clock)
    with pytest.raises(RecordingError, match="process ended"):
        engine.run()
    assert engine.state is State.ABORTED


def test_an_engine_runs_once(plan: SessionPlan, log, clock: ScaledClock) -> None:
    presenter = SimpleNamespace(open=lambda: None, close=lambda: None)
    engine = ProtocolEngine(plan, presenter, log, clock)
    engine.request_abort("at once")
    assert engine.run().state is State.ABORTED
    with pytest.raises(RuntimeError, match="cannot go from aborted to running"):
        engine.run()


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
