"""What a run says of clips, as tables: one row a clip for people, the guesses of a pass for the annotation tool."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_schema.labels.guess_table import GUESS_COLUMNS, PROBABILITY, UNCERTAINTY_COLUMNS, check_guesses
from data_schema.vocabularies import TASKS
from emer_model.data.targets import Target
from emer_model.prediction.judging import Judged
from emer_model.prediction.predicting import Prediction

#: First columns of a table of predictions, with their meaning; those of the targets follow, see `target_columns`.
CLIP_COLUMNS: dict[str, str] = {
    "clip_id": "The clip.",
    "participant": "Pseudonym of the participant.",
    "clip_sha256": "SHA-256 of the session file that the model saw.",
    "model_sha256": "SHA-256 over the model's checkpoints.",
    "n_models": "Models whose answers were averaged: those that had not learned from this participant.",
    "n_members": "Models, times passes with dropout, whose disagreement was measured.",
    "n_own_clips": "Clips of the participant at hand: their own baseline is taken from these.",
    "missing": "face, eyes, or face and eyes, where the clip has none; else empty.",
    "quality": "Why an export would leave the clip out; empty if it would not.",
}
_SCALES = ("valence", "arousal", "intensity")


def target_columns(target: Target) -> dict[str, str]:
    """Return the columns of a target in a table of predictions, with their meaning."""
    name = target.name
    if target.classes:
        return {
            name: "The class with the greatest probability.",
            **{f"{name}_{PROBABILITY}{one}": f"Probability of {one}, calibrated." for one in target.classes},
            f"{name}_confidence": "The greatest probability.",
            f"{name}_entropy": "Of the probabilities, over that of equal ones: 0 (sure) to 1.",
            f"{name}_margin": "Between the greatest probability and the second.",
            f"{name}_mutual_information": "How much the members contradict each other, 0 to 1; empty where there is one.",
        }
    return {
        name: f"The value, {target.low:g} to {target.high:g}.",
        f"{name}_spread": "Standard deviation between the members; empty where there is one.",
        f"{name}_expected_error": "Mean absolute error on validation participants: what to expect of new people.",
    }


def prediction_table(prediction: Prediction) -> pd.DataFrame:
    """Return one row a clip: columns `CLIP_COLUMNS`, then `target_columns` of each target of the run."""
    judged = prediction.judged
    columns: dict[str, object] = {
        "clip_id": list(judged.clip_ids),
        "participant": list(judged.participants),
        "clip_sha256": list(prediction.clip_sha256),
        "model_sha256": prediction.model_sha256,
        "n_models": judged.n_models,
        "n_members": judged.n_members,
        "n_own_clips": judged.n_own_clips,
        "missing": list(judged.missing),
        "quality": [prediction.weak.get(name, "") for name in judged.clip_ids],
    }
    for target in judged.targets:
        columns |= dict(zip(target_columns(target), _answers(judged, target), strict=True))
    return pd.DataFrame(columns)


def guess_tables(prediction: Prediction) -> dict[str, pd.DataFrame]:
    """Return the tables of guesses that the annotation tool reads, by task; empty if the run learns no emotion."""
    tables = {}
    for task in TASKS:
        name = f"{task}_emotion"
        if name in prediction.judged.classes:
            tables[task] = _guesses(prediction, task)
    return tables


def _guesses(prediction: Prediction, task: str) -> pd.DataFrame:
    judged = prediction.judged
    target = next(target for target in judged.targets if target.name == f"{task}_emotion")
    belief = judged.classes[target.name]
    table = pd.DataFrame(
        {
            "clip_id": list(judged.clip_ids),
            "clip_sha256": list(prediction.clip_sha256),
            "task": task,
            "model_sha256": prediction.model_sha256,
            "n_models": judged.n_models,
            "emotion": np.asarray(target.classes, dtype=object)[belief.probabilities.argmax(axis=1)],
            "confidence": belief.confidence,
            "entropy": belief.entropy,
            "margin": belief.margin,
            "mutual_information": belief.mutual_information,
            "n_members": judged.n_members,
        }
    )
    for k, name in enumerate(target.classes):
        table[PROBABILITY + name] = belief.probabilities[:, k]
    for name in _SCALES:
        known = judged.values.get(f"{task}_{name}")
        table[name] = np.nan if known is None else known.value
        table[f"{name}_spread"] = np.nan if known is None else known.spread
    return check_guesses(table[[*GUESS_COLUMNS, *UNCERTAINTY_COLUMNS]], f"guesses of the {task.upper()} pass")


def _answers(judged: Judged, target: Target) -> list[object]:
    """Return the columns of a target, in the order of `target_columns`."""
    if target.classes:
        belief = judged.classes[target.name]
        best = np.asarray(target.classes, dtype=object)[belief.probabilities.argmax(axis=1)]
        return [
            best,
            *belief.probabilities.T,
            belief.confidence,
            belief.entropy,
            belief.margin,
            belief.mutual_information,
        ]
    value = judged.values[target.name]
    return [value.value, value.spread, judged.expected_error[target.name]]
