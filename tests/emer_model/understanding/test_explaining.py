from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.errors import UsageError
from data_schema.withdrawal.runs import clean_run
from data_schema.withdrawal.traces import Traces
from emer_model.report.gather import gather
from emer_model.report.page import render
from emer_model.training import RunFolder
from emer_model.training.run_folder import UNDERSTANDING_TABLES
from emer_model.understanding import PARTS, explain, read_explained


def _figures(run: Path, name: str, **chosen: str) -> pd.DataFrame:
    table = pd.read_csv(run / "understanding" / name)
    for column, value in {"part": "pooled", **chosen}.items():
        table = table[table[column] == value]
    return table


def test_every_part_writes_what_it_says(explained_run: Path) -> None:
    said = json.loads((explained_run / "understanding" / "explained.json").read_text(encoding="utf-8"))
    assert list(said["parts"]) == list(PARTS)
    listed = {name for part in said["parts"].values() for name in part["tables"]}
    assert listed == set(UNDERSTANDING_TABLES) == {name for names in PARTS.values() for name in names}
    assert {p.name for p in (explained_run / "understanding").iterdir()} == {"explained.json", *listed}


def test_whole_clips_give_the_figures_of_the_run(explained_run: Path) -> None:
    stored = json.loads((explained_run / "metrics.json").read_text(encoding="utf-8"))["targets"]
    for target, metric in (("er_emotion", "uar"), ("fer_emotion", "war"), ("fer_intensity", "mae")):
        expected = stored[target]["pooled"][metric]
        row = _figures(explained_run, "ablations.csv", without="nothing", target_name=target, metric=metric)
        assert row["value"].item() == pytest.approx(expected, abs=1e-12) and row["difference"].isna().all()
        curve = _figures(explained_run, "missing.csv", target_name=target, metric=metric)
        assert curve.loc[curve["share"] == 0.0, "value"].tolist() == pytest.approx([expected] * 4, abs=1e-12)
    classes = pd.read_csv(explained_run / "understanding" / "classes.csv").query("target_name == 'er_emotion'")
    assert classes["recall"].mean() == pytest.approx(stored["er_emotion"]["pooled"]["uar"])


def test_all_of_a_modality_missing_is_the_modality_taken_away(explained_run: Path) -> None:
    away = pd.read_csv(explained_run / "understanding" / "ablations.csv").set_index(
        ["without", "target_name", "part", "metric"]
    )
    curves = pd.read_csv(explained_run / "understanding" / "missing.csv")
    last = curves[curves["share"] == 1.0].set_index(["what", "target_name", "part", "metric"])
    # This export holds no summaries of its own, so frames and clips without a face come to the same.
    for what, without in (("clips without eyes", "eyes"), ("clips without face", "face"), ("face frames", "face")):
        pd.testing.assert_frame_equal(last.loc[what].drop(columns="share"), away.loc[without])
    whole, blind = (away["value"].loc[(name, "fer_emotion", "pooled", "uar")] for name in ("nothing", "everything"))
    assert blind == pytest.approx(1 / 7)  # the same answer to every clip
    faceless = away.loc[("face", "fer_emotion", "pooled", "uar")]
    assert faceless["difference"] == pytest.approx(faceless["value"] - whole)
    assert faceless["difference_low"] <= faceless["difference"] <= faceless["difference_high"]


def test_parts_of_features_sum_to_the_answers(explained_run: Path) -> None:
    said = json.loads((explained_run / "understanding" / "explained.json").read_text(encoding="utf-8"))
    about = said["parts"]["attribution"]
    clips = pd.read_parquet(explained_run / "understanding" / "attribution_clips.parquet")
    sums = clips.groupby(["clip_id", "target_name"])["part"].sum().abs()
    assert about["method"] == "integrated gradients" and clips["clip_id"].nunique() == about["n_clips"] == 8
    assert about["greatest_incompleteness"] < 0.05 * sums.max() and sums.max() > 0.1
    assert set(clips["modality"]) == {"face", "eyes", "fixations"}
    assert set(clips["feature"]) >= {"face", "eye_0", "fixation x_norm", "fixation count"}
    table = pd.read_csv(explained_run / "understanding" / "attribution.csv").query("group == 'all'")
    for level in ("feature", "modality"):
        shares = table[table["level"] == level].groupby("target_name")["share"].sum()
        assert shares.to_numpy() == pytest.approx(np.ones(3))


