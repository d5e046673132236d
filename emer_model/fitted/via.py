"""What follows for one target from an answer to another, as the labels of the training clips go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from emer_model.data.targets import Target, is_present
from emer_model.fitted.learner import answer_rows, marginal
from emer_model.fitted.predictors import Via

#: Clips' worth of belief, for each class of the other target, that the two do not depend on each other. Ours.
PRIOR_CLIPS = 4.0


@dataclass(frozen=True)
class ViaFit:
    """A part fitted to all clips, and what it answers for participants whose labels it did not count.

    Parameters
    ----------
    predictor : Via
    out_of_fold : ndarray of float32, shape (n, K)
    """

    predictor: Via
    out_of_fold: np.ndarray


def fit_via(
    answers: np.ndarray,
    other: np.ndarray,
    labels: np.ndarray,
    other_target: Target,
    target: Target,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> ViaFit:
    """Count how the labels of two targets go together, outside each inner fold and in all.

    Parameters
    ----------
    answers : ndarray of float32, shape (n, S)
        Out-of-fold log-probabilities of the other target.
    other, labels : ndarray, shape (n,)
        Encoded labels of both; clips that lack one are not counted.
    other_target, target : Target
        The other is classified.
    folds : sequence of (ndarray of int, ndarray of int)
    """
    out_of_fold = np.empty((len(labels), target.n_outputs), dtype=np.float32)
    for fitted, held in folds:
        part = count(other[fitted], labels[fitted], other_target, target)
        out_of_fold[held] = answer_rows(part, answers[held])
    return ViaFit(count(other, labels, other_target, target), out_of_fold)


def count(other: np.ndarray, labels: np.ndarray, other_target: Target, target: Target) -> Via:
    """Fit the part to labels (n,) of both targets."""
    both = is_present(other_target, other) & is_present(target, labels)
    shown, felt = other[both], labels[both]
    prior = marginal(labels, target).astype(np.float64)
    prior = np.exp(prior) if target.classes else prior
    totals = np.tile(PRIOR_CLIPS * prior, (len(other_target.classes), 1))
    if target.classes:
        np.add.at(totals, (shown, felt), 1.0)
    else:
        np.add.at(totals, (shown, 0), felt.astype(np.float64))
    clips = PRIOR_CLIPS + np.bincount(shown, minlength=len(other_target.classes))
    part = Via(len(other_target.classes), target.n_outputs, classes=bool(target.classes))
    part.given.copy_(torch.from_numpy(totals / clips[:, None]))
    return part
