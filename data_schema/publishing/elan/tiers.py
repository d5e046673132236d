"""The tiers of a recording: clips, what annotators said of each, what they marked, and what the eyes did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from data_schema.publishing.elan.document import Annotation, Document, Media, Tier, TierType, Vocabulary
from data_schema.publishing.elan.writing import apart
from data_schema.publishing.tables.declarations import EMOTION_WORDS, POLARITY_WORDS, SKIP_WORDS
from data_schema.vocabularies import TASKS

CLIPS_TIER = "clips"
SKIP_PREFIX = "skip:"
#: What stands in tiers of their own below the tier of an annotator's emotions, with the type of each.
FIELDS: dict[str, str] = {
    "polarity": "polarity",
    "valence": "number",
    "arousal": "number",
    "intensity": "number",
    "confidence": "number",
    "comment": "text",
}
_NUMBERS = tuple(name for name, kind in FIELDS.items() if kind == "number")
#: A mark is of one frame; ELAN shows nothing shorter than this well. Our choice: a frame at 25 per second.
MARK_MS = 40
TYPES: tuple[TierType, ...] = (
    TierType("clip"),
    TierType("clip-fact", associated=True),
    TierType("emotion", vocabulary="emotion", associated=True),
    TierType("polarity", vocabulary="polarity", associated=True),
    TierType("number", associated=True),
    TierType("text", associated=True),
    TierType("mark", vocabulary="mark"),
    TierType("eye-movement"),
)
VOCABULARIES: tuple[Vocabulary, ...] = (
    Vocabulary(
        "emotion",
        "One of seven emotions, or why none was given",
        {**EMOTION_WORDS, **{SKIP_PREFIX + word: f"no label: {meaning}" for word, meaning in SKIP_WORDS.items()}},
    ),
    Vocabulary("polarity", "Positive, negative or neutral; judged on its own", POLARITY_WORDS),
    Vocabulary(
        "mark",
        "What begins, peaks or ends in the frame",
        {"apex": "the expression is at its height", "onset": "it begins", "offset": "it ends", "flag": "look again"},
    ),
)


@dataclass(frozen=True)
class RecordingRows:
    """What a document is made of, of one recording. Times in seconds since its start.

    Parameters
    ----------
    clips, labels, targets, marks : DataFrame
        Rows of the published tables.
    events : mapping of str to DataFrame
        Fixations, saccades, blinks.
    participant : str
    zero_s : float
        Time of the document's zero.
    """

    clips: pd.DataFrame
    labels: pd.DataFrame
    targets: pd.DataFrame
    marks: pd.DataFrame
    events: Mapping[str, pd.DataFrame]
    participant: str
    zero_s: float


def recording_document(
    rows: RecordingRows,
    *,
    media: tuple[Media, ...] = (),
    properties: Mapping[str, str] | None = None,
    licence: str = "",
) -> Document:
    """Build the annotation document of one recording.

    Parameters
    ----------
    rows : RecordingRows
    media : tuple of Media
    properties : mapping, optional
    licence : str
    """
    clips = rows.clips.sort_values("t_start_s", kind="stable")
    spans = apart(
        [
            Annotation(str(name), _ms(start, rows.zero_s), _ms(end, rows.zero_s))
            for name, start, end in zip(clips["clip_id"], clips["t_start_s"], clips["t_end_s"], strict=True)
        ]
    )
    places = {item.value: place for place, item in enumerate(spans)}
    tiers = [Tier(CLIPS_TIER, "clip", spans, participant=rows.participant)]
    facts = clips.set_index("clip_id")
    for name in ("stimulus_id", "target_emotion"):
        cells = {clip: str(facts.loc[clip, name]) for clip in places if facts.loc[clip, name]}
        tiers += _below(
            f"clip {name.replace('_', ' ')}", "clip-fact", CLIPS_TIER, spans, places, cells, "", rows.participant
        )
    for task in TASKS:
        tiers += _consensus(rows, task, spans, places)
        tiers += _judgements(rows, task, spans, places)
    tiers += _marks(rows, spans, places)
    tiers += _events(rows)
    return Document(
        tuple(tiers), TYPES, VOCABULARIES, media, {**(properties or {}), "zero_s": repr(float(rows.zero_s))}, licence
    )


def _ms(t_s: float, zero_s: float) -> int:
    return max(0, round((float(t_s) - zero_s) * 1000))


def _below(
    name: str,
    kind: str,
    parent: str,
    parents: tuple[Annotation, ...],
    places: Mapping[str, int],
    cells: Mapping[str, str],
    annotator: str,
    participant: str,
) -> list[Tier]:
    """Return a tier below another with one annotation for each clip in `cells`; none if there are none."""
    found = [
        replace(parents[places[clip]], value=value, parent=places[clip])
        for clip, value in cells.items()
        if clip in places
    ]
    found.sort(key=lambda item: item.parent)
    return [Tier(name, kind, tuple(found), parent, annotator, participant)] if found else []


def _consensus(rows: RecordingRows, task: str, spans: tuple[Annotation, ...], places: Mapping[str, int]) -> list[Tier]:
    if not len(rows.targets):
        return []
    said = rows.targets[rows.targets[f"{task}_emotion"].notna()]
    cells = dict(zip(said["clip_id"], said[f"{task}_emotion"], strict=True))
    return _below(f"{task.upper()} target", "emotion", CLIPS_TIER, spans, places, cells, "", rows.participant)


def rater_tier(task: str, rater: str) -> str:
    """Return the name of the tier with an annotator's emotions."""
    return f"{task.upper()}@{rater}"


