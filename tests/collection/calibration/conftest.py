"""A lab that is calibrated, and what must be true of it whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .calibration_lab import Eyes, Lab, MakeLab


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[MakeLab]:
    labs: list[Lab] = []

    def make(eyes: Eyes | None = None, answers: Any = (), **calibration: Any) -> Lab:
        lab = Lab(tmp_path / f"sub-P001_ses-{len(labs) + 1:02d}.h5", eyes, answers, **calibration)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        lab.close()
        assert not lab.recorder.in_mode, "calibration mode was not left"
        assert lab.recorder.followed == ()
        assert lab.recorder.looks[-1][1] is None
        assert lab.screen.cleared
