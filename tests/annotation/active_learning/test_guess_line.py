"""From a table of guesses through the desk to the report, over a study with real video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotation.desk.desk import Desk
from annotation.sources.study import StudySource
from data_schema.cli import main
from data_schema.clips.index import load_clip_index
from data_schema.labels import read_log
from data_schema.labels.guess_table import PROBABILITY_COLUMNS, guess_table_path, write_guesses
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS

MODEL = "c" * 64


def write_table(study: StudyFolder, confidences: dict[str, float] | float = 0.95) -> pd.DataFrame:
    clips = load_clip_index(study)
    sure = [confidences if isinstance(confidences, float) else confidences[c] for c in clips["clip_id"]]
    rows = np.array([[(1 - p) / 6] * 7 for p in sure])
    rows[:, 1] = sure
    table = pd.DataFrame(rows, columns=list(PROBABILITY_COLUMNS)).assign(
        clip_id=clips["clip_id"], clip_sha256=clips["session_sha256"], task="fer", model_sha256=MODEL, n_models=5,
        emotion=EMOTIONS[1], confidence=sure, valence=-0.5, arousal=np.nan, intensity=2.0,
    )  # fmt: skip
    write_guesses(guess_table_path(study.annotation_dir, "fer"), table)
    return table


def watch(desk: Desk) -> None:
    """Look at every frame, as playing to the end does."""
    for index in range(len(desk.player.frames)):
        desk.player.seek(index)
        while desk.player.index != index or desk.player.image is None:
            desk.tick()
        desk.tick()


def label(desk: Desk, emotion: str) -> None:
    for field, value in (("emotion", emotion), ("valence", 0.25), ("arousal", 0.0), ("intensity", 1.0)):
        desk.set(field, value)
    desk.commit()


@pytest.fixture
def guessed_study(video_study: StudyFolder) -> StudyFolder:
    toml = video_study.config_path.read_text(encoding="utf-8")
    text = toml.replace("[annotation]\n", "[annotation]\ncontrol_share = 0.4\nrepeats_share = 0.0\n")
    video_study.config_path.write_text(text, encoding="utf-8")
    return StudyFolder(video_study.root)


def test_a_guess_is_seen_after_the_clip_taken_over_by_one_key_and_reported(
    guessed_study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(guessed_study)
    source = StudySource(guessed_study, "fer", "a01")
    offered = {item.clip_id: source.guess(item).offered for item in source.items()}  # type: ignore[union-attr]
    assert set(offered.values()) == {True, False}, "six clips at 0.4, this seed"
    desk = Desk(source)
    n_accepted = n_changed = 0
    for _ in source.items():
        assert desk.guess is None, "never before the clip was seen"
        watch(desk)
        assert (desk.guess is not None) == offered[desk.item.clip_id]
        if desk.guess is None:
            label(desk, "anger")
        elif n_accepted == 0:
            for field, value in (("arousal", 0.5),):
                desk.set(field, value)
            assert desk.perform("guess.accept")
            n_accepted += 1
        else:
            label(desk, "fear")
            n_changed += 1
    desk.close()
    log = read_log(guessed_study.label_files(), "guesses").set_index("clip_id")
    assert set(log["model_sha256"]) == {MODEL}
    assert log["outcome"].value_counts().to_dict() == {
        "accepted": n_accepted, "changed": n_changed, "control": list(offered.values()).count(False),
    }  # fmt: skip
    assert log.loc[log["outcome"] == "control", "shown_utc"].isna().all()
    assert log.loc[log["outcome"] != "control", "shown_utc"].notna().all()
    out = tmp_path / "ala.json"
    capsys.readouterr()
    assert (
        main(["annotate", "ala-report", str(guessed_study.root), "--task", "fer", "--draws", "100", "--out", str(out)])
        == 0
    )
    said = capsys.readouterr().out
    assert "taken over with one key" in said
    assert "Too few blind clips" in said
    report = json.loads(out.read_text(encoding="utf-8"))
    assert (report["n_shown"], report["n_control"]) == (n_accepted + n_changed, list(offered.values()).count(False))
    assert report["simulated"] is False
    assert main(["annotate", "ala-report", str(guessed_study.root), "--task", "er"]) == 1
    assert "emer predict" in capsys.readouterr().err


def test_what_the_model_is_least_sure_of_comes_first(guessed_study: StudyFolder) -> None:
    clips = load_clip_index(guessed_study)["clip_id"].tolist()
    write_table(guessed_study, {clip: 0.4 + 0.1 * k for k, clip in enumerate(clips)})
    assert [item.clip_id for item in StudySource(guessed_study, "fer", "a01").items()] == clips
    assert [item.clip_id for item in StudySource(guessed_study, "er", "a01").items()] != clips


def test_a_damaged_table_of_guesses_stops_no_annotator(
    guessed_study: StudyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    path = guess_table_path(guessed_study.annotation_dir, "fer")
    path.parent.mkdir()
    path.write_bytes(b"PAR1 no table")
    source = StudySource(guessed_study, "fer", "a01")
    assert source.guess(source.items()[0]) is None
    assert "without a model's guesses" in caplog.text
