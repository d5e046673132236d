from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from data_schema.errors import LabelError
from data_schema.labels import Label, LabelStore, LabelValueError, journal, read_labels
from data_schema.labels.models import APPLICATION_ID, SQLITE_TRIGGERS, Base, LabelRow

MakeLabel = Callable[..., Label]


def emotions(store: LabelStore) -> list[str | None]:
    return [record.emotion for record in store.current()]


def test_what_is_added_can_be_read_by_another_program(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "labels" / "a01.sqlite"
    with LabelStore.open(path, "a01", study_title="Smiles", study_id="s-1") as store:
        row_id = store.add(make_label(comment="看起来害怕"))
        # Committed, not only buffered: a connection of its own sees it while the store is open.
        other = sqlite3.connect(path)
        row = other.execute("SELECT row_id, annotator_kind, emotion, valence, comment FROM labels").fetchone()
        meta = dict(other.execute("SELECT key, value FROM meta"))
        other.close()
    assert row == (row_id, "human", "fear", -0.4, "看起来害怕")
    assert meta["study_title"] == "Smiles"
    assert meta["annotator_id"] == "a01"
    assert meta["schema_version"] == "2"
    assert sorted(item.name for item in path.parent.iterdir()) == ["a01.sqlite"]


def test_a_commit_is_synced_in_full(tmp_path: Path) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store, store._connection.begin():
        assert store._connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_a_new_label_supersedes_the_old_one_and_both_stay(tmp_path: Path, make_label: MakeLabel) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        first = store.add(make_label())
        store.add(make_label(clip_id="clip-002", emotion="anger"))
        store.add(make_label(task="er", intensity=None, emotion="sadness"))
        store.add(make_label(repetition=1, emotion="disgust"))
        second = store.add(make_label(emotion="surprise"))
        assert emotions(store) == ["anger", "sadness", "disgust", "surprise"]
        assert [record.emotion for record in store.current("er")] == ["sadness"]
        history = store.history("clip-001", "fer")
        assert [(r.row_id, r.supersedes) for r in history if r.repetition == 0] == [(first, None), (second, first)]
        assert history[-1].label == make_label(emotion="surprise")


def test_undo_and_redo_are_rows_and_survive_a_restart(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        assert store.undo() is None
        store.add(make_label(emotion="fear"))
        store.add(make_label(emotion="anger"))
        store.add(make_label(task="er", intensity=None, emotion="sadness"))
        store.undo("fer")
        assert emotions(store) == ["sadness", "fear"]
    with LabelStore.open(path, "a01") as store:
        store.undo("fer")
        assert emotions(store) == ["sadness"]
        assert store.undo("fer") is None
        store.redo("fer")
        assert emotions(store) == ["sadness", "fear"]
        store.redo("fer")
        assert emotions(store) == ["sadness", "anger"]
        assert store.redo("fer") is None
        store.undo()
        assert emotions(store) == ["sadness", "fear"]
        store.add(make_label(emotion="disgust"))
        assert store.redo() is None
        assert [record.action for record in store.history(task="fer")] == [
            "label", "label", "undo", "undo", "redo", "redo", "undo", "label",
        ]  # fmt: skip


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path: Path, make_label: MakeLabel) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01", emotions=("fear", "anger")) as store:
        with pytest.raises(LabelValueError, match="one of fear, anger"):
            store.add_many([make_label(), make_label(clip_id="clip-002", emotion="disgust")])
        assert store.history() == []
        store.add_many([make_label(), make_label(clip_id="clip-002", emotion="anger")])
        assert emotions(store) == ["fear", "anger"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE labels SET emotion = 'anger'",
        "DELETE FROM labels",
        (
            "INSERT OR REPLACE INTO labels SELECT seq, row_id, action, supersedes, annotator_id, annotator_kind, clip_id, "
            "clip_sha256, task, view, repetition, 'anger', polarity, valence, arousal, intensity, confidence, skip_reason, "
            "comment, frame_index, frame_pts, duration_ms, created_utc, toolkit_version FROM labels"
        ),
        "UPDATE meta SET value = 'a02' WHERE key = 'annotator_id'",
        "DELETE FROM meta",
        "INSERT OR REPLACE INTO meta VALUES ('annotator_id', 'a02')",
    ],
)
def test_another_program_cannot_change_a_row(tmp_path: Path, make_label: MakeLabel, statement: str) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
        before = store.history()
    other = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|never changes"):
        other.execute(statement)
    other.close()
    with LabelStore.open(path, "a01") as store:
        assert store.history() == before
        assert store.annotator_id == "a01"


