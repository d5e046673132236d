"""A finished run opened with its export: its models can be asked again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.reading import TrainingExport
from data_schema.exports.splits import ClipSplit
from emer_model.data.dataset import ClipDataset
from emer_model.data.normalising import normalise_clips
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, encode
from emer_model.training.checkpoint import Checkpoint, load_checkpoint
from emer_model.training.environment import choose_device, default_threads
from emer_model.training.faces import BACKBONE, Progress, Tell, open_store
from emer_model.training.plan import export_labels, run_targets
from emer_model.training.prediction import predict
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import BEST, RunState
from emer_model.training.runner import manifest_sha256


class OpenedRun:
    """The models of a run and the clips that they judge; use it in a ``with`` block.

    Parameters
    ----------
    run : RunFolder
    export_path : Path, optional
        Where the export is now; the run knows where it was.
    device : str
        See `emer_model.training.environment.choose_device`.
    state : RunState, optional
        What `RunFolder.state` said, where it has been asked already.
    other_export : bool
        The export need not be the one of the run: to judge clips that it never saw.
    progress, tell : callable, optional

    Attributes
    ----------
    settings : RunConfig
    targets : tuple of Target
        Of the run's protocols.
    export : TrainingExport
    labels : DataFrame
        Targets, with what does not take part in a protocol missing.
    splits : dict of int to ClipSplit
    finished : tuple of int
    threads : int
        Those that the run was trained with; the last bits of a sum depend on them.

    Raises
    ------
    UsageError
        If `export_path` is no training export.
    TrainingError
        If no fold is finished, or the export is gone or another.
    """

    def __init__(
        self,
        run: RunFolder,
        export_path: Path | None = None,
        *,
        device: str = "auto",
        state: RunState | None = None,
        other_export: bool = False,
        progress: Progress | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.run, self.path = run, find_export(run, export_path, other=other_export)
        self._other = other_export
        self.settings = run.run_config()
        self.targets: tuple[Target, ...] = run_targets(self.settings)
        self.state = state or run.state()
        run.require_finished(self.state, self.path)
        self.finished = self.state.finished
        self.device = choose_device(device)
        self.threads = int(run.config().get("machine", {}).get("threads") or default_threads())
        self.export = TrainingExport.open(self.path)
        self._progress, self._tell = progress, tell
        self._checkpoints: dict[int, Checkpoint] = {}
        self._inputs: tuple[int, dict[str, np.ndarray]] | None = None

    def __enter__(self) -> OpenedRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.export.close()

    @cached_property
    def splits(self) -> dict[int, ClipSplit]:
        """The splits of the run by number."""
        return {split.fold: split for split in self.export.splits(self.settings.scheme)}

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Targets of the export in the order of the store, with what does not take part missing."""
        table = export_labels(self.export, self.settings.protocols)
        return table.set_index("clip_id").reindex(self.store.clip_ids)

    @cached_property
    def encoded(self) -> dict[str, np.ndarray]:
        """Encoded labels of all clips by target."""
        return {t.name: encode(t, self.labels[t.name]) for t in self.targets}

    @cached_property
    def store(self) -> ClipStore:
        """All clips of the export."""
        # Not by `fold`, which compares with the features of this very store.
        first = self.finished[0]
        info = (self._checkpoints.get(first) or self._load(first)).info
        face = {key: info.face.get(key) for key in ("backbone", "training", "size_px")} if info.face else {}
        kept = self.run.root / BACKBONE  # the user's file may have gone, or be another one now
        weights = str(kept) if self.settings.face_weights and kept.is_file() else self.settings.face_weights
        store, found = open_store(self.export, info.inputs, face, weights, progress=self._progress, tell=self._tell)
        if found.get("sha256") != info.face.get("sha256"):
            raise TrainingError(
                f"{self.run.root}: was trained on face features of another backbone ({info.face.get('backbone')}, "
                f"{str(info.face.get('sha256'))[:12]}) than the one that is here now. Give back its weights file "
                f"({self.settings.face_weights or 'none was named'}), or train again."
            )
        return store

    def fold(self, fold: int) -> Checkpoint:
        """Load the best checkpoint of a finished fold, checked to be the run's.

        Raises
        ------
        TrainingError
            If it cannot be loaded, belongs to another model, protocol or fold, or was trained on other features.
        """
        if fold not in self._checkpoints:
            best = self._load(fold)
            self._checkpoints[fold] = best
            trained = {name: tuple(names) for name, names in best.info.features.items()}
            if any(tuple(self.store.names[name]) != names for name, names in trained.items()):
                step = (
                    "Clips have to be exported by the toolkit that exported what the run learned from, or the run trained again "
                    "on an export of this one."
                    if self._other
                    else self._mend(fold)
                )
                raise TrainingError(
                    f"{self.run.fold(fold) / BEST} (fold {fold}) was trained on other features than the export has. {step}"
                )
        return self._checkpoints[fold]

    def inputs(self, fold: int) -> dict[str, np.ndarray]:
        """Return the inputs of all clips as a fold's model takes them, without face crops."""
        if self._inputs is None or self._inputs[0] != fold:
            best = self.fold(fold)
            whole = normalise_clips(self.store, best.normalisation, best.info.inputs, best.info.subject_normalisation)
            self._inputs = (fold, whole)
        return self._inputs[1]

    def dataset(self, fold: int, clips: np.ndarray, change: Callable[[dict], dict] | None = None) -> ClipDataset:
        """Return some clips, normalised for a fold's model.

        Parameters
        ----------
        fold : int
        clips : ndarray of int
            Places in the store.
        change : callable, optional
            Gets the inputs by name and returns changed ones, such as without a modality.
        """
        inputs = self.inputs(fold)
        inputs = inputs if change is None else change(dict(inputs))
        return ClipDataset(self.store, clips, inputs, self.encoded, "faces" in self.fold(fold).info.inputs)

    def answers(self, fold: int, dataset: ClipDataset) -> dict[str, np.ndarray]:
        """Ask a fold's model; see `emer_model.training.prediction.predict`."""
        settings = self.settings
        return predict(self.fold(fold).model, dataset, settings.batch_size, self.device, settings.precision)

    def tested(self, fold: int) -> np.ndarray:
        """Return the places of the clips that a fold tests: those with any label of the run, shape (n,)."""
        judged = self.labels[[t.name for t in self.targets]].notna().any(axis=1).to_numpy()
        return np.flatnonzero(judged & np.isin(self.store.clip_ids, self.splits[fold].test))

    def _load(self, fold: int) -> Checkpoint:
        settings = self.settings
        try:
            best = load_checkpoint(self.run.fold(fold) / BEST)
        except TrainingError as error:
            raise TrainingError(f"{self.run.root}: fold {fold}: {error} {self._mend(fold)}") from error
        if (best.info.model, best.info.protocol, best.info.fold) != (settings.model, settings.protocol, fold):
            raise TrainingError(
                f"{self.run.fold(fold) / BEST} is of model {best.info.model}, protocol {best.info.protocol}, fold "
                f"{best.info.fold}; expected {settings.model}, {settings.protocol}, fold {fold}. Was it copied here? "
                f"{self._mend(fold)}"
            )
        return best

    def _mend(self, fold: int) -> str:
        command = self.run.command(self.path)
        return f"`{command} --force --folds {fold}` trains it anew; --force replaces the other folds, too."


def find_export(run: RunFolder, export_path: Path | None = None, *, other: bool = False) -> Path:
    """Return where a run's export is: where the user says, or else where the run says.

    Raises
    ------
    UsageError
        If `export_path` is no training export.
    TrainingError
        If the export is gone, or another than the run's and not meant to be.
    """
    path = run.export_path() if export_path is None else Path(export_path)
    if not (path / "manifest.json").is_file():
        if export_path is not None:
            raise UsageError(
                f"--export {path}: this folder is no training export: it has no manifest.json. Give a folder that "
                "`emer export training` wrote."
            )
        raise TrainingError(
            f"{run.root}: its export was at {path} and is no longer there. Say where it is with --export."
        )
    if not other and manifest_sha256(path) != run.config()["export"]["manifest_sha256"]:
        raise TrainingError(
            run.withdrawn(path)
            or f"{path} is not the export that {run.root} was trained on (its manifest differs). "
            "Give that one with --export, or train again on this one."
        )
    return path
