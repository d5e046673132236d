"""What the annotators of a clip say together. Computed, never stored over their labels.

Classes: the majority, or Dawid-Skene, which weighs raters by their errors; where
several classes are equally well supported, the tie stays a tie (no class, and the
tied ones listed). Continuous scales: the mean. Skips are counted apart and never
vote. The result does not depend on the order of rows: votes are counted and means
are summed exactly (`math.fsum`). Adjudicators' decisions lie on top: what they
decided replaces what was computed, the rest stays, and the table says who and why.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from data_schema.errors import LabelError
from data_schema.labels.dawid_skene import class_probabilities
from data_schema.labels.decisions import DECIDED_FIELDS, current_decisions
from data_schema.labels.tables import current_votes
from data_schema.vocabularies import EMOTIONS, POLARITIES, TASKS, AnnotatorKind

if TYPE_CHECKING:
    import pandas as pd

#: Who has a vote. A model's guess is no opinion of a rater.
VOTING_KINDS: tuple[str, ...] = (AnnotatorKind.HUMAN.value, AnnotatorKind.SIMULATED.value)
_SCALES = ("valence", "arousal", "intensity", "confidence")
METHODS: tuple[str, ...] = ("majority", "dawid-skene")
#: Probabilities that differ by less are a tie: EM stops at about this precision. Chosen.
_TIE_PROBABILITY = 1e-6
#: Columns of a consensus table, in order, with their meaning.
CONSENSUS_COLUMNS: dict[str, str] = {
    "clip_id": "The clip.",
    "task": "er or fer.",
    "emotion": "Emotion that most raters chose, or by the method the most probable one; empty on a tie.",
    "emotion_tie": "The tied emotions, joined by |; empty if there is no tie.",
    "emotion_share": "Share of the raters that chose the most frequent emotion.",
    "emotion_probability": "Probability of the emotion; by Dawid-Skene alone.",
    "polarity": "Polarity that most raters chose, or the most probable one; empty on a tie or if nobody gave one.",
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
    "method": "How classes were computed: majority or dawid-skene.",
    "decided_by": "Adjudicator whose decision stands in the row; empty if nobody decided.",
    "decided_fields": "What the adjudicator decided, joined by |; the rest of the row is the raters'.",
    "reason": "The adjudicator's reason.",
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


def consensus(
    labels: pd.DataFrame,
    task: str,
    *,
    kinds: Sequence[str] = VOTING_KINDS,
    method: str = "majority",
    decisions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compute what the annotators of each clip say together.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`; superseded rows do not vote, nor do those of the training
        block, nor repeats (`repetition` above 0), which would give a rater two votes.
    task : {'er', 'fer'}
        Which judgement.
    kinds : sequence of str
        Kinds of annotators that vote.
    method : {'majority', 'dawid-skene'}
        How the classes are found. Dawid-Skene needs the extra ``consensus``.
    decisions : DataFrame, optional
        From ``read_log(paths, "decisions")``; those that hold are put on top.

    Returns
    -------
    DataFrame
        One row a clip that anybody labelled, skipped or decided, sorted by
        `clip_id`, columns `CONSENSUS_COLUMNS`.

    Raises
    ------
    LabelError
        If the task or the method is unknown.
    MissingExtraError
        If Dawid-Skene is asked for and its library is not installed.
    """
    import pandas as pd

    if task not in TASKS:
        raise LabelError(f"task is '{task}', expected one of {', '.join(TASKS)}.")
    if method not in METHODS:
        raise LabelError(f"method is '{method}', expected one of {', '.join(METHODS)}.")
    chosen = labels[(labels["task"] == task) & labels["annotator_kind"].isin(kinds)]
    holds = current_votes(chosen)
    holds = holds[holds["repetition"] == 0]
    rows = {str(clip_id): _judge(str(clip_id), task, group) for clip_id, group in holds.groupby("clip_id", sort=True)}
    if method != "majority":
        _reweigh(rows, holds, "emotion", EMOTIONS)
        _reweigh(rows, holds, "polarity", POLARITIES)
    if decisions is not None:
        for decision in current_decisions(decisions, task).to_dict("records"):
            _decide(
                rows.setdefault(str(decision["clip_id"]), _judge(str(decision["clip_id"]), task, holds[:0])), decision
            )
    table = pd.DataFrame([rows[clip] | {"method": method} for clip in sorted(rows)], columns=list(CONSENSUS_COLUMNS))
    numbers = [name for name in CONSENSUS_COLUMNS if name.endswith(("_share", "_probability")) or name in _SCALES]
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
        "emotion_probability": math.nan,
        "polarity": polarity,
        "polarity_tie": polarity_tie,
        "polarity_share": polarity_share,
        **{name: _mean(group.loc[group["emotion"].notna(), name]) for name in _SCALES},
        "n_raters": len(emotions),
        "n_polarity": len(polarities),
        "n_skipped": int(group["skip_reason"].notna().sum()),
        "annotator_kinds": "|".join(sorted(set(group["annotator_kind"]))),
        "decided_by": None,
        "decided_fields": "",
        "reason": None,
    }


def _reweigh(rows: dict[str, dict[str, Any]], holds: pd.DataFrame, field: str, vocabulary: Sequence[str]) -> None:
    """Put the most probable class in place of the most frequent one."""
    for clip_id, shares in class_probabilities(holds, field).items():
        top = max(shares.values())
        winners = sorted(
            (word for word, share in shares.items() if top - share < _TIE_PROBABILITY), key=vocabulary.index
        )
        row = rows[clip_id]
        row[field] = winners[0] if len(winners) == 1 else None
        row[f"{field}_tie"] = "" if len(winners) == 1 else "|".join(winners)
        if field == "emotion":
            row["emotion_probability"] = top


def _decide(row: dict[str, Any], decision: dict[Any, Any]) -> None:
    import pandas as pd

    decided = [name for name in DECIDED_FIELDS if not pd.isna(decision[name])]
    for name in decided:
        row[name] = decision[name]
    for name in ("emotion", "polarity"):
        if name in decided:
            row[f"{name}_tie"] = ""
    if "emotion" in decided:
        row["emotion_probability"] = math.nan
    row["decided_by"], row["reason"] = decision["annotator_id"], decision["reason"]
    row["decided_fields"] = "|".join(decided)


def _mean(values: pd.Series[Any]) -> float:
    given = [float(value) for value in values.dropna()]
    return math.fsum(given) / len(given) if given else math.nan
