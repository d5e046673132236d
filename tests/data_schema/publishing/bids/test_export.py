"""What is in the dataset and what is not: consent, missing streams, simulated data, the same bytes each time."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from data_schema.cli.exports import app
from data_schema.cli.exports.parquet import say_unanswered
from data_schema.clips.index import build_clip_index
from data_schema.errors import ExportError
from data_schema.importers.bids import import_bids
from data_schema.publishing.bids import export_bids
from data_schema.publishing.bids.dataset import plan_runs, run_names
from data_schema.publishing.bids.names import labels, task_label
from data_schema.publishing.bids.run import write_run
from data_schema.publishing.publication import open_publication
from data_schema.session.layout import GAZE
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder
from tests.data_schema.publishing.bids.conftest import PUBLISH, Published, build_study, consent
from tests.data_schema.publishing.bids.validator import validate
from tests.data_schema.studies import make_study


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_face_leaves_only_where_it_may(published: Published) -> None:
    videos = {path.name.split("_")[0] for path in published.files("**/*_video.mp4")}
    assert videos == {"sub-P001"}
    # Whoever did not consent to the camera has no landmarks either; whoever did and shares no face, has those.
    faces = {path.name.split("_")[0] for path in published.files("derivatives/faces/**/*_desc-landmarks_beh.tsv")}
    assert "sub-P002" not in faces and faces == {"sub-P001", "sub-P003"}


def test_a_run_without_gaze_still_has_its_events_and_answers(published: Published) -> None:
    names = {path.name.split("run-01_")[1] for path in published.files("sub-P003/**/*") if path.is_file()}
    assert {"events.tsv", "events.json", "beh.tsv"} <= names
    assert not any("physio" in name for name in names)


def test_a_resumed_session_is_a_second_run(published: Published) -> None:
    events = pd.read_csv(published.files("sub-P001/**/*_run-02_events.tsv")[0], sep="\t")
    assert list(events.loc[events["trial_type"] == "stimulus", "trial"]) == [3]
    assert "continues_run" in set(events["trial_type"])


def test_annotations_of_feeling_and_face_are_datasets_of_their_own(published: Published) -> None:
    er = pd.concat(
        pd.read_csv(p, sep="\t") for p in published.files("derivatives/annotations-er/**/*_desc-labels_events.tsv")
    )
    fer = pd.concat(
        pd.read_csv(p, sep="\t") for p in published.files("derivatives/annotations-fer/**/*_desc-labels_events.tsv")
    )
    assert set(er["annotator_id"]) >= {"sim-01", "sim-02"} and "self_report" in set(er["source"])
    # Two annotators; five of the seven clips satisfy the quality rule: those with gaze.
    assert len(fer) == 2 * 5 and "intensity" in fer and "intensity" not in er
    consensus = pd.read_csv(published.files("derivatives/annotations-fer/**/*_desc-consensus_events.tsv")[0], sep="\t")
    assert list(consensus["intensity"].dropna()) == [0.75] * len(consensus)


def test_simulated_data_say_so_wherever_one_looks(published: Published) -> None:
    described = json.loads((published.root / "dataset_description.json").read_text(encoding="utf-8"))
    assert described["Name"].startswith("SIMULATED") and described["Simulated"] is True
    assert "SIMULATED DATA" in (published.root / "README.md").read_text(encoding="utf-8")
    silent = [
        p.name
        for p in published.files("**/sub-*.json")
        if not json.loads(p.read_text(encoding="utf-8")).get("Simulated")
    ]
    assert silent == []


def test_readme_counts_what_is_there(published: Published) -> None:
    text = (published.root / "README.md").read_text(encoding="utf-8")
    samples = sum(
        json.loads(path.read_text(encoding="utf-8"))["SampleCount"]
        for path in published.files("sub-*/**/*_recording-eye1_physio.json")
    )
    assert f"{samples:,} samples" in text and "| Participants | 3 |" in text and "| Sessions, runs | 3, 4 |" in text
    assert "| Runs without gaze | 1 |" in text and "Committee of the test, number 7" in text


def test_nothing_identifying_and_the_same_bytes_twice(tmp_path: Path) -> None:
    study = build_study(tmp_path / "study_of_somebody", 'dates = "shift"')
    export_bids(study, tmp_path / "one", workers=1)
    export_bids(StudyFolder(study.root), tmp_path / "two", workers=1)
    first, second = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert not any("P00" in name for name in first)
    text = b"".join(content for name, content in first.items() if not name.endswith((".gz", ".mp4")))
    assert b"P001" not in text and b"sim-01" not in text and b"somebody" not in text
    (scans, *_) = sorted((tmp_path / "one").rglob("*_scans.tsv"))
    days = pd.read_csv(scans, sep="\t")
    assert (days["acq_time"] < "1925").all() and (scans.parent / days["filename"][0]).is_file()
    assert validate(tmp_path / "one", tmp_path) == []


def test_a_run_can_be_sent_to_another_process(published: Published, tmp_path: Path) -> None:
    publication = open_publication(published.study)
    tasks = plan_runs(publication, run_names(publication), tmp_path)
    (name, task), *_ = tasks.items()
    facts = write_run(pickle.loads(pickle.dumps(task)))
    assert pickle.loads(pickle.dumps(facts)) == facts and facts.gaze is not None and facts.gaze.n_samples == 420
    for path in sorted(tmp_path.rglob("*run-01*eye1_physio.tsv.gz")):
        assert path.read_bytes() == (published.root / path.relative_to(tmp_path)).read_bytes()


def test_the_verb_writes_and_refuses_to_replace(published: Published, tmp_path: Path) -> None:
    out = tmp_path / "out"
    runner = CliRunner()
    done = runner.invoke(app, ["bids", str(published.study.root), str(out), "--workers", "1"])
    assert done.exit_code == 0 and "3 participants, 4 runs (3 with gaze, 2 with face video)" in done.stdout
    assert "not said yet: [publish] contact, " in done.stderr and "folds" not in done.stderr
    with pytest.raises(ExportError, match="--force"):
        export_bids(published.study, out, workers=1)


def test_who_froze_no_folds_is_told_how(capsys: pytest.CaptureFixture[str]) -> None:
    say_unanswered([], folds=False)
    assert "emer export training" in capsys.readouterr().err


def test_two_names_that_bids_cannot_tell_apart_are_an_error() -> None:
    assert labels(["pre-1", "post"], "session") == {"pre-1": "pre1", "post": "post"}
    with pytest.raises(ExportError, match=r"'a-1' and 'a1' would both be called 'a1'"):
        labels(["a-1", "a1"], "session")
    with pytest.raises(ExportError, match="no letter"):
        labels(["--"], "participant")
    assert task_label("Clips & eyes, 2nd study") == "ClipsEyes2ndStudy" and task_label("…") == "emotion"


def test_a_tracker_of_one_eye_gives_one_recording(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", n_participants=1, n_trials=1, more=PUBLISH.format(more=""), with_video=False)
    path = study.session_path("P001", "01")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        rows = file[GAZE.path][:]
        for name in ("gaze_norm", "gaze_user_mm", "origin_user_mm", "pupil_mm"):
            rows[f"right_{name}"] = np.nan
        for name in ("gaze_valid", "pupil_valid", "origin_valid"):
            rows[f"right_{name}"] = 0
        file[GAZE.path][:] = rows
    build_clip_index(study)
    export_bids(study, tmp_path / "out", workers=1)
    recordings = {path.name.split("_recording-")[1] for path in (tmp_path / "out").rglob("*_recording-eye*.tsv.gz")}
    assert recordings == {"eye1_physio.tsv.gz", "eye1_physioevents.tsv.gz"}
    done = import_bids(tmp_path / "out", tmp_path / "back")
    with open_session(done.runs[0].path) as session:
        rows = session.table(GAZE)[:]
    assert rows["left_gaze_valid"].any() and not rows["right_gaze_valid"].any()


def test_a_covered_face_is_named_so_and_keeps_its_times(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "study", n_participants=1, n_trials=1, more=PUBLISH.format(more="").replace('"video"', '"blurred"')
    )
    consent(study.session_path("P001", "01"), face_sharing=1)
    build_clip_index(study)
    export_bids(study, tmp_path / "out", workers=1)
    (sidecar,) = (tmp_path / "out").rglob("*_video.json")
    about = json.loads(sidecar.read_text(encoding="utf-8"))
    (frames,) = (tmp_path / "out").rglob("*_recording-face_physio.tsv.gz")
    assert about["FaceBlurred"] is True and "blurred" in about["Description"]
    assert about["VideoFrameCount"] == len(pd.read_csv(frames, sep="\t", header=None))
