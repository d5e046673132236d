"""A small study that has everything a dataset may have and lack, published once for all tests of BIDS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data_schema.publishing.bids import export_bids
from data_schema.session.layout import CONSENT, FACTS, FLIPS, GAZE, RESPONSES, Table, make_row
from data_schema.session.reader import open_session
from data_schema.session.synthetic import START_US, make_synthetic_session, synthetic_config
from data_schema.study.folder import StudyFolder
from tests.data_schema.studies import label_all, make_study

PUBLISH = """\
[publish]
name = "Clips and eyes"
description = "People watched clips."
licence = "CC-BY-4.0"
authors = ["Ada One", "Ben Two"]
ethics_approval = "Committee of the test, number 7"
faces = "video"
min_group = 1
{more}
[[stimuli]]
id = "s01"
file = "s01.mp4"
target_emotion = "sadness"
licence = "CC0"
[[stimuli]]
id = "s02"
file = "s02.mp4"
target_emotion = "fear"
"""


def append_rows(path: Path, table: Table, *rows: dict[str, Any]) -> None:
    """Add rows to a table of a closed session file."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        dataset = file[table.path]
        for row in rows:
            dataset.resize(len(dataset) + 1, axis=0)
            dataset[-1] = make_row(table, **row)[0]


def consent(path: Path, **scopes: int) -> None:
    for scope, granted in scopes.items():
        append_rows(
            path, CONSENT, {"t_system_us": START_US - 1, "scope": scope, "granted": granted, "way": "simulated"}
        )


def add_flips(path: Path) -> None:
    with open_session(path) as session:
        trial = session.trials()[0]
    rows = [
        {"trial_id": trial.trial_id, "t_flip_us": trial.t_onset_us + 16_667 * i, "t_due_us": trial.t_onset_us + 16_667 * i,
         "clip_time_us": 33_333 * (i // 2)}
        for i in range(10)
    ]  # fmt: skip
    append_rows(path, FLIPS, *rows)


def without_noise(path: Path) -> None:
    """Let the gaze points on the screen be those in space, as with a real tracker: then velocities of both agree."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        rows = file[GAZE.path][:]
        for eye in ("left", "right"):
            point = rows[f"{eye}_gaze_user_mm"]
            rows[f"{eye}_gaze_norm"] = np.column_stack((point[:, 0] / 528.0 + 0.5, 0.5 - point[:, 1] / 297.0))
        file[GAZE.path][:] = rows


def build_study(root: Path, more: str = "") -> StudyFolder:
    """Three participants: two runs and a face that may be shown; a face that may not; no gaze at all."""
    study = make_study(root, more=PUBLISH.format(more=more), n_participants=2)
    first, second = study.session_path("P001", "01"), study.session_path("P002", "01")
    third = study.session_path("P003", "01")
    third.parent.mkdir(parents=True)
    common = {"trial_s": 1.0, "rate_hz": 120.0, "config": synthetic_config()}
    make_synthetic_session(third, participant="P003", n_trials=2, seed=3, with_gaze=False, **common)
    again = study.session_path("P001", "01", 2)
    make_synthetic_session(
        again, participant="P001", session="01", n_trials=1, first_trial=3, continues_run=1, seed=4, **common
    )
    for path in (first, again):
        consent(path, face_sharing=1)
    consent(second, video=0)
    add_flips(first)
    without_noise(first)
    for path, age in ((first, "24"), (second, "31"), (third, "44")):
        append_rows(path, FACTS, {"t_system_us": START_US - 1, "key": "age_years", "value": age})
    for path in (first, third):
        panas = {"trial_id": 0, "questionnaire": "panas", "occasion": "before", "t_answered_us": START_US + 10}
        append_rows(
            path, RESPONSES, {**panas, "scale": "interested", "value": 3}, {**panas, "scale": "upset", "value": 1}
        )
    label_all(study)
    folds = {"assignment": {"P001": 2, "P002": 0, "P003": 1}, "n_folds": 4, "seed": 7}
    study.folds_path.write_text(json.dumps(folds), encoding="utf-8")
    return study


@dataclass(frozen=True)
class Published:
    """The study and its dataset."""

    study: StudyFolder
    root: Path

    def files(self, pattern: str) -> list[Path]:
        found = sorted(self.root.glob(pattern))
        assert found, pattern
        return found


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("bids")
    study = build_study(folder / "study_of_test", 'pseudonyms = "keep"')
    export_bids(study, folder / "out", workers=1)
    return Published(study, folder / "out")
