"""What the annotators of a clip say together. Computed, never stored over their labels.

Classes: the majority; where several classes have most votes, the tie stays a tie
(no class, and the tied ones listed). Continuous scales: the mean. Skips are
counted apart and never vote. The result does not depend on the order of rows:
votes are counted and means are summed exactly (`math.fsum`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from data_schema.errors import LabelError
from data_schema.labels.tables import current_labels
from data_schema.vocabularies import EMOTIONS, POLARITIES, TASKS, AnnotatorKind

#: Who has a vote. A model's guess is no opinion of a rater.
VOTING_KINDS: tuple[str, ...] = (AnnotatorKind.HUMAN.value, AnnotatorKind.SIMULATED.value)
_SCALES = ("valence", "arousal", "intensity", "confidence")
#: Columns of a consensus table, in order, with their meaning.
CONSENSUS_COLUMNS: dict[str, str] = {
    "clip_id": "The clip.",
    "task": "er or fer.",
    "emotion": "Emotion that most raters chose; empty on a tie.",
    "emotion_tie": "The tied emotions, joined by |; empty if there is no tie.",
    "emotion_share": "Share of the raters that chose the most frequent emotion.",
    "polarity": "Polarity that most raters chose; empty on a tie or if nobody gave one.",
    "polarity_tie": "The tied polarities, joined by |.",
    "polarity_share": "Share of the raters with a polarity that chose the most frequent one.",
    "valence": "Mean of those who gave it, -1 to 1.",
    "arousal": "Mean of those who gave it, -1 to 1.",
    "intensity": "Mean of those who gave it, 0 to 3; FER only.",
    "confidence": "Mean of those who gave it, 0 to 1.",
    "n_raters": "Raters who gave an emotion.",
    "n_polarity": "Raters who gave a polarity.",
    "n_skipped": "Raters who skipped the clip.",
    "annotator_kinds": "Kinds of the raters, joined by |: human, simulated.",
}


def majority(votes: Iterable[str], vocabulary: Sequence[str]) -> tuple[str | None, str, float]:
    """Count votes.

    Parameters
    ----------
    votes : iterable of str
        One word a rater.
    vocabulary : sequence of str
        Order in which tied words are listed.

    Returns
    -------
    winner : str or None
        None if there is no vote or a tie.
    tie : str
        The tied words joined by ``|``; empty if there is none.
    share : float
        Share of the most frequent word; NaN without votes.
    """
    counts = Counter(votes)
    if not counts:
        return None, "", math.nan
    top = max(counts.values())
    winners = sorted((word for word, n in counts.items() if n == top), key=vocabulary.index)
    share = top / sum(counts.values())
    return (winners[0], "", share) if len(winners) == 1 else (None, "|".join(winners), share)


def consensus(labels: pd.DataFrame, task: str, *, kinds: Sequence[str] = VOTING_KINDS) -> pd.DataFrame:
    """Compute what the annotators of each clip say together.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`; superseded rows do not vote, and neither do repeats
        (`repetition` above 0), which would give a rater two votes.
    task : {'er', 'fer'}
        Which judgement.
    kinds : sequence of str
        Kinds of annotators that vote.

    Returns
    -------
    DataFrame
        One row a clip that anybody labelled or skipped, sorted by `clip_id`,
        columns `CONSENSUS_COLUMNS`.

    Raises
    ------
    LabelError
        If the task is unknown.
    """
    if task not in TASKS:
        raise LabelError(f"task is '{task}', expected one of {', '.join(TASKS)}.")
    chosen = labels[(labels["task"] == task) & labels["annotator_kind"].isin(kinds)]
    holds = current_labels(chosen)
    holds = holds[holds["repetition"] == 0]
    rows = [_judge(str(clip_id), task, group) for clip_id, group in holds.groupby("clip_id", sort=True)]
    table = pd.DataFrame(rows, columns=list(CONSENSUS_COLUMNS))
    numbers = [name for name in CONSENSUS_COLUMNS if name.endswith("_share") or name in _SCALES]
    counts = [name for name in CONSENSUS_COLUMNS if name.startswith("n_")]
    texts = [name for name in CONSENSUS_COLUMNS if name not in numbers and name not in counts]
    frame: pd.DataFrame = table.astype(dict.fromkeys(numbers, "float64") | dict.fromkeys(counts, "int64"))
    for name in texts:
        column = frame[name].astype(object)
        frame[name] = column.where(column.notna(), None)
    return frame


def _judge(clip_id: str, task: str, group: pd.DataFrame) -> dict[str, Any]:
    emotions = [str(word) for word in group["emotion"].dropna()]
    polarities = [str(word) for word in group["polarity"].dropna()]
    emotion, emotion_tie, emotion_share = majority(emotions, EMOTIONS)
    polarity, polarity_tie, polarity_share = majority(polarities, POLARITIES)
    return {
        "clip_id": clip_id,
        "task": task,
        "emotion": emotion,
        "emotion_tie": emotion_tie,
        "emotion_share": emotion_share,
        "polarity": polarity,
        "polarity_tie": polarity_tie,
        "polarity_share": polarity_share,
        **{name: _mean(group.loc[group["emotion"].notna(), name]) for name in _SCALES},
        "n_raters": len(emotions),
        "n_polarity": len(polarities),
        "n_skipped": int(group["skip_reason"].notna().sum()),
        "annotator_kinds": "|".join(sorted(set(group["annotator_kind"]))),
    }


def _mean(values: pd.Series[Any]) -> float:
    given = [float(value) for value in values.dropna()]
    return math.fsum(given) / len(given) if given else math.nan
