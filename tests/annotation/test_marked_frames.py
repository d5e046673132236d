"""What `emer annotate frames` writes is what was marked: the number burnt into each picture is the one in the log."""

from __future__ import annotations

from pathlib import Path

import av
import h5py
import numpy as np
import pandas as pd
import pytest

from annotation.marked_frames import FRAME_COLUMNS
from annotation.playback.session_clip import SessionClipFrames
from data_schema.cli import main
from data_schema.clips.index import load_clip_index
from data_schema.labels import LabelStore
from data_schema.labels.entries import Judged, Mark
from data_schema.study import StudyFolder

from .labelled_study import burnt_number


def mark_some(study: StudyFolder, annotator: str, seed: int) -> dict[str, int]:
    """Mark an apex and an onset in every clip, and take every third mark back; returns frame numbers by row id."""
    rng, holds = np.random.default_rng(seed), {}
    study.labels_dir.mkdir(exist_ok=True)
    with LabelStore.open(study.labels_dir / f"{annotator}.sqlite", annotator, "simulated") as store:
        for n_marked, clip in enumerate(load_clip_index(study).itertuples()):
            about = Judged(clip.clip_id, clip.session_sha256, "fer")
            frames = SessionClipFrames(study.root / clip.session_file, clip.t_start_us, clip.t_end_us)
            for kind in ("apex", "onset"):
                meant = frames.identity(int(rng.integers(len(frames))))
                (row,) = store.write([Mark(about, kind, meant.frame_index, meant.frame_pts)])
                holds[row] = meant.frame_index
            if n_marked % 3 == 2:
                store.write([Mark(about, "onset", meant.frame_index, meant.frame_pts, removes=row)])
                del holds[row]
            store.write([Mark(about, "flag")])
            frames.close()
    return holds


def picture(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_every_picture_is_the_frame_that_was_marked(video_study: StudyFolder, tmp_path: Path) -> None:
    expected = mark_some(video_study, "a01", 1) | mark_some(video_study, "a02", 2)
    out = tmp_path / "frames"
    assert main(["annotate", "frames", str(video_study.root), str(out)]) == 0
    table = pd.read_csv(out / "frames.csv", keep_default_na=False)
    assert list(table.columns) == list(FRAME_COLUMNS)
    assert dict(zip(table["row_id"], table["frame_index"], strict=True)) == expected
    assert set(table["annotator_id"]) == {"a01", "a02"}
    assert set(table["problem"]) == {""}
    mismatches = [
        row.image for row in table.itertuples() if burnt_number(picture(out / row.image)) != expected[row.row_id]
    ]
    assert mismatches == []
    # Lossless: the picture is the decoded frame, bit by bit.
    row = table.iloc[3]
    clip = load_clip_index(video_study).set_index("clip_id").loc[row["clip_id"]]
    frames = SessionClipFrames(video_study.root / clip["session_file"], clip["t_start_us"], clip["t_end_us"])
    index = row["frame_index"] - frames.identity(0).frame_index
    assert (picture(out / row["image"]) == frames.frame(index)).all()
    assert frames.identity(index).frame_pts == row["frame_pts"]
    assert frames.times_us[index] == row["time_us"]
    frames.close()


def test_only_what_is_asked_for_and_nothing_is_overwritten(
    video_study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark_some(video_study, "a01", 1)
    out = tmp_path / "frames"
    command = ["annotate", "frames", str(video_study.root), str(out), "--task", "fer", "--kind", "apex"]
    assert main(command) == 0
    assert set(pd.read_csv(out / "frames.csv")["kind"]) == {"apex"}
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    (out / "holiday.txt").write_text("mine", encoding="utf-8")
    assert main([*command, "--force"]) == 1
    assert (out / "holiday.txt").read_text(encoding="utf-8") == "mine"
    assert main([*command[:-1], "flag"]) == 2
    assert main(["annotate", "frames", str(video_study.root), str(tmp_path / "er"), "--task", "er"]) == 1
    assert "no frame is marked in the ER pass" in capsys.readouterr().err
    assert not (tmp_path / "er").exists()


def test_marks_of_a_recording_that_changed_are_told_and_the_rest_is_written(
    video_study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = mark_some(video_study, "a01", 1)
    clip = load_clip_index(video_study).iloc[0]
    frames = SessionClipFrames(video_study.root / clip["session_file"], clip["t_start_us"], clip["t_end_us"])
    meant = frames.identity(4)
    frames.close()
    with LabelStore.open(video_study.labels_dir / "a03.sqlite", "a03", "simulated") as store:
        store.write([Mark(Judged(clip["clip_id"], "0" * 64, "fer"), "apex", meant.frame_index, meant.frame_pts)])
        about = Judged(clip["clip_id"], clip["session_sha256"], "fer")
        store.write([Mark(about, "apex", meant.frame_index, meant.frame_pts + 1)])
        store.write([Mark(about, "apex", 99_999, 1)])
        store.write([Mark(Judged("sub-P777_ses-01_trial-001", "0" * 64, "fer"), "apex", 3, 4)])
    out = tmp_path / "frames"
    assert main(["annotate", "frames", str(video_study.root), str(out)]) == 1
    said = capsys.readouterr().err
    for reason in ("the recording changed", "the mark is of another recording", "is not in the clip", "no such clip"):
        assert reason in said
    table = pd.read_csv(out / "frames.csv", keep_default_na=False)
    assert (table["problem"] != "").sum() == 4
    assert sorted(table.loc[table["problem"] == "", "frame_index"]) == sorted(expected.values())
    assert (table.loc[table["problem"] != "", "image"] == "").all()


def test_no_picture_comes_from_a_session_that_was_recorded_anew_behind_the_clip_tables_back(
    video_study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Number and pts of the frame fit the new recording as well; only the file's hash tells."""
    expected = mark_some(video_study, "a01", 1)
    clip = load_clip_index(video_study).iloc[0]
    with h5py.File(video_study.root / clip["session_file"], "r+") as file:
        file.attrs["recorded"] = "anew"
    out = tmp_path / "frames"
    assert main(["annotate", "frames", str(video_study.root), str(out)]) == 1
    assert "changed since" in capsys.readouterr().err
    table = pd.read_csv(out / "frames.csv", keep_default_na=False)
    is_old = table["session_file"] == clip["session_file"]
    assert is_old.any() and (table.loc[is_old, "image"] == "").all()
    assert (table.loc[~is_old, "problem"] == "").all() and len(table) == len(expected)
