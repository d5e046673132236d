from __future__ import annotations

from pathlib import Path

import pytest

from collection.recorder import RecorderSettings
from data_schema.clocks import ScaledClock
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return init_study(
        tmp_path / "s",
        clips_per_emotion=1,
        clip_s=0.5,
        emotions=("fear", "anger"),
        settings={
            "camera": {"width_px": 160, "height_px": 120},
            "eye_tracker": {"rate_hz": 120.0},
            "recording": {"min_free_gb": 0.0},
            "preflight": {"min_free_memory_gb": 0.0},
        },
    )


@pytest.fixture
def settings(study: StudyFolder) -> RecorderSettings:
    return RecorderSettings(
        path=study.session_path("P001", "01"),
        participant="P001",
        session="01",
        config=study.config,
        clock=ScaledClock.starting_now(4.0),
        planned_s=600.0,
        participant_seed=1,
    )
