"""What refers to the person: standardise summary features by the participant's own clips, without any label.

Both functions use other clips of the same participant, also those that are tested on. They may, since no label is used: at
work, too, a person's clips are there before anybody judges them. A result must say that it was obtained so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.features.declaration import SUMMARY_FEATURE_NAMES
from data_schema.signals.features.scanpath import MIN_PAIRS
from data_schema.signals.gaze import Bool, Float

#: With fewer clips of a participant a feature is not standardised by them but masked: one clip is its own mean.
MIN_CLIPS = 2


def complete_session(
    values: npt.NDArray[Any], mask: Bool, names: Sequence[str] = SUMMARY_FEATURE_NAMES
) -> tuple[npt.NDArray[np.float32], Bool]:
    """Fill in what refers to the whole session: coefficient K of each clip.

    Durations and amplitudes are standardised over all fixations of these clips, whose mean and spread follow from each
    clip's own.

    Parameters
    ----------
    values : ndarray of float, shape (n_clips, n_features)
        Summary features of the clips of one session (of one participant).
    mask : ndarray of bool, shape (n_clips, n_features)
    names : sequence of str
        Names of the features.

    Returns
    -------
    values : ndarray of float32, shape (n_clips, n_features)
    mask : ndarray of bool, shape (n_clips, n_features)
        ``k_coefficient`` stays masked where a clip has too few fixations, or all of them are alike.

    References
    ----------
    Krejtz et al. (2016), equation 1.
    """
    place = {name: i for i, name in enumerate(names)}
    values, mask = values.astype(np.float32), mask.copy()
    target = place["k_coefficient"]
    values[:, target], mask[:, target] = 0.0, False
    needed = [place[f"k_{name}_{figure}"] for name in ("duration", "amplitude") for figure in ("mean", "sd")]
    usable = mask[:, [*needed, place["k_pair_count"]]].all(axis=1) & (values[:, place["k_pair_count"]] >= MIN_PAIRS)
    if not usable.any():
        return values, mask
    count = values[usable, place["k_pair_count"]].astype(np.float64)
    k = np.zeros(int(usable.sum()))
    for sign, name in ((1.0, "duration"), (-1.0, "amplitude")):
        mean = values[usable, place[f"k_{name}_mean"]].astype(np.float64)
        sd = values[usable, place[f"k_{name}_sd"]].astype(np.float64)
        grand = float((count * mean).sum() / count.sum())
        variance = float((count * (sd**2 + (mean - grand) ** 2)).sum() / count.sum())
        if variance <= 0:
            return values, mask
        k += sign * (mean - grand) / np.sqrt(variance)
    values[usable, target], mask[usable, target] = k, True
    return values, mask


def normalise_by_subject(
    values: npt.NDArray[Any], mask: Bool, participants: Sequence[str], min_clips: int = MIN_CLIPS
) -> tuple[npt.NDArray[np.float32], Bool]:
    """Standardise each feature by the mean and the spread of the participant's own clips.

    Parameters
    ----------
    values : ndarray of float, shape (n_clips, n_features)
    mask : ndarray of bool, shape (n_clips, n_features)
        True where measured.
    participants : sequence of str, length n_clips
    min_clips : int
        A feature that fewer of a participant's clips have is masked for them.

    Returns
    -------
    values : ndarray of float32, shape (n_clips, n_features)
        0 where masked, and where a participant's clips are all alike.
    mask : ndarray of bool, shape (n_clips, n_features)

    Raises
    ------
    ValueError
        If the lengths differ, or `min_clips` is below 2.
    """
    if len(participants) != len(values) or values.shape != mask.shape:
        raise ValueError(f"{len(values)} clips, a mask of {mask.shape} and {len(participants)} participants do not fit")
    if min_clips < MIN_CLIPS:
        raise ValueError(f"min_clips is {min_clips}, expected {MIN_CLIPS} or more: one clip is its own mean")
    codes, person = np.unique(np.asarray(participants, dtype=object).astype(str), return_inverse=True)
    known = np.where(mask, values, 0.0).astype(np.float64)

    def per_person(numbers: Float) -> Float:
        total: Float = np.zeros((len(codes), values.shape[1]))
        np.add.at(total, person, numbers)
        return total

    count = per_person(mask.astype(np.float64))
    mean = per_person(known) / np.maximum(count, 1.0)
    away = np.where(mask, known - mean[person], 0.0)
    sd = np.sqrt(per_person(away**2) / np.maximum(count, 1.0))
    # Below this a spread is rounding of equal numbers.
    alike = sd <= 1e-9 * np.maximum(1.0, np.abs(mean))
    scaled = np.where(alike[person], 0.0, away / np.where(alike, 1.0, sd)[person])
    measured = mask & (count >= min_clips)[person]
    return np.where(measured, scaled, 0.0).astype(np.float32), np.asarray(measured, dtype=np.bool_)
