"""What goes wrong in an export is said in a sentence, ends with exit code 1, and leaves nothing that looks finished."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.clips.index import build_clip_index
from data_schema.exports.reading import TrainingExport
from data_schema.exports.training import export_training
from data_schema.labels import Label, LabelStore
from data_schema.session.layout import GAZE

from ..studies import add_session, make_study

_ANYTHING = "[quality]\nmax_gaze_loss = 1.0\nmin_frames_share = 0.0"


def run_export(study, out, *options: str) -> int:
    return main(["export", "training", str(study.root), str(out), "--workers", "1", *options])


def nothing_finished(out: Path) -> bool:
    return not out.exists() and not (out.with_name(f"{out.name}.partial") / "manifest.json").exists()


def change_gaze(path: Path, change) -> None:
    """Rewrite the gaze of a session with ``change(rows)``, in place."""
    with h5py.File(path, "r+") as file:
        rows = file[GAZE.path][:]
        change(rows)
        file[GAZE.path][...] = rows


def lose(*sides: str):
    def change(rows) -> None:
        for side in sides:
            rows[f"{side}_gaze_valid"] = 0
            rows[f"{side}_gaze_norm"] = np.nan
            rows[f"{side}_pupil_valid"] = 0

    return change


def test_no_gaze_and_one_eye(tmp_path, caplog):
    study = make_study(tmp_path / "study", n_participants=4, more=_ANYTHING)
    change_gaze(study.session_path("P001", "01"), lose("left", "right"))
    change_gaze(study.session_path("P002", "01"), lose("left"))
    build_clip_index(study)
    assert run_export(study, tmp_path / "out") == 0
    # Said, not only masked: nobody looks at a mask.
    assert "sub-P001_ses-01: no gaze in any of its 2 clips: masked\n" in caplog.text
    assert "sub-P001_ses-01: no face in any of its 2 clips: masked; 3 more sessions have none" in caplog.text
    with TrainingExport.open(tmp_path / "out") as export:
        quality = export.quality.set_index("participant")
        assert quality.loc["P001", "gaze_loss_both"] == 1.0
        assert quality.loc["P002", "gaze_loss_left"] == 1.0
        assert quality.loc["P002", "gaze_loss_both"] < 0.2
        none, one = (export.read(f"sub-{code}_ses-01_trial-001") for code in ("P001", "P002"))
        assert not none["gaze_points_mask"].any() and not none["fixation_mask"].any()
        assert one["gaze_points_mask"].mean() > 0.8 and one["fixation_mask"].any()
    # With the usual rule such a session gives no clip, and the reason is told.
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("max_gaze_loss = 1.0", "max_gaze_loss = 0.5"), encoding="utf-8")
    again = type(study)(study.root)
    build_clip_index(again)
    study.folds_path.unlink()
    export_training(again, tmp_path / "second")
    card = (tmp_path / "second" / "data_card.md").read_text(encoding="utf-8")
    assert "2 of 8 clips of the study are not in here" in card
    assert "gaze lost in N% of the samples (at most N%) | 2" in card


def test_zero_trials(tmp_path, capsys):
    study = make_study(tmp_path / "study", n_participants=1, n_trials=0)
    assert main(["clips", str(study.root)]) in (0, 1)
    capsys.readouterr()
    assert run_export(study, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "lists no clip" in said and "Traceback" not in said
    assert nothing_finished(tmp_path / "out")


def test_a_clip_shorter_than_a_chunk(tmp_path, caplog):
    """At 120 Hz a clip of 50 ms has 6 samples for 32 chunks: they are masked, nothing is invented, and it is said."""
    study = make_study(tmp_path / "study", n_participants=3, trial_s=0.05, more=_ANYTHING)
    build_clip_index(study)
    with TrainingExport.open(export_training(study, tmp_path / "out").path) as export:
        arrays = export.read(export.clips["clip_id"][0])
    assert np.isfinite(arrays["eye"]).all()
    assert not arrays["eye_mask"].any()
    assert not arrays["eye"].any()
    assert "6 clips are too short for 32 chunks of eye features, such as sub-P001_ses-01_trial-001" in caplog.text


def test_labels_of_clips_that_do_not_exist(tmp_path, caplog):
    study = make_study(tmp_path / "study", n_participants=3, more=_ANYTHING)
    build_clip_index(study)
    study.labels_dir.mkdir()
    with LabelStore.open(study.labels_dir / "a01.sqlite", "a01", "human") as store:
        store.add(
            Label(clip_id="sub-P009_ses-01_trial-001", clip_sha256="0" * 64, view="face", task="fer", emotion="anger")
        )
    assert run_export(study, tmp_path / "out") == 0
    assert "1 labels are left out: the study has no such clip: sub-P009_ses-01_trial-001" in caplog.text
    with TrainingExport.open(tmp_path / "out") as export:
        assert export.manifest["counts"]["labels_of_unknown_clips"] == 1
        assert "sub-P009_ses-01_trial-001" not in set(export.labels["clip_id"])


def test_a_participant_in_two_folds(made, tmp_path, capsys):
    study = type(made[0])(shutil.copytree(made[0].root, tmp_path / "study"))
    text = '{"seed": 7, "n_folds": 3, "assignment": {"P001": 0, "P002": 1, "P003": 2, "P001": 1}}'
    study.folds_path.write_text(text, encoding="utf-8")
    assert run_export(study, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "says 'P001' twice" in said and "folds.json" in said and "Traceback" not in said
    assert nothing_finished(tmp_path / "out")


# ---------------------------------------------------------------- interrupted, for real

_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from data_schema.cli import main
sys.exit(main(["export", "training", *sys.argv[2:], "--workers", "1"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("limit", [40_000, 400_000])
def test_a_full_disk(copied, tmp_path, limit):
    """The kernel refuses to let a file grow: first derived data do not fit, then a shard."""
    study, _ = copied
    out = tmp_path / "out"
    shutil.rmtree(study.derived_dir)
    folds = study.folds_path.read_bytes()
    argv = [sys.executable, "-c", _LIMITED, str(limit), str(study.root), str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert nothing_finished(out)
    assert study.folds_path.read_bytes() == folds
    left = [*study.derived_dir.rglob("*.partial"), *out.with_name("out.partial").rglob("*.partial")]
    assert left == []
    assert run_export(study, out) == 0
    TrainingExport.open(out).close()


def test_a_killed_export_goes_on(copied, tmp_path, capsys):
    study, before = copied
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    code = "import sys; from data_schema.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = ["export", "training", str(study.root), str(out), "--workers", "1"]
    process = subprocess.Popen([sys.executable, "-c", code, *argv], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not list(partial.glob("shards/sub-*.h5")):
            assert time.monotonic() < deadline and process.poll() is None, process.stderr.read()
            time.sleep(0.001)
    finally:
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
        process.stderr.close()
    assert nothing_finished(out)
    n_done = len(list(partial.glob("shards/sub-*.h5")))
    stamps = {path.name: path.stat().st_mtime_ns for path in partial.glob("shards/sub-*.h5")}
    assert run_export(study, out) == 0
    said = capsys.readouterr().err
    assert f"{n_done} of 3 sessions taken over" in said or f"{n_done + 1} of 3 sessions taken over" in said
    for name, stamp in stamps.items():
        assert (out / "shards" / name).stat().st_mtime_ns == stamp
    with TrainingExport.open(out) as export, TrainingExport.open(before) as earlier:
        assert export.manifest["files"]["clips.parquet"] == earlier.manifest["files"]["clips.parquet"]
        assert [path.name for path in (out / "shards").iterdir() if path.suffix != ".h5"] == []


def test_unchanged_shards_are_neither_read_nor_written_again(copied):
    study, out = copied
    shards = sorted((out / "shards").glob("*.h5"))
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in shards]
    add_session(study, "P004", seed=11)
    build_clip_index(study)
    assert export_training(study, out, force=True).n_reused == 3
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in shards] == before


def test_status_notices_an_export_that_is_out_of_date(copied, capsys):
    study, out = copied
    (study.stimuli_dir).mkdir(exist_ok=True)
    (study.stimuli_dir / "s00.mp4").touch()

    def status() -> str:
        assert main(["status", str(study.root)]) == 0
        return capsys.readouterr().out

    assert "out of date" not in status()
    assert "signals      6 of 6 clips" in status()
    index = pd.read_parquet(study.clip_index_path)
    with LabelStore.open(study.labels_dir / "sim-01.sqlite", "sim-01", "simulated") as store:
        row = index.iloc[0]
        common = {"clip_id": row["clip_id"], "clip_sha256": row["session_sha256"], "view": "face"}
        store.add(Label(**common, task="fer", emotion="anger", polarity="negative", intensity=1.0))
    assert f"next: emer export training {study.root} {out} --force    (labels changed since)" in status()
    export_training(study, out, force=True)
    assert "out of date" not in status()
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", "[export]\neye_chunks = 16\n[folds]"), encoding="utf-8")
    assert "(settings changed since)" in status()
    study.config_path.write_text(text.replace("[folds]", "[blinks]\nmax_ms = 400.0\n[folds]"), encoding="utf-8")
    assert "signals      0 of 6 clips" in status()
    study.config_path.write_text(text, encoding="utf-8")
    add_session(study, "P004", seed=9)
    assert "next: emer clips" in status()
    build_clip_index(study)
    said = status()
    assert "(clips changed since)" in said
    assert "signals      6 of 8 clips: emer signals" in said
