"""Labels of an export: every annotator's, the participants' own, and one target a clip.

ER targets come from annotators or from the participant, as ``[labels] er_source``
says; FER targets always from annotators. Adjudicators' decisions lie on top of what
annotators say, never of a self-report. Nothing is invented: a tie, a skip or a
missing answer that nobody decided is a missing target.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import ExportError
from data_schema.exports.columns import EXPORTED_LABELS, EXPORTED_TARGETS, meanings
from data_schema.labels.consensus import consensus, majority
from data_schema.labels.decisions import current_decisions
from data_schema.labels.tables import current_votes
from data_schema.session.layout import RESPONSES
from data_schema.session.reader import Session
from data_schema.vocabularies import AROUSAL, EMOTIONS, SUGGESTED_POLARITY, TASKS, VALENCE

_log = logging.getLogger(__name__)

#: Columns of ``labels.parquet`` and what they mean, in order.
LABEL_COLUMNS: dict[str, str] = meanings(EXPORTED_LABELS)
_TEXTS = ("clip_id", "task", "view", "source", "annotator_id", "annotator_kind", "emotion", "polarity", "skip_reason")
_NUMBERS = ("valence", "arousal", "intensity", "confidence")

#: Columns of ``targets.parquet`` and what they mean, in order.
TARGET_COLUMNS: dict[str, str] = meanings(EXPORTED_TARGETS)


def self_reports(session: Session, clip_ids: dict[int, str], simulated: bool) -> list[dict[str, Any]]:
    """Read what the participant said after each clip.

    The emotion is the one rated highest, if it is rated above 0 and no other equals
    it; the polarity is the one suggested for that emotion, missing for surprise.

    Parameters
    ----------
    session : Session
    clip_ids : dict of int to str
        Clips by trial.
    simulated : bool
        Whether a simulated participant answered.

    Returns
    -------
    list of dict
        Rows of ``labels.parquet``.
    """
    rows = session.table(RESPONSES).frame()
    found = []
    for trial, name in sorted(clip_ids.items()):
        answers = rows[rows["trial_id"] == trial].drop_duplicates("scale", keep="last").set_index("scale")["value"]
        ratings = {word: float(answers[word]) for word in EMOTIONS if word in answers}
        scales = {scale.name: _on_scale(answers, scale.name, scale.low, scale.high) for scale in (VALENCE, AROUSAL)}
        top = max((value for value in ratings.values() if np.isfinite(value)), default=0.0)
        emotion, _, _ = majority([word for word, value in ratings.items() if value == top > 0], EMOTIONS)
        if emotion is None and not any(np.isfinite(value) for value in scales.values()):
            continue
        found.append(
            {
                "clip_id": name,
                "task": "er",
                "view": "self",
                "source": "self_report",
                "annotator_id": session.participant,
                "annotator_kind": "simulated" if simulated else "human",
                "repetition": 0,
                "emotion": emotion,
                "polarity": SUGGESTED_POLARITY[emotion] if emotion else None,
                **scales,
            }
        )
    return found


def _on_scale(answers: pd.Series[Any], name: str, low: float, high: float) -> float:
    value = float(answers[name]) if name in answers else float("nan")
    return value if low <= value <= high else float("nan")


def annotator_labels(labels: pd.DataFrame, clips: pd.DataFrame, accept_changed: bool = False) -> pd.DataFrame:
    """Keep the labels that hold now, belong to clips of the study and were not given in the training block.

    Parameters
    ----------
    labels : DataFrame
        From ``read_labels``.
    clips : DataFrame
        The clip index, all clips.
    accept_changed : bool
        Take labels that were given to another version of a recording.

    Returns
    -------
    DataFrame
        Rows of `labels`; of clips that do not exist none (they are logged).

    Raises
    ------
    ExportError
        If a label was given to a recording with another SHA-256.
    """
    return _of_these_recordings(current_votes(labels), clips, "labels", "labelled", accept_changed)


def held_decisions(decisions: pd.DataFrame, clips: pd.DataFrame, accept_changed: bool = False) -> pd.DataFrame:
    """Keep the adjudicators' decisions that hold now and belong to clips of the study.

    Parameters and errors are those of :func:`annotator_labels`; `decisions` comes from ``read_log``.
    """
    holds = pd.concat([current_decisions(decisions, task) for task in TASKS], ignore_index=True)
    return _of_these_recordings(holds, clips, "decisions", "decided on", accept_changed)


def _of_these_recordings(
    holds: pd.DataFrame, clips: pd.DataFrame, what: str, verb: str, accept_changed: bool
) -> pd.DataFrame:
    hashes = dict(zip(clips["clip_id"], clips["session_sha256"], strict=True))
    known = holds["clip_id"].isin(list(hashes))
    if not known.all():
        names = sorted(set(holds.loc[~known, "clip_id"]))
        _log.warning(
            "%d %s are left out: the study has no such clip: %s%s",
            int((~known).sum()),
            what,
            ", ".join(names[:3]),
            ", ..." if len(names) > 3 else "",
        )
    holds = holds[known]
    changed = holds[holds["clip_sha256"] != holds["clip_id"].map(hashes)]
    if len(changed) and not accept_changed:
        first = changed.iloc[0]
        raise ExportError(
            f"{len(changed)} {what} were given to another version of the recording: {first['annotator_id']} {verb} "
            f"{first['clip_id']} when the session file had SHA-256 {str(first['clip_sha256'])[:12]}..., now it has "
            f"{hashes[first['clip_id']][:12]}.... Put the old file back and run `emer clips`, judge these clips again, "
            "or, if you know that the change does not matter (such as a repair), export with "
            "--accept-changed-recordings."
        )
    kept: pd.DataFrame = holds
    return kept


def label_table(
    annotators: pd.DataFrame,
    reports: list[dict[str, Any]],
    clip_ids: list[str],
    decisions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build ``labels.parquet`` for the clips of an export.

    Parameters
    ----------
    annotators : DataFrame
        From :func:`annotator_labels`.
    reports : list of dict
        From :func:`self_reports`.
    clip_ids : list of str
        The clips that are exported.
    decisions : DataFrame, optional
        From :func:`held_decisions`.
    """
    tables = [annotators.assign(source="annotator"), pd.DataFrame(reports, columns=list(LABEL_COLUMNS))]
    if decisions is not None:
        tables.append(decisions.assign(source="adjudicator"))
    chosen = [table[table["clip_id"].isin(clip_ids)].reindex(columns=list(LABEL_COLUMNS)) for table in tables]
    parts = [part.astype(object) for part in chosen if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(LABEL_COLUMNS), dtype=object)
    for name in _NUMBERS:
        table[name] = pd.to_numeric(table[name]).astype("float64")
    table["repetition"] = table["repetition"].astype("int32")
    for name in _TEXTS:
        table[name] = table[name].where(table[name].notna(), None)
    order = ["clip_id", "task", "source", "annotator_id", "repetition"]
    ordered: pd.DataFrame = table.sort_values(order, kind="stable", ignore_index=True)
    return ordered


