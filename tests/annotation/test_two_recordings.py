"""Labels of a recording and of the one that replaced it are about two videos: figures never mix them."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from annotation.agreement.counted import counted_labels
from annotation.status import clip_hashes
from data_schema.cli import main
from data_schema.labels import Decision, Judged, Label, LabelStore
from data_schema.study import StudyFolder


def test_who_judged_the_old_recording_has_no_vote_on_the_new_one(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    hashes = clip_hashes(study)
    anew, only_old, *_ = sorted(hashes)
    said = {"a01": ("fear", "old"), "a02": ("fear", "old"), "a03": ("anger", "now")}
    for annotator, (emotion, which) in said.items():
        with LabelStore.open(study.labels_dir / f"{annotator}.sqlite", annotator) as store:
            store.add(Label(anew, "0" * 64 if which == "old" else hashes[anew], "fer", emotion=emotion))
            store.add(Label(only_old, "0" * 64, "fer", emotion="sadness"))
    with LabelStore.open(study.labels_dir / "e01.sqlite", "e01") as store:
        for clip in (anew, only_old):
            store.write([Decision(Judged(clip, "0" * 64, "fer"), "seen in the old one", "[]", polarity="neutral")])
    with caplog.at_level(logging.WARNING):
        labels = counted_labels(study)
    assert labels[labels["clip_id"] == anew]["annotator_id"].tolist() == ["a03"]
    assert (labels["clip_id"] == only_old).sum() == 3, "it may have been repaired, no more"
    assert "2 rows of the labels are of an older recording of clips that were judged again since" in caplog.text
    assert main(["annotate", "consensus", str(study.root), "--task", "fer", "--out", str(study.root / "c.csv")]) == 0
    capsys.readouterr()
    found = pd.read_csv(study.root / "c.csv").set_index("clip_id")
    assert found.loc[[anew, only_old], "emotion"].tolist() == ["anger", "sadness"]
    assert found.loc[[anew, only_old], "decided_by"].fillna("").tolist() == ["", "e01"]
