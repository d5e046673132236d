from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.errors import LabelError, UsageError
from data_schema.exports.reading import TrainingExport
from data_schema.labels.guess_table import (
    GUESS_COLUMNS,
    PROBABILITY_COLUMNS,
    UNCERTAINTY_COLUMNS,
    check_guesses,
    read_guesses,
    write_guesses,
)
from data_schema.vocabularies import EMOTIONS
from emer_model.evaluation.calibration import apply_temperature, fold_temperatures
from emer_model.prediction.predicting import Prediction, model_sha256, predict_source
from emer_model.prediction.tables import CLIP_COLUMNS, guess_tables, prediction_table, target_columns
from emer_model.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def prediction(linear_run: Path) -> Prediction:
    return predict_source(RunFolder(linear_run), device="cpu")


@pytest.fixture(scope="module")
def guesses(prediction: Prediction) -> pd.DataFrame:
    return guess_tables(prediction)["fer"]


def test_every_clip_is_judged_for_every_target(prediction: Prediction, tiny_export: Path) -> None:
    with TrainingExport.open(tiny_export) as export:
        clips = export.clips
    table = prediction_table(prediction)
    names = [name for target in prediction.judged.targets for name in target_columns(target)]
    assert list(table.columns) == [*CLIP_COLUMNS, *names]
    assert table["clip_id"].tolist() == clips["clip_id"].tolist()
    assert table["clip_sha256"].tolist() == clips["session_sha256"].tolist()
    assert set(table["n_own_clips"]) == {7}
    assert table["fer_intensity"].between(0, 3).all() and (table["fer_intensity_expected_error"] > 0).all()
    p = table[[f"er_emotion_p_{name}" for name in EMOTIONS]].to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert table["er_emotion"].tolist() == [EMOTIONS[k] for k in p.argmax(axis=1)]


def test_a_test_clip_is_judged_by_its_own_fold_calibrated_on_validation(
    prediction: Prediction, linear_run: Path
) -> None:
    """Three folds: one model neither trained nor validated on a participant, the one that tests on them."""
    run = RunFolder(linear_run)
    stored = run.predictions()
    stored = stored[stored["target_name"] == "er_emotion"].set_index("clip_id")
    heats = fold_temperatures(run.fold_validation((0, 1, 2)), prediction.judged.targets)["er_emotion"]
    assert any(abs(heat - 1) > 0.01 for heat in heats.values())
    table = prediction_table(prediction).set_index("clip_id").loc[stored.index]
    assert set(table["n_models"]) == {1} and set(table["n_members"]) == {2}
    for fold, rows in stored.groupby("fold"):
        expected = apply_temperature(rows[list(PROBABILITY_COLUMNS)].to_numpy(), heats[int(fold)])
        found = table.loc[rows.index, [f"er_emotion_p_{name}" for name in EMOTIONS]]
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_disagreement_is_known_though_one_model_judges(prediction: Prediction) -> None:
    belief = prediction.judged.classes["er_emotion"]
    assert (belief.mutual_information > 0).all()
    assert (prediction.judged.values["fer_intensity"].spread > 0).all()


def test_both_passes_have_guesses_that_the_annotation_tool_reads(prediction: Prediction, tmp_path: Path) -> None:
    tables = guess_tables(prediction)
    assert set(tables) == {"er", "fer"}
    for task, table in tables.items():
        write_guesses(tmp_path / f"{task}.parquet", table)
        read = read_guesses(tmp_path / f"{task}.parquet", task)
        assert list(read.columns) == [*GUESS_COLUMNS, *UNCERTAINTY_COLUMNS]
        assert read[["entropy", "margin", "mutual_information", "n_members"]].notna().all(axis=None)
    assert tables["er"]["intensity"].isna().all() and tables["fer"]["intensity"].notna().all()


def test_passes_with_dropout_are_repeated_by_their_seed(tiny_run: Path) -> None:
    run = RunFolder(tiny_run)

    def ask(n: int, seed: int = 0) -> Prediction:
        return predict_source(run, device="cpu", mc_dropout=n, seed=seed, clips=["sub-P001_ses-01_trial-002"])

    once, again, other, without = ask(2), ask(2), ask(2, 1), ask(0)
    first, second = (p.judged.classes["er_emotion"] for p in (once, again))
    assert first.probabilities.tobytes() == second.probabilities.tobytes()
    assert first.probabilities.tobytes() != other.judged.classes["er_emotion"].probabilities.tobytes()
    assert once.judged.n_members[0] == 2 * without.judged.n_members[0]
    assert len({p.model_sha256 for p in (once, other, without)}) == 3


def test_a_model_without_dropout_says_so(linear_run: Path) -> None:
    with pytest.raises(UsageError, match="no dropout"):
        predict_source(RunFolder(linear_run), device="cpu", mc_dropout=5)


