from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.errors import LabelError, TrainingError
from data_schema.exports.folds import Split
from data_schema.exports.reading import TrainingExport
from data_schema.labels.guess_table import (
    GUESS_COLUMNS,
    PROBABILITY_COLUMNS,
    check_guesses,
    read_guesses,
    write_guesses,
)
from data_schema.vocabularies import EMOTIONS
from emer_model.evaluation.guesses import guess_clips, may_judge, model_sha256
from emer_model.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def guesses(tiny_run: Path) -> pd.DataFrame:
    return guess_clips(RunFolder(tiny_run), device="cpu")


def test_every_clip_is_guessed_and_the_words_belong_to_the_probabilities(
    guesses: pd.DataFrame, tiny_export: Path
) -> None:
    with TrainingExport.open(tiny_export) as export:
        clips = export.clips
    assert list(guesses.columns) == list(GUESS_COLUMNS)
    assert guesses["clip_id"].tolist() == clips["clip_id"].tolist()
    assert guesses["clip_sha256"].tolist() == clips["session_sha256"].tolist()
    p = guesses[list(PROBABILITY_COLUMNS)].to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert guesses["emotion"].tolist() == [EMOTIONS[k] for k in p.argmax(axis=1)]
    assert set(guesses["task"]) == {"er"}
    assert guesses["valence"].isna().all(), "er-7 learns no valence"


def test_a_guess_of_a_test_clip_is_that_of_its_own_fold(guesses: pd.DataFrame, tiny_run: Path) -> None:
    """Three folds: one model neither trained nor validated on a participant, the one that tests on them."""
    stored = RunFolder(tiny_run).predictions().set_index("clip_id")
    assert set(guesses["n_models"]) == {1}
    found = guesses.set_index("clip_id").loc[stored.index]
    np.testing.assert_allclose(found[list(PROBABILITY_COLUMNS)], stored[list(PROBABILITY_COLUMNS)], atol=2e-6)


def test_no_model_judges_whom_it_learned_from() -> None:
    splits = [Split(0, ("B", "C"), ("D",), ("A",)), Split(1, ("A", "C"), ("B",), ("D",))]
    allowed = may_judge(["A", "B", "C", "D", "new"], splits)
    assert allowed.T.tolist() == [[1, 0], [0, 1], [1, 1], [0, 1], [1, 1]]


def test_a_changed_checkpoint_is_another_model(tiny_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy)
    before = model_sha256(RunFolder(copy), (0, 1))
    best = RunFolder(copy).fold(1) / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-1] + b"\x00\x01")
    assert model_sha256(RunFolder(copy), (0, 1)) != before


def test_a_run_without_an_emotion_has_none_to_guess(tiny_export: Path, tiny_config, tmp_path: Path) -> None:
    from emer_model.training import train

    train(tiny_export, tmp_path / "va", tiny_config(protocol="er-va", epochs=1), folds="0", device="cpu", threads=1)
    with pytest.raises(TrainingError, match="er-7 or fer-7"):
        guess_clips(RunFolder(tmp_path / "va"), device="cpu")


def test_predict_writes_where_it_is_told_and_replaces_nothing(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "guesses.parquet"
    arguments = ["predict", str(tiny_run), "--out", str(out), "--device", "cpu"]
    assert main(arguments) == 0
    table = read_guesses(out)
    before = out.read_bytes()
    assert main(arguments) == 1
    assert out.read_bytes() == before
    assert len(table)


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
        ("task", "fer", "one pass a file"),
        ("valence", -3.0, "valence of clip"),
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
    (tmp_path / "foreign.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(LabelError, match="cannot be read"):
        read_guesses(tmp_path / "foreign.parquet")
    with pytest.raises(LabelError, match="emer predict"):
        read_guesses(tmp_path / "missing.parquet")
