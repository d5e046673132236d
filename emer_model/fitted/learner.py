"""What scikit-learn fits, and how its settings are chosen on participants that it was not fitted on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from emer_model.data.targets import Target, is_present
from emer_model.fitted.predictors import Constant, Predictor

#: Rows of which the answers are computed at once.
ROWS = 256

#: A probability that the loss takes for a smaller one, so that one sure mistake cannot decide. Ours.
MIN_LOSS_PROBABILITY = 1e-4


class Learner(ABC):
    """Fits one kind of part to rows and labels.

    Attributes
    ----------
    settings : tuple of float
        Strengths, numbers of rounds or the like of which one is chosen by `cross_fit`; one if there is no choice.
    temperatures : tuple of float
        By which logits of a linear part may be divided, chosen with the setting; 1 alone for learners whose probabilities
        are those of a likelihood.
    """

    settings: tuple[float, ...] = (0.0,)
    temperatures: tuple[float, ...] = (1.0,)

    @abstractmethod
    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit a part for each setting.

        Parameters
        ----------
        matrix : ndarray of float32, shape (n, columns)
        labels : ndarray, shape (n,)
            Encoded labels, all there; at least two classes of a classified target.
        target : Target
        settings : sequence of float
        seed : int
        """


@dataclass(frozen=True)
class CrossFit:
    """A part fitted to all clips, with what parts of its kind answer for participants that they have not seen.

    Parameters
    ----------
    predictor : Predictor
    out_of_fold : ndarray of float32, shape (n, K)
        Log-probabilities or values; each clip by a part that was fitted on other participants.
    absent : ndarray of float32, shape (K,)
        The answer for a clip that has nothing of the view: the training labels' own distribution.
    setting : float
        The one chosen.
    loss : float
        Of the out-of-fold answers: mean negative log-likelihood or squared error.
    """

    predictor: Predictor
    out_of_fold: np.ndarray
    absent: np.ndarray
    setting: float
    loss: float


def cross_fit(
    learner: Learner,
    matrix: np.ndarray,
    labels: np.ndarray,
    present: np.ndarray,
    target: Target,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> CrossFit:
    """Choose a learner's setting by inner folds, keep the answers of these, and fit to all clips.

    Parameters
    ----------
    learner : Learner
    matrix : ndarray of float32, shape (n, columns)
    labels : ndarray, shape (n,)
        Encoded; clips without a label are answered and not fitted.
    present : ndarray of bool, shape (n,)
        Clips that have the view; the others are neither fitted nor asked about.
    target : Target
    folds : sequence of (ndarray of int, ndarray of int)
        See `emer_model.fitted.folds.inner_folds`.
    seed : int
    """
    usable = present & is_present(target, labels)
    answers = np.empty((len(learner.settings), len(labels), target.n_outputs), dtype=np.float32)
    for fitted, held in folds:
        rows = fitted[usable[fitted]]
        predictors = fit_rows(learner, matrix[rows], labels[rows], target, learner.settings, seed)
        # Who lacks the view gets the distribution of those clips that the part was fitted on, view or not.
        absent = marginal(labels[fitted], target)
        for predictor, answer in zip(predictors, answers, strict=True):
            answer[held] = np.where(present[held, None], answer_rows(predictor, matrix[held]), absent)
    temperatures = learner.temperatures if target.classes else (1.0,)
    losses = np.array(
        [[mean_loss(cooled(a[usable], t), labels[usable], target) for t in temperatures] for a in answers]
    )
    best, degree = np.unravel_index(int(np.argmin(losses)) if usable.any() else 0, losses.shape)
    (predictor,) = fit_rows(learner, matrix[usable], labels[usable], target, learner.settings[best : best + 1], seed)
    out_of_fold, temperature = answers[best], temperatures[degree]
    if temperature != 1.0:
        out_of_fold[present] = cooled(out_of_fold[present], temperature)
        predictor.cool(temperature)
    return CrossFit(
        predictor, out_of_fold, marginal(labels, target), learner.settings[best], float(losses[best, degree])
    )


def cooled(answers: np.ndarray, temperature: float) -> np.ndarray:
    """Divide log-probabilities (n, K) by a temperature, and normalise them again."""
    if temperature == 1.0:
        return answers
    return torch.log_softmax(torch.from_numpy(answers) / temperature, dim=1).numpy()


def fit_rows(
    learner: Learner, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
) -> list[Predictor]:
    """Fit a part for each setting, or a constant where there is nothing to tell apart."""
    if len(labels) < 2 or len(np.unique(labels)) < 2 or matrix.shape[1] == 0:
        return [constant(labels, target) for _ in settings]
    return learner.fit_path(matrix, labels, target, settings, seed)


def constant(labels: np.ndarray, target: Target) -> Constant:
    """Make the part that answers the distribution of the labels, whatever it is shown."""
    part = Constant(target.n_outputs)
    part.answer.copy_(torch.from_numpy(marginal(labels, target)))
    return part


def marginal(labels: np.ndarray, target: Target) -> np.ndarray:
    """Return the logarithms of the classes' shares, or the mean value, of the labels that are there.

    Returns
    -------
    ndarray of float32, shape (K,)
        Uniform, or the middle of the scale, without any label.
    """
    there = labels[is_present(target, labels)]
    if not target.classes:
        middle = 0.5 * (target.low + target.high)
        return np.array([there.mean(dtype=np.float64) if len(there) else middle], dtype=np.float32)
    counts = np.bincount(there, minlength=len(target.classes)).astype(np.float64)
    shares = counts / counts.sum() if len(there) else np.full(len(counts), 1.0 / len(counts))
    return np.log(np.maximum(shares, 1e-12)).astype(np.float32)


def answer_rows(predictor: Predictor, matrix: np.ndarray) -> np.ndarray:
    """Ask a part about rows (n, columns), in blocks; returns float32 of shape (n, K)."""
    with torch.inference_mode():
        parts = [predictor(torch.from_numpy(matrix[i : i + ROWS])).numpy() for i in range(0, len(matrix), ROWS)]
    return np.concatenate(parts) if parts else np.empty((0, predictor.architecture["outputs"]), dtype=np.float32)


def mean_loss(answers: np.ndarray, labels: np.ndarray, target: Target) -> float:
    """Return the mean negative log-likelihood, or squared error, of answers (n, K) to labels (n,)."""
    if len(labels) == 0:
        return float("nan")
    if not target.classes:
        return float(np.mean((answers[:, 0].astype(np.float64) - labels) ** 2))
    chosen = answers[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.mean(np.maximum(chosen, np.log(MIN_LOSS_PROBABILITY))))