def test_clips_that_every_model_learned_from_are_named(linear_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(linear_run, tmp_path / "run")
    for fold in (1, 2):
        shutil.rmtree(run / f"folds/fold-{fold}")
    said = " ".join(predict_source(RunFolder(run), device="cpu").notes)
    assert (
        "1 of 3 folds finished" in said
        and "28 clip(s), such as sub-P002_ses-01_trial-001, are judged by models that" in said
    )
    assert not any("learned from them" in note for note in predict_source(RunFolder(linear_run), device="cpu").notes)


def test_new_people_are_judged_by_all_folds(linear_run: Path, fixture, tmp_path: Path) -> None:
    new = fixture.write_export(tmp_path / "new", participants=8, clips=2, face_px=28, frames=2, seed=5)
    found = predict_source(RunFolder(linear_run), new, device="cpu")
    models = dict(zip(found.judged.participants, found.judged.n_models, strict=True))
    assert (models["P001"], models["P007"], models["P008"]) == (1, 3, 3)
    said = " ".join(found.notes)
    assert "2 new participant(s) (P007, P008)" in said and "P007: 2 clips" in said


def test_clips_without_a_face_or_eyes_are_answered_and_named(linear_run: Path, fixture, tmp_path: Path) -> None:
    export = fixture.write_export(tmp_path / "export", participants=3, clips=3, face_px=28, frames=2, seed=6)
    for name in ("eye_mask", "fixation_mask"):
        fixture.change_shard(export, name, lambda mask: mask & (np.arange(3) != 0).reshape(3, *[1] * (mask.ndim - 1)))
    fixture.change_shard(export, "face_mask", lambda mask: mask & (np.arange(3) != 1)[:, None])
    found = predict_source(RunFolder(linear_run), export, device="cpu")
    assert found.judged.missing[:3] == ("eyes", "face", "")
    assert np.isfinite(found.judged.classes["er_emotion"].probabilities).all()
    said = " ".join(found.notes)
    assert "by the face alone" in said and "by the eyes alone" in said


def test_an_export_with_other_features_is_refused(linear_run: Path, fixture, tmp_path: Path, capsys) -> None:
    export = fixture.write_export(tmp_path / "other", participants=3, eye_features=4, face_px=28, frames=2)
    assert main(["predict", str(linear_run), str(export), "--device", "cpu"]) == 1
    assert "other features" in capsys.readouterr().err


def test_a_changed_checkpoint_is_another_model(linear_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(linear_run, copy)
    before = model_sha256(RunFolder(copy), (0, 1))
    best = RunFolder(copy).fold(1) / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-1] + b"\x00\x01")
    assert model_sha256(RunFolder(copy), (0, 1)) != before


def test_the_verb_prints_writes_where_it_is_told_and_replaces_nothing(
    linear_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["predict", str(linear_run), "--device", "cpu"]
    clip = [*base, "--clip", "sub-P002_ses-01_trial-004"]
    assert main(clip) == 0
    shown = capsys.readouterr().out
    assert "sub-P002_ses-01_trial-004" in shown and "fer_intensity" in shown and "sub-P003" not in shown
    assert main([*clip, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["er_emotion"] in EMOTIONS
    arguments = [*base, "--guesses", str(tmp_path), "--out", str(tmp_path / "all.csv")]
    assert main(arguments) == 0
    assert len(read_guesses(tmp_path / "guesses_fer.parquet", "fer")) == len(pd.read_csv(tmp_path / "all.csv")) == 42
    before = (tmp_path / "guesses_er.parquet").read_bytes(), (tmp_path / "all.csv").read_bytes()
    assert main(arguments) == 2 and main([*base, "--guesses", str(tmp_path)]) == 2
    assert before == ((tmp_path / "guesses_er.parquet").read_bytes(), (tmp_path / "all.csv").read_bytes())
    assert main([*base, "--out", str(tmp_path / "all.xlsx")]) == 2
    assert main([*base, "--clip", "sub-P002_ses-01_trial-099"]) == 2
    assert "has no such clip" in capsys.readouterr().err


def test_guesses_of_a_whole_export_go_to_its_study(linear_run: Path, tiny_export: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(tiny_export, study / "exports" / "first")
    (study / "study.toml").write_text("[study]\ntitle = 'Smiles'\n", encoding="utf-8")
    assert main(["predict", str(linear_run), str(study / "exports" / "first"), "--device", "cpu"]) == 0
    assert sorted(path.name for path in (study / "annotation").iterdir()) == [
        "guesses_er.parquet",
        "guesses_fer.parquet",
    ]


def damaged(guesses: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    table = guesses.copy()
    table[column] = table[column].astype(object)
    table.loc[table.index[3], column] = value
    return table


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("emotion", "joy", "joy"),
        ("p_fear", 3.0, "do not belong"),
        ("p_fear", -0.5, "do not belong"),
        ("p_fear", float("nan"), "do not belong"),
        ("confidence", 0.01, "do not belong"),
        ("task", "er", "one pass a file"),
        ("valence", -3.0, "valence of clip"),
        ("mutual_information", 1.5, "mutual_information of clip"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    guesses: pd.DataFrame, tmp_path: Path, column: str, value: object, words: str
) -> None:
    with pytest.raises(LabelError, match=words):
        write_guesses(tmp_path / "g.parquet", damaged(guesses, column, value))
    assert not (tmp_path / "g.parquet").exists()


def test_a_clip_twice_a_lacking_column_and_a_foreign_file_are_refused(guesses: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="twice"):
        check_guesses(pd.concat([guesses, guesses.head(1)]), "g")
    with pytest.raises(LabelError, match="model_sha256"):
        check_guesses(guesses.drop(columns="model_sha256"), "g")
    older = check_guesses(guesses[list(GUESS_COLUMNS)], "g")
    assert older[list(UNCERTAINTY_COLUMNS)].isna().all(axis=None), "tables of earlier toolkits stay readable"
    (tmp_path / "foreign.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(LabelError, match="cannot be read"):
        read_guesses(tmp_path / "foreign.parquet")
    with pytest.raises(LabelError, match="emer predict"):
        read_guesses(tmp_path / "missing.parquet")
