from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from annotation.bundle import BundleSource
from annotation.cli import app
from data_schema.errors import EmerError, UsageError
from data_schema.labels import Label
from data_schema.study import StudyFolder


def _run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, EmerError):
        raise done.exception
    return done.exit_code, done.output


def test_make_check_label_merge(own_study: StudyFolder, tmp_path: Path) -> None:
    out = tmp_path / "for-a01"
    code, said = _run("bundle", own_study.root, "--task", "fer", "--annotator", "a01", "--out", out)
    assert code == 0 and "for a01, fer pass" in said and "never hand it out" in said
    code, said = _run("bundle", "--check", out)
    assert code == 0 and said.rstrip().endswith("whole")
    source = BundleSource(out)
    item = source.items()[0]
    with source.open_store() as store:
        store.add(Label(item.clip_id, item.clip_sha256, "fer", emotion="fear"))
        for expected in ("1 labels; 0 rows there already", "nothing new; 1 rows there already"):
            code, said = _run("merge", own_study.root, out)
            assert code == 0 and f"a01 fer: {expected}" in said and "2 clips of the admission test are open" in said
    (out / "face" / f"{item.clip_id}.mp4").unlink()
    code, said = _run("bundle", "--check", out)
    assert code == 1 and "is missing; copy the bundle again" in said and "1 problems" in said


def test_a_file_that_cannot_be_merged_ends_with_1(own_study: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "broken.sqlite").write_text("no database", encoding="utf-8")
    code, said = _run("merge", own_study.root, tmp_path / "broken.sqlite")
    assert code == 1 and "Nothing of this file was merged" in said


@pytest.mark.parametrize(("words", "said"), [
    (["--task", "fer"], "--annotator, --out missing"),
    (["--annotator", "a01", "--out", "x"], "--task missing"),
    (["--task", "fer", "--annotator", "nobody", "--out", "x"], "not among the annotators"),
    (["--task", "gaze", "--annotator", "a01", "--out", "x"], "expected one of er, fer"),
    (["--check", "x"], "leave the other options out"),
])  # fmt: skip
def test_wrong_calls_are_explained(own_study: StudyFolder, words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _run("bundle", own_study.root, *words)


def test_the_annotators_machine_needs_no_study(
    bundle_copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = _run("bundle", "--check", bundle_copy("er"))
    assert code == 0 and "er pass" in said
