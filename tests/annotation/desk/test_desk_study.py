"""The desk over a real study: what is marked is the frame whose number is burnt into the picture."""

from __future__ import annotations

from pathlib import Path

from annotation.desk.desk import Desk
from annotation.queue.assignments import extend_assignments
from annotation.sources.study import StudySource
from data_schema.labels import read_labels
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number
from .desk_source import Clock, press


def study_with(study: StudyFolder, task: str) -> StudySource:
    extend_assignments(study)
    return StudySource(study, task, "a01")


def test_marks_name_the_frame_that_is_burnt_into_the_picture(video_study: StudyFolder, clock: Clock) -> None:
    desk = Desk(study_with(video_study, "fer"), clock=clock)
    n_items = len(desk.items)
    assert n_items >= 6 and desk.stimulus is None and desk.eyes is None
    shown: dict[str, int] = {}
    for _ in range(n_items):
        press(desk, *["step.forward"] * 7)
        assert desk.player.settle()
        press(desk, "mark.apex")
        assert desk.item is not None and [mark.index for mark in desk.marks] == [7]
        shown[desk.item.item_id] = burnt_number(desk.player.image)
        (row,) = desk._log.marks(desk.item)
        assert row.frame_index == shown[desk.item.item_id] > 0
        press(desk, "1", "9", "9", "3", "commit")
    assert desk.page.value == "finished"
    path = Path(desk._store.path)
    desk.close()
    labels = read_labels([path])
    assert len(labels) == n_items and set(labels["annotator_id"]) == {"a01"} and set(labels["view"]) == {"face"}
    desk = Desk(StudySource(video_study, "fer", "a01"), clock=clock)
    for place in range(n_items):
        desk.goto(place)
        assert [mark.index for mark in desk.marks] == [7]
    desk.close()


def test_the_er_pass_shows_stimulus_and_eyes(video_study: StudyFolder, clock: Clock) -> None:
    desk = Desk(study_with(video_study, "er"), clock=clock)
    track, eyes = desk.stimulus, desk.eyes
    assert track is not None and eyes is not None and desk.stimulus is track and desk.eyes is eyes
    assert len(eyes.gaze_t_us) > 0 and len(track.frames) > 0
    press(desk, "next")
    assert desk.eyes is not None and desk.eyes is not eyes
    desk.close()
