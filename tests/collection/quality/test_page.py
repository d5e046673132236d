"""The quality pages: self-contained, escaped, complete, and written by the verb."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from collection.quality.page import make_session_page, make_study_page
from data_schema.cli import main
from data_schema.errors import StudyError
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study

VOID = {"meta", "link", "br", "img", "path", "use"}


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_a_page_is_whole_self_contained_and_escaped(session_path: Path, study: StudyFolder) -> None:
    made = make_session_page(session_path, study)
    text = made.html.read_text(encoding="utf-8")
    balance = _Balance()
    balance.feed(text)
    assert balance.open == []
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?https?:", text)
    assert "glasses &lt;thick&gt;" in text
    assert "<thick>" not in text
    assert text.count("<svg") == 4
    for words in (
        "Not usable as it is",
        "Missing gaze by cause",
        "skipped by the operator",
        "1.20°",
        "disk is &lt;fine",
    ):
        assert words in text
    data = json.loads(made.json.read_text(encoding="utf-8"))
    assert (made.level, data["format"]) == ("bad", "emer-quality")


def test_the_same_session_gives_the_same_page_but_for_the_time(session_path: Path, study: StudyFolder) -> None:
    def page() -> str:
        text = make_session_page(session_path, study).html.read_text(encoding="utf-8")
        return re.sub(r"Made by .*", "", text)

    assert page() == page()


def test_a_study_page_links_its_sessions_and_names_what_cannot_be_read(session_path: Path, study: StudyFolder) -> None:
    broken = study.session_path("P002", "01")
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no session")
    try:
        made = make_study_page(study)
    finally:
        broken.unlink()
    text = made.html.read_text(encoding="utf-8")
    link = re.search(r'href="([^"]+_quality\.html)"', text)
    assert link is not None
    assert (made.html.parent / link[1]).resolve() == session_path.with_name("sub-P001_ses-01_quality.html").resolve()
    assert "sub-P002_ses-01.h5" in text
    assert "A &lt;study&gt;" in text
    summary = json.loads(made.json.read_text(encoding="utf-8"))["summary"]
    assert (summary["n_sessions"], summary["n_trials"], summary["n_included"]) == (1, 3, 1)
    assert summary["accuracy_deg"]["median"] == pytest.approx(1.2)


def test_the_verb_prints_a_table_and_writes_the_pages(
    session_path: Path, study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quality", str(study.root)]) == 0
    assert "quality.html" in capsys.readouterr().err
    (study.reports_dir / "quality.html").unlink()
    assert main(["quality", str(study.root), "--no-pages"]) == 0
    assert not (study.reports_dir / "quality.html").exists()


def test_a_study_without_sessions_is_told_what_to_do(tmp_path: Path) -> None:
    empty = init_study(tmp_path / "empty", clips_per_emotion=1, clip_s=1.0, emotions=("fear", "anger"))
    with pytest.raises(StudyError, match="emer record run"):
        make_study_page(empty)
