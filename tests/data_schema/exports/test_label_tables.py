from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from data_schema.clips.index import build_clip_index
from data_schema.errors import ExportError
from data_schema.exports.label_tables import (
    annotator_labels,
    held_decisions,
    label_table,
    self_reports,
    target_table,
)
from data_schema.labels import Decision, Judged, Label, LabelStore, label_frame, read_labels, read_log
from data_schema.session import open_session
from data_schema.session.layout import RESPONSES, make_row

from ..studies import make_study


class Answers:
    """What a session says when asked for its answers."""

    participant = "P001"

    def __init__(self, *answers):
        rows = [
            make_row(RESPONSES, trial_id=t, scale=s, value=v, t_answered_us=i) for i, (t, s, v) in enumerate(answers)
        ]
        self._rows = np.concatenate(rows)

    def table(self, _):
        return self

    def frame(self):
        return pd.DataFrame(
            {
                "trial_id": self._rows["trial_id"],
                "scale": [s.decode() for s in self._rows["scale"]],
                "value": self._rows["value"],
            }
        )


def test_the_strongest_emotion_is_the_self_report():
    answers = Answers(
        (1, "happiness", 1), (1, "fear", 5), (1, "valence", -0.5), (1, "arousal", 9.0),
        (2, "happiness", 3), (2, "fear", 3), (2, "valence", 0.25),
        (3, "happiness", 0), (3, "fear", 0),
        (4, "fear", 0), (4, "fear", 2),
    )  # fmt: skip
    rows = {row["clip_id"]: row for row in self_reports(answers, {k: f"c{k}" for k in (1, 2, 3, 4, 5)}, False)}
    assert rows["c1"]["emotion"] == "fear"
    assert rows["c1"]["polarity"] == "negative"
    assert rows["c1"]["valence"] == -0.5
    assert np.isnan(rows["c1"]["arousal"])  # off the scale
    assert rows["c2"]["emotion"] is None  # a tie stays a tie
    assert rows["c2"]["valence"] == 0.25
    assert "c3" not in rows  # nothing was felt and nothing else said
    assert rows["c4"]["emotion"] == "fear"  # the last answer counts
    assert "c5" not in rows
    assert all(row["annotator_kind"] == "human" for row in rows.values())


@pytest.fixture
def labelled(tmp_path):
    """A study of one participant, two clips, three annotators: agreement on one, a tie and a skip on the other."""
    study = make_study(tmp_path / "study", n_participants=1)
    clips = build_clip_index(study)
    study.labels_dir.mkdir()
    first, second = (
        {"clip_id": c.clip_id, "clip_sha256": c.session_sha256, "view": "face"} for c in clips.itertuples()
    )
    said = {
        "a1": [
            Label(**first, task="fer", emotion="anger", polarity="negative", valence=-0.5, intensity=1.0),
            Label(**second, task="fer", emotion="fear", intensity=2.0),
        ],
        "a2": [
            Label(**first, task="fer", emotion="anger", polarity="negative", valence=-1.0, intensity=2.0),
            Label(**second, task="fer", emotion="surprise"),
        ],
        "a3": [
            Label(**first, task="fer", emotion="sadness", polarity="negative"),
            Label(**second, task="fer", skip_reason="too_dark"),
            Label(**first, task="er", emotion="neutral"),
            Label(**first, task="er", emotion="fear", repetition=1),
        ],
    }
    for name, labels in said.items():
        with LabelStore.open(study.labels_dir / f"{name}.sqlite", name) as store:
            store.add_many(labels)
    return study, clips


def test_targets_keep_ties_and_skips_missing(labelled):
    study, clips = labelled
    holds = annotator_labels(read_labels(study.label_files()), clips)
    targets = target_table(holds, [], clips["clip_id"].tolist(), "annotators").set_index("clip_id")
    first, second = (targets.loc[name] for name in clips["clip_id"])
    assert first["fer_emotion"] == "anger"
    assert first["fer_polarity"] == "negative"
    assert first["fer_valence"] == -0.75
    assert first["fer_intensity"] == 1.5
    assert first["fer_n_raters"] == 3
    assert first["er_emotion"] == "neutral"  # the repetition does not vote
    assert second["fer_emotion"] is None
    assert second["fer_n_raters"] == 2
    assert second["er_emotion"] is None
    assert second["er_n_raters"] == 0


def test_labels_of_the_training_block_reach_neither_targets_nor_labels(labelled):
    study, clips = labelled
    names = clips["clip_id"].tolist()
    with LabelStore.open(study.labels_dir / "a4.sqlite", "a4") as store:
        for name, sha256 in zip(names, clips["session_sha256"], strict=True):
            store.add(Label(name, sha256, "fer", emotion="disgust", view="training:face"))
    holds = annotator_labels(read_labels(study.label_files()), clips)
    assert "a4" not in set(label_table(holds, [], names)["annotator_id"])
    targets = target_table(holds, [], names, "annotators")
    assert targets["fer_n_raters"].tolist() == [3, 2] and targets["fer_emotion"].tolist() == ["anger", None]