def test_attention_is_shared_out(explained_run: Path) -> None:
    table = pd.read_csv(explained_run / "understanding" / "attention.csv")
    sums = table.groupby(["input", "group_kind", "group"])["mean"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)), abs=1e-5)
    modalities = table[(table["input"] == "modality") & (table["group"] == "all")]
    assert modalities["step"].tolist() == ["face", "eye", "fixation", "summary"]
    assert {"all", "agreeing", "masked", "fear"} <= set(table["group"])


def test_the_same_again_bit_by_bit_and_other_parts_stay(
    explained_run: Path, tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(explained_run, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in (run / "understanding").iterdir()}
    arguments = ["explain", str(run), "--export", str(tiny_export), "--device", "cpu", "--clips", "8"]
    assert main([*arguments, "--parts", "ablations,attribution,gap"]) == 0
    assert {path.name: path.read_bytes() for path in (run / "understanding").iterdir()} == before
    printed = capsys.readouterr().out
    assert "without face" in printed and "rests on" in printed and "gap in emotion" in printed
    with pytest.raises(UsageError, match="--parts figures"):
        explain(RunFolder(run), tiny_export, parts=("figures",))


def test_report_shows_it_only_while_it_is_about_the_run(explained_run: Path, tiny_export: Path, tmp_path: Path) -> None:
    html = render(gather([explained_run], tiny_export))
    shown = _figures(explained_run, "ablations.csv", without="eyes", target_name="er_emotion", metric="uar")
    assert "What answers rest on" in html and f"{shown['value'].item():.3f}" in html
    assert "The gap as runs predict it" in html and "fixation x_norm" in html
    run = Path(shutil.copytree(explained_run, tmp_path / "run"))
    record = run / "understanding" / "explained.json"
    said = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps(said | {"checkpoints": {"0": "0" * 64}}), encoding="utf-8")
    data = gather([run], tiny_export)
    assert any("emer explain" in note for note in data.runs[0].notes)
    assert "What answers rest on" not in render(data)


def test_a_run_that_is_replaced_or_left_takes_it_along(explained_run: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(explained_run, tmp_path / "run")))
    (run.understanding / "mine.txt").write_text("a note", encoding="utf-8")
    people = pd.read_csv(run.understanding / "participants.csv")["participant"]
    clean_run(run.root, Traces(people[0]))
    for name in ("participants.csv", "attribution_clips.parquet", "gap_clips.csv"):
        path = run.understanding / name
        left = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        assert people[0] not in set(left["participant"]) and len(left)
    assert read_explained(run) is not None
    run.prepare(run.config(), overwrite=True)
    assert [path.name for path in run.understanding.iterdir()] == ["mine.txt"]


def test_two_runs_of_one_task_each(explained_run: Path, tiny_export: Path, tiny_run: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(tiny_run, tmp_path / "run")))
    said = explain(run, tiny_export, parts=("gap",), device="cpu")
    assert said["parts"]["gap"]["tables"] == [] and "--with" in said["parts"]["gap"]["note"]
    said = explain(run, tiny_export, parts=("gap",), other=RunFolder(explained_run), device="cpu")
    gap = pd.read_csv(run.understanding / "gap_clips.csv")
    assert said["parts"]["gap"]["other"] == "eyeface" and set(said["parts"]["gap"]["figures"]) == {"emotion"}
    own = pd.read_parquet(tiny_run / "predictions.parquet").set_index("clip_id")["prediction"]
    assert gap["predicted_er"].tolist() == own.reindex(gap["clip_id"]).tolist()
