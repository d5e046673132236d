"""How hard a planted world is for plain logistic regressions: the figures by which its difficulty was chosen.

    emer plant world && emer export training world world/exports/training
    python -m benchmarks.planted_difficulty world/exports/training

Prints the rows of the table in ``docs/planted.md``: felt emotion (ER), seven classes, five folds of participants. Nothing is
tuned: one regularisation for the eyes, one for the face.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.exports.reading import TrainingExport

FloatArray = npt.NDArray[np.float64]
N_FOLDS = 5
#: Inverse regularisation; summaries are few, and the face's hundred components are noisier.
C_EYES, C_FACE = 0.03, 0.1
N_COMPONENTS = 100
#: Faces are described from the third frame on: before, the expression is only coming.
FIRST_FRAME = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_difficulty", description=__doc__.split("\n")[0])
    parser.add_argument("export", type=Path, help="training export of a planted world")
    folder = parser.parse_args(argv).export
    with TrainingExport.open(folder) as export, warnings.catch_warnings():
        # Means of nothing are meant to be NaN here.
        warnings.simplefilter("ignore", RuntimeWarning)
        for line in rows(export):
            print(line, flush=True)
    return 0


def rows(export: TrainingExport) -> list[str]:
    """Return the rows of the table, one a model."""
    clips = export.clips.merge(export.targets, on="clip_id").reset_index(drop=True)
    who, felt = clips["participant"].to_numpy(str), clips["er_emotion"].to_numpy(object)
    shown = clips["fer_emotion"].to_numpy(object)
    masked = (felt != shown) & pd.notna(felt) & pd.notna(shown)
    means, quarters, faces = _features(export, clips["clip_id"])
    both = np.concatenate([means, quarters], axis=1)
    eyes = _predict(_of_person(both, who), felt, who, C_EYES)
    face = _predict(_components(faces, who), felt, who, C_FACE)
    answers = {
        "the face alone": face,
        "means and spreads of eye features over the clip": _predict(means, felt, who, C_EYES),
        "the same, against each participant's own": _predict(_of_person(means, who), felt, who, C_EYES),
        "the same with means over quarters of the clip": eyes,
        "that and the face, logarithms of probabilities added": np.log(eyes + 1e-4) + np.log(face + 1e-4),
        "that and the face's label (FER), as if it were known": _predict(
            np.concatenate([_of_person(both, who), 2.0 * pd.get_dummies(pd.Series(shown)).to_numpy(float)], axis=1),
            felt, who, C_EYES,
        ),
    }  # fmt: skip
    return [f"| {name} | {_figures(answer, felt, masked)} |" for name, answer in answers.items()]


def _features(export: TrainingExport, names: pd.Series) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return means and spreads of the eyes, means over quarters, and the face's description; NaN where nothing is there."""
    means, quarters, faces = [], [], []
    for name in names:
        arrays = export.read(name)
        eye = np.where(arrays["eye_mask"], arrays["eye"], np.nan).astype(np.float64)  # (C, E)
        there = arrays["fixation_mask"][:, None]
        fixations = np.where(there, arrays["fixations"], np.nan).astype(np.float64)  # (M, 4)
        parts = [f(x, axis=0) for x in (eye, fixations) for f in (np.nanmean, np.nanstd)]
        means.append(np.concatenate([*parts, [there.sum()]]))
        quarters.append(np.concatenate([np.nanmean(part, axis=0) for part in np.array_split(eye, 4)]))
        faces.append(_describe(arrays["faces"], arrays["face_mask"]))
    return np.array(means), np.array(quarters), np.array(faces)


def _describe(faces: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> FloatArray:
    """Return orientations of edges over an 8 x 8 grid, mean over the frames, shape (576,)."""
    found = [k for k in np.flatnonzero(mask) if k >= FIRST_FRAME] or list(np.flatnonzero(mask))
    if not found:
        return np.full(576, np.nan)
    return np.mean([_edges(faces[k]) for k in found], axis=0)


def _edges(face: npt.NDArray[np.uint8]) -> FloatArray:
    grey = cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    dx, dy = cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)
    size, angle = np.hypot(dx, dy), (np.arctan2(dy, dx) % np.pi) / np.pi * 9
    apart = [np.abs(angle - k) for k in range(9)]
    shares = [np.clip(1 - np.minimum(far, 9 - far), 0, 1) for far in apart]
    cells = np.sqrt([cv2.resize(size * share, (8, 8), interpolation=cv2.INTER_AREA) for share in shares]).ravel()
    return np.asarray(cells / np.linalg.norm(cells), dtype=np.float64)


def _of_person(values: FloatArray, who: npt.NDArray[np.str_]) -> FloatArray:
    """Standardise by each participant's own clips; no label is used."""
    out = np.empty_like(values)
    for code in np.unique(who):
        own = values[who == code]
        out[who == code] = (own - np.nanmean(own, axis=0)) / (np.nanstd(own, axis=0) + 1e-6)
    return out


def _components(faces: FloatArray, who: npt.NDArray[np.str_]) -> FloatArray:
    """Return components of the difference from each participant's mean face."""
    from sklearn.decomposition import PCA

    centred = faces.copy()
    for code in np.unique(who):
        centred[who == code] -= np.nanmean(faces[who == code], axis=0)
    n = min(N_COMPONENTS, len(faces), faces.shape[1])
    return np.asarray(PCA(n, random_state=0).fit_transform(np.nan_to_num(centred)))


def _predict(values: FloatArray, felt: npt.NDArray[np.object_], who: npt.NDArray[np.str_], c: float) -> FloatArray:
    """Return probabilities of the classes in alphabetical order, by folds of participants; NaN without a label."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    labelled = np.flatnonzero(pd.notna(felt))
    classes = np.unique(felt[labelled].astype(str))
    said = np.full((len(felt), len(classes)), np.nan)
    for train, test in GroupKFold(N_FOLDS).split(labelled, groups=who[labelled]):
        train, test = labelled[train], labelled[test]
        mean, spread = np.nanmean(values[train], axis=0), np.nanstd(values[train], axis=0) + 1e-9
        scaled = np.nan_to_num((values - mean) / spread).clip(-5, 5)
        model = LogisticRegression(C=c, max_iter=500).fit(scaled[train], felt[train].astype(str))
        said[np.ix_(test, np.searchsorted(classes, model.classes_))] = model.predict_proba(scaled[test])
    return said


def _figures(answer: FloatArray, felt: npt.NDArray[np.object_], masked: npt.NDArray[np.bool_]) -> str:
    labelled = pd.notna(felt)
    classes = np.unique(felt[labelled].astype(str))
    hits = np.zeros(len(felt), dtype=bool)
    hits[labelled] = classes[np.nan_to_num(answer[labelled], nan=-np.inf).argmax(axis=1)] == felt[labelled]
    uar = np.mean([hits[felt == word].mean() for word in classes])
    return f"{hits[labelled].mean():.3f} | {uar:.3f} | {hits[masked].mean():.3f}"


if __name__ == "__main__":
    sys.exit(main())
