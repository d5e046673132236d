"""Label files of version 1 are read for ever, and brought up to date when someone goes on in them."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from data_schema.errors import LabelError
from data_schema.labels import (
    Judged,
    Label,
    LabelStore,
    Mark,
    current_labels,
    labels_to_csv,
    read_labels,
    read_log,
)
from data_schema.labels.models import SQLITE_TRIGGERS, Base

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "labels_v1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy, since opening a file in write-ahead mode touches its folder."""
    path = tmp_path / "a01.sqlite"
    shutil.copy(GOLDEN / "a01.sqlite", path)
    return path


def _version(path: Path) -> int:
    plain = sqlite3.connect(path)
    version = int(plain.execute("PRAGMA user_version").fetchone()[0])
    plain.close()
    return version


def test_it_is_read_as_it_was_written_and_left_alone(old: Path) -> None:
    before = old.read_bytes()
    labels = read_labels([old])
    assert labels_to_csv(labels) == (GOLDEN / "a01.csv").read_bytes()
    assert current_labels(labels)["emotion"].tolist() == ["happiness", "neutral", "fear", None, "happiness"]
    for log in ("marks", "traces", "trace_samples", "guesses", "steps", "decisions"):
        assert len(read_log([old], log)) == 0
    assert old.read_bytes() == before
    assert _version(old) == 1


def test_it_is_brought_up_to_date_when_it_is_written(old: Path) -> None:
    csv = labels_to_csv(read_labels([old]))
    with LabelStore.open(old, "a01", study_id="golden-1") as store:
        assert [row.emotion for row in store.current("fer")] == ["happiness", "neutral", "fear", None, "happiness"]
        assert store.redo("fer") is None  # a skip came after
        assert labels_to_csv(read_labels([old])) == csv
        store.write(
            [Label("clip-009", "ab" * 32, "fer", emotion="anger"), Mark(Judged("clip-009", "ab" * 32, "fer"), "flag")]
        )
        assert len(store.marks()) == 1
    assert _version(old) == 2
    plain = sqlite3.connect(old)
    names = {name for (name,) in plain.execute("SELECT name FROM sqlite_master")}
    assert set(SQLITE_TRIGGERS) | set(Base.metadata.tables) <= names
    plain.close()
    with LabelStore.open(old, "a01") as store:
        assert store.meta["upgraded_to_2"].startswith("from version 1 at 2")
        assert len(store.history()) == 12


def test_an_altered_old_file_is_not_brought_up_to_date(old: Path) -> None:
    plain = sqlite3.connect(old)
    plain.execute("DROP TRIGGER labels_no_delete")
    plain.commit()
    plain.close()
    with pytest.raises(LabelError, match="protection against changes.*labels_no_delete"):
        LabelStore.open(old, "a01")
    assert _version(old) == 1


def test_it_is_brought_up_to_date_whole_or_not_at_all(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_schema.labels import sqlite_file

    # The last statement fails, as on a full disk; all before it must be taken back.
    monkeypatch.setattr(sqlite_file, "SCHEMA_VERSION", "2 of a kind")
    with pytest.raises((LabelError, TypeError)):
        LabelStore.open(old, "a01")
    monkeypatch.undo()
    assert _version(old) == 1
    LabelStore.open(old, "a01").close()
    assert _version(old) == 2
