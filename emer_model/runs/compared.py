"""Open runs to compare them, and say in what they differ before any figure does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from emer_model.data.targets import Target, protocol_targets
from emer_model.evaluation.alignment import Contender
from emer_model.evaluation.answers import true_and_predicted
from emer_model.evaluation.gap import masked_clips
from emer_model.training.opened import find_export
from emer_model.training.run_folder import RunFolder


@dataclass(frozen=True)
class ComparedRun:
    """A run as far as a comparison needs it.

    Parameters
    ----------
    name : str
        Name of the folder, with as much before it as tells it from the others.
    path : Path
    model, scheme : str
    protocols : tuple of str
    export_sha256 : str
        By which the run knows its export.
    simulated : bool
        Whether a clip of the export was simulated.
    finished : tuple of int
        Folds that the predictions are of.
    planned : int
        Folds of the export.
    predictions : DataFrame
        Of the finished folds, from their own checked files.
    notes : list of str
        What a reader of its figures has to know.
    """

    name: str
    path: Path
    model: str
    scheme: str
    protocols: tuple[str, ...]
    export_sha256: str
    simulated: bool
    finished: tuple[int, ...]
    planned: int
    predictions: pd.DataFrame
    notes: list[str]


def read_runs(paths: Sequence[Path]) -> list[ComparedRun]:
    """Read the predictions of two or more runs.

    Raises
    ------
    UsageError
        If there are fewer than two, or one is named twice.
    TrainingError
        If a folder is no run, or no fold of it is finished.
    """
    if len(paths) < 2:
        raise UsageError("One run cannot be compared. Name two run folders or more.")
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise UsageError("A run is named twice. Name each run folder once.")
    return [_read_run(path, name) for path, name in zip(paths, short_names(resolved), strict=True)]


def short_names(paths: Sequence[Path]) -> list[str]:
    """Name folders by their last parts, by as many as tell them apart."""
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in paths]


def _read_run(path: Path, name: str) -> ComparedRun:
    run = RunFolder(path)
    config, settings, state = run.config(), run.run_config(), run.state()
    run.require_finished(state)
    return ComparedRun(
        name=name,
        path=path,
        model=settings.model,
        scheme=settings.scheme,
        protocols=settings.protocols,
        export_sha256=str(config["export"]["manifest_sha256"]),
        simulated=bool(config["export"].get("simulated", False)),
        finished=state.finished,
        planned=state.planned,
        predictions=run.fold_predictions(state.finished),
        notes=run.notes(state),
    )


def shared_protocols(runs: Sequence[ComparedRun], protocol: str | None = None) -> tuple[str, ...]:
    """Return the protocols that all runs answer, in the order of reports; or the one that was asked for.

    Raises
    ------
    UsageError
        If there is no such protocol, a run does not answer it, or the runs share none.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise UsageError(f"--protocol {protocol}: expected one of {', '.join(PROTOCOLS)}.")
    shared = [name for name in PROTOCOLS if all(name in run.protocols for run in runs)]
    answered = "; ".join(f"{run.name}: {', '.join(run.protocols)}" for run in runs)
    if not shared:
        raise UsageError(f"The runs share no protocol, so there is nothing to compare. They answer {answered}.")
    if protocol is not None and protocol not in shared:
        raise UsageError(f"--protocol {protocol}: not every run answers it. They answer {answered}.")
    return (protocol,) if protocol is not None else tuple(shared)


def targets_of(protocols: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets of some protocols."""
    return tuple(declared for name in protocols for declared in protocol_targets(PROTOCOLS[name]))


def refuse_different(runs: Sequence[ComparedRun]) -> None:
    """Refuse runs that were not tested on the same clips by the same folds.

    Raises
    ------
    TrainingError
        Saying what differs and that ``--common`` compares what they share.
    """
    first = runs[0]
    for run in runs[1:]:
        differs = ""
        if run.export_sha256 != first.export_sha256:
            differs = "was trained on another export: clips, labels or folds may be others"
        elif run.scheme != first.scheme:
            differs = (
                f"was tested under the scheme {run.scheme}, the other under {first.scheme}: their folds are others"
            )
        elif run.finished != first.finished:
            said = (", ".join(map(str, one.finished)) for one in (run, first))
            differs = "has finished folds {}, the other {}".format(*said)
        if differs:
            raise TrainingError(
                f"{run.path} and {first.path} cannot be compared clip by clip: {run.name} {differs}. Train both on one "
                "export to the end; or pass --common to compare them on the clips that both were tested on."
            )


def contenders(runs: Sequence[ComparedRun]) -> list[Contender]:
    """Return what is compared."""
    return [Contender(run.name, (run.predictions,)) for run in runs]


def on_common_clips(
    runs: Sequence[ComparedRun], targets: Sequence[Target]
) -> tuple[list[ComparedRun], list[Target], list[str]]:
    """Keep of each target the clips that all runs were tested on, with the same label.

    Parameters
    ----------
    runs : sequence of ComparedRun
    targets : sequence of Target

    Returns
    -------
    runs : list of ComparedRun
        With the predictions of the common clips.
    targets : list of Target
        Those that have a common clip.
    notes : list of str
        How many clips were left out, and why.

    Raises
    ------
    TrainingError
        If no clip is common.
    """
    kept: list[list[pd.DataFrame]] = [[] for _ in runs]
    notes, compared = [], []
    for declared in targets:
        tables = [run.predictions[run.predictions["target_name"] == declared.name].set_index("clip_id") for run in runs]
        common = tables[0].index
        for table in tables[1:]:
            common = common.intersection(table.index)
        labels = np.stack([true_and_predicted(table.loc[common], declared)[0] for table in tables])
        same = (labels == labels[0]).all(axis=0)
        common = common[same].sort_values()
        more = ", ".join(f"{len(t) - len(common)} of {run.name}" for t, run in zip(tables, runs, strict=True))
        other = f"; {int((~same).sum())} common clips have other labels" if not same.all() else ""
        notes.append(f"{declared.name}: {len(common)} clips are common to all runs; left out: {more}{other}.")
        if len(common):
            compared.append(declared)
        for place, table in zip(kept, tables, strict=True):
            place.append(table.loc[common].reset_index())
    if not compared:
        raise TrainingError("The runs share no test clip with the same label. " + " ".join(notes))
    return (
        [replace(run, predictions=pd.concat(k, ignore_index=True)) for run, k in zip(runs, kept, strict=True)],
        compared,
        notes,
    )


def masked_of(run: ComparedRun, export: Path | None = None) -> tuple[pd.Series | None, str]:
    """Read which clips are masked from the export of a run.

    Parameters
    ----------
    run : ComparedRun
    export : Path, optional
        Where the export is now, if it has moved.

    Returns
    -------
    masked : Series or None
        See `emer_model.evaluation.gap.masked_clips`; None where the export is gone.
    note : str
        What then is to be done; empty otherwise.

    Raises
    ------
    UsageError, TrainingError
        If `export` was given and is not the run's.
    """
    try:
        place = find_export(RunFolder(run.path), export)
    except TrainingError as error:
        if export is not None:
            raise
        return None, f"Agreeing and masked clips cannot be told apart: {error}"
    with TrainingExport.open(place, verify=False) as opened:
        return masked_clips(opened.targets), ""
