"""Labels as tables of clips by raters, one for each thing that is judged.

The two passes are never put together: that a face shows one thing and a person
feels another is what the study is about, not a disagreement of raters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.errors import LabelError
from data_schema.labels import current_votes
from data_schema.vocabularies import AROUSAL, EMOTIONS, INTENSITY, TASKS, VALENCE, AnnotatorKind, Scale

Codes = npt.NDArray[np.int16]
Values = npt.NDArray[np.float64]

#: Order of the polarities on their scale, which is not the order of the vocabulary.
ORDERED_POLARITIES: tuple[str, ...] = ("negative", "neutral", "positive")
#: Steps of the intensity scale, to which a value between two of them is rounded where classes are needed.
INTENSITY_STEPS: tuple[str, ...] = ("0", "1", "2", "3")
#: Confidence is missing on purpose: it describes the annotator's own certainty, so that two annotators of one
#: clip have no reason to agree on it.
SCALES_OF: dict[str, tuple[Scale, ...]] = {"er": (VALENCE, AROUSAL), "fer": (VALENCE, AROUSAL, INTENSITY)}


@dataclass(frozen=True)
class Rater:
    """One annotator in one pass."""

    annotator_id: str
    kind: str
    n_labels: int
    n_skipped: int

    @property
    def shown_name(self) -> str:
        """The name in tables and pages: whoever is no person is named so."""
        human = self.kind == AnnotatorKind.HUMAN.value
        return self.annotator_id if human else f"{self.annotator_id} ({self.kind})"


@dataclass(frozen=True)
class ClassRatings:
    """What each rater said about each clip, as a class.

    Parameters
    ----------
    name : str
        The field, such as ``emotion``.
    classes : tuple of str
    ordered : bool
        Whether the classes lie on a scale in this order.
    codes : ndarray of int16, shape (n_clips, n_raters)
        Index of the class; -1 where nothing was said.
    """

    name: str
    classes: tuple[str, ...]
    ordered: bool
    codes: Codes


@dataclass(frozen=True)
class ScaleRatings:
    """What each rater said about each clip, as a number.

    Parameters
    ----------
    name : str
    scale : Scale
    values : ndarray of float64, shape (n_clips, n_raters)
        NaN where nothing was said.
    """

    name: str
    scale: Scale
    values: Values


@dataclass(frozen=True)
class PassRatings:
    """Everything that the raters of one pass said, first showings alone.

    Parameters
    ----------
    task : {'er', 'fer'}
    raters : tuple of Rater
        In the order of the columns.
    clip_ids : tuple of str
        In the order of the rows: each clip that a rater labelled or skipped.
    classes : tuple of ClassRatings
    scales : tuple of ScaleRatings
    """

    task: str
    raters: tuple[Rater, ...]
    clip_ids: tuple[str, ...]
    classes: tuple[ClassRatings, ...]
    scales: tuple[ScaleRatings, ...]


def pass_ratings(
    labels: pd.DataFrame,
    task: str,
    *,
    kinds: Sequence[str],
    emotions: Sequence[str] = EMOTIONS,
    repetition: int = 0,
) -> PassRatings:
    """Arrange the labels of one pass by clip and rater.

    Parameters
    ----------
    labels : DataFrame
        From `data_schema.labels.read_labels`; superseded rows and those of the training block
        are left out here.
    task : {'er', 'fer'}
    kinds : sequence of str
        Kinds of annotators that count.
    emotions : sequence of str
        Emotions that the study offers, in its order. Labels with others, given
        before the study was narrowed, keep their word behind these.
    repetition : int
        Which showing of the clips.

    Raises
    ------
    LabelError
        If the task is unknown.
    """
    if task not in TASKS:
        raise LabelError(f"task is '{task}', expected one of {', '.join(TASKS)}.")
    chosen = labels[(labels["task"] == task) & labels["annotator_kind"].isin(list(kinds))]
    holds = current_votes(chosen)
    holds = holds[holds["repetition"] == repetition]
    clip_ids = tuple(sorted(set(holds["clip_id"].astype(str))))
    names = sorted(set(zip(holds["annotator_id"].astype(str), holds["annotator_kind"].astype(str), strict=True)))
    rows = holds["clip_id"].astype(str).map({clip: i for i, clip in enumerate(clip_ids)}).to_numpy(dtype=np.int64)
    columns = holds["annotator_id"].map({name: i for i, (name, _) in enumerate(names)}).to_numpy(dtype=np.int64)
    said = holds["emotion"].notna().to_numpy(dtype=bool)
    raters = tuple(
        Rater(name, kind, int((said & (columns == i)).sum()), int((~said & (columns == i)).sum()))
        for i, (name, kind) in enumerate(names)
    )
    shape = (len(clip_ids), len(names))
    used = set(holds["emotion"].dropna())
    offered = tuple(emotions) + tuple(word for word in EMOTIONS if word in used and word not in emotions)
    scales = tuple(
        ScaleRatings(scale.name, scale, _spread(shape, rows, columns, holds[scale.name].to_numpy(dtype=np.float64)))
        for scale in SCALES_OF[task]
    )
    classes = [
        ClassRatings("emotion", offered, False, _codes(shape, rows, columns, holds["emotion"], offered)),
        ClassRatings(
            "polarity", ORDERED_POLARITIES, True, _codes(shape, rows, columns, holds["polarity"], ORDERED_POLARITIES)
        ),
    ]
    classes += [
        ClassRatings("intensity", INTENSITY_STEPS, True, _steps(one.values))
        for one in scales
        if one.name == "intensity"
    ]
    return PassRatings(task, raters, clip_ids, tuple(classes), scales)


def _spread(
    shape: tuple[int, int], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], cells: Values
) -> Values:
    table = np.full(shape, np.nan)
    table[rows, columns] = cells
    return table


def _codes(
    shape: tuple[int, int],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    words: pd.Series,
    classes: Sequence[str],
) -> Codes:
    table = np.full(shape, -1, dtype=np.int16)
    table[rows, columns] = words.map({word: i for i, word in enumerate(classes)}).fillna(-1).to_numpy(dtype=np.int16)
    return table


def _steps(values: Values) -> Codes:
    # Halves go up: numpy's own rounding takes 0.5 to 0 and 1.5 to 2.
    return np.where(np.isnan(values), -1, np.floor(np.nan_to_num(values) + 0.5)).astype(np.int16)
