"""`emer annotate open`: what it takes, and what it says where it cannot open a window."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from annotation.app import make_qt_ready, system_language
from annotation.cli import app
from annotation.commands.open import clip_source, is_bundle
from data_schema.errors import MissingExtraError, StudyError, UsageError
from data_schema.study import StudyFolder


def test_a_study_needs_pass_and_annotator(video_study: StudyFolder) -> None:
    with pytest.raises(UsageError, match="--task is missing"):
        clip_source(video_study.root, "", "a01")
    with pytest.raises(UsageError, match="--annotator is missing"):
        clip_source(video_study.root, "fer", "")
    with pytest.raises(UsageError, match="expected one of"):
        clip_source(video_study.root, "fear", "a01")
    with pytest.raises(UsageError, match="--labels is for bundles"):
        clip_source(video_study.root, "fer", "a01", Path("elsewhere.sqlite"))
    source = clip_source(video_study.root, "fer", "a01")
    assert len(source.items()) == 6
    source.close()


def test_a_folder_that_is_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"{tmp_path}: neither a bundle .* nor a study"):
        clip_source(tmp_path, "fer", "a01")
    with pytest.raises(StudyError, match="there is no such folder"):
        clip_source(tmp_path / "gone", "fer", "a01")


def test_the_folder_above_a_bundle_names_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "fer-a01" / "face").mkdir(parents=True)
    with pytest.raises(StudyError, match=f"Did you mean {tmp_path / 'fer-a01'}"):
        clip_source(tmp_path, "", "")
    (tmp_path / "er-a01" / "face").mkdir(parents=True)
    with pytest.raises(StudyError, match="There are bundles in it: .*er-a01, .*fer-a01"):
        clip_source(tmp_path, "", "")


def test_what_is_left_of_a_bundle_is_still_told_from_a_study(tmp_path: Path, video_study: StudyFolder) -> None:
    (tmp_path / "b" / "face").mkdir(parents=True)
    assert is_bundle(tmp_path / "b")
    assert not is_bundle(video_study.root)


def test_without_qt_the_extra_is_named_before_anything_is_opened(
    video_study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QT_API", "pyqt5")
    for name in [name for name in sys.modules if name.split(".")[0] == "qtpy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "qtpy", None)
    result = CliRunner().invoke(app, ["open", str(video_study.root), "--task", "fer", "--annotator", "a01"])
    assert isinstance(result.exception, MissingExtraError)
    assert "emer-toolkit[annotate]" in str(result.exception)
    assert not list(video_study.labels_dir.glob("*.sqlite"))


def test_other_qts_plugins_are_forgotten_and_ones_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_API", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", "/x/site-packages/cv2/qt/plugins")
    monkeypatch.setenv("QT_PLUGIN_PATH", "/x/site-packages/PyQt6/Qt6/plugins")
    monkeypatch.setenv("QT_QPA_FONTDIR", "/usr/share/fonts")
    make_qt_ready()
    import os

    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
    assert "QT_PLUGIN_PATH" not in os.environ
    assert os.environ["QT_QPA_FONTDIR"] == "/usr/share/fonts"
    assert os.environ["QT_API"] == "pyqt5"


@pytest.mark.parametrize(
    ("lang", "expected"), [("zh_CN.UTF-8", "zh"), ("en_GB.UTF-8", "en"), ("de_DE.UTF-8", "en"), ("C", "en")]
)
def test_the_systems_language_is_taken_where_there_are_texts(
    monkeypatch: pytest.MonkeyPatch, lang: str, expected: str
) -> None:
    monkeypatch.setenv("LC_ALL", lang)
    assert system_language() == expected
