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
from emer_model.evaluation.summary import summarise, without_nan
from emer_model.training.plan import run_targets
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import RunState
from emer_model.understanding.emotion_gap import gap_tables
from emer_model.understanding.reading import Explained, read_explained


@dataclass(frozen=True)
class ReportedRun:
    """One run.

    Parameters
    ----------
    name : str
        Name of its folder.
    protocols : tuple of Protocol
        What it was trained for.
    config, folds : dict, list of dict
        ``config.json`` and each fold's ``fold.json``.
    predictions, curves : DataFrame
        Its tables.
    summary : dict
        From `emer_model.evaluation.summary.summarise`, computed anew from the predictions, by target.
    state : RunState
        Which folds are finished; the figures are those of these alone.
    notes : list of str
        What a reader has to know: folds that lack or are damaged, a merged file that differs.
    validation : DataFrame
        Predictions on validation clips, for temperatures.
    explained : Explained or None
        What `emer explain` found of these very models.
    gap : dict
        By label, the emotion gap as the run predicts it; see `emer_model.understanding.emotion_gap.gap_tables`.
    """

    name: str
    protocols: tuple[Protocol, ...]
    config: dict[str, Any]
    folds: list[dict[str, Any]]
    predictions: pd.DataFrame
    curves: pd.DataFrame
    summary: dict[str, Any]
    state: RunState
    notes: list[str]
    validation: pd.DataFrame
    explained: Explained | None
    gap: dict[str, Any]

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.config["settings"]["model"])

    @property
    def trained(self) -> bool:
        """Whether there were epochs; a fitted model has none."""
        return "best_epoch" in self.folds[0]


@dataclass(frozen=True)
class JudgedRun:
    """A run as one protocol judges it.

    Parameters
    ----------
    run : ReportedRun
    protocol : Protocol
    """

    run: ReportedRun
    protocol: Protocol

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.run.name

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.run.model

    @property
    def state(self) -> RunState:
        """How far the run has come."""
        return self.run.state

    @property
    def targets(self) -> tuple[Target, ...]:
        """The protocol's targets."""
        return protocol_targets(self.protocol)

    @property
    def predictions(self) -> pd.DataFrame:
        """Test predictions of the protocol's targets."""
        names = [declared.name for declared in self.targets]
        return self.run.predictions[self.run.predictions["target_name"].isin(names)]

    @property
    def summary(self) -> dict[str, Any]:
        """Figures by target."""
        return self.run.summary


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

    def judged(self, kind: str) -> list[JudgedRun]:
        """Return runs by protocol, in the order of protocols; of 'classes' or 'continuous' protocols."""
        return [
            JudgedRun(run, protocol)
            for protocol in PROTOCOLS.values()
            if protocol.kind == kind
            for run in self.runs
            if protocol in run.protocols
        ]

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
    settings = run.run_config()
    state = run.state()
    run.require_finished(state, export_path)
    predictions, validation = run.fold_predictions(state.finished), run.fold_validation(state.finished)
    explained, notes = _explained(run, state)
    gap = (explained.part("gap") if explained else None) or {}
    return ReportedRun(
        name=path.resolve().name,
        protocols=tuple(PROTOCOLS[name] for name in settings.protocols),
        config=config,
        folds=run.fold_records(state.finished),
        predictions=predictions,
        curves=run.fold_curves(state.finished),
        summary=summarise(predictions, run_targets(settings), masked, validation),
        state=state,
        notes=[*run.notes(state, export_path), *notes],
        validation=validation,
        explained=explained,
        gap=gap.get("figures") or without_nan(gap_tables(predictions)[1]),
    )


def _explained(run: RunFolder, state: RunState) -> tuple[Explained | None, list[str]]:
    """Read an explanation, or say why it is left out."""
    found = read_explained(run)
    if found is None:
        return None, []
    if found.outdated(run, state.finished):
        note = f"{run.understanding} is about other folds or models than the run has now and is left out; run `emer explain "
        return None, [f"{note}{run.root}` again."]
    return found, []
