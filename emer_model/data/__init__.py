"""From a training export to normalised batches of disjoint participants."""

from __future__ import annotations

from emer_model.data.arrays import Arrays
from emer_model.data.datamodule import FoldData
from emer_model.data.dataset import ClipDataset
from emer_model.data.fold_choice import parse_folds
from emer_model.data.inputs import INPUTS, ask
from emer_model.data.normalisation import FeatureNormalisation, subtract_subject_baseline
from emer_model.data.normalising import fit_normalisation, normalise_clips
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, encode, protocol_targets, target

__all__ = [
    "INPUTS",
    "Arrays",
    "ClipDataset",
    "ClipStore",
    "FeatureNormalisation",
    "FoldData",
    "Target",
    "ask",
    "encode",
    "fit_normalisation",
    "normalise_clips",
    "parse_folds",
    "protocol_targets",
    "subtract_subject_baseline",
    "target",
]
