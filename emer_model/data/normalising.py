"""Bring the inputs of a fold to the scale of its training clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emer_model.data.inputs import INPUTS
from emer_model.data.normalisation import FeatureNormalisation, subtract_subject_baseline
from emer_model.data.store import ClipStore
from emer_model.data.summaries import face_summaries

#: Inputs that are standardised by each participant's own unlabelled clips, where that is asked for.
BY_SUBJECT = (
    "eye", "summary", "averages", "extremes", "course", "rhythm", "fixation_places", "face_features", "face_summary",
)  # fmt: skip


def fit_normalisation(store: ClipStore, train: np.ndarray, inputs: Sequence[str]) -> dict[str, FeatureNormalisation]:
    """Fit the scale of each input that has one to the training clips.

    Parameters
    ----------
    store : ClipStore
    train : ndarray of int
        Places of the training clips in the store.
    inputs : sequence of str
        What the model takes.

    Returns
    -------
    dict of FeatureNormalisation, by input
    """
    fitted = {}
    for name in inputs:
        if INPUTS[name].normalised:
            values, mask = measured(store, name)
            fitted[name] = FeatureNormalisation.fit(values[train], mask[train])
    return fitted


def normalise_clips(
    store: ClipStore, normalisation: dict[str, FeatureNormalisation], inputs: Sequence[str], subject_normalisation: bool
) -> dict[str, np.ndarray]:
    """Return the inputs of all clips of a store as a model takes them; face crops stay in the store.

    Parameters
    ----------
    store : ClipStore
    normalisation : dict of FeatureNormalisation
        From `fit_normalisation`.
    inputs : sequence of str
    subject_normalisation : bool
        Standardise by each participant's own clips, see `subtract_subject_baseline`.

    Returns
    -------
    dict of ndarray, shape (n_clips, ...), by input
    """
    whole: dict[str, np.ndarray] = {}
    for name in inputs:
        if name == "faces":
            continue
        if not INPUTS[name].normalised:
            whole[name] = _as_stored(store, name)
            continue
        values, mask = measured(store, name)
        values = normalisation[name].apply(values, mask)
        if subject_normalisation and name in BY_SUBJECT:
            values = subtract_subject_baseline(values, mask, store.participants)
        whole[name] = values[:, 0] if INPUTS[name].axes == ("feature",) else values
    return whole


def measured(store: ClipStore, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return an input before normalisation and where it was measured, both of shape (n_clips, n_steps, n_features)."""
    if name == "eye":
        return store.eye, store.eye_mask
    if name == "fixations":
        return store.fixations, np.broadcast_to(store.fixation_mask[:, :, None], store.fixations.shape)
    if name == "summary":
        return store.summary[:, None], store.summary_mask[:, None]
    if name in store.details:
        values, mask = store.details[name]
        return values[:, None], mask[:, None]
    if store.face_features is None:
        raise ValueError(f"the store was made without face features, which {name} needs")
    if name == "face_features":
        values = store.face_features
        return values, np.broadcast_to(store.face_mask[:, :, None], values.shape)
    values = face_summaries(store.face_features, store.face_mask)[:, None]
    present = store.face_mask.any(axis=1)
    return values, np.broadcast_to(present[:, None, None], values.shape)


def _as_stored(store: ClipStore, name: str) -> np.ndarray:
    """Return an input that needs no scale."""
    if name == "face_present":
        return store.face_mask.any(axis=1)
    if name == "gaze_points":
        return np.where(store.gaze_points_mask[:, :, None], store.gaze_points, 0.0).astype(np.float32)
    values: np.ndarray = getattr(store, name)
    return values
