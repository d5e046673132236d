"""A small study with labels, marks, folds and questionnaires, for what publishes tables and labels."""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from data_schema.clips.index import build_clip_index
from data_schema.labels import Label, LabelStore
from data_schema.labels.entries import Judged, Mark
from data_schema.session.layout import FACTS, RESPONSES, make_row
from data_schema.session.synthetic import START_US
from data_schema.study.folder import StudyFolder
from tests.data_schema.studies import label_all, make_study

PUBLISH = """\
[publish]
name = "Eyes, faces & \\"feelings\\""
licence = "CC-BY-NC-4.0"
authors = ["Ada One", "Ben Two"]
date = "2026-11-20"
purpose = "To test what is published."
min_group = 1
{more}
"""


def small_study(root: Path, more: str = "") -> StudyFolder:
    """Three participants with two clips each, two annotators, a third who skips and repeats, marks, folds, PANAS."""
    study = make_study(root, 3, more=PUBLISH.format(more=more))
    for number, path in enumerate(study.session_files()):
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            _append(file, FACTS, t_system_us=START_US - 1, key="age_years", value=str(20 + 5 * number))
            for item in (1, 2):
                _append(
                    file, RESPONSES, trial_id=0, scale=f"item {item}", value=float(item), t_shown_us=START_US + 1,
                    t_answered_us=START_US + 2_000_000 * item, questionnaire="panas", occasion="before",
                )  # fmt: skip
    label_all(study)
    clips = build_clip_index(study)
    with LabelStore.open(study.labels_dir / "a03.sqlite", "a03", "human") as store:
        for clip in clips.itertuples():
            about = {"clip_id": clip.clip_id, "clip_sha256": clip.session_sha256, "task": "fer", "view": "face"}
            if clip.trial_id == 1:
                store.add(Label(**about, skip_reason="no_face", comment="dark; nothing, to see"))
                continue
            store.add(Label(**about, emotion="surprise", polarity="positive", valence=1 / 3, intensity=1.5))
            store.add(Label(**about, emotion="fear", repetition=1))
            judged = Judged(clip.clip_id, clip.session_sha256, "fer")
            store.write([Mark(judged, "apex", frame_index=70, frame_pts=0), Mark(judged, "flag")])
    people = sorted(set(clips["participant"]))
    folds = {"assignment": {name: place for place, name in enumerate(people)}, "n_folds": 3, "seed": 7}
    study.folds_path.write_text(json.dumps(folds), encoding="utf-8")
    return study


def _append(file, table, **cells) -> None:
    dataset = file[table.path]
    dataset.resize(len(dataset) + 1, axis=0)
    dataset[-1] = make_row(table, **cells)[0]
