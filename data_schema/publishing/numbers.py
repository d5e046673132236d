"""What a publication amounts to, counted from its tables: for the dataset card, the datasheet and Croissant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from data_schema.vocabularies import EMOTIONS, TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from data_schema.publishing.publication import Publication
    from data_schema.publishing.tables.build import Table
    from data_schema.publishing.tables.declarations import PublishedTable


@dataclass(frozen=True)
class Numbers:
    """Counts and medians of one dataset.

    Parameters
    ----------
    participants, sessions, recordings, clips, included, stimuli : int
    minutes : float
        Length of all clips together.
    clip_s : tuple of float
        Shortest, median and longest clip.
    per_participant : tuple of int
        Fewest and most clips of one participant.
    simulated_clips : int
    rows : dict of str to int
        Rows of each table; the gaze is added when it is written.
    emotions : mapping of str to mapping of str to int
        Clips by task and emotion of the target, ``missing`` too.
    annotators : mapping of str to int
        Human, simulated and model annotators, by kind.
    labels : mapping of str to int
        Judgements of annotators by task, repeats left out.
    labels_per_clip : mapping of str to tuple
        Fewest, median and most annotators that judged a clip, by task, of the clips with any.
    self_reports : int
        Clips that the participant judged.
    gap : float or None
        Share of the clips with both targets whose ER and FER emotion differ.
    trackers : tuple of str
    rates_hz : tuple of int
    loss, accuracy_deg : tuple of float or None
        Median, smallest and largest over the recordings.
    """

    participants: int
    sessions: int
    recordings: int
    clips: int
    included: int
    stimuli: int
    minutes: float
    clip_s: tuple[float, float, float]
    per_participant: tuple[int, int]
    simulated_clips: int
    rows: dict[str, int]
    emotions: Mapping[str, Mapping[str, int]]
    annotators: Mapping[str, int]
    labels: Mapping[str, int]
    labels_per_clip: Mapping[str, tuple[int, float, int]]
    self_reports: int
    gap: float | None
    trackers: tuple[str, ...]
    rates_hz: tuple[int, ...]
    loss: tuple[float, float, float] | None
    accuracy_deg: tuple[float, float, float] | None


@dataclass(frozen=True)
class WrittenTables:
    """What an export of tables wrote.

    Parameters
    ----------
    path : Path
        The finished folder.
    numbers : Numbers
    tables : tuple of PublishedTable
    """

    path: Path
    numbers: Numbers
    tables: tuple[PublishedTable, ...]


def count(publication: Publication, tables: list[Table]) -> Numbers:
    """Count a publication.

    Parameters
    ----------
    publication : Publication
    tables : list of Table
        From :func:`data_schema.publishing.tables.build.build_tables`.
    """
    found = {table.name: table.rows for table in tables}
    clips = publication.clips
    recordings = found.get("recordings", pd.DataFrame())
    labels, targets = publication.labels, publication.targets
    votes = labels[(labels["source"] == "annotator") & (labels["repetition"] == 0)] if len(labels) else labels
    duration = clips["duration_s"] if len(clips) else pd.Series([0.0])
    by_participant = clips["participant"].value_counts() if len(clips) else pd.Series([0])
    return Numbers(
        participants=len(publication.participants),
        sessions=len({(recording.participant, recording.session) for recording in publication.recordings}),
        recordings=len(publication.recordings),
        clips=len(clips),
        included=int(clips["included"].sum()),
        stimuli=int(clips["stimulus_id"].nunique()),
        minutes=float(duration.sum() / 60),
        clip_s=(float(duration.min()), float(duration.median()), float(duration.max())),
        per_participant=(int(by_participant.min()), int(by_participant.max())),
        simulated_clips=int(clips["simulated"].sum()),
        rows={table.name: len(table.rows) for table in tables},
        emotions={task: _emotions(targets, task) for task in TASKS},
        annotators=_annotators(votes),
        labels={task: int((votes["task"] == task).sum()) if len(votes) else 0 for task in TASKS},
        labels_per_clip=_per_clip(votes),
        self_reports=int(labels.loc[labels["source"] == "self_report", "clip_id"].nunique()) if len(labels) else 0,
        gap=_gap(targets),
        trackers=tuple(sorted({str(name) for name in recordings.get("tracker", []) if name})),
        rates_hz=tuple(sorted({round(float(rate)) for rate in recordings.get("rate_hz", []) if pd.notna(rate)})),
        loss=_spread(recordings, "gaze_loss_both"),
        accuracy_deg=_spread(recordings, "accuracy_deg"),
    )


def _emotions(targets: pd.DataFrame, task: str) -> dict[str, int]:
    if not len(targets):
        return {}
    said = targets[f"{task}_emotion"]
    counts = {word: int((said == word).sum()) for word in EMOTIONS}
    return counts | {"missing": int(said.isna().sum())}


def _annotators(votes: pd.DataFrame) -> dict[str, int]:
    if not len(votes):
        return {}
    counts = votes.groupby("annotator_kind")["annotator_id"].nunique()
    return {str(kind): int(n) for kind, n in sorted(counts.items())}


def _per_clip(votes: pd.DataFrame) -> dict[str, tuple[int, float, int]]:
    if not len(votes):
        return {}
    found = {}
    for task, rows in votes.groupby("task"):
        counts = rows.groupby("clip_id")["annotator_id"].nunique()
        found[str(task)] = (int(counts.min()), float(counts.median()), int(counts.max()))
    return found


def _gap(targets: pd.DataFrame) -> float | None:
    if not len(targets):
        return None
    both = targets[targets["er_emotion"].notna() & targets["fer_emotion"].notna()]
    return float((both["er_emotion"] != both["fer_emotion"]).mean()) if len(both) else None


def _spread(rows: pd.DataFrame, name: str) -> tuple[float, float, float] | None:
    values: pd.Series[Any] = rows[name].dropna().astype("float64") if name in rows else pd.Series([], dtype="float64")
    return (float(values.median()), float(values.min()), float(values.max())) if len(values) else None