def field_tier(task: str, field: str, rater: str) -> str:
    """Return the name of the tier with something else that an annotator said."""
    return f"{task.upper()}-{field}@{rater}"


def _judgements(rows: RecordingRows, task: str, spans: tuple[Annotation, ...], places: Mapping[str, int]) -> list[Tier]:
    tiers: list[Tier] = []
    own = rows.labels[rows.labels["task"] == task] if len(rows.labels) else rows.labels
    if not len(own):
        return tiers
    for (source, annotator, repetition), judged in own.groupby(["source", "annotator_id", "repetition"], sort=True):
        rater = "self" if source == "self_report" else str(annotator)
        rater += "-decision" if source == "adjudicator" else ""
        rater += f"-repeat{repetition}" if repetition else ""
        who = "" if source == "self_report" else str(annotator)
        judged = judged.drop_duplicates("clip_id", keep="last").set_index("clip_id")
        emotions = {clip: _emotion(judged.loc[clip]) for clip in judged.index}
        name = rater_tier(task, rater)
        main = _below(name, "emotion", CLIPS_TIER, spans, places, emotions, who, rows.participant)
        tiers += main
        for field, kind in FIELDS.items():
            if not main or field not in judged:
                continue
            cells = {
                clip: _said(judged.loc[clip, field], field)
                for clip in judged.index
                if _is_said(judged.loc[clip, field])
            }
            tiers += _below(
                field_tier(task, field, rater),
                kind,
                name,
                main[0].annotations,
                _places(main[0], places),
                cells,
                who,
                rows.participant,
            )
    return tiers


def _places(tier: Tier, clips: Mapping[str, int]) -> dict[str, int]:
    """Return the place of each clip's annotation in a tier below the clips."""
    clip_of = {place: clip for clip, place in clips.items()}
    return {clip_of[item.parent]: place for place, item in enumerate(tier.annotations)}


def _emotion(row: pd.Series[Any]) -> str:
    if _is_said(row["emotion"]):
        return str(row["emotion"])
    return f"{SKIP_PREFIX}{row['skip_reason']}" if _is_said(row["skip_reason"]) else ""


def _is_said(cell: Any) -> bool:
    return cell is not None and cell != "" and not pd.isna(cell)


def _said(cell: Any, field: str) -> str:
    return repr(float(cell)) if field in _NUMBERS else str(cell)


def _marks(rows: RecordingRows, spans: tuple[Annotation, ...], places: Mapping[str, int]) -> list[Tier]:
    tiers: list[Tier] = []
    if not len(rows.marks):
        return tiers
    for (task, annotator, kind), marks in rows.marks.groupby(["task", "annotator_id", "kind"], sort=True):
        name = field_tier(str(task), str(kind), str(annotator))
        timed = marks[marks["t_s"].notna()]
        if len(timed):
            starts = [_ms(t_s, rows.zero_s) for t_s in timed["t_s"]]
            items = apart([Annotation(str(kind), start, start + MARK_MS) for start in starts])
            tiers.append(Tier(name, "mark", items, annotator=str(annotator), participant=rows.participant))
        else:
            cells = dict.fromkeys(marks["clip_id"], str(kind))
            tiers += _below(name, "text", CLIPS_TIER, spans, places, cells, str(annotator), rows.participant)
    return tiers


def _events(rows: RecordingRows) -> Iterable[Tier]:
    for kind, events in rows.events.items():
        if not len(events):
            continue
        # One event may touch two clips.
        once = events.drop_duplicates(["t_start_s", "duration_s"]).sort_values("t_start_s", kind="stable")
        once = once[once["t_start_s"] + once["duration_s"] > rows.zero_s]
        items = [
            Annotation(
                _event(kind, row), _ms(row.t_start_s, rows.zero_s), _ms(row.t_start_s + row.duration_s, rows.zero_s)
            )
            for row in once.itertuples()
        ]
        yield Tier(kind, "eye-movement", apart(items), participant=rows.participant)


def _event(kind: str, row: Any) -> str:
    if kind == "fixations":
        return f"x {row.x_norm:.3f} y {row.y_norm:.3f}"
    if kind == "saccades":
        return f"{row.amplitude_deg:.2f} deg, {row.peak_velocity_deg_s:.0f} deg/s"
    return "blink"
