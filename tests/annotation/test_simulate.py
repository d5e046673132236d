from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotation.raters import NEIGHBOURS, PlantedTruth, SimulatedRater
from annotation.simulate import simulate_labels
from data_schema.errors import LabelError
from data_schema.labels import LabelStore, consensus, current_labels, read_labels
from data_schema.session import open_session
from data_schema.study import StudyFolder
from data_schema.vocabularies import EMOTIONS

SAID = [
    "annotator_id",
    "clip_id",
    "task",
    "emotion",
    "polarity",
    "valence",
    "arousal",
    "intensity",
    "skip_reason",
    "duration_ms",
]


def said(study: StudyFolder) -> pd.DataFrame:
    """What the label files say, without ids and times."""
    return read_labels(study.label_files())[SAID].sort_values(SAID[:3]).reset_index(drop=True)


def planted(study: StudyFolder) -> pd.DataFrame:
    parts = []
    for path in study.session_files():
        with open_session(path) as session:
            frame = session.table("/simulation/planted").frame()
        parts.append(frame.assign(clip_id=[f"{path.stem}_trial-{number:03d}" for number in frame["trial_id"]]))
    return pd.concat(parts).set_index("clip_id")


def test_each_task_is_judged_from_its_own_planted_truth(study: StudyFolder) -> None:
    simulate_labels(study, n_annotators=5)
    labels, truth = read_labels(study.label_files()), planted(study)
    assert set(labels["annotator_kind"]) == {"simulated"}
    assert set(labels["annotator_id"]) == {f"sim-{i:02d}" for i in range(1, 6)}
    masked = truth.index[truth["masked"].astype(bool)]
    assert len(masked) > 5
    found = {task: consensus(labels, task).set_index("clip_id") for task in ("er", "fer")}
    for task, column in (("er", "felt_emotion"), ("fer", "shown_emotion")):
        assert (found[task].loc[masked, "emotion"] == truth.loc[masked, column]).mean() > 0.8
        assert (found[task]["emotion"] == truth.loc[found[task].index, column]).mean() > 0.85
    assert found["er"]["valence"].mean() < -0.5 < 0.3 < found["fer"]["valence"].mean()
    assert found["er"]["arousal"].mean() > 0.4 > -0.3 > found["fer"]["arousal"].mean()
    assert found["er"]["intensity"].isna().all()
    assert 1.6 < found["fer"]["intensity"].mean() < 2.4


def test_annotators_differ_err_and_leave_out(study: StudyFolder) -> None:
    passes = simulate_labels(study, n_annotators=6)
    labels = current_labels(read_labels(study.label_files()))
    table = labels[labels["task"] == "fer"].pivot(index="clip_id", columns="annotator_id", values="emotion")
    assert (table.nunique(axis=1) > 1).any()
    assert sum(one.n_missing for one in passes) > 0
    assert {one.n_added + one.n_missing for one in passes} == {42}
    assert labels["duration_ms"].min() > 500


def test_it_is_reproducible_and_never_duplicates(study: StudyFolder) -> None:
    simulate_labels(study, n_annotators=2, seed=5)
    first = said(study)
    again = simulate_labels(study, n_annotators=2, seed=5)
    assert [one.n_added for one in again] == [0, 0, 0, 0]
    pd.testing.assert_frame_equal(said(study), first)
    with pytest.raises(LabelError, match="simulated with seed 5, not 6"):
        simulate_labels(study, n_annotators=2, seed=6)
    pd.testing.assert_frame_equal(said(study), first)
    simulate_labels(study, n_annotators=2, seed=6, force=True)
    assert len(said(study)) <= 2 * 2 * 42
    assert not said(study).equals(first)
    simulate_labels(study, n_annotators=2, seed=5, force=True)
    pd.testing.assert_frame_equal(said(study), first)
    assert sorted(path.name for path in study.labels_dir.iterdir()) == ["sim-01.sqlite", "sim-02.sqlite"]


def test_a_new_session_adds_its_clips_and_changes_no_label(
    study: StudyFolder, make_session: Callable[..., Path], index: Callable[..., pd.DataFrame]
) -> None:
    simulate_labels(study, n_annotators=2)
    before = said(study)
    make_session(study, "P004")
    index(study)
    passes = simulate_labels(study, n_annotators=2)
    assert all(0 < one.n_added <= 14 for one in passes)
    after = said(study)
    old = after[~after["clip_id"].str.contains("P004")].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, before)


