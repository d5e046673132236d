"""Write the models of a run as ONNX graphs, each with a description by which others can use it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import data_schema
from data_schema.errors import TrainingError, UsageError
from data_schema.exports.manifest import read_manifest
from emer_model.data.dataset import ClipDataset
from emer_model.data.inputs import INPUTS
from emer_model.data.normalisation import LIMIT, PRIOR_CLIPS, FeatureNormalisation
from emer_model.data.normalising import BY_SUBJECT
from emer_model.data.targets import Target
from emer_model.evaluation.calibration import fold_temperatures
from emer_model.prediction.onnx_graph import OPSET, TOLERANCE, Answering, greatest_difference, input_types, make_graph
from emer_model.training.environment import limited_threads
from emer_model.training.faces import Progress
from emer_model.training.files import write_atomically, write_json
from emer_model.training.opened import OpenedRun

FORMAT = "emer-onnx"
#: Grows by whole numbers when older readers could misunderstand a description.
FORMAT_VERSION = "1.0"
#: Clips of the export on which a graph is compared with torch. Ours.
CHECKED_CLIPS = 16


@dataclass(frozen=True)
class WrittenGraph:
    """A graph that was written.

    Parameters
    ----------
    fold : int
    path, description : Path
        The graph, and the JSON beside it.
    difference : float
        Greatest difference between its answers and torch's on real clips.
    takes_images : bool
        True if it takes face crops; features of faces otherwise, if it looks at faces at all.
    """

    fold: int
    path: Path
    description: Path
    difference: float
    takes_images: bool


def export_onnx(
    opened: OpenedRun,
    out: Path,
    *,
    folds: Sequence[int] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[WrittenGraph]:
    """Write one graph a fold, checked against torch on clips of the export.

    Parameters
    ----------
    opened : OpenedRun
        With the run's export, whose clips are the check.
    out : Path
        Folder of the graphs ``fold-K.onnx`` and their descriptions ``fold-K.json``.
    folds : sequence of int, optional
        All finished ones by default.
    overwrite : bool
        Replace graphs that are there.
    progress : callable, optional
        Told the folds done.

    Raises
    ------
    MissingExtraError
        If the extra ``onnx`` is not installed.
    UsageError
        If a fold is not finished, or a graph is there already.
    TrainingError
        If a graph does not answer as torch does; nothing of that fold is written.
    """
    chosen = opened.finished if folds is None else tuple(folds)
    for fold in chosen:
        if fold not in opened.finished:
            known = ", ".join(map(str, opened.finished))
            raise UsageError(f"--fold {fold}: is not finished in {opened.run.root}. Finished: {known}.")
        for path in _paths(out, fold):
            if path.exists() and not overwrite:
                raise UsageError(
                    f"--out {out}: {path.name} exists. Choose another folder, or pass --force to replace it."
                )
    temperatures = fold_temperatures(opened.run.fold_validation(opened.finished), opened.targets)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with limited_threads(opened.threads):
        for done, fold in enumerate(chosen):
            heats = {name: by_fold.get(fold, 1.0) for name, by_fold in temperatures.items()}
            written.append(_write_fold(opened, out, fold, heats))
            if progress is not None:
                progress(done + 1, len(chosen), f"fold {fold}")
    return written


def _write_fold(opened: OpenedRun, out: Path, fold: int, temperatures: dict[str, float]) -> WrittenGraph:
    best = opened.fold(fold)
    answering = Answering(best.model, opened.targets, temperatures)
    batch = _real_clips(opened, fold)
    graph = make_graph(answering, [batch[name][:3] for name in answering.inputs])
    difference = greatest_difference(answering, graph, batch)
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"{opened.run.root}: fold {fold}: the graph's answers differ from torch's by up to {difference:.2g} on clips of "
            f"{opened.path}, more than {TOLERANCE:g}: it was not written. Please report it with the model's name, "
            f"'{opened.settings.model}'."
        )
    path, description = _paths(out, fold)
    write_atomically(path, graph)
    about = _describe(opened, fold, answering, batch, temperatures)
    about |= {"sha256": hashlib.sha256(graph).hexdigest(), "greatest_difference_from_torch": difference}
    write_json(description, about)
    return WrittenGraph(fold, path, description, difference, "faces" in answering.inputs)


def _real_clips(opened: OpenedRun, fold: int) -> dict[str, Tensor]:
    """Return up to `CHECKED_CLIPS` clips from all over the export as the fold's model takes them."""
    best = opened.fold(fold)
    n = len(opened.store)
    places = np.unique(np.linspace(0, n - 1, min(n, CHECKED_CLIPS)).astype(np.int64))
    dataset = ClipDataset(opened.store, places, opened.inputs(fold), {}, "faces" in best.info.inputs)
    # A graph is traced with several clips: one would count as a special case.
    wanted = np.resize(np.arange(len(places)), max(len(places), 3))
    batch: dict[str, Tensor] = dataset.__getitems__(wanted.tolist())
    return batch


