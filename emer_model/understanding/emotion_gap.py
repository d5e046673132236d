"""The emotion gap as a run predicts it, or two runs that answer one task each."""

from __future__ import annotations

from typing import Any

import pandas as pd

from data_schema.vocabularies import EMOTIONS, POLARITIES
from emer_model.evaluation.gap import (
    GAP_LABELS,
    agreement_matrix,
    masking_figures,
    predicted_gap,
    predicted_labels,
    scale_gap,
    scale_gap_figures,
)

_CLASSES = {"emotion": EMOTIONS, "polarity": POLARITIES}
#: Scales whose difference between the felt and the shown is a gap.
SCALES = ("valence", "arousal")


def gap_tables(predictions: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Put what is felt and what is shown side by side, by label and by prediction.

    Parameters
    ----------
    predictions : DataFrame
        Rows of ``predictions.parquet`` of a run of both tasks, or those of two runs one under the other.

    Returns
    -------
    clips : DataFrame
        By ``label`` (emotion, polarity, valence, arousal) and clip: what `emer_model.evaluation.gap` says of it. Empty
        if no label is answered for both tasks.
    figures : dict
        By label: how well masked clips are found, with intervals, and counts of clips by felt (rows) and shown
        emotion, ``observed`` and ``predicted``; of scales, the figures of the difference.
    """
    answered = set(predictions["target_name"])
    clips, figures = [], {}
    for label in GAP_LABELS:
        if {f"er_{label}", f"fer_{label}"} <= answered:
            gap = predicted_gap(predictions, predictions, label)
            observed = gap.rename(columns={"er": f"er_{label}", "fer": f"fer_{label}"})
            figures[label] = masking_figures(gap) | {
                "classes": list(_CLASSES[label]),
                "observed": agreement_matrix(observed, _CLASSES[label], label).tolist(),
                "predicted": agreement_matrix(predicted_labels(gap, label), _CLASSES[label], label).tolist(),
            }
            clips.append(gap.assign(label=label))
    for scale in SCALES:
        if {f"er_{scale}", f"fer_{scale}"} <= answered:
            gap = scale_gap(predictions, predictions, scale)
            if len(gap):
                figures[scale] = scale_gap_figures(gap)
                clips.append(gap.assign(label=scale))
    table = pd.concat(clips, ignore_index=True) if clips else pd.DataFrame()
    return table, figures
