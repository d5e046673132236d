"""What all folds of a run are trained with: clips, labels, settings, and the model that they ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from data_schema.exports.splits import ClipSplit
from emer_model.data.arrays import Arrays
from emer_model.data.datamodule import FoldData, choose_clips
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, protocol_targets, target
from emer_model.registry import accepted_arguments, build_model, find_model, is_network
from emer_model.training import ranks
from emer_model.training.checkpoint import CheckpointInfo
from emer_model.training.config import RunConfig
from emer_model.training.faces import takes_faces, with_backbone
from emer_model.training.run_folder import RunFolder


@dataclass(frozen=True)
class FoldPlan:
    """What one fold is trained with; the same for all folds but for the split.

    Parameters
    ----------
    store : ClipStore
        All clips.
    labels : DataFrame
        ``targets.parquet``, with what does not take part in the run's protocols missing.
    config : RunConfig
        Settings of the run.
    run : RunFolder
        Where it is stored.
    device : torch.device
        Where it is computed.
    face : dict
        What is done with faces, see `emer_model.training.faces.open_store`.
    targets, auxiliary : tuple of Target
        Those of the protocols, and further ones to learn from.
    tensorboard : bool
        Write logs for TensorBoard.
    """

    store: ClipStore
    labels: pd.DataFrame
    config: RunConfig
    run: RunFolder
    device: torch.device
    face: dict[str, Any]
    targets: tuple[Target, ...]
    auxiliary: tuple[Target, ...]
    tensorboard: bool = False

    def seed(self, fold: int) -> int:
        """Return the seed of a fold."""
        return self.config.seed + fold

    def data(self, split: ClipSplit, inputs: tuple[str, ...]) -> FoldData:
        """Make the data of a fold."""
        return FoldData(
            self.store,
            self.labels,
            split,
            self.targets,
            inputs,
            auxiliary=self.auxiliary,
            subject_normalisation=self.config.subject_normalisation,
            allow_missing_classes=self.config.allow_missing_classes,
        )

    def unlabelled(self, split: ClipSplit) -> Arrays:
        """Return the eye streams of all clips of a fold's training part, labelled or not."""
        return self.data(split, ("eye", "eye_mask")).unlabelled()

    def build_network(self) -> tuple[nn.Module, dict[str, Any]]:
        """Build the network with fresh weights; return it with the arguments of its constructor.

        Raises
        ------
        UsageError
            If the network takes no such argument, or a frozen backbone would have to be fed otherwise.
        """
        config, store = self.config, self.store
        arguments = {
            "targets": {t.name: t.n_outputs for t in (*self.targets, *self.auxiliary)},
            "face_width": self.face.get("width", 0),
            "eye_features": store.eye.shape[2],
            "fixation_features": store.fixations.shape[2],
            "summary_features": store.summary.shape[1],
            "face_frames": store.face_mask.shape[1],
            "eye_chunks": store.eye.shape[1],
            "fixations": store.fixations.shape[1],
            "head_widths": list(config.head_widths),
            "dropout": config.dropout,
            "modality_dropout": config.modality_dropout,
        }
        taken = accepted_arguments(config.model, arguments)
        known = accepted_arguments(config.model, config.model_arguments)
        fixed = [name for name in config.model_arguments if name in arguments]
        if fixed:
            raise UsageError(
                f"--set {fixed[0]}: comes from the export, or has an option of its own. `emer train --help` lists the options."
            )
        unknown = [name for name in config.model_arguments if name not in known]
        if unknown:
            raise UsageError(f"--set {unknown[0]}: model '{config.model}' has no such argument. See docs/models.md.")
        architecture = taken | config.model_arguments
        try:
            network = build_model(config.model, architecture)
        except TrainingError as error:  # all other arguments come from the export
            raise UsageError(f"--set {error}" if config.model_arguments else str(error)) from error
        if config.face_training == "frozen" and getattr(network, "bgr", False):
            raise UsageError(
                f"--set bgr: model '{config.model}' would have its face backbone fed blue, green, red, but a frozen one keeps "
                "its own preprocessing. Add --set bgr=false, or choose --face-training full or half."
            )
        if config.face_training != "frozen" and self.face:
            network = with_backbone(network, self.face, config.face_weights)
        return network, architecture

    def describe(
        self, fold: int, model: nn.Module, architecture: dict[str, Any], epoch: int = 0, score: float = float("nan")
    ) -> CheckpointInfo:
        """Describe a checkpoint of a fold."""
        inputs = tuple(model.inputs)
        return CheckpointInfo(
            model=self.config.model,
            architecture=architecture,
            protocol=self.config.protocol,
            targets=(*self.targets, *self.auxiliary),
            inputs=inputs,
            features={name: names for name, names in self.store.names.items() if name in inputs},
            face=self.face,
            subject_normalisation=self.config.subject_normalisation,
            fold=fold,
            epoch=epoch,
            score=score,
        )

    def identity(self, fold: int, architecture: dict[str, Any]) -> str:
        """Return what a state of the fold's training must agree in to be gone on with."""
        known = [
            self.run.config()["export"]["manifest_sha256"],
            self.config.as_json(),
            architecture,
            self.face,
            fold,
            torch.__version__,
            torch.get_num_threads(),
            self.device.type,
            ranks.world(),
        ]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode("utf-8")).hexdigest()

    def check(self, splits: Sequence[ClipSplit]) -> None:
        """Try whether every fold can be trained, before anything is written.

        Raises
        ------
        TrainingError
            Naming the first fold that cannot, and why.
        """
        self._refuse_blind()
        allow = self.config.allow_missing_classes
        for split in splits:
            choose_clips(self.store, self.labels, split, self.targets, self.auxiliary, allow_missing_classes=allow)
        if is_network(self.config.model):
            self.build_network()
        else:
            find_model(self.config.model).with_arguments(self.config.model_arguments)

    def _refuse_blind(self) -> None:
        """Refuse a model that would see nothing of any clip."""
        model, store = self.config.model, self.store
        asked = find_model(model).inputs
        faces, eyes = takes_faces(asked), any(not name.startswith("face") for name in asked)
        seen = (faces and store.face_mask.any()) or (eyes and (store.eye_mask.any() or store.fixation_mask.any()))
        if (faces or eyes) and not seen and model != "majority":
            lacks = " and no clip eye data" if faces and eyes else ""
            raise TrainingError(
                f"No clip has {'a face' if faces else 'eye data'}{lacks}, and model '{model}' looks at nothing else. Choose a "
                "model that looks at what was recorded (`emer models`), or export again from sessions that have it."
            )


