"""What is handed out is frozen: studies grow, queues only get longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from annotation.queue.assignments import ASSIGNMENT_COLUMNS, assignments_path, extend_assignments, load_assignments
from annotation.queue.queues import read_all_queues, read_queue
from data_schema.errors import ExportError, LabelError, UsageError
from data_schema.study import StudyFolder

from .table_studies import clip_name, table_study, write_clips, write_gold_rows, write_rules

THREE = 'annotators = ["a01", "a02", "a03"]\nannotators_per_clip = 2\n'


def main_clips(table: pd.DataFrame, task: str = "fer") -> pd.DataFrame:
    return table[(table["task"] == task) & (table["role"] == "clip")]


def test_every_clip_in_both_passes_and_positions_without_gaps(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 60, THREE)
    extension = extend_assignments(study)
    table = load_assignments(study)
    assert tuple(table.columns) == tuple(ASSIGNMENT_COLUMNS)
    assert sum(extension.n_new.values()) == len(table)
    assert table["item_id"].is_unique
    for task in ("er", "fer"):
        own = main_clips(table, task)
        assert own.groupby("clip_id")["annotator_id"].nunique().eq(2).all()
        assert own["clip_id"].nunique() == 60
        assert own.groupby("annotator_id").size().tolist() == [40, 40, 40]
    for (name, task), queue in table.groupby(["annotator_id", "task"]):
        assert queue["position"].tolist() == list(range(len(queue)))
        assert (queue["role"] == "repeat").sum() == 4
        assert [entry.item.item_id for entry in read_queue(study, task, name)] == queue["item_id"].tolist()
    # An item's name must not tell the clip, nor that it is there a second time.
    assert not any("P0" in name or "trial" in name for name in table["item_id"])


def test_new_clips_and_annotators_leave_the_old_rows_as_they_were(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 40, THREE)
    extend_assignments(study)
    first = load_assignments(study)
    before = assignments_path(study).read_bytes()
    extend_assignments(study)
    assert assignments_path(study).read_bytes() == before, "nothing new, nothing written"

    write_clips(study, 70)
    study = write_rules(study.root, THREE.replace('"a03"', '"a03", "a04"'))
    extend_assignments(study)
    second = load_assignments(study)
    pd.testing.assert_frame_equal(second.iloc[: len(first)].reset_index(drop=True), first)
    new = second.iloc[len(first) :]
    fresh = {clip_name(number) for number in range(40, 70)}
    # The newcomer catches up on the new clips; no old clip gets a third annotator.
    assert set(new.loc[new["role"] == "clip", "clip_id"]) == fresh
    assert main_clips(second).groupby("clip_id").size().eq(2).all()
    assert main_clips(second).groupby("annotator_id").size()["a04"] == 30
    for _, queue in second.groupby(["annotator_id", "task"]):
        assert queue["position"].tolist() == list(range(len(queue)))


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 40, THREE)
    extension = extend_assignments(study, dry_run=True)
    assert sum(extension.n_new.values()) == len(extension.table) > 160
    assert not assignments_path(study).exists()


def test_open_clips_of_somebody_who_left_go_to_others(tmp_path: Path) -> None:
    study = table_study(
        tmp_path / "s", 30, 'annotators = ["a01", "a02"]\nannotators_per_clip = 1\nrepeats_share = 0.0\n'
    )
    extend_assignments(study)
    fer = main_clips(load_assignments(study))
    of_a02 = fer.loc[fer["annotator_id"] == "a02", "clip_id"].tolist()
    study = write_rules(study.root, 'annotators = ["a01", "a03"]\nannotators_per_clip = 1\nrepeats_share = 0.0\n')
    finished = {("a02", "fer", clip) for clip in of_a02[:5]}
    extend_assignments(study, finished=finished)
    fer = main_clips(load_assignments(study))
    again = fer[fer["clip_id"].isin(of_a02) & (fer["annotator_id"] != "a02")]
    assert sorted(again["clip_id"]) == sorted(of_a02[5:])
    with pytest.raises(UsageError, match="'a02' is not among the annotators"):
        read_queue(study, "fer", "a02")


def test_training_and_admission_come_first_and_are_the_same_for_all(tmp_path: Path) -> None:
    rules = THREE + 'gold_file = "gold.csv"\ntraining_clips = 3\nadmission_clips = 7\n'
    study = table_study(tmp_path / "s", 60, rules)
    write_gold_rows(study, range(14))
    extension = extend_assignments(study)
    assert "The ER pass has no training" in extension.notes[0]
    sets = {"training": set(), "admission": set(), "gold": set()}
    for name in ("a01", "a02", "a03"):
        queue = read_queue(study, "fer", name)
        assert [entry.item.block.value for entry in queue[:10]] == ["training"] * 3 + ["admission"] * 7
        assert {entry.item.block.value for entry in queue[10:]} == {"main"}
        for role, found in sets.items():
            found.add(frozenset(entry.item.clip_id for entry in queue if entry.role.value == role))
        gold_places = [entry.item.position for entry in queue if entry.role.value == "gold"]
        assert max(gold_places) - min(gold_places) > 4, "gold clips lie among the others"
        assert not {entry.item.clip_id for entry in queue if entry.role.value == "clip"} & {
            clip_name(number) for number in range(14)
        }
        assert {entry.item.block.value for entry in read_queue(study, "er", name)} == {"main"}
    assert {role: [len(one) for one in found] for role, found in sets.items()} == {
        "training": [3], "admission": [7], "gold": [4],
    }  # fmt: skip
    orders = {
        tuple(entry.item.clip_id for entry in read_queue(study, "fer", name)[3:10]) for name in ("a01", "a02", "a03")
    }
    assert len(orders) == 3
    # One clip of each emotion before the second of any.
    numbers = {int(clip[5:8]) * 10 + int(clip[-3:]) for clip in next(iter(sets["training"]))}
    assert len({number % 7 for number in numbers}) == 3

    # Later answers change nobody's test; who comes later gets the same one.
    write_gold_rows(study, range(30))
    study = write_rules(study.root, rules.replace('"a03"', '"a03", "a04"'))
    extend_assignments(study)
    late = read_queue(study, "fer", "a04")
    assert {entry.item.clip_id for entry in late[:3]} == set(next(iter(sets["training"])))
    assert {entry.item.clip_id for entry in late[3:10]} == set(next(iter(sets["admission"])))
    assert [entry.item.block.value for entry in read_queue(study, "fer", "a01")].count("admission") == 7


def test_too_few_gold_clips_are_told_before_anything_is_written(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 60, THREE + 'gold_file = "gold.csv"\ntraining_clips = 3\nadmission_clips = 7\n')
    write_gold_rows(study, range(9))
    with pytest.raises(LabelError, match="9 clips have an answer"):
        extend_assignments(study)
    write_gold_rows(study, range(55, 70))
    with pytest.raises(LabelError, match="line 7: clip_id is 'sub-P006_ses-01_trial-000'"):
        extend_assignments(study)
    assert not assignments_path(study).exists()


def test_too_few_annotators_are_noted(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 20, 'annotators = ["a01", "a02"]\nannotators_per_clip = 3\n')
    notes = extend_assignments(study).notes
    assert notes[0].startswith("20 clips of the ER pass have fewer than annotators_per_clip = 3 annotators")


def test_without_a_list_whoever_comes_gets_all_clips_also_the_new_ones(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 20)
    first = [entry.item for entry in read_queue(study, "fer", "b7")]
    assert len({item.clip_id for item in first}) == 20
    write_clips(study, 25)
    second = [entry.item for entry in read_queue(study, "fer", "b7")]
    assert second[: len(first)] == first
    assert len({item.clip_id for item in second}) == 25
    other = [entry.item.clip_id for entry in read_queue(study, "fer", "b8")]
    assert other != [item.clip_id for item in second]
    assert set(read_all_queues(study)) == {(name, task) for name in ("b7", "b8") for task in ("er", "fer")}


def test_clips_that_left_the_study_leave_the_queue(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 20, 'annotators = ["a01"]\nrepeats_share = 0.0\n')
    extend_assignments(study)
    before = [entry.item.item_id for entry in read_queue(study, "er", "a01")]
    gone = {clip_name(number) for number in (3, 18, 19)}
    write_clips(study, 18, excluded=(3,))
    queue = [entry.item for entry in read_queue(study, "er", "a01")]
    assert not gone & {item.clip_id for item in queue}
    assert [item.position for item in queue] == list(range(17))
    assert [item.item_id for item in queue] == [name for name in before if name in {item.item_id for item in queue}]
    write_clips(study, 20, excluded=tuple(range(20)))
    with pytest.raises(LabelError, match="excludes them all"):
        read_queue(study, "er", "a01")


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 20, THREE)
    with pytest.raises(LabelError, match="emer annotate assign"):
        read_queue(study, "fer", "a01")
    with pytest.raises(UsageError, match="expected one of er, fer"):
        read_queue(study, "felt", "a01")
    with pytest.raises(LabelError, match="annotator"):
        read_queue(study, "fer", "../a01")
    extend_assignments(study)
    path = assignments_path(study)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for call in (lambda: read_queue(study, "fer", "a01"), lambda: extend_assignments(study)):
        with pytest.raises(ExportError, match="Restore it from a backup"):
            call()
    assert path.read_bytes() == content[: len(content) // 2], "a damaged table is not replaced"
    path.write_bytes(content)
    study.clip_index_path.unlink()
    with pytest.raises(ExportError, match="emer clips"):
        read_queue(study, "fer", "a01")


def test_annotators_who_begin_at_the_same_moment_all_get_their_queue(tmp_path: Path) -> None:
    study = table_study(tmp_path / "s", 30)
    script = (
        "import sys; from annotation.queue.queues import read_queue; from data_schema.study import StudyFolder;"
        "print(len(read_queue(StudyFolder(sys.argv[1]), 'fer', sys.argv[2])))"
    )
    names = [f"b{number}" for number in range(2)]
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(study.root), name], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["33"] * 2
    table = load_assignments(StudyFolder(study.root))
    assert table.groupby(["annotator_id", "task"]).size().tolist() == [33] * 4
