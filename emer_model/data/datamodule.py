"""The data of one fold."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from data_schema.exports.splits import ClipSplit
from emer_model.data.arrays import Arrays
from emer_model.data.dataset import ClipDataset
from emer_model.data.normalising import fit_normalisation, normalise_clips
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, encode, is_present

_log = logging.getLogger(__name__)

#: The parts of a fold.
PARTS = ("train", "validation", "test")


class FoldData:
    """Training, validation and test clips of one fold.

    Parameters
    ----------
    store : ClipStore
        All clips.
    labels : DataFrame
        ``targets.parquet``, with what does not take part in a protocol missing.
    split : ClipSplit
        The clips of each part.
    targets : tuple of Target
        What the protocols ask for. Clips that have none of them are left out.
    inputs : sequence of str
        What the model looks at.
    auxiliary : tuple of Target
        What the model may learn beside; missing ones do not matter.
    subject_normalisation : bool
        See `emer_model.data.normalisation.subtract_subject_baseline`.
    allow_missing_classes : bool
        Train although a class of the export does not occur in the training part.

    Raises
    ------
    TrainingError
        If a part has no labelled clip or the training part lacks a class.
    """

    def __init__(
        self,
        store: ClipStore,
        labels: pd.DataFrame,
        split: ClipSplit,
        targets: tuple[Target, ...],
        inputs: Sequence[str],
        *,
        auxiliary: tuple[Target, ...] = (),
        subject_normalisation: bool = True,
        allow_missing_classes: bool = False,
    ) -> None:
        self.store, self.split, self.targets, self.inputs = store, split, targets, tuple(inputs)
        self.encoded, self.parts = choose_clips(
            store, labels, split, targets, auxiliary, allow_missing_classes=allow_missing_classes
        )
        self._warn_of_absent()
        self.normalisation = fit_normalisation(store, self.parts["train"], self.inputs)
        self._whole = normalise_clips(store, self.normalisation, self.inputs, subject_normalisation)

    def arrays(self, part: str) -> Arrays:
        """Return the clips of 'train', 'validation' or 'test' as arrays, without face crops."""
        everything = Arrays(self._whole, self.encoded, np.asarray(self.store.participants))
        return everything.take(self.parts[part])

    def unlabelled(self) -> Arrays:
        """Return all clips of the training part, labelled or not, for learning without labels."""
        everything = Arrays(self._whole, self.encoded, np.asarray(self.store.participants))
        return everything.take(np.flatnonzero(np.isin(self.store.clip_ids, self.split.train)))

    def dataset(self, part: str) -> ClipDataset:
        """Return the clips of 'train', 'validation' or 'test'."""
        return ClipDataset(self.store, self.parts[part], self._whole, self.encoded, "faces" in self.inputs)

    def _warn_of_absent(self) -> None:
        """Log classes that do not occur where they should."""
        for declared in self.targets:
            if not declared.classes:
                continue
            known, seen = _classes_of(self.encoded[declared.name], self.parts, declared)
            never = [name for i, name in enumerate(declared.classes) if i not in known]
            if never:
                _log.warning("%s: the export has no clip labelled %s", declared.name, ", ".join(never))
            for part in ("validation", "test"):
                absent = [declared.classes[i] for i in sorted(known - seen[part])]
                if absent:
                    _log.warning(
                        "fold %d: no %s clip is labelled %s (%s); UAR is the mean over the classes that occur",
                        self.split.fold,
                        part,
                        ", ".join(absent),
                        declared.name,
                    )


def choose_clips(
    store: ClipStore,
    labels: pd.DataFrame,
    split: ClipSplit,
    targets: tuple[Target, ...],
    auxiliary: tuple[Target, ...] = (),
    *,
    allow_missing_classes: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Encode the labels of all clips and find the clips of each part of a fold.

    Parameters
    ----------
    store, labels, split, targets, auxiliary, allow_missing_classes
        As of `FoldData`.

    Returns
    -------
    encoded : dict of str to ndarray, shape (n_clips,)
        By target, see `emer_model.data.targets.encode`.
    parts : dict of str to ndarray of int
        Places of the clips of 'train', 'validation' and 'test' in the store.

    Raises
    ------
    TrainingError
        If a label is wrong, a part has no labelled clip, or the training part lacks a class.
    """
    by_clip = labels.set_index("clip_id").reindex(store.clip_ids)
    missing = [t.name for t in (*targets, *auxiliary) if t.name not in by_clip]
    if missing:
        raise TrainingError(f"targets.parquet has no column {', '.join(missing)}. Export again.")
    encoded = {t.name: encode(t, by_clip[t.name]) for t in (*targets, *auxiliary)}
    present = np.any([is_present(t, encoded[t.name]) for t in targets], axis=0)
    members = {"train": split.train, "validation": split.validation, "test": split.test}
    parts = {part: np.flatnonzero(present & np.isin(store.clip_ids, members[part])) for part in PARTS}
    for part, clips in parts.items():
        if len(clips) == 0:
            names = ", ".join(t.name for t in targets)
            people = sorted(set(np.asarray(store.participants)[np.isin(store.clip_ids, members[part])].tolist()))
            raise TrainingError(
                f"Fold {split.fold}: of the {part} part ({', '.join(people)}) no clip with {names} takes part. The data "
                "card of the export says under Protocols which clips are left out, and why. Label more clips and export "
                "again, or name the folds that can be trained, such as --folds 0,1."
            )
    for declared in targets:
        known, seen = _classes_of(encoded[declared.name], parts, declared)
        if declared.classes and len(known) == 1:
            (only,) = known
            raise TrainingError(
                f"targets.parquet: every clip with {declared.name} is labelled {declared.classes[only]}, so there is nothing to "
                "tell apart, and any answer would look perfect. Label clips of other classes and export again, or leave this "
                "protocol out of --protocol."
            )
        unseen = [declared.classes[i] for i in sorted(known - seen["train"])] if declared.classes else []
        if unseen and not allow_missing_classes:
            raise TrainingError(
                f"Fold {split.fold}: no training clip is labelled {', '.join(unseen)} ({declared.name}), though other "
                "clips of the export are, so the model could never answer it. Use fewer folds or more "
                "participants, choose a 3-class protocol, or pass --allow-missing-classes to train all the same."
            )
    return encoded, parts


def _classes_of(
    encoded: np.ndarray, parts: dict[str, np.ndarray], declared: Target
) -> tuple[set[int], dict[str, set[int]]]:
    """Return the classes that occur in the export, and those in each part."""
    known = set(encoded[is_present(declared, encoded)].tolist())
    return known, {part: set(encoded[clips].tolist()) for part, clips in parts.items()}
