"""Two copies of a label file that went on apart and were merged: the desk shows what counts, the newer label."""

from __future__ import annotations

import shutil
from pathlib import Path

from annotation.desk.desk import Desk
from data_schema.labels import LabelStore, current_labels, read_labels, read_records

from .desk_source import ListSource, queue

LOGS = ("labels", "marks", "guesses", "steps")


def _say(path: Path, emotion: str, comment: str = "") -> None:
    desk = Desk(ListSource(path, queue("fer", main=2)))
    desk.goto(0)
    for name, value in (("emotion", emotion), ("valence", 0.5), ("arousal", 0.5), ("intensity", 1.0)):
        desk.set(name, value)
    desk.commit()
    if comment:
        desk.goto(0)
        desk.set_comment(comment)
    desk.close()


def _merge(path: Path, other: Path) -> None:
    with LabelStore.open(path, "a01") as store:
        store.add_records([row for log in LOGS for row in read_records(other, log)])


def test_the_newer_label_is_shown_whichever_copy_came_last(tmp_path: Path) -> None:
    older, newer = tmp_path / "older.sqlite", tmp_path / "newer.sqlite"
    _say(older, "fear")
    shutil.copy(older, newer)
    _say(older, "sadness")
    _say(newer, "anger")
    for first, second in ((older, newer), (newer, older)):
        merged = tmp_path / f"{first.stem}-{second.stem}.sqlite"
        shutil.copy(first, merged)
        _merge(merged, second)
        assert current_labels(read_labels(merged))["emotion"].tolist() == ["anger"]
        desk = Desk(ListSource(merged, queue("fer", main=2)))
        desk.goto(0)
        assert desk.saved_label is not None and desk.saved_label.emotion == "anger"
        assert desk.draft.emotion == "anger"
        desk.set_comment("looked at again")
        desk.close()
        # A draft that was begun since is kept.
        desk = Desk(ListSource(merged, queue("fer", main=2)))
        desk.goto(0)
        assert (desk.draft.emotion, desk.draft.comment) == ("anger", "looked at again")
        desk.close()
        _say(merged, "disgust")
        assert current_labels(read_labels(merged))["emotion"].tolist() == ["disgust"]
        desk = Desk(ListSource(merged, queue("fer", main=2)))
        desk.goto(0)
        assert desk.saved_label is not None and desk.saved_label.emotion == "disgust" == desk.draft.emotion
        desk.close()
