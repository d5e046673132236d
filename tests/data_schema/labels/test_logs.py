"""Marks, traces, guesses, steps and decisions: written with the labels or not at all, and merged as they are."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import LabelError
from data_schema.labels import (
    SAMPLE_DTYPE,
    Decision,
    Entry,
    Judged,
    Label,
    LabelStore,
    LabelValueError,
    Mark,
    Restored,
    ShownGuess,
    Step,
    TakenBack,
    Trace,
    log_to_csv,
    read_labels,
    read_log,
    read_records,
)
from data_schema.labels.models import APPEND_ONLY, columns_of
from data_schema.labels.records import LOGS

MakeLabel = Callable[..., Label]
SHA = "ab" * 32
ABOUT = Judged("clip-001", SHA, "fer")
NAMES = tuple(LOGS)


def some_samples(n: int, begin_us: int = 0) -> np.ndarray:
    samples = np.zeros(n, SAMPLE_DTYPE)
    samples["t_work_us"] = begin_us + 16_667 * np.arange(n)
    samples["frame_index"] = np.arange(n) // 2
    samples["valence"] = np.linspace(-1, 1, n)
    samples["arousal"] = np.nan
    return samples


def fill(path: Path, annotator: str = "a01") -> None:
    """Write something into each log."""
    with LabelStore.open(path, annotator) as store:
        label, _, trace, *_ = store.write([
            Label("clip-001", SHA, "fer", emotion="fear"),
            Mark(ABOUT, "apex", 12, -400, comment="看"),
            Trace(ABOUT, "bounded", "valence", 0.5),
            Step(ABOUT, "i-1", "set", '{"emotion": null}', '{"emotion": "fear"}'),
            Decision(ABOUT, "the brows", "[]", emotion="fear", valence=-0.5),
        ])  # fmt: skip
        store.write([ShownGuess(ABOUT, SHA, '{"emotion": "fear"}', "accepted", "2026-01-01T00:00:00.000000Z", label)])
        store.add_samples(trace, 0, some_samples(30))
        store.add_samples(trace, 1, some_samples(10, 600_000))


def test_each_log_comes_back_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a01.sqlite"
    fill(path)
    with LabelStore.open(path, "a01") as store:
        (mark,) = store.marks("fer", "clip-001")
        assert (mark.kind, mark.frame_index, mark.frame_pts, mark.comment) == ("apex", 12, -400, "看")
        assert mark.about == ABOUT
        (trace,) = store.traces("fer")
        assert (trace.mode, trace.traced, trace.speed) == ("bounded", "valence", 0.5)
        expected = np.concatenate([some_samples(30), some_samples(10, 600_000)])
        assert store.samples(trace.row_id).tobytes() == expected.tobytes()  # bytes, since NaN equals nothing
        (guess,) = store.guesses("fer")
        assert (guess.outcome, guess.label_row_id) == ("accepted", store.current()[0].row_id)
        (decision,) = store.decisions()
        assert (decision.reason, decision.emotion, decision.valence, decision.arousal) == (
            "the brows",
            "fear",
            -0.5,
            None,
        )
        assert [step.after for step in store.steps_of("i-1")] == ['{"emotion": "fear"}']
        assert store.marks("er") == store.steps("er") == store.traces("er") == []


def test_a_batch_of_any_entries_is_stored_whole_or_not_at_all(tmp_path: Path, make_label: MakeLabel) -> None:
    wrong: list[Entry] = [
        TakenBack("0" * 32),
        Restored("0" * 32),
        Mark(ABOUT, "apex"),
        Mark(ABOUT, "flag", 3),
        Mark(ABOUT, "blink", 3),
        Mark(Judged("no clip", SHA, "fer"), "flag"),
        Trace(ABOUT, "free", "valence"),
        Trace(ABOUT, "bounded", "valence", speed=0.0),
        ShownGuess(ABOUT, SHA, "not JSON", "control"),
        ShownGuess(ABOUT, SHA, "{}", "control", shown_utc="2026-01-01T00:00:00.000000Z"),
        Step(ABOUT, "i-1", "undo", "{}", "{}"),
        Step(ABOUT, "i 1", "set", "{}", "{}"),
        Decision(ABOUT, "  ", "[]"),
        Decision(ABOUT, "why", "{}"),
        Decision(ABOUT, "why", "[]", valence=1.5),
        Decision(Judged("c", SHA, "er"), "why", "[]", intensity=1.0),
        Label("clip-001", SHA, "fer", emotion="disgust"),
    ]
    with LabelStore.open(tmp_path / "a01.sqlite", "a01", emotions=("fear", "anger")) as store:
        for entry in wrong:
            with pytest.raises(LabelError):
                store.write([make_label(), Mark(ABOUT, "flag"), entry])
            assert (store.history(), store.marks()) == ([], []), entry
        assert store.write([]) == []


def test_a_label_taken_back_and_restored_by_name(tmp_path: Path, make_label: MakeLabel) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        first, second = store.write([make_label(emotion="fear"), make_label(emotion="anger")])
        (undone,) = store.write([TakenBack(second)])
        assert [row.emotion for row in store.current()] == ["fear"]
        store.write([TakenBack(first), Restored(first), Restored(second)])
        assert [row.emotion for row in store.current()] == ["anger"]
        chain = store.history()
        assert [row.supersedes for row in chain] == [None, *[row.row_id for row in chain[:-1]]]
        assert [row.row_id for row in chain[:3]] == [first, second, undone]
        # Of one moment, and still in order.
        assert sorted(row.created_utc for row in chain) == [row.created_utc for row in chain]
        assert len({row.created_utc for row in chain}) == len(chain)


def test_marks_and_traces_that_were_replaced_do_not_hold(tmp_path: Path) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        flag, apex = store.write([Mark(ABOUT, "flag"), Mark(ABOUT, "apex", 3, 300)])
        store.write([Mark(ABOUT, "apex", 3, 300, removes=apex)])
        assert [mark.row_id for mark in store.marks()] == [flag]
        (old,) = store.write([Trace(ABOUT, "relative", "arousal")])
        (new,) = store.write([Trace(ABOUT, "relative", "arousal", supersedes=old)])
        assert [trace.row_id for trace in store.traces()] == [new]
        (decided,) = store.write([Decision(ABOUT, "a", "[]")])
        (again,) = store.write([Decision(ABOUT, "b", "[]", supersedes=decided)])
        assert [decision.row_id for decision in store.decisions()] == [again]


def test_the_last_steps_come_oldest_first(tmp_path: Path) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        ids = store.write([Step(ABOUT, f"i-{number % 3}", "set", "{}", "{}") for number in range(10)])
        assert [step.row_id for step in store.steps("fer", limit=4)] == ids[-4:]
        assert [step.row_id for step in store.steps("fer")] == ids
        assert [step.row_id for step in store.steps_of("i-1")] == ids[1::3]


def test_samples_of_a_trace_are_refused_where_they_do_not_fit(tmp_path: Path) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        (trace,) = store.write([Trace(ABOUT, "bounded", "valence")])
        store.add_samples(trace, 0, some_samples(3))
        with pytest.raises(LabelError, match="chunk 0 .* with other content"):
            store.add_samples(trace, 0, some_samples(4))
        with pytest.raises(LabelError, match="there is no trace"):
            store.add_samples("0" * 32, 0, some_samples(3))
        with pytest.raises(LabelValueError, match="structured array"):
            store.add_samples(trace, 1, np.zeros(3))
        with pytest.raises(LabelValueError, match="backwards"):
            store.add_samples(trace, 1, some_samples(3)[::-1])
        assert len(store.samples(trace)) == 3


def test_the_place_at_the_desk_is_each_annotators_own_and_overwritten(tmp_path: Path) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        assert store.desk_value("place") is None
        store.set_desk_value("place", '{"item": "i-1"}')
        store.set_desk_value("place", '{"item": "i-2"}')
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        assert store.desk_value("place") == '{"item": "i-2"}'


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_other_program_changes_a_row(tmp_path: Path, table: str) -> None:
    path = tmp_path / "a01.sqlite"
    fill(path)
    other = sqlite3.connect(path)
    before = other.execute(f"SELECT * FROM {table}").fetchall()
    assert before
    column = other.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall()[-1][0]
    cells = ", ".join("?" * len(before[0]))
    for statement, values in (
        (f"UPDATE {table} SET {column} = 'x'", ()),
        (f"DELETE FROM {table}", ()),
        (f"INSERT OR REPLACE INTO {table} VALUES ({cells})", before[0]),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|never changes"):
            other.execute(statement, values)
    assert other.execute(f"SELECT * FROM {table}").fetchall() == before
    other.execute(f"DROP TRIGGER {table}_no_update")
    other.commit()
    other.close()
    with pytest.raises(LabelError, match=f"protection against changes.*{table}_no_update"):
        LabelStore.open(path, "a01")


def test_logs_merge_in_any_order_and_any_number_of_times(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.sqlite" for name in ("a01", "a02", "copy of a01")]
    fill(paths[0])
    fill(paths[1], "a02")
    shutil.copy(paths[0], paths[2])
    with LabelStore.open(paths[2], "a01") as store:  # the copy goes on
        store.write([Mark(ABOUT, "flag"), Label("clip-002", SHA, "er", emotion="anger")])
    for name in NAMES:
        tables = [read_log(order, name) for order in (paths, paths[::-1], [*paths[1:], *paths])]
        for table in tables[1:]:
            pd.testing.assert_frame_equal(table, tables[0])
        assert list(tables[0].columns) == [column.name for column in columns_of(LOGS[name][0])]
        assert set(tables[0]["annotator_id"]) == {"a01", "a02"}
    assert len(read_log(paths, "marks")) == 3
    # What was read can be written elsewhere, once, in any order, and is the same there.
    home = tmp_path / "home.sqlite"
    with LabelStore.open(home, "a01") as store:
        for path in (paths[2], paths[0], paths[2]):
            for name in ("labels", "traces", "trace_samples", "marks", "guesses", "steps", "decisions"):
                store.add_records(read_records(path, name))
    for name in NAMES:
        pd.testing.assert_frame_equal(read_log(home, name), read_log(paths[2], name))


def test_conflicting_rows_are_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path, copy = tmp_path / "a01.sqlite", tmp_path / "copy.sqlite"
    fill(path)
    shutil.copy(path, copy)
    other = sqlite3.connect(copy)
    other.execute("DROP TRIGGER marks_no_update")
    other.execute("UPDATE marks SET frame_index = 13")
    other.commit()
    other.close()
    with pytest.raises(LabelError, match=r"has frame_index 12 and 13.*a01\.sqlite.*copy\.sqlite contradict"):
        read_log([copy, path], "marks")
    assert len(read_log([copy, path], "steps")) == 1
    (altered,) = read_records(copy, "marks")
    with LabelStore.open(path, "a01") as store:
        with pytest.raises(LabelError, match="with other content"):
            store.add_records([altered])
        with pytest.raises(LabelError, match="by a02"):
            store.add_records([replace(altered, row_id="1" * 32, annotator_id="a02")])
        with pytest.raises(LabelValueError, match="kind"):
            store.add_records([replace(altered, row_id="1" * 32, kind="blink")])
        assert [mark.frame_index for mark in store.marks()] == [12]
    with pytest.raises(LabelError, match=r"no log 'flags'\. Known: labels, marks"):
        read_log([path], "flags")


def test_a_commit_of_unknown_outcome_is_not_stored_twice(
    tmp_path: Path, make_label: MakeLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drive fails right after the commit reached it; the caller repeats what it was told had failed."""
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        engine = store._connection.engine.dialect
        commit = engine.do_commit

        def fails_afterwards(connection: sqlite3.Connection) -> None:
            commit(connection)
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(engine, "do_commit", fails_afterwards)
        batch = [make_label(), Mark(ABOUT, "flag")]
        with pytest.raises(LabelError, match="did not take it"):
            store.write(batch)
        monkeypatch.undo()
        row_ids = store.write(batch)
        assert [row.row_id for row in (*store.history(), *store.marks())] == row_ids
        # The same said once more is said once more.
        store.write(batch)
        assert len(store.history()) == len(store.marks()) == 2


