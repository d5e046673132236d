"""A world as the trainer sees it, without a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.worlds.world import World
from data_schema.exports.splits import ClipSplit
from data_schema.signals.features import EYE_FEATURES, FIXATION_FEATURES, SUMMARY_FEATURES


class WorldExport:
    """Answers what `emer_model.data.store.ClipStore` asks of a training export.

    Face crops are blank: give the store the world's ``face_features`` instead.

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        self._arrays = world.arrays
        people, first = np.unique(world.participants, return_index=True)
        begin = dict(zip(people, first, strict=True))
        ids = [f"sub-{who}_ses-01_trial-{i - begin[who] + 1:03d}" for i, who in enumerate(world.participants)]
        self._row = {clip_id: i for i, clip_id in enumerate(ids)}
        self.clips = pd.DataFrame(
            {"clip_id": ids, "participant": world.participants, "shard": "world", "row": range(len(ids))}
        )
        self.targets = pd.DataFrame({"clip_id": ids, **world.labels})
        self.manifest = {
            "eye_features": [asdict(feature) for feature in EYE_FEATURES],
            "fixation_features": [asdict(feature) for feature in FIXATION_FEATURES],
            "summary_features": [asdict(feature) for feature in SUMMARY_FEATURES],
        }
        self.array_names = frozenset(world.arrays) | {"faces"}

    def read(self, clip_id: str, names: Iterable[str]) -> dict[str, Any]:
        """Return arrays of one clip."""
        row = self._row[clip_id]
        blank = np.zeros((self._arrays["face_mask"].shape[1], 8, 8, 3), dtype=np.uint8)
        return {name: blank if name == "faces" else self._arrays[name][row] for name in names}


def subject_splits(export: WorldExport, n_folds: int, seed: int) -> list[ClipSplit]:
    """Deal participants out to folds: fold k tests, the next one validates, the rest train."""
    owner = export.clips["participant"].to_numpy().astype(str)
    people = np.unique(owner)
    place = np.random.default_rng(seed).permutation(len(people)) % n_folds
    fold = place[np.searchsorted(people, owner)]
    ids = export.clips["clip_id"].to_numpy().astype(str)
    splits = []
    for k in range(n_folds):
        after = (k + 1) % n_folds
        train = tuple(sorted(ids[(fold != k) & (fold != after)]))
        validation, test = tuple(sorted(ids[fold == after])), tuple(sorted(ids[fold == k]))
        splits.append(ClipSplit("subject", k, f"fold {k}", train, validation, test))
    return splits
