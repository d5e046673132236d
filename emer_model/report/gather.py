"""Everything a report says, read from an export and from run folders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import TrainingError
from data_schema.exports.protocols import PROTOCOLS, Protocol
from data_schema.exports.reading import TrainingExport
from emer_model.data.targets import Target, protocol_targets
from emer_model.evaluation.gap import masked_clips
from emer_model.evaluation.summary import summarise
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import RunState


@dataclass(frozen=True)
class ReportedRun:
    """One run.

    Parameters
    ----------
    name : str
        Name of its folder.
    protocol : Protocol
        What it was trained for.
    targets : tuple of Target
        The protocol's targets.
    config, folds : dict, list of dict
        ``config.json`` and each fold's ``fold.json``.
    predictions, curves : DataFrame
        Its tables.
    summary : dict
        From `emer_model.evaluation.summary.summarise`, computed anew from the predictions.
    state : RunState
        Which folds are finished; the figures are those of these alone.
    notes : list of str
        What a reader has to know: folds that lack or are damaged, a merged file that differs.
    """

    name: str
    protocol: Protocol
    targets: tuple[Target, ...]
    config: dict[str, Any]
    folds: list[dict[str, Any]]
    predictions: pd.DataFrame
    curves: pd.DataFrame
    summary: dict[str, Any]
    state: RunState
    notes: list[str]

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.config["settings"]["model"])


@dataclass(frozen=True)
class ReportData:
    """Tables of the export, and the runs."""

    manifest: dict[str, Any]
    clips: pd.DataFrame
    labels: pd.DataFrame
    targets: pd.DataFrame
    quality: pd.DataFrame
    folds: dict[str, Any]
    masked: pd.Series
    runs: list[ReportedRun]

    @property
    def simulated(self) -> bool:
        """Whether any clip or any label was simulated."""
        kinds = self.labels["annotator_kind"] if "annotator_kind" in self.labels else pd.Series(dtype=str)
        return bool(self.manifest.get("simulated")) or bool((kinds == "simulated").any())


def gather(runs: list[Path], export_path: Path) -> ReportData:
    """Read an export and runs on it.

    Raises
    ------
    TrainingError
        If a run was trained on another export, has no finished fold, or is named twice.
    """
    with TrainingExport.open(export_path) as export:
        targets = export.targets
        masked = masked_clips(targets)
        sha256 = hashlib.sha256((Path(export_path) / "manifest.json").read_bytes()).hexdigest()
        return ReportData(
            manifest=export.manifest,
            clips=export.clips,
            labels=export.labels,
            targets=targets,
            quality=export.quality,
            folds=export.folds,
            masked=masked,
            runs=[_read_run(path, export_path, sha256, masked) for path in _different(runs)],
        )


def _different(runs: list[Path]) -> list[Path]:
    resolved = [path.resolve() for path in runs]
    if len(set(resolved)) < len(resolved):
        raise TrainingError("A run is named twice. Name each run folder once.")
    return runs


def _read_run(path: Path, export_path: Path, export_sha256: str, masked: pd.Series) -> ReportedRun:
    run = RunFolder(path)
    config = run.config()
    if config["export"]["manifest_sha256"] != export_sha256:
        raise TrainingError(
            run.withdrawn(export_path)
            or f"{path} was trained on another export ({run.export_path()}). Give that one with --export, "
            "or leave this run out."
        )
    protocol = PROTOCOLS[run.run_config().protocol]
    targets = protocol_targets(protocol)
    state = run.state()
    run.require_finished(state, export_path)
    predictions = run.fold_predictions(state.finished)
    return ReportedRun(
        name=path.resolve().name,
        protocol=protocol,
        targets=targets,
        config=config,
        folds=run.fold_records(state.finished),
        predictions=predictions,
        curves=run.fold_curves(state.finished),
        summary=summarise(predictions, targets, masked),
        state=state,
        notes=run.notes(state, export_path),
    )
