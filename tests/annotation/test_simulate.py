from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotation.agreement import agreement
from annotation.agreement.counted import counted_labels
from annotation.queue.assignments import extend_assignments, load_assignments
from annotation.queue.gold import read_study_gold
from annotation.queue.queues import read_all_queues
from annotation.queue.standing import standings
from annotation.simulate import simulate_labels
from annotation.status import clip_hashes
from data_schema.errors import LabelError
from data_schema.labels import LabelStore, consensus, current_labels, read_labels
from data_schema.labels.raters import NEIGHBOURS, PlantedTruth, SimulatedRater
from data_schema.session import open_session
from data_schema.study import StudyFolder
from data_schema.vocabularies import EMOTIONS

from .labelled_study import write_gold

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


@pytest.fixture
def assigned(study: StudyFolder) -> StudyFolder:
    """Three simulated annotators and a person share 42 clips, two of them each; half of what they judge comes again."""
    lines = [
        "[annotation]", 'annotators = ["sim-01", "sim-02", "sim-03", "a01"]', "annotators_per_clip = 2",
        "repeats_share = 0.5", "repeats_distance = 2", 'gold_file = "gold.csv"', "training_clips = 2",
        "admission_clips = 3", "admission_share = 0.5",
    ]  # fmt: skip
    study.config_path.write_text(study.config_path.read_text(encoding="utf-8") + "\n".join(lines), encoding="utf-8")
    study = StudyFolder(study.root)
    truth = planted(study)
    rows = [
        {"clip_id": clip, "task": task, "emotion": truth.loc[clip, column]}
        for task, column in (("er", "felt_emotion"), ("fer", "shown_emotion"))
        for clip in sorted(truth.index)[:6]
    ]
    write_gold(study, rows)
    extend_assignments(study)
    return study


def _queue(study: StudyFolder, name: str, task: str) -> pd.DataFrame:
    table = load_assignments(study)
    return table[(table["annotator_id"] == name) & (table["task"] == task)].sort_values("position")


def test_who_was_given_clips_follows_the_queue(assigned: StudyFolder) -> None:
    passes = simulate_labels(assigned, n_annotators=4)
    log = read_labels(assigned.label_files())
    for one in passes:
        mine = log[(log["annotator_id"] == one.annotator_id) & (log["task"] == one.task)].sort_values("created_utc")
        if one.annotator_id == "sim-04":  # nothing was handed out to them: all clips, once
            assert len(mine) == one.n_added == 42 - one.n_missing and set(mine["repetition"]) == {0}
            continue
        queue = _queue(assigned, one.annotator_id, one.task)
        assert one.n_added + one.n_missing == len(queue) < 42 and one.n_missing < 6
        places = list(zip(queue["clip_id"], queue["repetition"], strict=True))
        said = list(zip(mine["clip_id"], mine["repetition"], strict=True))
        assert said == [place for place in places if place in set(said)], "in the order of the queue"
        tests = queue[queue["block"] != "main"]
        assert set(zip(tests["clip_id"], tests["repetition"], strict=True)) <= set(said)
        training = set(queue.loc[queue["block"] == "training", "clip_id"])
        assert set(mine.loc[mine["view"] == "training:planted", "clip_id"]) == training and len(training) == 2
        again = mine[mine["repetition"] == 1].merge(mine[mine["repetition"] == 0], on="clip_id")
        assert len(again) > 4
        assert (again["valence_x"] != again["valence_y"]).any(), "a repeat is judged anew"
    assert [one.n_added for one in simulate_labels(assigned, n_annotators=4)] == [0] * 8
    before = said_of(log)
    simulate_labels(assigned, n_annotators=4, force=True)
    assert said_of(read_labels(assigned.label_files())) == before


def said_of(log: pd.DataFrame) -> list[tuple[object, ...]]:
    return sorted(log[[*SAID[:3], "repetition", "valence"]].fillna(9).itertuples(index=False, name=None))


def test_a_simulated_study_shows_progress_agreement_and_self_consistency(assigned: StudyFolder) -> None:
    simulate_labels(assigned, n_annotators=3)
    queues = read_all_queues(assigned)
    rows = standings(
        read_labels(assigned.label_files()), queues, clip_hashes(assigned), read_study_gold(assigned),
        assigned.config.annotation, datetime.now(timezone.utc),
    )  # fmt: skip
    for row in rows:
        if row.annotator != "a01":
            assert row.labelled > row.open and "passed" in row.admission and "% of " in row.repeats
    report = agreement(counted_labels(assigned), n_resamples=0)
    for one in report.passes:
        assert [rater.annotator_id for rater in one.raters] == ["sim-01", "sim-02", "sim-03"]
        assert {entry.rater.annotator_id for entry in one.consistency if entry.field == "emotion"} == {
            "sim-01", "sim-02", "sim-03",
        }  # fmt: skip
        found = [(entry.same.value, entry.n_clips) for entry in one.consistency if entry.field == "emotion"]
        n_same = sum(share * n for share, n in found if share is not None)
        assert 0.5 < n_same / sum(n for _, n in found) < 1


def test_who_is_not_admitted_stops_there(assigned: StudyFolder, caplog: pytest.LogCaptureFixture) -> None:
    gold = assigned.root / "gold.csv"
    truth = planted(assigned)
    rows = []  # answers that hardly anybody gives
    for task, column in (("er", "felt_emotion"), ("fer", "shown_emotion")):
        for clip in sorted(truth.index)[:6]:
            said = truth.loc[clip, column]
            far = next(word for word in EMOTIONS if word != said and word not in NEIGHBOURS[said])
            rows.append({"clip_id": clip, "task": task, "emotion": far})
    gold.unlink()
    write_gold(assigned, rows)
    passes = simulate_labels(assigned, n_annotators=1)
    assert [one.n_added for one in passes] == [5, 5], "training and test, nothing more"
    assert "sim-01 did not pass the admission test of the pass er" in caplog.text
    assert [one.n_added for one in simulate_labels(assigned, n_annotators=1)] == [0, 0]


def test_noise_scales_a_rater_and_noise_of_one_changes_nothing() -> None:
    plain, louder, silent = (SimulatedRater.draw("sim-01", 3, noise) for noise in (1.0, 2.0, 0.0))
    assert plain == SimulatedRater.draw("sim-01", 3)
    assert 1 - louder.er_competence == pytest.approx(2 * (1 - plain.er_competence))
    assert (silent.er_competence, silent.fer_competence, silent.missing_share, silent.skip_share) == (1, 1, 0, 0)
    truth = PlantedTruth("fear", 0.5, -0.25, 1.5)
    said = silent.judge("clip", "0" * 64, "fer", truth, emotions=EMOTIONS)
    assert said is not None
    assert (said.emotion, said.valence, said.arousal, said.intensity) == ("fear", 0.5, -0.25, 1.5)
