"""The drive of a label file fills up, or goes away in the middle of the work and comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_schema.errors import LabelError
from data_schema.labels import Judged, Label, LabelStore, Mark, journal, read_labels

MakeLabel = Callable[..., Label]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs Windows not to lock open files")


@pytest.fixture(params=["wal", "delete"])
def share(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a local disk, and one on what counts as a network drive."""
    mounts = tmp_path / "mounts"
    kind = "ext4" if request.param == "wal" else "nfs4"
    mounts.write_text(f"/dev/sda1 / {kind} rw 0 0\n", encoding="utf-8")
    monkeypatch.setattr(journal, "_MOUNTS", mounts)
    folder = tmp_path / "share"
    folder.mkdir()
    with LabelStore.open(folder / "probe.sqlite", "p") as store:
        assert store.journal_mode == request.param
    return folder


def test_a_share_that_was_yanked_and_came_back(share: Path, make_label: MakeLabel) -> None:
    path = share / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(emotion="anger"))
        away = share.rename(share.with_name("away"))
        batch = [make_label(), Mark(Judged("clip-001", "ab" * 32, "fer"), "flag")]
        for _ in range(2):
            with pytest.raises(LabelError, match=r"share/a01\.sqlite: the file is no longer.*Connect the drive"):
                store.write(batch)
        with pytest.raises(LabelError):
            store.current()
        away.rename(share)
        assert [row.emotion for row in store.current()] == ["anger"]
        row_ids = store.write(batch)
        assert [row.emotion for row in store.current()] == ["fear"]
        assert store.marks()[0].row_id == row_ids[1]
    assert read_labels([path])["emotion"].tolist() == ["anger", "fear"]


def test_a_share_that_came_back_as_a_copy_of_itself(share: Path, make_label: MakeLabel) -> None:
    """Another mount of the same files: other numbers, the same rows."""
    path = share / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(emotion="anger"))
        away = share.rename(share.with_name("away"))
        shutil.copytree(away, share)
        store.add(make_label())
        assert [row.emotion for row in store.history()] == ["anger", "fear"]
    assert read_labels([path])["emotion"].tolist() == ["anger", "fear"]


def test_an_older_copy_in_the_place_of_the_file_is_not_written_to(share: Path, make_label: MakeLabel) -> None:
    path, backup = share / "a01.sqlite", share / "backup"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(emotion="anger"))
    shutil.copy(path, backup)
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(emotion="surprise"))
        kept = share / "kept"
        kept.mkdir()
        for item in share.glob("a01.sqlite*"):
            item.rename(kept / item.name)
        shutil.copy(backup, path)
        before = path.read_bytes()
        with pytest.raises(LabelError, match="another file was put in this place"):
            store.add(make_label(emotion="fear"))
        assert path.read_bytes() == before
        for item in share.glob("a01.sqlite*"):
            item.unlink()
        for item in kept.glob("a01.sqlite*"):
            item.rename(share / item.name)
        store.add(make_label(emotion="fear"))
        assert [row.emotion for row in store.history()] == ["anger", "surprise", "fear"]


#: As a quota does: a file may not grow further. SIGXFSZ would end the process.
_FULL = """
import resource, signal, sys
from pathlib import Path
from data_schema.errors import LabelError
from data_schema.labels import Judged, Label, LabelStore, Mark

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
store = LabelStore.open(path, "a01")
store.add(Label("clip-0", "ab" * 32, "er", emotion="fear"))
size = max(item.stat().st_size for item in path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, resource.RLIM_INFINITY))
saved, batch = 1, None
while batch is None:
    about = Judged(f"clip-{saved}", "ab" * 32, "er")
    entries = [Label(about.clip_id, about.clip_sha256, "er", emotion="fear", comment="x" * 1500), Mark(about, "flag")]
    try:
        store.write(entries)
        saved += 1
    except LabelError as error:
        print(error)
        batch = entries
try:
    store.write(batch)
    sys.exit("stored on a full drive")
except LabelError:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert len(store.current()) == saved, (len(store.current()), saved)
assert len(store.marks()) == saved - 1
store.write(batch)
assert len(store.current()) == saved + 1
assert len(store.marks()) == saved
store.close()
print("rows", saved + 1)
"""


def test_a_drive_that_takes_no_more_keeps_the_last_good_state(tmp_path: Path) -> None:
    path = tmp_path / "a01.sqlite"
    done = subprocess.run([sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "This was not saved, all earlier labels are" in done.stdout
    assert f"rows {len(read_labels([path]))}" in done.stdout