def run_targets(config: RunConfig) -> tuple[Target, ...]:
    """Return the targets of a run's protocols."""
    return tuple(declared for name in config.protocols for declared in protocol_targets(PROTOCOLS[name]))


def auxiliary_targets(config: RunConfig, labels: pd.DataFrame | None = None) -> tuple[Target, ...]:
    """Return what a run learns beside its protocols' targets.

    Parameters
    ----------
    config : RunConfig
    labels : DataFrame, optional
        Where all targets are asked for, those without any label are left out.

    Raises
    ------
    UsageError
        If a name is no target.
    """
    known = [t.name for protocol in PROTOCOLS.values() for t in protocol_targets(protocol)]
    own = {declared.name for declared in run_targets(config)}
    if config.auxiliary_targets == ("all",):
        names = [n for n in known if labels is None or (n in labels and labels[n].notna().any())]
    else:
        names = list(config.auxiliary_targets)
    for name in names:
        if name not in known:
            raise UsageError(f"--auxiliary {name}: there is no such target. Known: {', '.join(known)}, or all.")
    return tuple(target(name) for name in names if name not in own)


def export_labels(export: TrainingExport, protocols: Sequence[str]) -> pd.DataFrame:
    """Return the targets of an export, with those of each protocol missing for clips that do not take part in it."""
    table = export.targets.copy()
    for name in protocols:
        judged = export.targets_of(name)
        for column in PROTOCOLS[name].targets:
            table[column] = judged[column]
    return table
