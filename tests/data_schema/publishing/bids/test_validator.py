"""The official validator finds nothing, and finds what is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.data_schema.publishing.bids.conftest import Published
from tests.data_schema.publishing.bids.validator import validate

_EYE1 = "sub-P001/ses-01/beh/*run-01_recording-eye1_physio"


def test_the_official_validator_has_neither_errors_nor_warnings(published: Published, tmp_path: Path) -> None:
    assert validate(published.root, tmp_path) == []


def _without(key: str, pattern: str) -> Callable[[Path], None]:
    def mutilate(root: Path) -> None:
        for path in root.glob(pattern):
            about = json.loads(path.read_text(encoding="utf-8"))
            del about[key]
            path.write_text(json.dumps(about), encoding="utf-8")

    return mutilate


def _stray_file(root: Path) -> None:
    (root / "sub-P001" / "ses-01" / "beh" / "notes.txt").write_text("x", encoding="utf-8")


def test_what_is_broken_is_refused(published: Published, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(published.root, broken)
    _without("RecordedEye", f"{_EYE1}.json")(broken)
    _without("StimulusPresentation", "sub-P002/ses-01/beh/*_events.json")(broken)
    _stray_file(broken)
    found = {
        (issue["code"], Path(issue["location"]).name)
        for issue in validate(broken, tmp_path)
        if issue["severity"] == "error"
    }
    assert {
        ("SIDECAR_KEY_REQUIRED", "sub-P001_ses-01_task-ClipsAndEyes_run-01_recording-eye1_physio.tsv.gz"),
        ("INCOMPLETE_STIMULUS_PRESENTATION", "sub-P002_ses-01_task-ClipsAndEyes_run-01_recording-eye2_physio.tsv.gz"),
        ("NOT_INCLUDED", "notes.txt"),
    } <= found
