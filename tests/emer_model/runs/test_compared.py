from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from emer_model.runs.compared import short_names


@pytest.fixture
def other_run(tiny_run: Path, tmp_path: Path, reseal):
    """Copy a run under another name; change each fold's predictions and the run's settings."""

    def make(name: str = "better", change=None, **config: dict) -> Path:
        run = tmp_path / name
        shutil.copytree(tiny_run, run)
        for path in sorted(run.glob("folds/fold-*/predictions.parquet")) if change else ():
            change(pd.read_parquet(path)).to_parquet(path, index=False)
        reseal(run)
        stored = json.loads((run / "config.json").read_text(encoding="utf-8"))
        for key, values in config.items():
            stored[key] = stored[key] | values
        (run / "config.json").write_text(json.dumps(stored), encoding="utf-8")
        return run

    return make


def mostly_right(table: pd.DataFrame) -> pd.DataFrame:
    right = np.arange(len(table)) % 5 > 0
    return table.assign(prediction=np.where(right, table["target"], table["prediction"]))


def run_json(capsys: pytest.CaptureFixture[str], *argv: object) -> dict:
    assert main(["compare", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_better_run_beside_a_worse_one(tiny_run: Path, other_run, capsys: pytest.CaptureFixture[str]) -> None:
    better = other_run(change=mostly_right)
    found = run_json(capsys, tiny_run, better)
    stored = json.loads((tiny_run / "metrics.json").read_text(encoding="utf-8"))["targets"]["er_emotion"]
    figures = {(r["run"], r["part"], r["metric"]): r for r in found["figures"]}
    assert figures[tiny_run.name, "pooled", "uar"]["value"] == pytest.approx(stored["pooled"]["uar"])
    assert figures[tiny_run.name, "masked", "war"]["value"] == pytest.approx(stored["masked"]["war"])
    for part, key in (("pooled", "intervals"), ("masked", "masked_intervals"), ("agreeing", "agreeing_intervals")):
        assert figures[tiny_run.name, part, "uar"]["low"] == pytest.approx(stored[key]["uar"]["low"])
    (row,) = [r for r in found["differences"] if (r["part"], r["fold"], r["metric"]) == ("pooled", None, "uar")]
    assert row["low"] > 0 and row["favours"] == "better" and row["against"] == tiny_run.name and row["p"] < 0.05
    folds = [r for r in found["differences"] if r["fold"] is not None and r["metric"] == "war"]
    assert [r["fold"] for r in folds] == [0, 1, 2] and not any(r["favours"] for r in folds)  # two people each
    assert found["simulated"] is True and found["against"] == {"er_emotion": tiny_run.name}

    assert main(["compare", str(tiny_run), str(better)]) == 0
    captured = capsys.readouterr()
    assert f"less {tiny_run.name}:" in captured.out and f"{row['difference']:+.3f}" in captured.out
    assert "clips only better gets right" in captured.out and "Holm" not in captured.out
    assert "facts about the simulation" in captured.err
    assert run_json(capsys, tiny_run, better, "--best")["against"] == {"er_emotion": "better"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"export": {"manifest_sha256": "0" * 64}}, "was trained on another export"),
        ({"settings": {"scheme": "loso"}}, "under the scheme loso, the other under subject"),
    ],
)
def test_runs_that_were_tested_otherwise(
    tiny_run: Path, other_run, capsys: pytest.CaptureFixture[str], config: dict, message: str
) -> None:
    other = other_run(change=mostly_right, **config)
    assert main(["compare", str(tiny_run), str(other)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err and "--common" in captured.err and captured.out == ""
    found = run_json(capsys, tiny_run, other, "--common")
    assert {row["n_clips"] for row in found["figures"] if row["part"] == "pooled"} == {42}


def test_common_clips_are_those_with_the_same_label(
    tiny_run: Path, other_run, capsys: pytest.CaptureFixture[str]
) -> None:
    def relabel(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[0, "target"] = "fear" if table.loc[0, "target"] != "fear" else "anger"
        return table.assign(fold=0)  # drawn anew

    other = other_run(change=relabel)
    shutil.rmtree(other / "folds" / "fold-2")
    assert main(["compare", str(tiny_run), str(other)]) == 1
    assert "has finished folds 0, 1, the other 0, 1, 2" in capsys.readouterr().err
    assert main(["compare", str(tiny_run), str(other), "--common", "--json"]) == 0
    captured = capsys.readouterr()
    assert "26 clips are common to all runs" in captured.err and "2 common clips have other labels" in captured.err
    found = json.loads(captured.out)
    assert all(row["fold"] is None for row in found["differences"])
    assert {row["n_clips"] for row in found["figures"] if row["part"] == "pooled"} == {26}
    assert (
        main(
            ["compare", str(other), str(other_run("none", lambda t: t.assign(clip_id="x" + t["clip_id"]))), "--common"]
        )
        == 1
    )
    assert "share no test clip" in capsys.readouterr().err


def test_an_export_that_is_gone_costs_the_parts_alone(
    tiny_run: Path, tiny_export: Path, other_run, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = other_run("moved", export={"path": "/nowhere/at/all"})
    assert main(["compare", str(moved), str(tiny_run), "--json"]) == 0
    captured = capsys.readouterr()
    assert "cannot be told apart" in captured.err and "--export" in captured.err
    assert {row["n_clips"] for row in json.loads(captured.out)["figures"] if row["part"] == "masked"} == {0}
    found = run_json(capsys, moved, tiny_run, "--export", tiny_export)
    assert all(row["n_clips"] > 10 for row in found["figures"])
    assert main(["compare", str(moved), str(tiny_run), "--export", str(tiny_run)]) == 2


def test_what_cannot_be_compared_is_said(tiny_run: Path, other_run, capsys: pytest.CaptureFixture[str]) -> None:
    fer = other_run("fer", settings={"protocol": "fer-7"})
    for arguments, code, message in (
        ([tiny_run], 2, "One run cannot be compared"),
        ([tiny_run, tiny_run], 2, "named twice"),
        ([tiny_run, fer], 2, "share no protocol"),
        ([tiny_run, fer, "--protocol", "er7"], 2, "expected one of er-3"),
        ([tiny_run, tiny_run.parent / "none"], 2, "no such folder"),
        ([tiny_run, tiny_run / "folds"], 1, "config.json does not exist"),
    ):
        assert main(["compare", *map(str, arguments)]) == code
        captured = capsys.readouterr()
        assert message in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_folders_are_named_by_as_much_as_tells_them_apart() -> None:
    assert short_names([Path("/a/one"), Path("/a/two")]) == ["one", "two"]
    assert short_names([Path("/a/x/run"), Path("/b/x/run")]) == ["a/x/run", "b/x/run"]