def target_table(
    annotators: pd.DataFrame,
    reports: list[dict[str, Any]],
    clip_ids: list[str],
    er_source: str,
    decisions: pd.DataFrame | None = None,
    method: str = "majority",
) -> pd.DataFrame:
    """Build ``targets.parquet``: one row a clip, missing where there is no agreed label.

    Parameters
    ----------
    annotators : DataFrame
        From :func:`annotator_labels`, with all columns.
    reports : list of dict
        From :func:`self_reports`.
    clip_ids : list of str
        The clips that are exported, in their order.
    er_source : {'annotators', 'self_report'}
        Who says what was felt.
    decisions : DataFrame, optional
        From :func:`held_decisions`; they replace what annotators say together.
    method : {'majority', 'dawid-skene'}
        How classes are found. Dawid-Skene judges annotators by all their labels, also by those of clips that the export leaves
        out.

    Raises
    ------
    MissingExtraError
        If Dawid-Skene is asked for and its library is not installed.
    """
    fer = consensus(annotators, "fer", method=method, decisions=decisions).set_index("clip_id")
    if er_source == "self_report":
        er = pd.DataFrame(reports, columns=list(LABEL_COLUMNS)).set_index("clip_id").assign(n_raters=1, decided_by=None)
    else:
        er = consensus(annotators, "er", method=method, decisions=decisions).set_index("clip_id")
    table: pd.DataFrame = pd.DataFrame({"clip_id": clip_ids})
    for name in list(TARGET_COLUMNS)[1:]:
        task, column = name.split("_", maxsplit=1)
        values = table["clip_id"].map((er if task == "er" else fer)[column])
        if column in ("emotion", "polarity", "decided_by"):
            values = values.astype(object)
            table[name] = values.where(values.notna(), None)
        elif column == "n_raters":
            table[name] = values.fillna(0).astype("int32")
        else:
            table[name] = pd.to_numeric(values).astype("float64")
    return table


def class_counts(clips: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Count the clips of each ER and FER emotion per participant, for stratified folds."""
    table = clips[["clip_id", "participant"]].merge(targets, on="clip_id")
    parts = [
        pd.crosstab(table["participant"], table[name]).add_prefix(f"{name}:") for name in ("er_emotion", "fer_emotion")
    ]
    counts: pd.DataFrame = pd.concat(parts, axis=1).reindex(sorted(set(clips["participant"]))).fillna(0)
    return counts
