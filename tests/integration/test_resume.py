"""Going on after kills of every process, after an abort, and after that once more."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from data_schema.clips.index import index_sessions
from data_schema.session.layout import CALIBRATION_ATTEMPTS, CONSENT, FACTS, MARKERS, RESPONSES
from data_schema.session.reader import file_sha256, open_session
from data_schema.session.validate import check_session
from data_schema.study.folder import StudyFolder
from data_schema.study.status import study_status

from .session_processes import (
    kill_group,
    make_study,
    recorder_of,
    run,
    start,
    wait_for_clip,
    wait_until_closed,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "s")


def kill_recorder(process, path: Path) -> None:
    recorder_of(process).kill()
    process.communicate(timeout=60)


def kill_main(process, path: Path) -> None:
    """Kill the presenter's process: the recorder closes the file by itself."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    wait_until_closed(path)


def kill_all(process, path: Path) -> None:
    kill_group(process)


def abort(process, path: Path) -> None:
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("cut_off", "status"),
    [(kill_recorder, "repaired"), (kill_main, "aborted"), (kill_all, "repaired"), (abort, "aborted")],
)
def test_a_session_that_was_cut_off_goes_on_with_the_next_trial(study: StudyFolder, cut_off, status: str) -> None:
    process = start(study, "rehearse", "-p", "P001", "--fact", "age_years=24")
    first = study.session_path("P001", "01")
    wait_for_clip(first, 2, process)
    cut_off(process, first)
    with open_session(first) as session:
        planned = [session.config().stimuli, session.seeds["order_row"]]

    done = run(study, "resume", "-p", "P001")
    second = study.session_path("P001", "01", 2)
    assert done.stdout.strip() == str(second), done.stderr
    assert done.returncode == 0, done.stderr
    assert "1 trial of it is done; cut off and not repeated: 2" in done.stderr
    assert "consent of the first run holds" in done.stderr
    for path in (first, second):
        assert [finding for finding in check_session(path) if finding.level == "error"] == []

    with open_session(first) as session:
        assert session.status == status
        assert list(session.cut_trials()) == [2]
        consented = session.table(CONSENT).frame()
    with open_session(second) as session:
        assert session.status == "complete"
        assert session.continues_run == 1
        assert [trial.trial_id for trial in session.trials()] == [3, 4]
        assert [session.config().stimuli, session.seeds["order_row"]] == planned
        taken = session.table(CONSENT).frame()
        columns = ["scope", "granted", "way", "text_sha256"]
        assert taken[columns].equals(consented[columns])
        assert session.table(FACTS).frame()["value"].tolist() == ["24"]
        assert "calibration" in set(session.table(CALIBRATION_ATTEMPTS).frame()["kind"])
        assert set(session.table(RESPONSES).frame()["occasion"]) == {"", "after"}
        note = session.table(MARKERS).frame().query("kind == 'continues_run'").iloc[0]
        assert note["value"] == 1.0
        assert "with trial 3" in note["message"]

    clips, skipped = index_sessions(study)
    clips = clips.set_index("trial_id")
    assert skipped == []
    assert list(clips.index) in ([1, 2, 3, 4], [1, 3, 4])
    assert clips["clip_id"].is_unique
    assert clips["stimulus_id"].is_unique
    included = clips[clips["included"]]
    assert list(included.index) == [1, 3, 4]
    if 2 in clips.index:
        assert clips.loc[2, "exclusion_reason"].startswith("the trial was cut off: ")
    assert study_status(study).sessions == {"complete": 1}


def test_a_third_run_after_a_second(study: StudyFolder) -> None:
    process = start(study, "rehearse", "-p", "P001")
    wait_for_clip(study.session_path("P001", "01"), 1, process)
    kill_group(process)
    again = start(study, "resume", "-p", "P001")
    second = study.session_path("P001", "01", 2)
    wait_for_clip(second, 3, again)
    kill_group(again)
    hashes = {path: file_sha256(path) for path in study.run_files("P001", "01")[:1]}
    done = run(study, "resume", "-p", "P001")
    assert done.returncode == 0, done.stderr
    assert [path.stem.rpartition("_")[2] for path in study.run_files("P001", "01")] == ["ses-01", "run-02", "run-03"]
    with open_session(study.session_path("P001", "01", 3)) as session:
        assert session.continues_run == 2
        assert [trial.trial_id for trial in session.trials()] == [4]
    # What an earlier resume had repaired is not touched again.
    assert {path: file_sha256(path) for path in hashes} == hashes
    clips, _ = index_sessions(study)
    assert set(clips.loc[clips["included"], "trial_id"]) == {2, 4}
    assert study_status(study).sessions == {"complete": 1}
    finished = run(study, "resume", "-p", "P001")
    assert finished.returncode == 1
    assert "is complete: all trials are done" in finished.stderr


def test_the_design_that_the_session_began_with_holds(study: StudyFolder) -> None:
    """A study.toml that was edited in between neither shows a clip twice nor leaves one out."""
    process = start(study, "rehearse", "-p", "P001")
    first = study.session_path("P001", "01")
    wait_for_clip(first, 2, process)
    kill_group(process)
    text = study.config_path.read_text(encoding="utf-8").replace("seed = 2025", "seed = 7")
    study.config_path.write_text(text, encoding="utf-8")
    study = StudyFolder(study.root)
    done = run(study, "resume", "-p", "P001")
    assert done.returncode == 0, done.stderr
    assert "study.toml has changed since the session began" in done.stderr
    clips, _ = index_sessions(study)
    assert clips["stimulus_id"].is_unique
    assert set(clips.loc[clips["included"], "trial_id"]) == {1, 3, 4}


def test_a_session_that_is_being_recorded_is_left_alone(study: StudyFolder) -> None:
    process = start(study, "rehearse", "-p", "P001", speed=1.0)
    wait_for_clip(study.session_path("P001", "01"), 1, process)
    done = run(study, "resume", "-p", "P001")
    assert done.returncode == 1
    assert "is being recorded at this moment" in done.stderr
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert len(study.session_files()) == 1