@pytest.mark.parametrize(
    "cells", [{"emotion": "joy"}, {"valence": 2.0}, {"emotion": None}, {"skip_reason": "no_face"}, {"task": "er"}]
)
def test_the_database_itself_refuses_what_is_no_label(
    tmp_path: Path, make_label: MakeLabel, cells: dict[str, object]
) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
    other = sqlite3.connect(path)
    other.row_factory = sqlite3.Row
    row = dict(other.execute("SELECT * FROM labels").fetchone()) | {"seq": None, "row_id": "f" * 32} | cells
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        other.execute(f"INSERT INTO labels VALUES ({', '.join('?' * len(row))})", list(row.values()))
    other.close()


def test_removed_triggers_are_found_out(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
    other = sqlite3.connect(path)
    other.execute("DROP TRIGGER labels_no_update")
    other.execute("UPDATE labels SET emotion = 'anger'")
    other.commit()
    other.close()
    with pytest.raises(LabelError, match=r"protection against changes.*labels_no_update"):
        LabelStore.open(path, "a01")


def test_a_file_belongs_to_one_annotator_and_study(tmp_path: Path) -> None:
    path = tmp_path / "a01.sqlite"
    LabelStore.open(path, "a01", study_id="s-1", study_title="Smiles").close()
    with pytest.raises(LabelError, match="holds the labels of 'a01', not of 'a02'"):
        LabelStore.open(path, "a02")
    with pytest.raises(LabelError, match="human annotator, not a simulated one"):
        LabelStore.open(path, "a01", "simulated")
    with pytest.raises(LabelError, match="another study"):
        LabelStore.open(path, "a01", study_id="s-2")
    with pytest.raises(LabelError, match="expected one of human, simulated, model"):
        LabelStore.open(tmp_path / "x.sqlite", "x", "robot")
    with pytest.raises(LabelError, match="annotator_id"):
        LabelStore.open(tmp_path / "x.sqlite", "../x")
    with pytest.raises(LabelError, match=r"a mysql address.*postgresql://HOST/DATABASE"):
        LabelStore.open("mysql://lab/labels", "a01")
    with pytest.raises(LabelError, match="no such label file"):
        LabelStore.open(tmp_path / "missing.sqlite", "a01", create=False)
    assert [item.name for item in tmp_path.iterdir()] == ["a01.sqlite"]


def test_a_url_names_a_file(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "odd name % ?#.sqlite"
    with LabelStore.open(f"sqlite:///{path}", "a01") as store:
        store.add(make_label())
    assert len(read_labels([path])) == 1


def test_bad_files_are_refused_and_left_as_they_are(tmp_path: Path, make_label: MakeLabel) -> None:
    good = tmp_path / "good.sqlite"
    with LabelStore.open(good, "a01") as store:
        store.add_many([make_label(clip_id=f"clip-{i:03d}", comment="x" * 500) for i in range(200)])
    whole = good.read_bytes()
    page = 4096
    damaged = bytearray(whole)
    damaged[4 * page : 12 * page] = b"\x5a" * (8 * page)
    foreign = tmp_path / "foreign.sqlite"
    other = sqlite3.connect(foreign)
    other.execute("CREATE TABLE labels (x)")
    other.commit()
    other.close()
    newer = tmp_path / "newer.sqlite"
    shutil.copy(good, newer)
    other = sqlite3.connect(newer)
    other.execute("PRAGMA user_version = 99")
    other.close()
    cases: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "empty; a copy probably broke off"),
        "text": (b"clip_id,emotion\nclip-001,fear\n" * 40, "not a label file"),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(4096), "not a label file"),
        "truncated": (whole[: len(whole) // 2], "damaged"),
        "damaged": (bytes(damaged), "damaged"),
        "foreign": (foreign.read_bytes(), "another program"),
        "newer": (newer.read_bytes(), "version 99.*Update the toolkit"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / f"bad-{name}.sqlite"
        path.write_bytes(data)
        with pytest.raises(LabelError, match=message):
            LabelStore.open(path, "a01")
        with pytest.raises(LabelError, match=message):
            read_labels([good, path])
        assert path.read_bytes() == data, name


def test_the_journal_of_a_lost_file_is_not_written_into_a_new_one(
    tmp_path: Path, make_label: MakeLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever this machine's disk is: the test needs the write-ahead log.
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\n", encoding="utf-8")
    monkeypatch.setattr(journal, "_MOUNTS", mounts)
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
        shutil.copy(tmp_path / "a01.sqlite-wal", tmp_path / "saved")
    path.unlink()
    shutil.move(tmp_path / "saved", tmp_path / "a01.sqlite-wal")
    with pytest.raises(LabelError, match="may hold labels"):
        LabelStore.open(path, "a01")
    assert not path.exists()


def test_a_full_disk_keeps_the_last_good_state(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(emotion="anger"))
        raw = store._connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        n_pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {n_pages}")
        with pytest.raises(LabelError, match=r"disk is full.*all earlier ones are"):
            store.add_many([make_label(clip_id=f"c{i}", comment="x" * 2000) for i in range(100)])
        assert emotions(store) == ["anger"]
        raw.execute(f"PRAGMA max_page_count = {n_pages + 1000}")
        store.add(make_label(clip_id="clip-002"))
        assert emotions(store) == ["anger", "fear"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no read-only folders of this kind")
def test_a_read_only_folder_is_said_at_once_but_can_be_read(make_label: MakeLabel) -> None:
    # Not tmp_path: only its owner may go into that, and root becomes another user below.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        _check_read_only(Path(name) / "share", make_label)


def _check_read_only(folder: Path, make_label: MakeLabel) -> None:
    path = folder / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label())
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import pandas\n"  # now: another user may have no right to where it lies
        "from data_schema.errors import LabelError\n"
        "from data_schema.labels import LabelStore, read_labels\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"  # root may write anywhere
        "path = Path(sys.argv[1])\n"
        "try:\n"
        "    LabelStore.open(path, 'a01')\n"
        "except LabelError as error:\n"
        "    print('refused', error)\n"
        "print(len(read_labels([path])), 'labels')\n"
        "hidden = path.parent / 'hidden' / 'a01.sqlite'\n"
        "for step in (lambda: LabelStore.open(hidden, 'a01'), lambda: read_labels([hidden])):\n"
        "    try:\n"
        "        step()\n"
        "    except LabelError as error:\n"
        "        print('hidden', error)\n"
    )
    (folder / "hidden").mkdir(mode=0)
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "share/a01.sqlite: cannot be opened for this" in done.stdout
    assert "1 labels" in done.stdout
    assert done.stdout.count("hidden /") == done.stdout.count("Permission denied") == 2


def test_the_journal_follows_the_drive(tmp_path: Path, make_label: MakeLabel, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a01.sqlite"
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(journal, "_MOUNTS", mounts)
    if sys.platform != "linux":
        pytest.skip("needs Windows to test its drives" if sys.platform == "win32" else "reads /proc")
    for text, expected in (
        ("/dev/sda1 / ext4 rw 0 0\n", "wal"),
        (f"/dev/sda1 / ext4 rw 0 0\nlab:/x {tmp_path} nfs4 rw 0 0\n", "delete"),
        ("/dev/sda1 / ext4 rw 0 0\n", "wal"),
        ("odd / neverheardof rw 0 0\n", "delete"),
    ):
        mounts.write_text(text, encoding="utf-8")
        with LabelStore.open(path, "a01") as store:
            assert store.journal_mode == expected
            store.add(make_label(comment=text))
    assert len(read_labels([path])) == 4


def test_mount_points_are_matched_whole_and_the_last_one_counts() -> None:
    mounts = (
        "/dev/a / ext4 rw 0 0\n"
        "srv:/d /data nfs rw 0 0\n"
        "/dev/b /data/fast xfs rw 0 0\n"
        "//srv/s /mnt/lab\\040share cifs rw 0 0\n"
        "/dev/c /twice ext4 rw 0 0\n"
        "srv:/e /twice nfs rw 0 0\n"
    )
    found = {
        name: journal.file_system_of(Path(name), mounts)
        for name in ("/database/x", "/data/x", "/data/fast/x", "/mnt/lab share/x", "/twice/x")
    }
    assert found == {
        "/database/x": "ext4", "/data/x": "nfs", "/data/fast/x": "xfs", "/mnt/lab share/x": "cifs", "/twice/x": "nfs",
    }  # fmt: skip


def test_the_models_are_portable_and_explained() -> None:
    for table in Base.metadata.tables.values():
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert all(column.comment for column in LabelRow.__table__.columns)
    assert APPLICATION_ID.to_bytes(4, "big") == b"EMRL"
    assert {"labels_no_update", "labels_no_delete", "labels_no_replace"} <= set(SQLITE_TRIGGERS)


def test_an_overwritten_label_file_is_named_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "labels" / "a01.sqlite"
    path.parent.mkdir()
    path.write_text("no database at all, but long enough to have a header" * 4)
    with pytest.raises(LabelError) as caught:
        read_labels([path])
    assert str(path) in str(caught.value)
