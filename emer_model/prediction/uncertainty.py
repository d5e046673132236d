"""How sure an ensemble is, and what kind of doubt it has.

Members are the models of several folds, passes of one network with dropout left on, or
both. What the members agree to be unsure of is a property of the clip; where each is
sure and they contradict each other, the models have not learned enough. Mutual
information measures the second (BALD), and one member alone cannot have it: it is
missing then, not zero.

References
----------
Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive
uncertainty estimation using deep ensembles", NeurIPS.
Houlsby, Huszar, Ghahramani and Lengyel (2011), "Bayesian active learning for
classification and preference learning", arXiv 1112.5745 (BALD).
Gal and Ghahramani (2016), "Dropout as a Bayesian approximation", ICML (MC dropout).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

#: Probabilities below this count as this where a logarithm is taken. Ours; float32 softmax has no smaller steps near 1.
_TINY = 1e-12


@dataclass(frozen=True)
class ClassBelief:
    """What an ensemble believes of the classes of each clip.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n_clips, n_classes)
        Mean of the members, rows sum to 1.
    confidence : ndarray of float64, shape (n_clips,)
        The greatest probability.
    entropy : ndarray of float64, shape (n_clips,)
        Of the mean, over that of a uniform distribution: 0 (sure) to 1.
    margin : ndarray of float64, shape (n_clips,)
        Between the greatest and the second: 0 (torn between two) to 1.
    mutual_information : ndarray of float64, shape (n_clips,)
        Entropy of the mean less the mean entropy of the members, on the scale of `entropy`: 0 (they say the same) to 1.
        NaN where there is one member.
    """

    probabilities: Float
    confidence: Float
    entropy: Float
    margin: Float
    mutual_information: Float


@dataclass(frozen=True)
class ValueBelief:
    """What an ensemble believes of a continuous target.

    Parameters
    ----------
    value : ndarray of float64, shape (n_clips,)
        Mean of the members.
    spread : ndarray of float64, shape (n_clips,)
        Standard deviation between members, in the target's unit. NaN where there is one member.
    """

    value: Float
    spread: Float


def class_belief(members: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> ClassBelief:
    """Join what members say of classes.

    Parameters
    ----------
    members : array_like, shape (n_members, n_clips, n_classes)
        Probabilities, calibrated where they can be.
    weights : array_like, shape (n_members, n_clips), optional
        0 where a member has no say in a clip; equal by default.

    Raises
    ------
    ValueError
        If the shapes do not fit or nobody has a say in a clip.
    """
    said = np.asarray(members, dtype=np.float64)  # (M, n, K)
    shares, n_members = _shares(weights, said.shape[:2])
    mean = np.einsum("mn,mnk->nk", shares, said)
    mean = mean / mean.sum(axis=1, keepdims=True)
    n_classes = said.shape[2]
    together = normalised_entropy(mean)
    alone = np.einsum("mn,mn->n", shares, normalised_entropy(said.reshape(-1, n_classes)).reshape(said.shape[:2]))
    ordered = np.sort(mean, axis=1)
    return ClassBelief(
        probabilities=mean,
        confidence=ordered[:, -1],
        entropy=together,
        margin=ordered[:, -1] - ordered[:, -2],
        # Rounding may bring members that agree below 0.
        mutual_information=np.where(n_members > 1, np.maximum(together - alone, 0.0), np.nan),
    )


def value_belief(members: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> ValueBelief:
    """Join what members say of a value.

    Parameters
    ----------
    members : array_like, shape (n_members, n_clips)
    weights : array_like, shape (n_members, n_clips), optional
        As of `class_belief`.

    Raises
    ------
    ValueError
        As `class_belief`.
    """
    said = np.asarray(members, dtype=np.float64)
    shares, n_members = _shares(weights, said.shape)
    mean = np.einsum("mn,mn->n", shares, said)
    variance = np.einsum("mn,mn->n", shares, (said - mean) ** 2)
    return ValueBelief(mean, np.where(n_members > 1, np.sqrt(variance), np.nan))


def normalised_entropy(probabilities: npt.ArrayLike) -> Float:
    """Return the entropy of each row over that of a uniform distribution, 0 to 1.

    Parameters
    ----------
    probabilities : array_like, shape (n, n_classes)
        Rows sum to 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    entropy = -(p * np.log(np.maximum(p, _TINY))).sum(axis=1) / np.log(p.shape[1])
    return np.clip(entropy, 0.0, 1.0)


def _shares(weights: npt.ArrayLike | None, shape: tuple[int, ...]) -> tuple[Float, npt.NDArray[np.int64]]:
    """Return each member's share in each clip, and how many members have one."""
    given = np.ones(shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != tuple(shape):
        raise ValueError(f"weights have shape {given.shape}, expected {tuple(shape)} (members, clips)")
    total = given.sum(axis=0)
    if not (total > 0).all():
        raise ValueError("nobody has a say in some clip: its weights are all 0")
    return given / total, (given > 0).sum(axis=0)
