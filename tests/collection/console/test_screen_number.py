"""The console keeps off the participant's monitor, whatever the study's file is like."""

from __future__ import annotations

from pathlib import Path

import pytest

from collection.console.starting import participants_screen


@pytest.mark.parametrize(
    ("text", "number"),
    [("[screen]\nnumber = 1\n", 1), ("[study]\ntitle = 'a'\n", 0), ("screen = 3\n", 0), ("no toml [", 0)],
)
def test_the_participants_monitor_is_read_from_the_study(tmp_path: Path, text: str, number: int) -> None:
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    assert participants_screen(tmp_path) == number


def test_without_a_study_it_is_the_first(tmp_path: Path) -> None:
    assert participants_screen(tmp_path / "gone") == 0
