"""Labels and marks of the annotations of our own export, back into one file an annotator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.importers.bids.gaze import ORIGIN_US
from data_schema.importers.bids.reading import BidsDataset, entities_of, records
from data_schema.labels import Label, LabelStore
from data_schema.labels.entries import Judged, Mark
from data_schema.publishing.bids.derivatives import ANNOTATIONS, LABELS, MARKS
from data_schema.session.layout import FRAMES
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder

_Clip = dict[str, Any]
_ANNOTATOR = "annotator"


def import_labels(dataset: BidsDataset, study: StudyFolder, index: pd.DataFrame, notes: list[str]) -> tuple[int, int]:
    """Write the labels and marks of a dataset's annotations into the study.

    Parameters
    ----------
    dataset : BidsDataset
    study : StudyFolder
    index : DataFrame
        The clip index.
    notes : list of str
        Told what was passed over.

    Returns
    -------
    n_labels, n_marks : int
    """
    clips = {(str(clip["participant"]), str(clip["session"]), int(clip["trial_id"])): clip for clip in records(index)}
    labels: dict[tuple[str, str], list[Label]] = {}
    marks: dict[tuple[str, str], list[Mark]] = {}
    decided = 0
    kinds: dict[str, str] = {}
    for task, folder in ANNOTATIONS.items():
        for path, rows in _tables(dataset, folder, LABELS):
            for row in rows:
                clip = _clip_of(path, row, clips)
                if clip is None or row.get("source") != _ANNOTATOR:
                    decided += row.get("source") == "adjudicator"
                    continue
                who = (str(row["annotator_id"]), str(row["annotator_kind"]))
                kinds[who[0]] = who[1]
                labels.setdefault(who, []).append(_label(row, clip, task))
    for task, folder in ANNOTATIONS.items():
        for path, rows in _tables(dataset, folder, MARKS):
            for row in rows:
                clip = _clip_of(path, row, clips)
                if clip is not None:
                    annotator = str(row["annotator_id"])
                    who = (annotator, kinds.get(annotator, "human"))
                    marks.setdefault(who, []).append(_mark(study, row, clip, task))
    if decided:
        notes.append(f"{decided} decisions of adjudicators were passed over: their reasons are not published")
    for who in sorted({*labels, *marks}):
        annotator, kind = who
        with LabelStore.open(
            study.labels_dir / f"{annotator}.sqlite", annotator, kind, study_title=study.config.study.title
        ) as store:
            store.add_many(labels.get(who, ()))
            store.write(marks.get(who, ()))
    return sum(map(len, labels.values())), sum(map(len, marks.values()))


def _tables(dataset: BidsDataset, folder: str, desc: str) -> list[tuple[Path, list[dict[str, Any]]]]:
    base = dataset.root / "derivatives" / folder
    paths = sorted(base.glob(f"sub-*/ses-*/beh/*_desc-{desc}_events.tsv"))
    return [(path, dataset.rows(path)) for path in paths]


def _clip_of(path: Path, row: dict[str, Any], clips: dict[tuple[str, str, int], _Clip]) -> _Clip | None:
    named = entities_of(path.name)
    return clips.get((named["sub"], named["ses"], int(row["trial"]))) if row.get("trial") else None


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _label(row: dict[str, Any], clip: _Clip, task: str) -> Label:
    return Label(
        clip_id=str(clip["clip_id"]),
        clip_sha256=str(clip["session_sha256"]),
        task=task,
        emotion=row.get("emotion"),
        polarity=row.get("polarity"),
        valence=_number(row.get("valence")),
        arousal=_number(row.get("arousal")),
        intensity=_number(row.get("intensity")),
        confidence=_number(row.get("confidence")),
        skip_reason=row.get("skip_reason"),
        comment=row.get("comment") or "",
        view=row.get("view") or "",
        repetition=int(row.get("repetition") or 0),
    )


def _mark(study: StudyFolder, row: dict[str, Any], clip: _Clip, task: str) -> Mark:
    about = Judged(str(clip["clip_id"]), str(clip["session_sha256"]), task)
    kind = str(row["trial_type"])
    if kind == "flag":
        return Mark(about, kind)
    with open_session(study.root / str(clip["session_file"])) as session:
        frames = session.table(FRAMES)
        at_us = ORIGIN_US + round(float(row["onset"]) * 1e6)
        if not len(frames):
            return Mark(about, "flag")
        place = min(frames.index_at(at_us), len(frames) - 1)
        return Mark(about, kind, frame_index=place, frame_pts=int(frames[place : place + 1]["pts"][0]))
