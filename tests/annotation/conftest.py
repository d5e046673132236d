from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.clips.index import index_sessions
from data_schema.files import write_table
from data_schema.session import SessionWriter
from data_schema.session.layout import PLANTED, PRESENTATIONS
from data_schema.study import StudyFolder
from data_schema.vocabularies import EMOTIONS

from .labelled_study import make_study

N_TRIALS = 14
MASK = {"happiness": "neutral", "sadness": "happiness", "fear": "neutral"}
STUDY_TOML = """
[study]
title = "Planted smiles"
seed = 11
"""


def write_session(study: StudyFolder, participant: str, *, planted: bool = True) -> Path:
    """A session with N_TRIALS trials; every second trial of a few emotions is masked."""
    path = study.session_path(participant, "01")
    with SessionWriter.create(path, participant=participant, session="01", simulated=planted) as writer:
        for number in range(1, N_TRIALS + 1):
            felt = EMOTIONS[number % len(EMOTIONS)]
            masked = number % 2 == 0 and felt in MASK
            shown = PRESENTATIONS.empty(1)
            shown["trial_id"], shown["stimulus_id"], shown["target_emotion"] = (
                number,
                f"s{number}".encode(),
                felt.encode(),
            )
            shown["t_onset_us"], shown["t_offset_us"], shown["completed"] = (
                number * 5_000_000,
                number * 5_000_000 + 4_000_000,
                1,
            )
            writer.append(PRESENTATIONS.path, shown)
            if planted:
                row = PLANTED.empty(1)
                row["trial_id"], row["felt_emotion"], row["masked"] = number, felt.encode(), masked
                row["shown_emotion"] = (MASK[felt] if masked else felt).encode()
                row["valence"], row["arousal"] = -0.8, 0.7
                row["shown_valence"], row["shown_arousal"], row["intensity"] = 0.6, -0.5, 2.0
                writer.append(PLANTED.path, row)
    return path


def write_clip_index(study: StudyFolder, **changes: object) -> pd.DataFrame:
    """Index the sessions; the quality rule, which wants gaze and frames, is passed by hand."""
    clips, _ = index_sessions(study)
    wanted = {"included": True, "exclusion_reason": "", "n_face_frames": np.int32(120)} | changes
    # Annotators see whole trials: what holds of the clip holds of its trial here.
    clips = clips.assign(**({"trial_included": wanted["included"]} | wanted))
    write_table(study.clip_index_path, clips)
    return clips


@pytest.fixture
def empty_study(tmp_path: Path) -> StudyFolder:
    root = tmp_path / "study"
    root.mkdir()
    (root / "study.toml").write_text(STUDY_TOML, encoding="utf-8")
    return StudyFolder(root)


@pytest.fixture
def make_session() -> Callable[..., Path]:
    return write_session


@pytest.fixture
def index() -> Callable[..., pd.DataFrame]:
    return write_clip_index


@pytest.fixture
def study(empty_study: StudyFolder) -> StudyFolder:
    """Three simulated participants with 14 clips each, all included."""
    for participant in ("P001", "P002", "P003"):
        write_session(empty_study, participant)
    write_clip_index(empty_study)
    return empty_study


@pytest.fixture(scope="session")
def video_study_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("video_study") / "study").root


@pytest.fixture
def video_study(video_study_once: Path, tmp_path: Path) -> StudyFolder:
    """Two participants with three clips of one second each, real numbered video, stimuli; a copy of one's own."""
    shutil.copytree(video_study_once, tmp_path / "video_study")
    return StudyFolder(tmp_path / "video_study")
