"""The label file on its own, while the window is open: it is what an annotator sends to the lab."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from annotation.desk.desk import Desk
from annotation.desk.state import Page
from data_schema.labels import read_labels, read_log
from data_schema.labels.journal import fold_journal

from .desk_source import Clock, press, queue

Open = Callable[..., Desk]
FULL = ("1", "7", "6", "2", "3", "commit")


def rows_of_a_copy(tmp_path: Path) -> int:
    """Count the labels in a copy of the one file, as it would go into a message."""
    sent = tmp_path / "sent" / "a01.sqlite"
    shutil.rmtree(sent.parent, ignore_errors=True)
    sent.parent.mkdir()
    shutil.copy(tmp_path / "a01.sqlite", sent)
    return len(read_labels([sent]))


def test_who_looks_away_from_the_window_can_send_the_file(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    press(desk, *FULL)
    assert (tmp_path / "a01.sqlite-wal").stat().st_size > 0, "the rows lie in the log beside the file"
    desk.set_active(False)
    assert rows_of_a_copy(tmp_path) == 1
    desk.set_active(True)
    press(desk, *FULL)
    desk.take_break()
    assert rows_of_a_copy(tmp_path) == 2


def test_the_pages_that_ask_for_the_file_find_it_whole(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk(queue("fer", admission=1, main=1), code="RED-42")
    press(desk, *FULL)
    assert desk.page is Page.ADMISSION
    assert rows_of_a_copy(tmp_path) == 1
    desk.enter_code("RED-42")
    desk.acknowledge()
    press(desk, *FULL)
    assert desk.page is Page.FINISHED
    assert rows_of_a_copy(tmp_path) == 2


def test_a_file_that_is_being_read_or_is_gone_disturbs_nobody(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    path = tmp_path / "a01.sqlite"
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM labels").fetchone()
    press(desk, *FULL)
    assert not fold_journal(path), "the reader still needs the file as it was"
    desk.set_active(False)
    reader.close()
    assert fold_journal(path)
    assert rows_of_a_copy(tmp_path) == 1
    assert not fold_journal(tmp_path / "gone.sqlite")
    assert not (tmp_path / "gone.sqlite").exists()


def test_a_trace_that_reached_the_end_is_said_to_be_saved(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk(rules={"trace": "bounded"})
    press(desk, "trace")
    desk.trace_to(0.5, 0.0)
    clock.play(desk, 0.8)
    assert not desk.tracing
    assert desk.notice is not None and desk.notice.text_id == "trace_saved"
    assert len(read_log([tmp_path / "a01.sqlite"], "traces")) == 1
