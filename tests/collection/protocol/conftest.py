from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_schema.study.folder import StudyFolder

_TOML = """
[study]
title = "protocol test"
seed = 5
[screen]
refresh_hz = 50.0
[protocol]
baseline_s = 1.0
fixation_s = 0.5
washout_s = 0.25
break_every = 2
"""


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """Three stimuli; the files are empty, because plan and engine do not read them."""
    text = _TOML
    (tmp_path / "stimuli").mkdir()
    for name, emotion in (("joy", "happiness"), ("loss", "sadness"), ("calm", "neutral")):
        text += f'[[stimuli]]\nid = "{name}"\nfile = "{name}.mp4"\ntarget_emotion = "{emotion}"\n'
        (tmp_path / "stimuli" / f"{name}.mp4").touch()
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    return StudyFolder(tmp_path)


@pytest.fixture
def durations() -> dict[str, float]:
    return {"joy": 2.0, "loss": 1.0, "calm": 3.0}


class MemoryLog:
    """Keep what the engine stores."""

    def __init__(self) -> None:
        self.tables: dict[str, list[np.ndarray]] = {}
        self.markers: list[tuple[str, str, int | None, int]] = []
        self.gone: Exception | None = None

    def rows(self, table: str, rows: np.ndarray) -> None:
        self.tables.setdefault(table, []).append(rows)

    def marker(
        self, kind: str, message: str = "", value: float = 0.0, t_system_us: int | None = None, trial_id: int = 0
    ) -> None:
        self.markers.append((kind, message, t_system_us, trial_id))

    def status(self) -> None:
        if self.gone is not None:
            raise self.gone

    def table(self, path: str) -> np.ndarray:
        return np.concatenate(self.tables[path])

    def kinds(self) -> list[str]:
        return [kind for kind, *_ in self.markers]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()
