"""The whole line, from devices to a report, through the commands that a user types."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.exports.reading import TrainingExport
from data_schema.session import open_session
from data_schema.session.layout import PLANTED
from data_schema.study import StudyFolder, init_study

pytest.importorskip("torch", reason="needs torch")

PARTICIPANTS = ("P001", "P002", "P003", "P004")
SETTINGS: dict[str, dict[str, object]] = {
    "eye_tracker": {"rate_hz": 300.0},
    "camera": {"width_px": 480, "height_px": 270},
    "protocol": {"baseline_s": 0.5, "fixation_s": 0.2, "washout_s": 0.2},
    "recording": {"min_free_gb": 0.1},
    "calibration": {"points": 0, "validation_points": 0},
    "preflight": {"test_recording_s": 0.0},
    "export": {"face_frames": 4, "eye_chunks": 8},
    "folds": {"n": 4},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study with four simulated participants, labelled and exported."""
    root = tmp_path_factory.mktemp("line") / "mystudy"
    init_study(root, title="Line", clips_per_emotion=1, clip_s=1.2, settings=SETTINGS)
    for participant in PARTICIPANTS:
        options = ["--participant", participant, "--headless", "--speed", "20", "--no-quality-page"]
        assert main(["record", "rehearse", str(root), *options]) == 0
    assert main(["check", str(root)]) == 0
    assert main(["clips", str(root)]) == 0
    assert main(["annotate", "simulate", str(root), "--annotators", "3"]) == 0
    assert main(["export", "training", str(root), str(root / "exports" / "training"), "--workers", "1"]) == 0
    return StudyFolder(root)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_trained_run_evaluates_to_the_same_bits_and_reports(
    study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    export, run = study.exports_dir / "training", study.models_dir / "fer-7"
    code = main(
        [
            "train", str(export), "--protocol", "fer-7", "--model", "face-only", "--face-backbone", "compact",
            "--epochs", "2", "--folds", "all", "--out", str(run), "--allow-missing-classes",
        ]
    )  # fmt: skip
    assert code == 0
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["bit_identical"] is True
    assert result["changed_predictions"] == 0
    report = study.reports_dir / "report.html"
    assert main(["report", str(run), "--export", str(export), "--out", str(report)]) == 0
    text = report.read_text(encoding="utf-8")
    assert "imulated" in text
    assert 'src="http' not in text
    assert main(["status", str(study.root), "--json"]) == 0
    assert "report.html" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_faces_gaze_and_labels_reach_the_export_but_the_planted_truth_does_not(study: StudyFolder) -> None:
    root = study.exports_dir / "training"
    with TrainingExport.open(root) as export:
        assert export.manifest["simulated"] is True
        assert len(export.clips) == len(PARTICIPANTS) * 7
        assert set(export.clips["participant"]) == set(PARTICIPANTS)
        found = [export.read(clip_id) for clip_id in export.clips["clip_id"]]
        shares = [arrays["face_mask"].mean() for arrays in found]
        assert sum(shares) / len(shares) > 0.9
        assert all(arrays["eye_mask"].any() for arrays in found)
        targets = export.targets
        differ = (targets["er_emotion"] != targets["fer_emotion"]).mean()
        assert 0.1 < differ < 0.8
        columns = set(export.clips.columns) | set(targets.columns)
    assert not {"felt_emotion", "shown_emotion", "masked", "target_emotion"} & columns
    for path in root.rglob("*.parquet"):
        assert not {"felt_emotion", "shown_emotion", "target_emotion"} & set(pd.read_parquet(path).columns)
    assert b"felt_emotion" not in b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_labels_follow_what_was_planted(study: StudyFolder) -> None:
    """Annotators of the FER pass judge the face, those of the ER pass the feeling."""
    planted: dict[str, tuple[str, str]] = {}
    for path in study.session_files():
        with open_session(path) as session:
            table = session.table(PLANTED).frame()
            for row in table.itertuples():
                clip = f"sub-{session.participant}_ses-{session.session}_trial-{row.trial_id:03d}"
                planted[clip] = (row.felt_emotion, row.shown_emotion)
    with TrainingExport.open(study.exports_dir / "training") as export:
        targets = export.targets.set_index("clip_id")
    hits = pd.DataFrame(
        [(targets.at[clip, "er_emotion"] == felt, targets.at[clip, "fer_emotion"] == shown)
         for clip, (felt, shown) in planted.items()]
    ).mean()  # fmt: skip
    assert hits[0] > 0.6
    assert hits[1] > 0.6
