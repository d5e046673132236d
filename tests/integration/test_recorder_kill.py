"""SIGKILL at random moments: every file opens, nothing acknowledged is lost, at most one second of any stream."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
N_KILLS = 10
SEED = 2025


@pytest.mark.slow
def test_killed_recordings_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT)
    from benchmarks.recorder_kills import STREAMS, kill_many

    outcomes = list(kill_many(tmp_path, N_KILLS, SEED))
    assert len(outcomes) == N_KILLS
    for number, outcome in enumerate(outcomes):
        where = f"kill {number} after {outcome.recorded_s:.2f} s"
        assert outcome.opened, f"{where}: {outcome.findings}"
        assert not outcome.findings, f"{where}: {outcome.findings}"
        assert outcome.acknowledged["/eye/gaze"] > 0, f"{where}: nothing was acknowledged, so nothing is proven"
        assert outcome.rows_lost == 0, f"{where}: {outcome.acknowledged} acknowledged, {outcome.on_file} on file"
        assert set(outcome.lost_s) == {table.path for table in STREAMS}
        assert max(outcome.lost_s.values()) <= 1.0, f"{where}: {outcome.lost_s}"
        assert outcome.last_frame_decodes, where
        assert outcome.holes == 0, f"{where}: the gaze on file has {outcome.holes} holes"
