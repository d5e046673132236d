"""The documentation shows every screen of the participant, and its pictures can be taken anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SCREENS = PROJECT / "docs" / "images" / "screens"
pytestmark = pytest.mark.lab


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_pictures_of_the_participants_screens_are_those_that_there_are(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "tools" / "make_screenshots.py"), "participant", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=270)
    assert done.returncode == 0, done.stderr + done.stdout
    taken = {path.name for path in tmp_path.glob("*.png")}
    committed = {path.name for path in SCREENS.glob("participant-*.png")}
    assert taken == committed, "run `make screenshots` and commit docs/images/screens"
    for language in ("en", "zh"):
        assert f"participant-manikins-{language}.png" in taken
    assert all(path.stat().st_size <= 120_000 for path in SCREENS.glob("*.png"))
