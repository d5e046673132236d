"""A planted study is real files: checked, cut into clips, labelled, exported, and the same however it was made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from collection.simulation.cast import lay_out
from collection.simulation.planted_study import WORLD_NAME, plant_study
from collection.simulation.world import World
from data_schema.clips.index import clip_id
from data_schema.clips.table import load_clip_index
from data_schema.errors import StudyError
from data_schema.exports.training import export_training
from data_schema.labels import consensus, current_labels, read_labels
from data_schema.session import open_session
from data_schema.session.layout import GAZE, PLANTED
from data_schema.session.reader import file_sha256
from data_schema.session.validate import check_session
from data_schema.study import StudyFolder

WORLD = World(
    seed=7, participants=3, clips=9, clip_s=1.5, gap_s=1.0, missing_eyes_share=2 / 9, partial_loss_share=1 / 9,
    missing_face_share=1 / 9, unlabelled_share=2 / 9, annotators=2, rater_noise=0.0,
)  # fmt: skip
SETTINGS = {"export": {"face_frames": 4, "eye_chunks": 8}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Three participants of three clips, written in this process; read only but for its exports."""
    return plant_study(tmp_path_factory.mktemp("planted") / "world", WORLD, settings=SETTINGS, workers=1).study


def _flags() -> dict[str, list[str]]:
    flags: dict[str, list[str]] = {"unseen": [], "partly": [], "covered": [], "unlabelled": []}
    for code, hand in lay_out(WORLD).items():
        for clip in hand:
            name = clip_id(code, "01", clip.trial_id)
            if clip.lost_until:
                flags["unseen" if clip.lost_until - clip.lost_from == 1 else "partly"].append(name)
            if clip.covered:
                flags["covered"].append(name)
            if not clip.labelled:
                flags["unlabelled"].append(name)
    return flags


def test_every_file_is_good_and_says_that_it_is_simulated(planted: StudyFolder) -> None:
    files = planted.session_files()
    assert len(files) == 3
    for path in files:
        assert check_session(path) == []
        with open_session(path) as session:
            assert session.simulated
    assert "simulated" in planted.config.study.title
    assert World.from_json(json.loads((planted.root / WORLD_NAME).read_text(encoding="utf-8"))) == WORLD


def test_clips_lose_the_gaze_that_they_were_to_lose(planted: StudyFolder) -> None:
    clips = load_clip_index(planted.clip_index_path).set_index("clip_id")
    assert len(clips) == 9
    assert clips["included"].all()
    flags = _flags()
    share = clips["gaze_valid_share"]
    assert (share[flags["unseen"]] == 0).all()
    assert share[flags["partly"]].between(0.2, 0.85).all()
    assert (share.drop(flags["unseen"] + flags["partly"]) > 0.6).all()
    for path in planted.session_files():
        with open_session(path) as session:
            rows = session.table(GAZE)[:]
        seen = rows["left_gaze_valid"] == 1
        assert np.isfinite(rows["left_gaze_norm"][seen]).all()
        assert np.isnan(rows["left_gaze_norm"][~seen]).all()


def test_annotators_without_noise_agree_on_what_was_planted(planted: StudyFolder) -> None:
    labels = current_labels(read_labels(planted.label_places()))
    truth = {}
    for path in planted.session_files():
        with open_session(path) as session:
            for row in session.table(PLANTED.path)[:]:
                name = clip_id(session.participant, session.session, int(row["trial_id"]))
                truth[name, "er"], truth[name, "fer"] = row["felt_emotion"].decode(), row["shown_emotion"].decode()
    flags = _flags()
    for task in ("er", "fer"):
        said = consensus(labels, task).set_index("clip_id")["emotion"].dropna()
        expected = {name for name, of in truth if of == task} - set(flags["unlabelled"])
        if task == "fer":
            expected -= set(flags["covered"])
        assert set(said.index) == expected
        assert all(said[name] == truth[name, task] for name in expected)
    assert set(labels["annotator_kind"]) == {"simulated"}


def test_the_same_world_is_the_same_bytes_however_many_processes_write_it(planted: StudyFolder, tmp_path: Path) -> None:
    again = plant_study(tmp_path / "again", WORLD, settings=SETTINGS, workers=2).study
    for path in planted.session_files():
        assert file_sha256(path) == file_sha256(again.root / path.relative_to(planted.root))
    first, second = (
        current_labels(read_labels(study.label_places()))
        .sort_values(["annotator_id", "task", "clip_id"])
        .reset_index(drop=True)
        .drop(columns=["label_id", "created_utc", "row_id"], errors="ignore")
        for study in (planted, again)
    )
    content = ["annotator_id", "task", "clip_id", "emotion", "polarity", "valence", "arousal", "intensity"]
    pd.testing.assert_frame_equal(first[content], second[content])


def test_the_export_runs_on_it_and_masks_what_is_missing(planted: StudyFolder) -> None:
    result = export_training(planted, planted.exports_dir / "training", workers=1)
    assert result.counts["clips"] == 9
    assert result.counts["clips_with_er_emotion"] == 7
    clips = pd.read_parquet(result.path / "clips.parquet").set_index("clip_id")
    flags = _flags()
    assert (clips.loc[flags["covered"], "n_faces"] == 0).all()
    assert (clips.drop(flags["covered"])["n_faces"] >= 3).all()
    assert clips["simulated"].all()


def test_annotators_who_come_later_label_the_rest_with_the_same_noise(tmp_path: Path) -> None:
    from annotation.simulate import simulate_labels

    world = World(
        participants=1, clips=4, clip_s=1.0, gap_s=0.6, fps=0, unlabelled_share=0.5, annotators=1, rater_noise=0.0
    )
    study = plant_study(tmp_path / "world", world, workers=1).study
    passes = {one.task: one for one in simulate_labels(study, n_annotators=1)}
    assert (passes["er"].n_present, passes["er"].n_added) == (2, 2)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StudyError, match="not empty"):
        plant_study(tmp_path, WORLD)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("collection.simulation.planted_study.write_planted_session", full)
    with pytest.raises(StudyError, match="nothing was left behind"):
        plant_study(tmp_path / "world", World(participants=1, clips=1, clip_s=1.0, fps=0), workers=1)
    assert list(tmp_path.iterdir()) == []


def test_the_command_has_every_parameter_of_the_world_with_its_default() -> None:
    import inspect
    from dataclasses import fields

    from collection.commands.plant import plant

    options = {name: item.default for name, item in inspect.signature(plant).parameters.items()}
    for item in fields(World):
        # --clips follows --participants where it is not given.
        assert options[item.name] == (0 if item.name == "clips" else item.default), item.name


def test_the_command_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    import typer

    from collection.commands.plant import plant

    app = typer.Typer()
    app.command()(plant)
    folder = tmp_path / "world"
    arguments = [str(folder), "--participants", "1", "--clips", "2", "--clip-s", "1", "--fps", "0", "--workers", "1"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(folder)
    assert "2 clips of 1 simulated participant" in done.stderr
    assert "emer export training" in done.stderr
