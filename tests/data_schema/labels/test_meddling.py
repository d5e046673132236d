"""Other programs that tidy up beside a label file or write into it: what was shown as saved stays."""

from __future__ import annotations

import os
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_schema.errors import LabelError
from data_schema.labels import Label, LabelStore, read_labels

PROJECT = Path(__file__).resolve().parents[3]
MakeLabel = Callable[..., Label]

#: Labels six clips; after the second something happens to the log. Then it is killed, so that nothing is closed.
_WORK = """
import os, sys
from data_schema.labels import Label, LabelStore

path = sys.argv[1]
store = LabelStore.open(path, "a01")
for n in range(6):
    store.add(Label(f"clip-{n}", "ab" * 32, "fer", emotion="fear"))
    if n == 1:
        exec(sys.argv[2])
print("saved", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody take away a file that is open")
@pytest.mark.parametrize("meddling", [
    "os.unlink(path + '-wal')",
    "os.unlink(path + '-wal'); os.unlink(path + '-shm')",
    "os.rename(path + '-wal', path + '-wal (conflicted copy)')",
    "os.rename(path + '-wal', path + '.bak'); open(path + '-wal', 'wb').close()",
])  # fmt: skip
def test_a_log_that_was_taken_away_takes_no_label_along(tmp_path: Path, meddling: str) -> None:
    path = tmp_path / "a01.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", _WORK, str(path), meddling],
        capture_output=True, text=True, timeout=60, cwd=PROJECT, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL and done.stdout == "saved\n", done.stderr
    with LabelStore.open(path, "a01") as store:
        assert [row.clip_id for row in store.history()] == [f"clip-{n}" for n in range(6)]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody take away a file that is open")
def test_a_log_that_was_taken_away_while_somebody_reads_is_said_and_can_be_given_again(
    tmp_path: Path, make_label: MakeLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_schema.labels.sqlite_file.BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(clip_id="c-1"))
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM labels").fetchone()
        path.with_name("a01.sqlite-wal").unlink()
        with pytest.raises(LabelError, match="locked"):
            store.add(make_label(clip_id="c-2"))
        reader.close()
        store.add(make_label(clip_id="c-2"))
    with LabelStore.open(path, "a01") as store:
        assert [row.clip_id for row in store.history()] == ["c-1", "c-2"]


@pytest.mark.parametrize(("statements", "said"), [
    (["CREATE TRIGGER quiet BEFORE INSERT ON labels BEGIN SELECT RAISE(IGNORE); END"], "triggers of its own"),
    (["CREATE TRIGGER after_all AFTER INSERT ON labels BEGIN UPDATE desk SET value = ''; END"], "triggers of its own"),
    (["DROP TRIGGER labels_no_update", "CREATE TRIGGER labels_no_update BEFORE UPDATE ON desk BEGIN SELECT 1; END"],
     "labels_no_update"),
])  # fmt: skip
def test_triggers_of_another_program_are_found_out_before_a_label_is_lost(
    tmp_path: Path, make_label: MakeLabel, statements: list[str], said: str
) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
    with sqlite3.connect(path) as other:
        for statement in statements:
            other.execute(statement)
    other.close()
    with pytest.raises(LabelError, match=said):
        LabelStore.open(path, "a01")


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_a_crafted_journal_deletes_no_file_of_ours(
    tmp_path: Path, make_label: MakeLabel, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """SQLite deletes the further file that a journal names: with a path in it, that could be a study's secret."""
    monkeypatch.setattr("data_schema.labels.sqlite_file.journal_mode_for", lambda path: "delete")
    path, ours = tmp_path / "a01.sqlite", tmp_path / "identity.json"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
    ours.write_text("secret", encoding="utf-8")
    magic, page_size, name = bytes.fromhex("d9d505f920a163d7"), 4096, str(ours).encode()
    numbers = struct.pack(">IIIII", 0, 1, path.stat().st_size // page_size, 512, page_size)
    further = struct.pack(">I", 0x40000000 // page_size + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    path.with_name("a01.sqlite-journal").write_bytes((magic + numbers).ljust(512, b"\0") + further)
    with pytest.raises(LabelError, match="reaches for files outside"):
        read_labels([path]) if how == "reading" else LabelStore.open(path, "a01")
    assert ours.exists()
