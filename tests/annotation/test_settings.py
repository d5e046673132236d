"""One person's settings: kept over restarts, and no file leaves them with a tool that does not start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation.settings import Settings, SettingsError, SettingsFile, default_settings_path


def test_settings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "annotate.json"
    file = SettingsFile(path)
    assert file.settings == Settings() and file.problem == "" and not path.exists()
    file.change(theme="dark", language="zh", text_size=150, tour_seen=True, keys={"flag": ("X",)}, play_on_open=True)
    again = SettingsFile(path)
    assert again.settings == Settings("dark", "zh", 150, True, {"flag": ("X",)}, True) and again.problem == ""
    assert [found.name for found in path.parent.iterdir()] == ["annotate.json"]


@pytest.mark.parametrize("content", [b"{ not json", b"[1, 2]", b"\xff\xfe\x00x", b""])
def test_a_broken_file_is_kept_aside_and_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "annotate.json"
    path.write_bytes(content)
    file = SettingsFile(path)
    assert file.settings == Settings()
    assert "annotate.json.broken" in file.problem and (tmp_path / "annotate.json.broken").read_bytes() == content
    file.change(theme="light")
    assert SettingsFile(path).settings.theme == "light"


def test_a_wrong_value_is_named_and_the_others_hold(tmp_path: Path) -> None:
    path = tmp_path / "annotate.json"
    path.write_text(
        json.dumps(
            {"theme": "pink", "language": "zh", "text_size": True, "keys": [], "tour_seen": 1, "play_on_open": 1}
        )
    )
    file = SettingsFile(path)
    assert file.settings == Settings(language="zh")
    assert all(
        word in file.problem
        for word in ("play_on_open is 1", "theme is 'pink'", "light", "text_size", "keys", "tour_seen")
    )


def test_what_a_newer_version_keeps_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "annotate.json"
    path.write_text(json.dumps({"theme": "dark", "sound": "soft"}))
    file = SettingsFile(path)
    assert file.problem == ""
    file.change(tour_seen=True)
    assert json.loads(path.read_text())["sound"] == "soft"


def test_a_place_that_takes_no_settings_is_said_and_they_hold_meanwhile(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    file = SettingsFile(blocked / "annotate.json")
    with pytest.raises(SettingsError, match="--settings"):
        file.change(theme="dark")
    assert file.settings.theme == "dark"


def test_the_usual_place_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_settings_path().is_relative_to(tmp_path)
