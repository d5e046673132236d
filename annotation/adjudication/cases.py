"""What is to be decided: clips ordered by how far their raters differ, with everyone's label under a neutral name."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from string import ascii_uppercase
from typing import Any

import pandas as pd

from annotation.agreement.ratings import SCALES_OF
from data_schema.errors import LabelError
from data_schema.labels import consensus, current_votes
from data_schema.labels.decisions import DECIDED_FIELDS
from data_schema.vocabularies import TASKS, AnnotatorKind

#: Weights of the parts of the disagreement. The emotion is what most is made of; a clip on which all agree on the
#: emotion and half of the pairs differ in polarity ranks with one whose scales lie a quarter of their length apart. Chosen.
POLARITY_WEIGHT = 0.5


@dataclass(frozen=True)
class Said:
    """One rater's label of a clip, without the rater's name.

    Parameters
    ----------
    name : str
        A, B, C ...: drawn anew for each clip, so that nobody is known by their letter.
    kind : str
        human or simulated; simulated raters stay named so.
    row_id : str
        The label's row in the log.
    skip_reason, emotion, polarity : str or None
    values : mapping
        Valence, arousal, intensity and confidence, where given.
    comment : str
    view : str
        What the rater could see.
    """

    name: str
    kind: str
    row_id: str
    skip_reason: str | None
    emotion: str | None
    polarity: str | None
    values: Mapping[str, float]
    comment: str
    view: str


@dataclass(frozen=True)
class Case:
    """One clip to be decided.

    Parameters
    ----------
    clip_id, clip_sha256 : str
    said : tuple of Said
        By neutral name.
    disagreement : float
        0 where all say the same; see `disagreement`.
    flagged : bool
        Whether a rater asked for another look.
    together : mapping
        What the raters say together: the row of `data_schema.labels.consensus`.
    """

    clip_id: str
    clip_sha256: str
    said: tuple[Said, ...]
    disagreement: float
    flagged: bool
    together: Mapping[str, Any] = field(repr=False)


def disagreement(said: Sequence[Said], task: str) -> float:
    """Say how far the raters of a clip differ.

    The share of pairs of raters with different emotions (a skip is one of its own), plus half of that of
    polarities, plus the mean distance of pairs on the scales as a share of the scale's length.

    Returns
    -------
    float
        0 where all say the same; 0 for a single rater.
    """
    pairs = list(combinations(said, 2))
    if not pairs:
        return 0.0
    emotion = sum(a.emotion != b.emotion for a, b in pairs) / len(pairs)
    polarity = _share_of(pairs, lambda one: one.polarity, lambda a, b: float(a != b))
    distances = [
        _share_of(pairs, lambda one, name=scale.name: one.values.get(name), lambda a, b: abs(a - b))
        / (scale.high - scale.low)
        for scale in SCALES_OF[task]
    ]
    return emotion + POLARITY_WEIGHT * polarity + sum(distances) / len(distances)


def _share_of(
    pairs: Sequence[tuple[Said, Said]], what: Callable[[Said], Any], distance: Callable[[Any, Any], float]
) -> float:
    given = [(what(a), what(b)) for a, b in pairs]
    found = [distance(a, b) for a, b in given if a is not None and b is not None]
    return sum(found) / len(found) if found else 0.0


def find_cases(
    labels: pd.DataFrame,
    task: str,
    hashes: Mapping[str, str],
    *,
    kinds: Sequence[str] = (AnnotatorKind.HUMAN.value, AnnotatorKind.SIMULATED.value),
    marks: pd.DataFrame | None = None,
    leave_out: Collection[str] = (),
    everything: bool = False,
    seed: str = "",
) -> list[Case]:
    """Find the clips to be decided, those on which raters differ most first.

    Parameters
    ----------
    labels : DataFrame
        From ``read_labels``. Repeats are left out: they show how sure a rater is, and are no further opinion.
    task : {'er', 'fer'}
    hashes : mapping
        SHA-256 of the recording of each clip that can be shown. Labels of other clips, and of recordings
        that changed since, are not shown: they judged something else.
    kinds : sequence of str
        Kinds of annotators whose labels are shown.
    marks : DataFrame, optional
        From ``read_log(paths, "marks")``: clips that a rater flagged come too.
    leave_out : collection of str
        Clips without a vote to decide on, such as those of the training block.
    everything : bool
        True for clips on which all agree as well.
    seed : str
        Neutral names are drawn by it and the clip, so that they stay the same after a restart.

    Raises
    ------
    LabelError
        If the task is unknown.
    """
    if task not in TASKS:
        raise LabelError(f"task is '{task}', expected one of {', '.join(TASKS)}.")
    holds = current_votes(labels[(labels["task"] == task) & labels["annotator_kind"].isin(list(kinds))])
    holds = holds[(holds["repetition"] == 0) & ~holds["clip_id"].isin(list(leave_out))]
    holds = holds[holds["clip_sha256"] == holds["clip_id"].map(hashes)]
    together = consensus(holds, task, kinds=kinds).set_index("clip_id").to_dict("index")
    flagged = flagged_clips(marks, task) if marks is not None else set()
    cases = []
    for clip_id, group in holds.groupby("clip_id", sort=True):
        name = str(clip_id)
        said = _neutral(group, f"{seed}/{task}/{name}")
        case = Case(name, hashes[name], said, disagreement(said, task), name in flagged, together[clip_id])
        if everything or case.flagged or _is_open(case):
            cases.append(case)
    return sorted(cases, key=lambda case: (-case.disagreement, case.clip_id))


def flagged_clips(marks: pd.DataFrame, task: str) -> set[str]:
    """Return the clips with a flag that was not taken back."""
    own = marks[marks["task"] == task]
    removed = set(own["removes"].dropna())
    flags = own[(own["kind"] == "flag") & own["removes"].isna() & ~own["row_id"].isin(removed)]
    return set(flags["clip_id"].astype(str))


def _is_open(case: Case) -> bool:
    """Tell a clip whose class is in question: raters differ on the emotion or the polarity, or some skipped it."""
    return len({(one.emotion, one.polarity) for one in case.said}) > 1


def _neutral(group: pd.DataFrame, seed: str) -> tuple[Said, ...]:
    rows = group.sort_values("annotator_id").to_dict("records")
    # Not Python's hash: it changes between starts.
    random.Random(hashlib.sha256(seed.encode("utf-8")).digest()).shuffle(rows)
    return tuple(_said(_letter(place), row) for place, row in enumerate(rows))


def _letter(place: int) -> str:
    first, last = divmod(place, len(ascii_uppercase))
    return (ascii_uppercase[first - 1] if first else "") + ascii_uppercase[last]


def _said(name: str, row: Mapping[Any, Any]) -> Said:
    def text(column: str) -> str | None:
        return None if pd.isna(row[column]) else str(row[column])

    numbers = ("confidence", *(one for one in DECIDED_FIELDS if one not in ("emotion", "polarity")))
    values = {column: float(row[column]) for column in numbers if not pd.isna(row[column])}
    return Said(
        name, str(row["annotator_kind"]), str(row["row_id"]), text("skip_reason"), text("emotion"), text("polarity"),
        values, text("comment") or "", text("view") or "",
    )  # fmt: skip
