from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.errors import UsageError
from emer_model.benchmark import SUITE, choose_models
from emer_model.registry import DEFAULT_MODEL, MODELS
from emer_model.report.latex import escape, latex_table


def test_one_command_gives_tables_a_page_and_how_to_repeat_it(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("trees", 3), ("inner_folds", 2)):  # not what is measured here
        monkeypatch.setattr(MODELS[DEFAULT_MODEL], name, value)
    out = tmp_path / "benchmark"
    arguments = [
        "benchmark",
        str(tiny_export),
        "--protocol",
        "er-7,fer-intensity",
        "--models",
        "majority",
        "--folds",
        "0",
    ]
    arguments += ["--allow-missing-classes", "--device", "cpu", "--threads", "1", "--out", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "majority" in printed and DEFAULT_MODEL in printed and "fer_intensity" in printed
    figures = pd.read_csv(out / "figures.csv")
    for model in ("majority", DEFAULT_MODEL):
        metrics = json.loads((out / model / "metrics.json").read_text(encoding="utf-8"))["targets"]
        for target, metric in (("er_emotion", "war"), ("fer_intensity", "mae")):
            row = figures.query("run == @model and target_name == @target and part == 'pooled' and metric == @metric")
            assert row["value"].item() == pytest.approx(metrics[target]["pooled"][metric], abs=1e-9)
            assert row["low"].item() <= row["value"].item() <= row["high"].item()
    differences = pd.read_csv(out / "differences.csv")
    assert set(differences["run"]) == {"majority"} and set(differences["against"]) == {DEFAULT_MODEL}
    table = (out / "tables" / "er-7_er_emotion.tex").read_text(encoding="utf-8")
    assert table.count(r"\\") == 3 and "simulated participants" in table and r"\textbf{" in table
    about = json.loads((out / "benchmark.json").read_text(encoding="utf-8"))
    assert about["simulated"] is True and about["failed"] == {} and about["command"].startswith("emer benchmark")
    assert "majority" in (out / "report.html").read_text(encoding="utf-8")

    kept = (out / DEFAULT_MODEL / "folds/fold-0/best.safetensors").stat().st_mtime_ns
    assert main(arguments) == 0  # goes on: nothing is trained again
    assert (out / DEFAULT_MODEL / "folds/fold-0/best.safetensors").stat().st_mtime_ns == kept


def test_every_model_may_fail(own_export: Path, fixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixture.change_targets(own_export, lambda table: table.assign(er_emotion="fear"))
    options = ["--protocol", "er-7", "--models", "majority", "--device", "cpu", "--out", str(tmp_path / "benchmark")]
    assert main(["benchmark", str(own_export), *options]) == 1
    said = capsys.readouterr().err
    assert "0 model(s) could be trained" in said and "majority: targets.parquet: every clip" in said
    assert not (tmp_path / "benchmark").exists()


def test_models_are_chosen_by_name_or_group() -> None:
    assert choose_models("majority") == ("majority", DEFAULT_MODEL)
    assert choose_models("all") == SUITE and "emert" in SUITE and "emert-reference" not in SUITE
    assert set(SUITE) - set(choose_models("fitted")) - set(choose_models("networks")) == {"eyeface-stack"}
    with pytest.raises(UsageError, match="Did you mean 'majority'"):
        choose_models("majorty")


def test_latex_marks_the_best_and_escapes() -> None:
    columns = ["run", "target_name", "part", "metric", "value", "low", "high", "n_clips", "n_participants"]
    rows = [
        ["a_b", "er_valence", "pooled", "mae", 0.25, 0.2, 0.3, 9, 3],
        ["c", "er_valence", "pooled", "mae", 0.5, float("nan"), float("nan"), 9, 3],
        ["c", "er_valence", "masked", "mae", -0.125, float("nan"), float("nan"), 4, 3],
    ]
    table = latex_table(pd.DataFrame(rows, columns=columns), "er_valence", "50 % & more", "tab:x")
    assert r"a\_b & \textbf{.250} {\footnotesize [.200, .300]} & -- \\" in table
    assert r"c & .500 & \textbf{$-$.125} \\" in table and r"50 \% \& more" in table
    assert escape("a\\{~^}") == r"a\textbackslash{}\{\textasciitilde{}\textasciicircum{}\}"


def test_a_protocol_that_cannot_be_trained_does_not_stop_the_others(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["train", str(tiny_export), "--protocol", "er-7,fer-7", "--model", "majority", "--device", "cpu", "--out"]
    assert main([*command, str(run)]) == 0
    assert "fer-7: no training clip of fold 0 is labelled anger: left out" in capsys.readouterr().err
    assert json.loads((run / "metrics.json").read_text(encoding="utf-8"))["protocols"] == ["er-7"]