def test_decisions_reach_targets_and_labels_but_no_self_report(labelled):
    study, clips = labelled
    names = clips["clip_id"].tolist()
    before = target_table(annotator_labels(read_labels(study.label_files()), clips), [], names, "annotators")
    about = Judged(names[1], clips["session_sha256"][1], "fer")
    felt = Judged(names[0], clips["session_sha256"][0], "er")
    with LabelStore.open(study.labels_dir / "e01.sqlite", "e01") as store:
        store.write(
            [Decision(about, "the brows", "[]", emotion="fear"), Decision(felt, "the gaze", "[]", emotion="anger")]
        )
    holds = annotator_labels(read_labels(study.label_files()), clips)
    decisions = held_decisions(read_log(study.label_files(), "decisions"), clips)
    after = target_table(holds, [], names, "annotators", decisions)
    assert before["fer_emotion"].tolist() == ["anger", None]
    assert after["fer_emotion"].tolist() == ["anger", "fear"]
    assert after["fer_decided_by"].tolist() == [None, "e01"]
    assert after["fer_intensity"].tolist() == before["fer_intensity"].tolist()  # not decided: the raters' stays
    assert after["er_emotion"][0] == "anger"
    labels = label_table(holds, [], names, decisions)
    decided = labels[labels["source"] == "adjudicator"]
    assert decided[["clip_id", "task", "annotator_id", "emotion"]].to_numpy().tolist() == [
        [names[0], "er", "e01", "anger"],
        [names[1], "fer", "e01", "fear"],
    ]
    report = {"clip_id": names[0], "task": "er", "emotion": "disgust"}
    own = target_table(holds, [report], names, "self_report", decisions)
    assert own["er_emotion"][0] == "disgust"  # nobody decides for the participant what they said
    assert own["er_decided_by"].isna().all()
    changed = clips.assign(session_sha256="cd" * 32)
    with pytest.raises(ExportError, match="decisions were given to another version"):
        held_decisions(read_log(study.label_files(), "decisions"), changed)
    assert len(held_decisions(read_log(study.label_files(), "decisions"), changed, accept_changed=True)) == 2


def test_every_label_is_in_the_long_table(labelled):
    study, clips = labelled
    holds = annotator_labels(read_labels(study.label_files()), clips)
    with open_session(study.session_path("P001", "01")) as session:
        reports = self_reports(session, dict(zip(clips["trial_id"], clips["clip_id"], strict=True)), True)
    table = label_table(holds, reports, clips["clip_id"].tolist())
    assert len(table) == 10
    assert (table["source"] == "self_report").sum() == 2
    assert table.loc[table["skip_reason"].notna(), "annotator_id"].tolist() == ["a3"]
    assert sorted(table["repetition"]) == [0] * 9 + [1]
    only = label_table(holds, reports, clips["clip_id"].tolist()[:1])
    assert set(only["clip_id"]) == {clips["clip_id"][0]}


def test_er_from_self_reports(labelled):
    study, clips = labelled
    holds = annotator_labels(read_labels(study.label_files()), clips)
    name = clips["clip_id"][0]
    report = {"clip_id": name, "task": "er", "emotion": "disgust", "polarity": "negative", "valence": -0.25}
    targets = target_table(holds, [report], [name], "self_report")
    assert targets.loc[0, "er_emotion"] == "disgust"
    assert targets.loc[0, "er_valence"] == -0.25
    assert targets.loc[0, "er_n_raters"] == 1
    assert targets.loc[0, "fer_emotion"] == "anger"


def test_labels_of_another_recording_are_refused(labelled):
    study, clips = labelled
    labels = read_labels(study.label_files())
    changed = clips.assign(session_sha256="0" * 64)
    with pytest.raises(ExportError, match=r"8 labels .*--accept-changed-recordings"):
        annotator_labels(labels, changed)
    assert len(annotator_labels(labels, changed, accept_changed=True)) == 8


def test_labels_of_unknown_clips_are_named_and_left_out(labelled, caplog):
    study, clips = labelled
    labels = read_labels(study.label_files())
    with caplog.at_level(logging.WARNING):
        holds = annotator_labels(labels, clips.iloc[:1])
    assert set(holds["clip_id"]) == {clips["clip_id"][0]}
    assert "3 labels are left out" in caplog.text
    assert clips["clip_id"][1] in caplog.text


def test_no_labels_at_all(labelled):
    _, clips = labelled
    holds = annotator_labels(label_frame([]), clips)
    names = clips["clip_id"].tolist()
    assert target_table(holds, [], names, "annotators")["fer_emotion"].isna().all()
    assert len(label_table(holds, [], names)) == 0
