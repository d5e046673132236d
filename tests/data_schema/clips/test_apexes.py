"""The rule apex, from marks in label files to the span of a clip."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.clips.apexes import clip_apex, read_apex_marks
from data_schema.clips.index import build_clip_index
from data_schema.clips.rules import NO_APEX
from data_schema.clips.table import load_current_clip_index, load_trial_index
from data_schema.errors import ExportError
from data_schema.labels import LabelStore
from data_schema.labels.entries import Judged, Mark
from data_schema.session import open_session
from data_schema.study.folder import StudyFolder

from ..studies import label_all, make_study

RULE = '[clips]\nrule = "apex"\napex_before_s = 0.2\napex_after_s = 0.3\n'


def mark(study, annotator, clip, share, kind="apex", task="fer", repetition=0, annotator_kind="human"):
    """Mark the frame that lies at a share of the trial; returns its capture time and the row's id."""
    with open_session(study.root / clip.session_file) as session:
        frames = session.video.frames[:]
    at = clip.t_trial_start_us + share * (clip.t_trial_end_us - clip.t_trial_start_us)
    number = int(np.searchsorted(frames["t_capture_us"], at))
    study.labels_dir.mkdir(exist_ok=True)
    about = Judged(clip.clip_id, clip.session_sha256, task, repetition)
    with LabelStore.open(study.labels_dir / f"{annotator}.sqlite", annotator, annotator_kind) as store:
        (row,) = store.write([Mark(about, kind, number, int(frames["pts"][number]))])
    return int(frames["t_capture_us"][number]), row


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study", n_participants=1, n_trials=2, more=RULE)


def test_before_anybody_marks_clips_wait_but_trials_are_labelled(study, capsys):
    assert main(["clips", str(study.root)]) == 0
    said = capsys.readouterr().out
    assert f"2 left out: {NO_APEX}" in said
    assert "2 of them are labelled all the same" in said
    table = load_current_clip_index(study)
    assert not table["included"].any()
    assert table["trial_included"].all()
    trials = load_trial_index(study)
    assert trials["included"].all()
    assert (table["t_apex_us"] == -1).all()
    assert table["apex_spread_s"].isna().all()


def test_the_median_of_the_annotators_is_the_apex(study):
    first, second = build_clip_index(study).itertuples()
    times = [mark(study, f"a0{n}", first, share)[0] for n, share in enumerate((0.3, 0.5, 0.9))]
    # None of these count: another pass, another kind, a repeat, a guess of a model, a mark that was taken back.
    mark(study, "a01", second, 0.5, task="er")
    mark(study, "a01", second, 0.5, kind="onset")
    mark(study, "a01", second, 0.5, repetition=1)
    mark(study, "m01", second, 0.5, annotator_kind="model")
    _, row = mark(study, "a02", second, 0.5)
    with LabelStore.open(study.labels_dir / "a02.sqlite", "a02") as store:
        store.write([Mark(Judged(second.clip_id, second.session_sha256, "fer"), "apex", 1, None, removes=row)])
    with pytest.raises(ExportError, match=r"marked or took back apexes.*emer clips"):
        load_current_clip_index(study)
    found, none = build_clip_index(study).itertuples()
    load_current_clip_index(study)
    assert (found.t_apex_us, found.n_apex) == (times[1], 3)
    assert found.apex_spread_s == pytest.approx((times[2] - times[0]) / 1e6)
    assert (found.t_start_us, found.t_end_us) == (times[1] - 200_000, times[1] + 300_000)
    assert (found.t_trial_start_us, found.t_trial_end_us) == (first.t_trial_start_us, first.t_trial_end_us)
    assert found.included
    assert 13 <= found.n_face_frames <= 17  # half a second at 30 frames a second
    assert none.exclusion_reason == NO_APEX


def test_of_two_apexes_of_one_annotator_the_one_that_others_mean_counts():
    times = np.arange(0, 60_000_000, 1_000_000)
    frames = {"a": (10, 50), "b": (51,), "c": (49,)}
    rows = [
        {"annotator_id": who, "frame_index": n, "frame_pts": None, "clip_sha256": "x", "clip_id": "c"}
        for who, numbers in frames.items()
        for n in numbers
    ]
    apex = clip_apex(pd.DataFrame(rows), "x", times, times)
    assert (apex.t_us, apex.n_annotators, apex.spread_s) == (50_000_000, 3, 2.0)


def test_marks_of_another_recording_do_not_count(caplog):
    times = np.arange(0, 5_000_000, 1_000_000)
    rows = [
        {"annotator_id": "a", "frame_index": 1, "frame_pts": None, "clip_sha256": "old", "clip_id": "c"},
        {"annotator_id": "b", "frame_index": 99, "frame_pts": None, "clip_sha256": "x", "clip_id": "c"},
        {"annotator_id": "c", "frame_index": 2, "frame_pts": 7, "clip_sha256": "x", "clip_id": "c"},
    ]
    assert clip_apex(pd.DataFrame(rows), "x", times, times) is None
    assert "3 marks of an apex are of another recording" in caplog.text


def test_changing_the_rule_moves_no_label(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1)
    label_all(study)
    whole = build_clip_index(study)
    toml = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(toml + '[clips]\nrule = "last"\nlast_s = 0.4\n', encoding="utf-8")
    study = StudyFolder(study.root)
    with pytest.raises(ExportError, match=r"\[clips\] rule was whole, is last now"):
        load_current_clip_index(study)
    last = build_clip_index(study)
    # What labels bind to, and what annotators see, is the same; only what is computed is of another part.
    for name in ("clip_id", "session_sha256", "t_trial_start_us", "t_trial_end_us", "trial_included"):
        assert last[name].tolist() == whole[name].tolist()
    assert (last["t_end_us"] - last["t_start_us"] == 400_000).all()
    assert last["included"].all()
    trials = load_trial_index(study)
    assert trials["t_start_us"].tolist() == whole["t_start_us"].tolist()


def test_a_study_without_labels_has_no_marks(study):
    assert len(read_apex_marks(study)) == 0
