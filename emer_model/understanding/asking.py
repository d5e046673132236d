"""Ask each fold's own model about its test clips, as they are or with something missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from emer_model.data.dataset import ClipDataset
from emer_model.data.normalising import normalise_clips
from emer_model.data.store import ClipStore
from emer_model.training.opened import OpenedRun
from emer_model.training.prediction import predict, predictions_table


def tested_clips(opened: OpenedRun, fold: int, store: ClipStore, clips: np.ndarray | None = None) -> ClipDataset:
    """Return test clips of a fold out of a store that may lack something.

    A participant's own baseline is taken from what is left of that participant's clips, as it would be if the
    recordings had been so.

    Parameters
    ----------
    opened : OpenedRun
    fold : int
    store : ClipStore
        That of the run, or what `ClipStore.without` made of it.
    clips : ndarray of int, optional
        Places in the store; all test clips by default.
    """
    clips = opened.tested(fold) if clips is None else clips
    people = np.asarray(store.participants)
    needed = np.flatnonzero(np.isin(people, np.unique(people[clips])))
    part = store.take(needed)
    best = opened.fold(fold)
    inputs = normalise_clips(part, best.normalisation, best.info.inputs, best.info.subject_normalisation)
    encoded = {name: values[needed] for name, values in opened.encoded.items()}
    return ClipDataset(part, np.searchsorted(needed, clips), inputs, encoded, "faces" in best.info.inputs)


def ask_fold(opened: OpenedRun, fold: int, store: ClipStore) -> pd.DataFrame:
    """Return a predictions table of a fold's test clips; see `emer_model.training.prediction.predictions_table`."""
    dataset = tested_clips(opened, fold, store)
    settings = opened.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the reference model draws at random when it is asked: the same draws for every question
        answers = predict(opened.fold(fold).model, dataset, settings.batch_size, opened.device, settings.precision)
    return predictions_table(dataset, answers, opened.targets, fold)


def ask_folds(opened: OpenedRun, store: ClipStore) -> pd.DataFrame:
    """Return the predictions table of the test clips of all finished folds, each by its own model."""
    return pd.concat([ask_fold(opened, fold, store) for fold in opened.finished], ignore_index=True)
