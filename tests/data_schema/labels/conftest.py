from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from data_schema.labels import Label


@pytest.fixture
def make_label() -> Callable[..., Label]:
    """A valid FER label of clip-001; keyword arguments change it."""

    def make(**changes: Any) -> Label:
        cells: dict[str, Any] = {
            "clip_id": "clip-001",
            "clip_sha256": "ab" * 32,
            "task": "fer",
            "emotion": "fear",
            "polarity": "negative",
            "valence": -0.4,
            "arousal": 0.6,
            "intensity": 2.0,
        }
        return Label(**(cells | changes))

    return make
