from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import TrainingError
from data_schema.vocabularies import EMOTIONS
from emer_model.report import tables, write_report
from emer_model.report.gather import gather
from emer_model.report.page import render
from emer_model.report.ranking import compare_all, overview
from emer_model.training import train


class Page(HTMLParser):
    """Collect text, tags and references of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.references: list[str] = []
        self.figures: list[dict] = []
        self.text = ""
        self._inside: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        if "id" in given:
            self.ids.add(given["id"])
        self.references += [given[key] for key in ("href", "src") if key in given]
        if tag in ("script", "style"):
            self._inside.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data
        elif self._inside[-1][1].get("type") == "application/json":
            self.figures.append(json.loads(data))


@pytest.fixture(scope="module")
def runs(tiny_export: Path, tiny_run: Path, tiny_config, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("report-runs")
    small = {"model": "face-only", "epochs": 1, "face_backbone": "descriptor", "face_training": "frozen"}
    train(tiny_export, folder / "face", tiny_config(**small), device="cpu", threads=1)
    config = tiny_config(protocol="fer-va", **small)
    train(tiny_export, folder / "valence", config, folds="1", device="cpu", threads=1)
    return [tiny_run, folder / "face", folder / "valence"]


@pytest.fixture(scope="module")
def html(runs: list[Path], tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    size = write_report(runs, tiny_export, out)
    assert size == out.stat().st_size < 6_000_000
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    return out.read_text(encoding="utf-8")


def test_page_stands_alone(html: str) -> None:
    page = Page(html)
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= page.ids  # the contents lead somewhere
    assert html.count("plotly.js v") == 1
    assert not re.search(r"<link|@import|url\(", html[: html.index("plotly.js v")])


def test_page_says_what_was_asked(html: str, runs: list[Path]) -> None:
    page = Page(html)
    metrics = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
    for run in metrics[:2]:
        pooled = run["targets"]["er_emotion"]["pooled"]
        assert f"{pooled['uar']:.3f}" in page.text and f"{pooled['war']:.3f}" in page.text
    assert f"{metrics[2]['targets']['fer_valence']['pooled']['mae']:.3f}" in page.text
    for words in ("Simulated data", "simulated annotators", "replays a real recording", "always ", "sim-01", "P006"):
        assert words in page.text
    for section in (
        "summary",
        "overview",
        "comparison",
        "calibration",
        "gap",
        "runs",
        "quality",
        "provenance",
        "methods",
    ):
        assert section in page.ids


def test_figures_hold_the_numbers(html: str, runs: list[Path], tiny_export: Path) -> None:
    figures = Page(html).figures
    targets = pd.read_parquet(tiny_export / "targets.parquet")
    counts = [figure for figure in figures if figure["data"][0].get("x") == list(EMOTIONS)]
    assert counts[0]["data"][0]["y"] == [int((targets["er_emotion"] == e).sum()) for e in EMOTIONS]
    assert counts[0]["data"][1]["y"] == [int((targets["fer_emotion"] == e).sum()) for e in EMOTIONS]
    curves = [f for f in figures if any(t.get("name") == "fold 0" for t in f["data"])]
    stored = pd.read_csv(runs[0] / "curves.csv").query("fold == 0")["train_task"].round(4).tolist()
    assert stored in [curve["data"][0]["y"] for curve in curves]
    people = next(f for f in figures if f["data"][0]["type"] == "box")
    assert {trace["name"] for trace in people["data"]} == {"emert", "face"}
    assert all(set(trace["text"]) == {f"P{i:03d}" for i in range(1, 7)} for trace in people["data"])
    captions = re.findall(r"Figure (\d+)\.", html)
    assert [int(n) for n in captions] == list(range(1, len(figures) + 1))


def test_tables_hold_the_numbers(runs: list[Path], tiny_export: Path) -> None:
    data = gather(runs, tiny_export)
    gap = tables.agreement(data)
    counts = np.array([[cell["count"] for cell in row] for row in gap.cells])
    masked = (data.targets["er_emotion"] != data.targets["fer_emotion"]).sum()
    assert counts.sum() == 42 and counts.sum() - np.trace(counts) == masked == data.masked.sum()
    group = tables.comparison(data, compare_all(data))[0]
    order = sorted(data.runs[:2], key=lambda run: -run.summary["er_emotion"]["pooled"]["uar"])
    assert [row["model"] for row in group["rows"]] == [*(run.model for run in order), "no model"]
    assert group["rows"][0]["difference"]["value"] == "reference"
    values = [run.summary["er_emotion"]["pooled"]["uar"] for run in order]
    assert group["rows"][1]["difference"]["value"] == f"{values[1] - values[0]:+.3f}"
    assert sum(row["best"] for row in group["rows"]) >= 1
    trivial = group["rows"][-1]
    assert trivial["war"]["value"] == trivial["uar"]["value"] == "0.143"  # each of seven classes six times
    origins = [row["origin"] for row in tables.provenance(data)]
    assert origins == ["replays a real recording"] + ["simulated"] * 5


def test_all_models_stand_in_one_table_and_as_latex(runs: list[Path], tiny_export: Path, tmp_path: Path) -> None:
    data = gather(runs, tiny_export)
    table = overview(data)
    assert [c["target"] for c in table["columns"]] == ["er_emotion", "fer_valence", "fer_arousal"]
    by_name = {row["name"]: row["cells"] for row in table["rows"]}
    assert by_name["emert"][0]["value"] == data.runs[0].summary["er_emotion"]["pooled"]["uar"]
    assert by_name["emert"][1] == {"value": None, "best": False} and by_name["valence"][1]["best"]
    write_report(runs, tiny_export, tmp_path / "report.html", latex=tmp_path / "tables")
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        "all_models.tex", "er-7_er_emotion.tex", "fer-va_fer_valence.tex", "fer-va_fer_arousal.tex",
    }  # fmt: skip
    text = (tmp_path / "tables" / "all_models.tex").read_text(encoding="utf-8")
    uar = f"{by_name['face'][0]['value']:.3f}".replace("0.", ".")
    assert re.search(rf"^face & .*{re.escape(uar)}.* & -- & -- ", text, re.MULTILINE) and "simulated" in text


def test_what_users_wrote_cannot_become_code(own_export: Path, fixture, tiny_config, tmp_path: Path) -> None:
    manifest = json.loads((own_export / "manifest.json").read_text(encoding="utf-8"))
    manifest["study_title"] = "</title><script>alert(1)</script>"
    fixture.write_manifest(own_export, manifest)
    train(own_export, tmp_path / "run", tiny_config(model="face-only", epochs=1), folds="0", device="cpu", threads=1)
    html = render(gather([tmp_path / "run"], own_export))
    assert "<script>alert(1)" not in html and "&lt;script&gt;alert(1)" in html


def test_no_banner_on_real_data(fixture, tiny_config, tmp_path: Path) -> None:
    export = fixture.write_export(tmp_path / "export", face_px=28, frames=2, simulated=False)
    labels = pd.read_parquet(export / "labels.parquet").assign(annotator_kind="human")
    labels.to_parquet(export / "labels.parquet")
    fixture.change_targets(export, lambda t: t.assign(fer_emotion=None, fer_valence=np.nan))
    train(export, tmp_path / "run", tiny_config(model="face-only", epochs=1), folds="0", device="cpu", threads=1)
    html = render(gather([tmp_path / "run"], export))  # and without a single FER label
    assert "Simulated data" not in html and "the gap is unknown" in html


def test_runs_of_another_export_and_unfinished_runs(
    runs: list[Path], fixture, tiny_export: Path, tmp_path: Path
) -> None:
    other = fixture.write_export(tmp_path / "other", face_px=28, frames=2, seed=8)
    with pytest.raises(TrainingError, match="was trained on another export"):
        write_report(runs, other, tmp_path / "report.html")
    with pytest.raises(TrainingError, match="named twice"):
        write_report([runs[0], runs[0]], tiny_export, tmp_path / "report.html")
    with pytest.raises(TrainingError, match="Make it first"):
        write_report(runs, tiny_export, tmp_path / "none" / "report.html")
    assert not (tmp_path / "report.html").exists()
