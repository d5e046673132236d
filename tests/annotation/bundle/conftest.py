from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.bundle import build_bundle
from annotation.queue.assignments import extend_assignments
from annotation.sources.study import StudySource
from data_schema.clips.index import load_clip_index
from data_schema.study import StudyFolder

from ..labelled_study import make_study, write_gold

ANNOTATION = """\
annotators = ["a01", "colleague"]
repeats_share = 0.5
repeats_distance = 1
gold_file = "gold.csv"
training_clips = 1
admission_clips = 2
trace = "bounded"
"""


def _make(root: Path) -> Path:
    study = make_study(root, n_participants=2, n_trials=4, annotation=ANNOTATION, sound=True)
    clips = load_clip_index(study)["clip_id"].astype(str).tolist()
    rows = [
        {"clip_id": clip, "task": task, "emotion": emotion, "explanation": f"why gold {place}"}
        for task in ("fer", "er")
        for place, (clip, emotion) in enumerate(zip(clips, ("sadness", "anger", "fear", "disgust"), strict=False))
    ]
    write_gold(study, rows)
    extend_assignments(study)
    # Always the same names and filler: a search for short words in random bytes would find one some day.
    study.annotation_dir.mkdir(exist_ok=True)
    text = json.dumps({"study_id": "5" * 32, "secret": "ab" * 32})
    (study.annotation_dir / "identity.json").write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study with training, admission test and repeats. Not to be changed: copy it."""
    return StudyFolder(_make(tmp_path_factory.mktemp("bundles") / "study"))


@pytest.fixture(scope="session")
def shared_bundles(shared_study: StudyFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two bundles of a01. Not to be changed: copy them."""
    made = {}
    for task in ("fer", "er"):
        out = tmp_path_factory.mktemp("out") / f"{task}-a01"
        build_bundle(shared_study, StudySource(shared_study, task, "a01"), out)
        made[task] = out
    return made


@pytest.fixture
def own_study(shared_study: StudyFolder, shared_bundles: dict[str, Path], tmp_path: Path) -> StudyFolder:
    """A copy of the study, with the keys of its bundles."""
    shutil.copytree(shared_study.root, tmp_path / "own_study")
    return StudyFolder(tmp_path / "own_study")


@pytest.fixture
def bundle_copy(shared_bundles: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a copy of a bundle, as it is on an annotator's machine."""

    def copy(task: str, name: str = "sent") -> Path:
        target = tmp_path / f"{name}-{task}"
        shutil.copytree(shared_bundles[task], target)
        return target

    return copy


@pytest.fixture
def home_source(shared_study: StudyFolder) -> Callable[[str], StudySource]:
    return lambda task: StudySource(shared_study, task, "a01")
