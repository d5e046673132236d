"""Derivatives: what was made of the recordings, each a dataset of its own below ``derivatives/``.

``eyemovements`` (with the features of each clip), ``annotations-er`` (what people felt), ``annotations-fer`` (what their
faces show) and ``faces`` (landmarks). ER and FER are apart, since nobody who labels one may see the other.

References
----------
BIDS Specification 1.11.1, "BIDS Derivatives": ``DatasetType`` derivative, ``GeneratedBy``, entity ``desc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.exports.columns import EXPORTED_LABELS, EXPORTED_TARGETS, Column
from data_schema.publishing.bids.names import RunName
from data_schema.publishing.bids.run import EYE_MOVEMENTS, SIMULATED_DATASET
from data_schema.publishing.bids.tsv import seconds, write_json, write_tsv
from data_schema.publishing.publication import Publication
from data_schema.signals.features import SUMMARY_FEATURES
from data_schema.vocabularies import EMOTIONS, POLARITIES, SKIP_REASONS

Runs = Mapping[tuple[str, str, int], RunName]

#: Name of the derivatives of each task.
ANNOTATIONS: dict[str, str] = {"er": "annotations-er", "fer": "annotations-fer"}
LABELS, CONSENSUS, MARKS, FEATURES = "labels", "consensus", "marks", "features"

_CLIP_NOTES: dict[str, Any] = {
    "onset": {"Description": "Start of the clip on the run's clock.", "Units": "s"},
    "duration": {
        "Description": "Length of the clip: what the study uses of the trial, to the last refresh that showed it at most.",
        "Units": "s",
    },
    "trial": {"Description": "Number of the trial, as in the events."},
    "stim_id": {"Description": "Identifier of the stimulus in stimuli/stimuli.tsv of the dataset."},
}
_NOT_PER_CLIP = frozenset({"clip_id", "task"})


def _clips_of(publication: Publication) -> pd.DataFrame:
    clips: pd.DataFrame = publication.clips.set_index("clip_id", drop=False)
    return clips


#: What the words of a column mean, where it holds words of a closed list.
_WORDS: dict[str, dict[str, str]] = {
    "emotion": {word: f"{word} was felt, or shown, most" for word in EMOTIONS},
    "polarity": {word: word for word in POLARITIES},
    "source": {
        "annotator": "a rater who looked at the clip",
        "adjudicator": "a decision where raters differed",
        "self_report": "the participant",
    },
    "annotator_kind": {"human": "a person", "simulated": "a program that plays a rater", "model": "a model's guess"},
    "skip_reason": {word: word.replace("_", " ") for word in SKIP_REASONS},
}


def _note(column: Column, name: str = "") -> dict[str, Any]:
    note: dict[str, Any] = {"Description": column.meaning} | ({"Units": column.unit} if column.unit else {})
    words = _WORDS.get(name or column.name)
    return note | ({"Levels": words} if words else {})


def _per_run(table: pd.DataFrame, clips: pd.DataFrame) -> list[tuple[tuple[str, str, int], pd.DataFrame]]:
    """Join a table of clips with its clips and split it by run, sorted by the start of the clips."""
    timing = clips[["participant", "session", "run", "trial_id", "stimulus_id", "t_start_s", "duration_s"]]
    joined = table.join(timing, on="clip_id", how="inner")
    joined = joined.sort_values("t_start_s", kind="stable")
    return [
        ((str(key[0]), str(key[1]), int(key[2])), group)
        for key, group in joined.groupby(["participant", "session", "run"], sort=True)
    ]


def _clip_cells(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "onset": seconds(np.round(rows["t_start_s"].to_numpy() * 1e6)),
        "duration": seconds(np.round(rows["duration_s"].to_numpy() * 1e6)),
        "trial": rows["trial_id"],
        "stim_id": rows["stimulus_id"],
    }


class DerivativeWriter:
    """Write the derivatives of a publication that are made of its tables.

    Parameters
    ----------
    root : Path
        The dataset.
    publication : Publication
    runs : mapping of (participant, session, run) to RunName
    task_name : str
    """

    def __init__(self, root: Path, publication: Publication, runs: Runs, task_name: str) -> None:
        self._root = root / "derivatives"
        self._publication = publication
        self._runs = runs
        self._clips = _clips_of(publication)
        self._about: dict[str, Any] = {"TaskName": task_name}
        if publication.simulated:
            self._about["Simulated"] = True

    def annotations(self, task: str) -> bool:
        """Write labels, consensus and marks of ER or FER; return whether there were any."""
        folder = self._root / ANNOTATIONS[task]
        written = self._labels(folder, task)
        if written:
            self._consensus(folder, task)
            self._marks(folder, task)
        return written

    def _labels(self, folder: Path, task: str) -> bool:
        labels = self._publication.labels
        labels = labels[labels["task"] == task]
        columns = [column for column in EXPORTED_LABELS if column.name not in _NOT_PER_CLIP]
        if task == "er":
            columns = [column for column in columns if column.name != "intensity"]
        notes: dict[str, Any] = {column.name: _note(column) for column in columns}
        if "comment" in labels:
            notes["comment"] = {"Description": "The annotator's own words."}
        what = "felt" if task == "er" else "shown by the face"
        notes = {"Description": f"Emotions {what}: one row a label that holds, of one rater.", **_CLIP_NOTES, **notes}
        names = [name for name in notes if name in labels]
        for key, rows in _per_run(labels, self._clips):
            self._write(folder, key, LABELS, _clip_cells(rows) | {name: rows[name] for name in names}, notes)
        return bool(len(labels))

    def _consensus(self, folder: Path, task: str) -> None:
        targets = self._publication.targets
        mine = [name for name in targets.columns if str(name).startswith(f"{task}_")]
        targets = targets[targets[f"{task}_n_raters"].fillna(0) > 0]
        told = {column.name: column for column in EXPORTED_TARGETS}
        short = {name: str(name).removeprefix(f"{task}_") for name in mine}
        notes = {
            "Description": (
                "What the raters of a clip say together: emotion and polarity by the rule named under labels in "
                "code/study_settings.json, ties stay n/a; valence, arousal and intensity as the mean."
            ),
            **_CLIP_NOTES,
            **{
                short[name]: _note(told[str(name)], short[name]) if str(name) in told else {"Description": str(name)}
                for name in mine
            },
        }
        for key, rows in _per_run(targets, self._clips):
            self._write(folder, key, CONSENSUS, _clip_cells(rows) | {short[name]: rows[name] for name in mine}, notes)

    def _marks(self, folder: Path, task: str) -> None:
        marks = self._publication.marks
        marks = marks[marks["task"] == task]
        notes = {
            "Description": "Frames that annotators marked.",
            "onset": {"Description": "Time of the frame on the run's clock.", "Units": "s"},
            "duration": {"Description": "Always 0: a mark is a moment.", "Units": "s"},
            "trial_type": {
                "Description": "What was marked: onset, apex or offset of an expression; a flag marks the clip."
            },
            "trial": _CLIP_NOTES["trial"],
            "annotator_id": {"Description": "Published code of the annotator."},
        }
        for key, rows in _per_run(marks, self._clips):
            at = rows["t_s"].fillna(rows["t_start_s"])
            rows = rows.assign(at=at).sort_values("at", kind="stable")
            cells = {
                "onset": seconds(np.round(rows["at"].to_numpy() * 1e6)),
                "duration": seconds(np.zeros(len(rows))),
                "trial_type": rows["kind"],
                "trial": rows["trial_id"],
                "annotator_id": rows["annotator_id"],
            }
            self._write(folder, key, MARKS, cells, notes)

    def features(self) -> bool:
        """Write which clips satisfy the quality rule and the summary features of those; return whether there are clips."""
        folder = self._root / EYE_MOVEMENTS
        features = self._publication.features
        told = {feature.name: feature for feature in SUMMARY_FEATURES}
        names = [str(name) for name in features.columns if name != "clip_id"]
        kept = ("gaze_valid_share", "n_face_frames", "included", "exclusion_reason")
        notes: dict[str, Any] = {
            "Description": "One row a clip: how good it is, and summaries of what the eyes did; n/a where not measured.",
            **_CLIP_NOTES,
            "clip_gaze_valid_share": {
                "Description": "Expected gaze samples that have gaze from either eye.",
                "Units": "share",
            },
            "n_face_frames": {"Description": "Camera frames in the clip; 0 where no picture of the face is published."},
            "included": {
                "Description": "Whether the clip satisfies the study's quality rule.",
                "Levels": {"0": "no", "1": "yes"},
            },
            "exclusion_reason": {"Description": "Why not."},
        }
        for name in names:
            feature = told.get(name)
            notes[name] = {"Description": feature.definition if feature else name}
            if feature and feature.unit:
                notes[name]["Units"] = feature.unit
        table = self._clips[["clip_id", *kept]].rename(columns={"gaze_valid_share": "clip_gaze_valid_share"})
        table = table.reset_index(drop=True).merge(features, on="clip_id", how="left")
        cells_of = ["clip_gaze_valid_share", *kept[1:], *names]
        for key, rows in _per_run(table, self._clips):
            cells = _clip_cells(rows) | {name: rows[name] for name in cells_of}
            self._write(folder, key, FEATURES, cells, notes)
        return bool(len(table))

    def _write(
        self,
        folder: Path,
        key: tuple[str, str, int],
        desc: str,
        cells: Mapping[str, Any],
        notes: Mapping[str, Any],
    ) -> None:
        name = self._runs.get(key)
        if name is None:
            return
        write_tsv(name.file(folder, "events", ".tsv", desc=desc), cells)
        write_json(name.file(folder, "events", ".json", desc=desc), {**self._about, **notes})


def derivative_readme(name: str, what: str, simulated: bool) -> str:
    """Return the README of a derivative."""
    note = SIMULATED_DATASET + "\n\n" if simulated else ""
    return (
        f"# {name}\n\n{note}{what}\n\nFiles are named as those of the dataset above, with an entity `desc` that says what they "
        "hold; the `.json` beside each table says what every column means. Times are seconds on the clock of the run, which "
        "gaze, events and video of the dataset share.\n"
    )
