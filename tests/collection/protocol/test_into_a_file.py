"""A session into a real file, and what the clip index makes of it: practice and cut trials are no clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collection.presenter.base import Presentation
from collection.presenter.headless import HeadlessPresenter
from collection.protocol.engine import ProtocolEngine
from collection.protocol.operator import Command, CommandName
from collection.protocol.plan import SessionPlan
from collection.protocol.self_report import count_checks
from data_schema.clips.index import session_clips
from data_schema.clocks import ScaledClock
from data_schema.session import markers, open_session
from data_schema.session.describe import as_text, describe_session
from data_schema.session.layout import MARKERS, PRESENTATIONS, RESPONSES
from data_schema.session.writer import SessionWriter
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import QualitySection

from .conftest import MemoryLog, ScriptedOperator


class FileLog(MemoryLog):
    """Store in a session file, and keep a copy for the operator of the tests."""

    def __init__(self, writer: SessionWriter, clock: ScaledClock) -> None:
        super().__init__()
        self._writer, self._clock = writer, clock

    def rows(self, table: str, rows: np.ndarray) -> None:
        super().rows(table, rows)
        self._writer.append(table, rows)

    def marker(
        self,
        kind: str,
        message: str = "",
        value: float = float("nan"),
        t_system_us: int | None = None,
        trial_id: int = 0,
    ) -> None:
        super().marker(kind, message, value, t_system_us, trial_id)
        t_us = self._clock.now_us() if t_system_us is None else t_system_us
        self._writer.marker(kind, message, value, t_system_us=t_us, trial_id=trial_id)


@pytest.mark.parametrize(
    ("orders", "reasons"),
    [
        ((), ["", "", ""]),
        ((("clip", 2, [Command(CommandName.SKIP)]),), ["", "cut off: the operator skipped it", ""]),
        (
            (("clip", 3, [Command(CommandName.PAUSE), Command(CommandName.PAUSE)]),
             ("pause", 0, [Command(CommandName.GO_ON)])),
            ["", "", "cut off: the operator paused the session in it"],
        ),
        # The clip was seen to its end, but its self-report is missing.
        ((("self_report", 1, [Command(CommandName.SKIP)]),), ["cut off: the operator skipped it", "", ""]),
        ((("clip", 2, [Command(CommandName.STOP, "fire")]),), ["", "cut off: stopped by the operator: fire"]),
    ],
)  # fmt: skip
def test_only_whole_trials_become_clips(
    study: StudyFolder, plan: SessionPlan, script, tmp_path: Path, orders: tuple, reasons: list[str]
) -> None:
    clock = ScaledClock.starting_now(15.0)
    path = tmp_path / "sub-P001_ses-01.h5"
    writer = SessionWriter.create(
        path, participant="P001", session="01", config_json=study.config.to_json(), devices=[], seeds=plan.seeds,
        rates_hz={}, simulated=True,
    )  # fmt: skip
    with writer:
        log = FileLog(writer, clock)
        log.marker(markers.RECORDING_STARTED)
        operator = ScriptedOperator(*orders)
        operator.log = log
        outcome = ProtocolEngine(plan, HeadlessPresenter(clock, 50.0, script), log, clock, operator=operator).run()
        writer.finish(t_system_us=clock.now_us())
    assert not operator.orders
    rule = QualitySection(max_gaze_loss=1.0, min_frames_share=0.0)
    with open_session(path) as session:
        clips = session_clips(session, rule, path.name)
        assert session.seeds["order_row"] == plan.row
        shown = session.table(PRESENTATIONS)[:]
        said = session.table(MARKERS)[:]
        checks = count_checks(session.table(RESPONSES)[:])
    found = {clip["trial_id"]: clip for clip in clips}
    assert [number for number, clip in found.items() if clip["included"]] == [
        number for number, reason in enumerate(reasons, 1) if not reason
    ]
    for number, reason in enumerate(reasons, 1):
        # A clip that was cut before its first flip is not even in the index.
        assert number not in found or reason in found[number]["exclusion_reason"]
    # The practice trial is on file, but no clip.
    assert -1 in shown["trial_id"]
    assert "try" not in [clip["stimulus_id"] for clip in clips]
    assert outcome.n_trials_completed == sum(not reason for reason in reasons)
    begun = said["trial_id"][said["kind"] == markers.TRIAL_STARTED.encode()].tolist()
    ended = said["trial_id"][said["kind"] == markers.TRIAL_ENDED.encode()].tolist()
    assert begun == ended
    assert checks[0] <= 1


class _Interrupted(HeadlessPresenter):
    """Plays to the end, but the clip of trial 2 stood still twice in between."""

    def play(self, clip, t_due_us, take_flips, should_stop) -> Presentation:
        shown = super().play(clip, t_due_us, take_flips, should_stop)
        if clip.trial_id != 2:
            return shown
        return replace(shown, holds=((shown.t_onset_us + 100, 2.5), (shown.t_onset_us + 900, 1.0)))


def test_a_clip_that_was_held_is_marked_and_becomes_no_clip(
    study: StudyFolder, plan: SessionPlan, script, tmp_path: Path
) -> None:
    clock = ScaledClock.starting_now(40.0)
    path = tmp_path / "sub-P001_ses-01.h5"
    writer = SessionWriter.create(
        path, participant="P001", session="01", config_json=study.config.to_json(), devices=[], seeds=plan.seeds,
        rates_hz={}, simulated=True,
    )  # fmt: skip
    with writer:
        log = FileLog(writer, clock)
        log.marker(markers.RECORDING_STARTED)
        ProtocolEngine(plan, _Interrupted(clock, 50.0, script), log, clock).run()
        writer.finish(t_system_us=clock.now_us())
    with open_session(path) as session:
        rows = session.table(MARKERS).frame()
        held = rows[rows["kind"] == markers.CLIP_HELD]
        assert held["trial_id"].tolist() == [2, 2]
        assert held["value"].tolist() == [2.5, 1.0]
        onset_us = session.table(PRESENTATIONS).frame().set_index("trial_id").loc[2, "t_onset_us"]
        assert held["t_system_us"].tolist() == [onset_us + 100, onset_us + 900]
        assert session.held_trials() == {2: 3.5}
        assert session.cut_trials() == {}
        rule = QualitySection(min_frames_share=0.0, max_gaze_loss=1.0)
        clips = {clip["trial_id"]: clip for clip in session_clips(session, rule, path.name)}
    assert [clips[trial]["included"] for trial in (1, 2, 3)] == [True, False, True]
    assert clips[2]["exclusion_reason"].startswith("the clip was held for 3.5 s")
    assert "trial 2: its clip stood still for 3.5 s" in as_text(describe_session(path))
