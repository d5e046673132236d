"""A resumed session lies in several files: each is found, checked, told apart and counted as one session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_schema.cli import main
from data_schema.clips.index import index_sessions
from data_schema.errors import ExportError
from data_schema.session import markers
from data_schema.session.describe import as_text, describe_session
from data_schema.session.layout import MARKERS
from data_schema.session.reader import open_session
from data_schema.session.repair import repair_session
from data_schema.session.synthetic import make_synthetic_session, synthetic_config
from data_schema.session.validate import check_session
from data_schema.study import SessionName, StudyFolder, init_study, parse_session_name
from data_schema.study.status import session_status, study_status


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """P001: a first run cut off in trial 3, a second with trials 4 and 5. P002: one whole run."""
    study = init_study(tmp_path / "s", clips_per_emotion=1, clip_s=0.2, emotions=["fear", "anger"])
    common = {"trial_s": 0.5, "config": synthetic_config()}
    make_synthetic_session(study.session_path("P001", "01"), n_trials=2, cut_trial=True, **common)
    make_synthetic_session(study.session_path("P001", "01", 2), first_trial=4, continues_run=1, n_trials=2, **common)
    make_synthetic_session(study.session_path("P002", "01"), participant="P002", n_trials=1, **common)
    return study


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("sub-P001_ses-01", SessionName("P001", "01", 1)),
        ("sub-P001_ses-01_run-02", SessionName("P001", "01", 2)),
        ("sub-P001_ses-01_run-12", SessionName("P001", "01", 12)),
        ("sub-P001_ses-01_run-01", None),
        ("sub-P001_ses-01_run-2", None),
        ("sub-P001_ses-01_run-002", None),
        ("sub-P001_ses-01_run-02_copy", None),
    ],
)
def test_a_run_has_one_name(stem: str, name: SessionName | None) -> None:
    assert parse_session_name(Path(f"{stem}.h5")) == name
    if name is not None:
        assert name.stem == stem


def test_the_runs_of_a_session_are_found_in_order(study: StudyFolder) -> None:
    stems = ["sub-P001_ses-01", "sub-P001_ses-01_run-02", "sub-P002_ses-01"]
    assert [path.stem for path in study.session_files()] == stems
    assert [path.stem for path in study.run_files("P001", "01")] == stems[:2]
    assert study.run_files("P003", "01") == []
    for number in (10, 3):
        study.session_path("P001", "01", number).touch()
    assert [parse_session_name(path).run for path in study.run_files("P001", "01")] == [1, 2, 3, 10]


def test_clips_of_all_runs_are_told_apart_and_the_cut_trial_gives_its_reason(study: StudyFolder) -> None:
    clips, skipped = index_sessions(study)
    assert skipped == []
    mine = clips[clips["participant"] == "P001"].set_index("trial_id")
    assert list(mine.index) == [1, 2, 3, 4, 5]
    assert clips["clip_id"].is_unique
    assert list(mine["included"]) == [True, True, False, True, True]
    assert mine.loc[3, "exclusion_reason"] == "the trial was cut off: the recording ended in it"
    assert mine.loc[3, "stimulus_id"]
    files = [Path(name).stem for name in mine["session_file"]]
    assert files == ["sub-P001_ses-01"] * 3 + ["sub-P001_ses-01_run-02"] * 2
    assert set(mine["session"]) == {"01"}
    assert mine["session_sha256"].nunique() == 2


def test_two_recordings_of_one_trial_are_refused(study: StudyFolder) -> None:
    make_synthetic_session(study.session_path("P001", "01", 3), first_trial=5, continues_run=2, n_trials=1, trial_s=0.3)
    with pytest.raises(ExportError, match=r"run-03\.h5: trial 5 is in .*run-02\.h5"):
        index_sessions(study)


def test_a_session_is_complete_if_its_runs_together_are(study: StudyFolder) -> None:
    assert study_status(study).sessions == {"complete": 2}
    study.session_path("P001", "01", 2).unlink()
    status = study_status(study)
    assert status.sessions == {"aborted": 1, "complete": 1}
    assert status.unfinished == [("P001", "01")]
    assert f"emer record resume {study.root} --participant P001 --session 01" in status.as_text()


@pytest.mark.parametrize(
    ("runs", "together"),
    [
        (["aborted", "complete"], "complete"),
        (["repaired", "aborted", "complete"], "complete"),
        (["aborted", "aborted"], "aborted"),
        (["interrupted", "complete"], "interrupted"),
        (["aborted", "recording"], "recording"),
        (["unreadable", "complete"], "unreadable"),
    ],
)
def test_status_of_several_runs(runs: list[str], together: str) -> None:
    assert session_status(runs) == together


def test_check_and_describe_know_runs(study: StudyFolder) -> None:
    second = study.session_path("P001", "01", 2)
    assert check_session(second) == []
    text = as_text(describe_session(second))
    assert "session 01, run 2 (goes on after run 1), complete" in text
    assert "trial 3 was cut off: the recording ended in it" in as_text(
        describe_session(study.session_path("P001", "01"))
    )
    as_first = second.rename(second.with_name("sub-P001_ses-09.h5"))
    assert any("participant P001, session 09" in str(finding) for finding in check_session(as_first))
    study.session_path("P001", "01").unlink()
    (finding,) = check_session(as_first.rename(study.session_path("P001", "01")))
    assert (finding.level, finding.repairable) == ("error", False)
    assert "named as its first run" in finding.message
    alone = study.session_path("P002", "01")
    (finding,) = check_session(alone.rename(study.session_path("P002", "01", 2)))
    assert finding.level == "warning"
    assert "no marker says that it goes on" in finding.message


def test_quality_names_the_run(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quality", str(study.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["sub-P001_ses-01", "sub-P001_ses-01_run-02", "sub-P002_ses-01"]


def test_repair_marks_the_trial_that_was_cut_off(tmp_path: Path) -> None:
    """A process that dies in a trial leaves no word of it: repair says so in the file."""
    path = tmp_path / "sub-P001_ses-01.h5"
    code = """
import os, sys
from pathlib import Path
from data_schema.session import markers
from data_schema.session.writer import SessionWriter
from data_schema.session.synthetic import synthetic_config
writer = SessionWriter.create(
    Path(sys.argv[1]), participant="P001", session="01", config_json=synthetic_config().to_json(), devices=[], seeds={},
    video=None, rates_hz={}, simulated=True)
writer.marker(markers.RECORDING_STARTED, "x", t_system_us=1)
writer.marker(markers.TRIAL_STARTED, "fear-1", t_system_us=2, trial_id=1)
writer.marker(markers.TRIAL_ENDED, "", t_system_us=3, trial_id=1)
writer.marker(markers.TRIAL_STARTED, "anger-1", t_system_us=4, trial_id=2)
writer.flush(force=True)
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60, env=dict(os.environ))
    assert repair_session(path).repaired
    with open_session(path) as session:
        assert session.status == "repaired"
        assert session.cut_trials() == {2: "the recording was interrupted in it"}
        assert session.begun_trials() == [1, 2]
        rows = session.table(MARKERS).frame()
    assert rows.loc[rows["kind"] == markers.TRIAL_INTERRUPTED, "trial_id"].tolist() == [2]
