"""`emer status` of a study whose clips nobody has labelled yet: what the person in the lab does next."""

from __future__ import annotations

from pathlib import Path

from annotation.queue.assignments import extend_assignments
from data_schema.study import StudyFolder
from data_schema.study.status import study_status

from .labelled_study import make_study


def next_step(study: StudyFolder) -> str:
    return study_status(StudyFolder(study.root)).next_step


def test_named_annotators_get_their_clips_before_anybody_is_simulated(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", annotation='annotators = ["a01", "a02"]\nannotators_per_clip = 1')
    assert next_step(study).startswith(f"emer annotate assign {study.root} ")
    extend_assignments(study)
    said = next_step(study)
    assert said.startswith(f"emer annotate open {study.root} --task fer --annotator a01 ")
    assert f"emer annotate bundle {study.root} --task fer --annotator a01 --out fer-a01" in said


def test_a_study_without_names_is_tried_out(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    assert next_step(study).startswith(f"emer annotate simulate {study.root} ")