def test_excluded_clips_are_not_labelled_and_no_frames_means_no_face(
    study: StudyFolder, index: Callable[..., pd.DataFrame]
) -> None:
    clips = index(study)
    index(
        study,
        included=clips["participant"] != "P002",
        n_face_frames=np.where(clips["trial_id"] == 1, 0, 120).astype("int32"),
    )
    simulate_labels(study, n_annotators=3)
    labels = current_labels(read_labels(study.label_files()))
    assert not labels["clip_id"].str.contains("P002").any()
    blind = labels["clip_id"].str.endswith("trial-001") & (labels["task"] == "fer")
    assert set(labels.loc[blind, "skip_reason"]) == {"no_face"}
    assert "no_face" not in set(labels.loc[~blind, "skip_reason"])
    index(study, included=False)
    with pytest.raises(LabelError, match="none of the 42 clips is included"):
        simulate_labels(study)


def test_a_real_recording_cannot_be_labelled_by_simulation(
    study: StudyFolder, make_session: Callable[..., Path], index: Callable[..., pd.DataFrame]
) -> None:
    make_session(study, "P009", planted=False)
    index(study)
    with pytest.raises(LabelError, match=r"sub-P009_ses-01\.h5: has no planted truth.*recording of a person"):
        simulate_labels(study)
    assert not study.labels_dir.exists()


def test_a_recording_that_changed_is_refused(study: StudyFolder, make_session: Callable[..., Path]) -> None:
    study.session_path("P001", "01").unlink()
    make_session(study, "P001")
    with pytest.raises(LabelError, match=r"sub-P001_ses-01\.h5: changed since clips\.parquet.*emer clips"):
        simulate_labels(study)


def test_a_persons_file_is_never_touched(study: StudyFolder) -> None:
    path = study.labels_dir / "sim-02.sqlite"
    LabelStore.open(path, "sim-02", "human").close()
    before = path.read_bytes()
    with pytest.raises(LabelError, match="human annotator, not a simulated one"):
        simulate_labels(study, n_annotators=3, force=True)
    assert path.read_bytes() == before
    assert [item.name for item in study.labels_dir.iterdir()] == ["sim-02.sqlite"]


def test_a_narrowed_study_gets_only_its_emotions(study: StudyFolder) -> None:
    toml = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(toml + '[labels]\nemotions = ["happiness", "sadness", "neutral"]\n', encoding="utf-8")
    narrowed = StudyFolder(study.root)
    simulate_labels(narrowed, n_annotators=3)
    assert set(read_labels(narrowed.label_files())["emotion"].dropna()) == {"happiness", "sadness", "neutral"}


def test_errors_are_mostly_neighbours_and_as_many_as_competence_says() -> None:
    rater = SimulatedRater("sim-01", 3, 0.7, 0.9, 0.0, 0.0, 0.0, missing_share=0.0, skip_share=0.0)
    truth = PlantedTruth("fear", -0.5, 0.5, 2.0)
    answers = [rater.judge(f"c{i}", "0" * 64, "er", truth, emotions=EMOTIONS) for i in range(1500)]
    words = [answer.emotion for answer in answers if answer is not None]
    wrong = [word for word in words if word != "fear"]
    assert len(wrong) / len(words) == pytest.approx(0.3, abs=0.04)
    assert sum(word in NEIGHBOURS["fear"] for word in wrong) / len(wrong) > 0.85
    assert wrong.count("surprise") > wrong.count("sadness") > wrong.count("happiness")
    valences = [answer.valence for answer in answers if answer is not None and answer.valence is not None]
    assert np.mean(valences) == pytest.approx(-0.5, abs=0.02)
    assert all(abs(value * 20 - round(value * 20)) < 1e-9 for value in valences)


def test_progress_is_told(study: StudyFolder, caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[int, int, str]] = []
    with caplog.at_level(logging.INFO):
        simulate_labels(study, n_annotators=2, progress=lambda *step: told.append(step))
    assert told == [(0, 2, "sim-01"), (1, 2, "sim-02"), (2, 2, "")]
    with pytest.raises(LabelError, match="expected 1 to 99"):
        simulate_labels(study, n_annotators=0)
