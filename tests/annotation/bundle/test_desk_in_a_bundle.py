"""The whole way: the desk works through a bundle elsewhere, and its labels come home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.bundle import BundleSource, merge_labels, study_identity
from annotation.desk.desk import Desk
from annotation.desk.state import Page
from annotation.items import Block
from annotation.sources.study import StudySource
from data_schema.labels import current_labels, current_votes, read_labels, read_records
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number


@pytest.fixture
def desk(bundle_copy: Callable[[str], Path]) -> Desk:
    return Desk(BundleSource(bundle_copy("fer")))


def _label(desk: Desk, emotion: str) -> None:
    desk.set("emotion", emotion)
    desk.set("valence", 0.25)
    desk.set("arousal", -0.5)
    desk.set("intensity", 2.0)
    desk.commit()


def test_a_desk_goes_through_a_bundle_and_all_of_it_comes_home(desk: Desk, own_study: StudyFolder) -> None:
    home = StudySource(own_study, "fer", "a01")
    folder = desk.source.folder  # type: ignore[attr-defined]
    marked: dict[int, int] = {}
    given: dict[int, str] = {}
    code = study_identity(own_study).admission_code("a01", "fer")
    try:
        for _ in range(len(desk.items)):
            if desk.page is Page.ADMISSION:
                assert not desk.enter_code("AAAA-BBBB")
                _, (state,) = merge_labels(own_study, [folder])
                assert state.passed and state.code == code
                assert desk.enter_code(state.code)
                desk.acknowledge()
            item = desk.items[desk.position]
            at_home = home.items()[desk.position]
            right = home._gold.get((at_home.clip_id, "fer"))
            given[desk.position] = right.emotion if item.block is Block.ADMISSION and right else "anger"
            desk.player.pause()
            desk.player.seek(7)
            while desk.player.image is None or desk.player.index != 7:
                desk.tick()
            marked[desk.position] = burnt_number(desk.player.image)
            desk.mark("apex")
            _label(desk, given[desk.position])
            if desk.page is Page.FEEDBACK:
                assert desk.gold is not None
                desk.acknowledge()
        assert desk.page is Page.FINISHED
    finally:
        desk.close()
    (merged,), _ = merge_labels(own_study, [folder])
    assert merged.problems == []
    by_key = {(item.clip_id, item.repetition): item.position for item in home.items()}
    labels = current_labels(read_labels(own_study.label_files()))
    assert {by_key[row.clip_id, row.repetition]: row.emotion for row in labels.itertuples()} == given
    # The lab sees which labels were given under instruction, and counts them nowhere.
    in_training = {item.position for item in home.items() if item.block is Block.TRAINING}
    assert in_training and in_training == {
        by_key[row.clip_id, row.repetition] for row in labels.itertuples() if row.view == "training:face"
    }
    assert len(current_votes(labels)) == len(given) - len(in_training)
    marks = read_records(own_study.label_files(), "marks")
    assert {by_key[mark.clip_id, mark.repetition]: mark.frame_index for mark in marks} == marked
    # Opened at the lab afterwards, the desk stands where the annotator's did: all done.
    at_lab = Desk(home)
    try:
        assert at_lab.progress.n_done == at_lab.progress.n_all
        # The last steps are taken back and said again there: the mark is the same frame of the session.
        last = len(home.items()) - 1
        at_lab.goto(last)
        n_steps = 0
        while at_lab.marks:
            at_lab.undo()
            n_steps += 1
        assert at_lab.draft.emotion is None and n_steps > 4
        for _ in range(n_steps):
            at_lab.redo()
        assert [mark.index for mark in at_lab.marks] == [7] and at_lab.draft.emotion == given[last]
        newest = read_records(own_study.label_files(), "marks")[-1]
        assert (newest.removes, newest.frame_index) == (None, marked[last])
    finally:
        at_lab.close()
