from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from data_schema.cli import main
from data_schema.errors import TrainingError, UsageError
from data_schema.exports.reading import TrainingExport
from data_schema.exports.shards import ShardSettings
from data_schema.session.synthetic import make_synthetic_session
from emer_model.prediction.predicting import predict_source
from emer_model.prediction.settings import differing_versions, settings_of_export
from emer_model.prediction.sources import open_source
from emer_model.training.run_folder import RunFolder


@pytest.fixture(autouse=True)
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, so that what is left behind shows."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_a_session_file_is_judged_as_the_export_of_it_is(recorded: Path, own_temporary: Path) -> None:
    run, session = RunFolder(recorded / "run"), recorded / "sessions" / "sub-P001_ses-01.h5"
    found = predict_source(run, session, device="cpu")
    exported = predict_source(run, device="cpu").judged
    own = [i for i, who in enumerate(exported.participants) if who == "P001"]
    assert found.judged.clip_ids == tuple(exported.clip_ids[i] for i in own)
    np.testing.assert_allclose(
        found.judged.classes["er_emotion"].probabilities,
        exported.classes["er_emotion"].probabilities[own],
        atol=1e-7,
    )
    assert set(found.judged.missing) == {"face"} and not found.whole
    assert "camera frames" in found.weak[found.judged.clip_ids[0]], "an export of this rule would leave it out"
    assert not list(own_temporary.iterdir()), "nothing may be left behind"


def test_one_clip_is_judged_beside_its_siblings(recorded: Path) -> None:
    """The person's baseline is that of the whole session, whatever is asked about."""
    run, session = RunFolder(recorded / "run"), recorded / "sessions" / "sub-P001_ses-01.h5"
    whole = predict_source(run, session, device="cpu").judged
    one = predict_source(run, session, device="cpu", clips=[whole.clip_ids[1]]).judged
    assert one.clip_ids == whole.clip_ids[1:2] and one.n_own_clips.tolist() == [3]
    assert one.classes["er_emotion"].probabilities[0] == pytest.approx(whole.classes["er_emotion"].probabilities[1])


def test_a_folder_of_sessions_goes_on_past_a_bad_file(recorded: Path, tmp_path: Path, own_temporary: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    make_synthetic_session(
        folder / "sub-N001_ses-01.h5", participant="N001", n_trials=2, trial_s=1.0, rate_hz=120.0, with_video=False
    )
    make_synthetic_session(
        folder / "sub-N002_ses-01.h5", participant="N002", n_trials=1, trial_s=1.0, with_video=False, with_gaze=False
    )
    (folder / "sub-N003_ses-01.h5").write_bytes(b"no session")
    found = predict_source(RunFolder(recorded / "run"), folder, device="cpu")
    assert dict(zip(found.judged.participants, found.judged.n_models, strict=True)) == {"N001": 3, "N002": 3}
    assert found.judged.missing == ("face", "face", "face and eyes")
    said = " ".join(found.notes)
    assert "sub-N003_ses-01.h5" in said and "N001: 2 clips" in said and "as the average clip" in said
    assert not list(own_temporary.iterdir())


def test_a_run_knows_the_settings_of_its_export_when_that_is_gone(recorded: Path, tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "elsewhere" / "run"
    shutil.copytree(recorded / "run", run)
    content = json.loads((run / "config.json").read_text(encoding="utf-8"))
    content["export"]["path"] = "../gone"
    (run / "config.json").write_text(json.dumps(content), encoding="utf-8")
    session = recorded / "sessions" / "sub-P001_ses-01.h5"
    assert len(predict_source(RunFolder(run), session, device="cpu").judged) == 3
    with pytest.raises(TrainingError, match="no longer there"):
        predict_source(RunFolder(run), device="cpu")


def test_what_is_no_source_is_said(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(recorded / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "sub-P009_ses-01.h5").write_bytes(b"no session")
    for place, code, words in (
        ("nowhere", 2, "no such file"),
        ("empty", 2, "no training export and no session file"),
        ("notes.txt", 2, "no session file"),
        ("sub-P009_ses-01.h5", 1, "sub-P009"),
    ):
        assert main(["predict", run, str(tmp_path / place), "--device", "cpu"]) == code
        assert words in capsys.readouterr().err
    with pytest.raises(UsageError, match="no such clip"), open_source(recorded / "export", None, clips=["x"]):
        pass


def test_a_run_without_a_finished_fold_is_refused(recorded: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(recorded / "run", tmp_path / "run")
    for record in (tmp_path / "run").glob("folds/*/fold.json"):
        record.unlink()
    with pytest.raises(TrainingError, match="0 of 3 folds finished"):
        predict_source(RunFolder(tmp_path / "run"), recorded / "export", device="cpu")


def test_settings_come_back_from_a_manifest(recorded: Path) -> None:
    with TrainingExport.open(recorded / "export") as export:
        stored = export.manifest["settings"]
    assert differing_versions(stored) == []
    assert differing_versions(stored | {"signal_version": 1}) == ["signal version 1 there, 4 here"]
    settings = settings_of_export(stored | {"signals": {"fixations": {"velocity_threshold_deg_s": 100.0}}})
    assert settings.derived.signals.fixations.velocity_threshold_deg_s == 100.0
    assert (settings.eye_chunks, settings.face_frames) == (8, 2)
    again = settings_of_export(json.loads(json.dumps(settings.as_json())))
    assert again == settings
    assert settings_of_export({}).as_json()["signals"] == ShardSettings().as_json()["signals"]
    with pytest.raises(TrainingError, match="cannot be used"):
        settings_of_export({"signals": {"fixations": {"velocity_window_ms": -1}}})