def _paths(out: Path, fold: int) -> tuple[Path, Path]:
    return out / f"fold-{fold}.onnx", out / f"fold-{fold}.json"


def _describe(
    opened: OpenedRun, fold: int, answering: Answering, batch: dict[str, Tensor], temperatures: dict[str, float]
) -> dict[str, Any]:
    """Put together what somebody without this toolkit needs to use a graph."""
    info, normalisation = opened.fold(fold).info, opened.fold(fold).normalisation
    types = input_types(batch, answering.inputs)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "toolkit_version": data_schema.__version__,
        "opset": OPSET,
        "model": info.model,
        "protocols": list(opened.settings.protocols),
        "fold": fold,
        "simulated": bool(opened.run.config()["export"].get("simulated", False)),
        "face": {key: value for key, value in info.face.items() if key != "weights"},
        "subject_normalisation": info.subject_normalisation,
        "inputs": [
            _input(name, *types[name], info.features.get(name), normalisation.get(name), info.subject_normalisation)
            for name in answering.inputs
        ],
        "outputs": [_output(target, temperatures) for target in answering.targets],
        "prepare": _preparation(answering.inputs, info.subject_normalisation, info.face),
        "clip_settings": read_manifest(opened.path).get("settings", {}),
    }


def _input(
    name: str,
    dtype: str,
    shape: list[int | str],
    features: Sequence[str] | None,
    fitted: FeatureNormalisation | None,
    by_subject: bool,
) -> dict[str, Any]:
    declared = INPUTS[name]
    described: dict[str, Any] = {
        "name": name,
        "dtype": dtype,
        "shape": shape,
        "axes": ["batch", *declared.axes],
        "meaning": declared.meaning,
    }
    if declared.mask:
        described["mask"] = declared.mask
    if features is not None:
        described["features"] = list(features)
    if fitted is not None:
        described["normalisation"] = {
            "mean": [float(value) for value in fitted.mean],
            "spread": [float(value) for value in fitted.spread],
            "limit": LIMIT,
            "by_subject": by_subject and name in BY_SUBJECT,
        }
    return described


def _output(target: Target, temperatures: dict[str, float]) -> dict[str, Any]:
    if target.classes:
        return {
            "name": target.name,
            "meaning": "calibrated probabilities, rows sum to 1",
            "shape": ["batch", len(target.classes)],
            "classes": list(target.classes),
            "temperature": temperatures.get(target.name, 1.0),
        }
    return {
        "name": target.name,
        "meaning": "value on the target's scale",
        "shape": ["batch", 1],
        "low": target.low,
        "high": target.high,
    }


def _preparation(inputs: Sequence[str], by_subject: bool, face: dict[str, Any]) -> list[str]:
    """Say step by step how the inputs of a clip are made."""
    steps = [
        "Compute the clip's arrays by clip_settings, as `emer export training` does; its manifest defines every feature.",
        "Where a mask says that something was not measured, put 0 after the next steps.",
        f"Inputs with 'normalisation': subtract mean, divide by spread, cut to -{LIMIT:g} to {LIMIT:g}, feature by feature.",
    ]
    if by_subject:
        steps.append(
            "Where by_subject is true, standardise each person by their own clips, without labels: m and s are mean and standard "
            "deviation of each feature over all measured steps of the person's clips, n the clips in which it was measured, "
            f"w = n / (n + {PRIOR_CLIPS:g}); then x becomes (x - w*m) / sqrt(w*s^2 + 1 - w), cut to the limit again. Use all "
            "clips of a person at once: with one clip there is hardly a baseline."
        )
    if "faces" in inputs:
        steps.append(
            f"faces: aligned crops, RGB, 0 to 255, reduced to {face.get('size_px')} px by averaging areas; the graph holds the "
            "backbone and its preprocessing."
        )
    elif any(name in inputs for name in ("face_features", "face_summary")):
        steps.append(
            f"Features of faces come from the frozen backbone '{face.get('backbone')}' (SHA-256 {face.get('sha256')}), which is "
            "not part of the graph; face_summary is their mean and standard deviation over the frames with a face."
        )
    return steps