def test_records_have_the_columns_of_their_tables() -> None:
    for table, record in LOGS.values():
        assert set(record.__dataclass_fields__) == {column.name for column in columns_of(table)}
        assert all(column.meaning for column in columns_of(table))


def test_a_log_of_an_empty_file_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "a01.sqlite"
    LabelStore.open(path, "a01").close()
    for name in NAMES:
        assert len(read_log(path, name)) == 0
    assert len(read_labels([])) == 0


def test_each_log_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "a01.sqlite"
    fill(path)
    for name in NAMES:
        table = read_log(path, name)
        lines = log_to_csv(table, name).decode().splitlines()
        if name != "trace_samples":
            assert lines[0].split(",") == list(table.columns)
            assert len(lines) == 1 + len(table)
    samples = pd.read_csv(io.BytesIO(log_to_csv(read_log(path, "trace_samples"), "trace_samples")))
    assert samples["chunk"].tolist() == [0] * 30 + [1] * 10
    np.testing.assert_array_equal(samples["valence"], np.concatenate([some_samples(30), some_samples(10)])["valence"])
    assert samples["arousal"].isna().all()
    empty = tmp_path / "empty.sqlite"
    LabelStore.open(empty, "a02").close()
    assert log_to_csv(read_log(empty, "trace_samples"), "trace_samples").count(b"\n") == 1
    with pytest.raises(LabelError, match="lacks the columns row_id"):
        log_to_csv(samples, "marks")
