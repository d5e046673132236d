"""Label files that were made to do harm, or that two bundles share: nothing wrong comes home, and the rest does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.bundle import BundleSource, build_bundle, merge_labels
from annotation.sources.study import StudySource
from data_schema.clips.index import build_clip_index
from data_schema.labels import Judged, Label, LabelStore, Mark, read_labels, read_records
from data_schema.study import StudyFolder

from ..labelled_study import add_session


def _label_all(source: BundleSource, emotion: str) -> None:
    with source.open_store() as store:
        for item in source.items():
            frames = source.open_face(item)
            mark = frames.identity(2)
            frames.close()
            about = Judged(item.clip_id, item.clip_sha256, item.task)
            store.write([
                Label(item.clip_id, item.clip_sha256, item.task, emotion=emotion),
                Mark(about, "apex", mark.frame_index, mark.frame_pts),
            ])  # fmt: skip


def _label_some(source: BundleSource) -> None:
    """Label and mark two clips."""
    with source.open_store() as store:
        for item in source.items()[:2]:
            store.write([
                Label(item.clip_id, item.clip_sha256, item.task, emotion="fear"),
                Mark(Judged(item.clip_id, item.clip_sha256, item.task), "apex", 1, 512),
            ])  # fmt: skip


def _altered(path: Path, *statements: str) -> None:
    """Change a label file as somebody with a database tool would."""
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("goes_on", ["in the old file", "in a new file"])
def test_two_bundles_of_a_clip_that_was_recorded_anew_keep_their_recordings_apart(
    own_study: StudyFolder, tmp_path: Path, goes_on: str
) -> None:
    """The same names, other videos: a row belongs to the recording whose frames stood on the screen."""
    first, second = tmp_path / "first", tmp_path / "second"
    old_home = StudySource(own_study, "fer", "a01")
    old_hash = {item.clip_id: item.clip_sha256 for item in old_home.items()}
    build_bundle(own_study, old_home, first)
    own_study.session_path("P001", "01").unlink()
    # One trial more shifts no trial before it; another length of trials moves every clip's first frame.
    add_session(own_study, "P001", n_trials=4, trial_s=1.2, seed=11)
    build_clip_index(own_study)
    new_home = StudySource(own_study, "fer", "a01")
    new_hash = {item.clip_id: item.clip_sha256 for item in new_home.items()}
    build_bundle(own_study, new_home, second)
    _label_all(BundleSource(first), "fear")
    labels = BundleSource(first).label_path if goes_on == "in the old file" else tmp_path / "new.sqlite"
    _label_all(BundleSource(second, labels), "anger")
    files = {BundleSource(first).label_path, labels}
    merged, _ = merge_labels(own_study, files)
    assert [problem for file in merged for problem in file.problems] == []
    for row in read_records(own_study.label_files(), "labels"):
        assert row.clip_sha256 == (old_hash if row.emotion == "fear" else new_hash)[row.clip_id]
    changed = [clip for clip in old_hash if old_hash[clip] != new_hash[clip]]
    assert changed
    seen = 0
    for row in read_records(own_study.label_files(), "marks"):
        if row.clip_sha256 != new_hash[row.clip_id]:
            continue
        (item,) = [one for one in new_home.items() if (one.clip_id, one.repetition) == (row.clip_id, row.repetition)]
        frames = new_home.open_face(item)
        there = frames.identity(2)
        frames.close()
        if row.clip_id in changed:
            assert (row.frame_index, row.frame_pts) == (there.frame_index, there.frame_pts)
            seen += 1
    assert seen


@pytest.mark.parametrize("statement", [
    "UPDATE labels SET clip_id = x'00ff' WHERE seq = 1",
    "UPDATE labels SET repetition = 'many' WHERE seq = 1",
    "UPDATE labels SET comment = x'ff' WHERE seq = 1",
    "UPDATE marks SET frame_pts = 'late' WHERE seq = 1",
    "INSERT INTO trace_samples (annotator_id, trace_id, chunk, samples) VALUES ('a01', hex(zeroblob(16)), 'first', 3)",
    "UPDATE meta SET value = x'ff' WHERE key = 'study_title'",
    "UPDATE meta SET value = '../../a01' WHERE key = 'annotator_id'",
    "UPDATE meta SET value = '../../a01' WHERE key = 'bundle_id'",
])  # fmt: skip
def test_cells_of_the_wrong_kind_stop_no_other_file(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], statement: str
) -> None:
    crafted, good = bundle_copy("fer"), bundle_copy("er")
    for bundle in (crafted, good):
        _label_some(BundleSource(bundle))
    _altered(BundleSource(crafted).label_path, statement)
    merged, _ = merge_labels(own_study, [crafted, good])
    labels = read_labels(own_study.label_files())
    assert (labels["task"] == "er").sum() == 2
    if "study_title" not in statement:
        assert [problem for file in merged for problem in file.problems]


_STEP = (
    "INSERT INTO steps (row_id, annotator_id, annotator_kind, clip_id, clip_sha256, task, repetition, created_utc,"
    " toolkit_version, item_id, kind, before, after) SELECT '{row}', annotator_id, annotator_kind, clip_id,"
    " clip_sha256, task, 0, created_utc, toolkit_version, clip_id, 'set', '{{}}', '{after}' FROM labels WHERE seq = 1"
)


@pytest.mark.parametrize("after", [
    "[" * 50_000 + "]" * 50_000,
    '{"frame_index": 1, "frame_pts": "1e99999999"}',
    '{"frame_index": 1, "frame_pts": "1/0"}',
])  # fmt: skip
@pytest.mark.timeout(60)
def test_a_crafted_step_is_left_out_and_the_rest_comes_home(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], after: str
) -> None:
    bundle = bundle_copy("fer")
    source = BundleSource(bundle)
    _label_some(source)
    _altered(source.label_path, _STEP.format(row="ab" * 16, after=after))
    (merged,), _ = merge_labels(own_study, [bundle])
    (problem,) = merged.problems
    assert problem.startswith("steps, left out: row ")
    assert len(read_labels(own_study.label_files())) == 2


def test_an_annotator_decides_nothing_for_the_others(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path]
) -> None:
    """A decision lies on top of everybody's labels; no window of a bundle makes one."""
    from data_schema.labels import Decision

    bundle = bundle_copy("fer")
    source = BundleSource(bundle)
    _label_some(source)
    item = source.items()[0]
    with source.open_store() as store:
        store.write([Decision(Judged(item.clip_id, item.clip_sha256, "fer"), "I say so", "[]", emotion="anger")])
    (merged,), _ = merge_labels(own_study, [bundle])
    (problem,) = merged.problems
    assert problem.startswith("decisions, left out: row ")
    assert read_records(own_study.label_files(), "decisions") == []
    assert len(read_labels(own_study.label_files())) == 2


def test_rows_come_home_in_the_order_of_the_work_also_where_the_clock_was_set_back(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], tmp_path: Path
) -> None:
    bundle = bundle_copy("fer")
    source = BundleSource(bundle)
    item = source.items()[0]
    said = ["fear", "anger", "sadness"]
    with source.open_store() as store:
        for emotion in said:
            store.add(Label(item.clip_id, item.clip_sha256, "fer", emotion=emotion))
    _altered(source.label_path, "UPDATE labels SET created_utc = '2001-01-01T00:00:00.000000Z' WHERE seq = 3")
    merge_labels(own_study, [bundle])
    with LabelStore.open(own_study.labels_dir / "a01.sqlite", "a01") as store:
        assert [row.emotion for row in store.history()] == said
        assert store.undo() is not None
        assert [row.emotion for row in store.current()] == ["anger"]
