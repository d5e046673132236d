from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnxscript", reason="needs onnxscript")

from data_schema.cli import main
from data_schema.errors import TrainingError, UsageError
from emer_model.prediction import onnx_export, onnx_graph
from emer_model.prediction.onnx_export import export_onnx
from emer_model.prediction.onnx_graph import run_graph
from emer_model.prediction.predicting import predict_source
from emer_model.training.opened import OpenedRun
from emer_model.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def graphs(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph of one fold, written by the verb."""
    out = tmp_path_factory.mktemp("onnx")
    assert main(["export-onnx", str(recorded / "run"), "--out", str(out), "--fold", "0"]) == 0
    return out


def prepared(described: dict, opened: OpenedRun) -> np.ndarray:
    """Do with plain numpy what the description says must be done with the summaries of all clips."""
    raw, mask = opened.store.summary.astype(np.float64), opened.store.summary_mask
    scale = described["normalisation"]
    limit = scale["limit"]
    x = np.clip((raw - scale["mean"]) / scale["spread"], -limit, limit)
    people = np.asarray(opened.store.participants)
    for who in np.unique(people) if scale["by_subject"] else []:
        own = np.where(mask[people == who], x[people == who], np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # features that were never measured
            m, s = np.nan_to_num(np.nanmean(own, axis=0)), np.nan_to_num(np.nanstd(own, axis=0))
        n = (~np.isnan(own)).sum(axis=0)
        w = n / (n + 2)
        x[people == who] = np.clip((x[people == who] - w * m) / np.sqrt(w * s**2 + 1 - w), -limit, limit)
    return np.where(mask, x, 0.0).astype(np.float32)


def test_a_graph_and_its_description_are_enough_to_repeat_a_prediction(graphs: Path, recorded: Path) -> None:
    described = json.loads((graphs / "fold-0.json").read_text(encoding="utf-8"))
    inputs = {one["name"]: one for one in described["inputs"]}
    assert all(one["shape"][0] == "batch" for one in inputs.values())
    with OpenedRun(RunFolder(recorded / "run"), device="cpu") as opened:
        assert list(opened.store.names["summary"]) == inputs["summary"]["features"]
        given = {"summary": prepared(inputs["summary"], opened)}
        given |= {name: getattr(opened.store, name) for name in inputs if name not in given}
        tested = np.flatnonzero(np.isin(opened.store.clip_ids, opened.splits[0].test))
    answers = run_graph((graphs / "fold-0.onnx").read_bytes(), {name: v[tested] for name, v in given.items()})
    judged = predict_source(RunFolder(recorded / "run"), device="cpu").judged
    expected = judged.classes["er_emotion"].probabilities[tested]
    (output,) = described["outputs"]
    assert output["name"] == "er_emotion" and len(output["classes"]) == 7
    np.testing.assert_allclose(answers["er_emotion"], expected, atol=1e-4)


def test_a_graph_says_nothing_about_the_machine(graphs: Path) -> None:
    content = (graphs / "fold-0.onnx").read_bytes() + (graphs / "fold-0.json").read_bytes()
    assert str(Path(onnx_graph.__file__).parents[2]).encode() not in content
    assert b"site-packages" not in content and b"P001" not in content


def test_a_graph_that_answers_otherwise_is_not_written(
    recorded: Path, graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (graphs / "fold-0.onnx").read_bytes()
    monkeypatch.setattr(onnx_export, "make_graph", lambda *_: made)
    with OpenedRun(RunFolder(recorded / "run"), device="cpu") as opened:
        with pytest.raises(TrainingError, match="differ from torch's"):
            export_onnx(opened, tmp_path, folds=[1])
        assert not list(tmp_path.iterdir())
        with pytest.raises(UsageError, match="--fold 7"):
            export_onnx(opened, tmp_path, folds=[7])
        with pytest.raises(UsageError, match="exists"):
            export_onnx(opened, graphs, folds=[0])


def test_a_graph_that_the_runtime_refuses_is_an_error_in_words(graphs: Path) -> None:
    graph = (graphs / "fold-0.onnx").read_bytes()
    with pytest.raises(TrainingError, match="cannot run the graph"):
        run_graph(graph[: len(graph) // 2], {})


def test_a_missing_extra_is_named(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "onnxscript" else found(name, *rest)
    )
    assert main(["export-onnx", str(recorded / "run"), "--out", str(tmp_path / "out")]) != 0
    assert "onnx" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "small"), [("extra-trees-eye", {"trees": 5}), ("eyeface", {"width": 16, "layers": 1})]
)
def test_trees_and_networks_become_graphs_for_any_number_of_clips(
    model: str, small: dict, tiny_export: Path, tmp_path: Path
) -> None:
    from emer_model.training import RunConfig, train

    config = RunConfig.of(protocol="er-7", model=model, epochs=1, auxiliary_targets=(), model_arguments=small)
    train(tiny_export, tmp_path / "run", config, folds="0", device="cpu", threads=1)
    with OpenedRun(RunFolder(tmp_path / "run"), device="cpu") as opened:
        (written,) = export_onnx(opened, tmp_path / "out")
    assert written.difference <= 1e-4 and not written.takes_images
    described = json.loads(written.description.read_text(encoding="utf-8"))
    assert any("not part of the graph" in step for step in described["prepare"]) == (model == "eyeface")
