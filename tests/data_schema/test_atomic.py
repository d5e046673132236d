from __future__ import annotations

import os

import pandas as pd
import pytest

from data_schema.atomic import partial_path, replace_folder, write_atomically
from data_schema.errors import ExportError, LabelError
from data_schema.files import write_json, write_table
from data_schema.labels.csv import write_whole


@pytest.fixture
def synced(monkeypatch):
    """Record for each fsync what then lay under the target's name."""
    seen = []
    real = os.fsync

    def fsync(descriptor):
        seen.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_atomically(path, b"new"),
        lambda path: write_json(path, {"new": 1}),
        lambda path: write_table(path, pd.DataFrame({"new": [1]})),
        lambda path: write_whole(path, b"new", overwrite=True),
    ],
)
def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch, synced, write):
    path = tmp_path / "deep" / "file"
    at_replace = []
    real = type(path).replace

    def replace(self, target):
        at_replace.append(list(synced))
        return real(self, target)

    monkeypatch.setattr(type(path), "replace", replace)
    path.parent.mkdir()
    path.write_bytes(b"old")
    write(path)
    assert b"new" in path.read_bytes()
    assert at_replace == [[path.stat().st_ino]]
    if os.name != "nt":
        assert synced[-1] == path.parent.stat().st_ino


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fails(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(path, b"new")
    with pytest.raises(ExportError, match="cannot be written"):
        write_json(path, {})
    with pytest.raises(LabelError, match="cannot be written"):
        write_whole(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_never_share_a_partial_file(tmp_path):
    names = {partial_path(tmp_path / "file").name for _ in range(20)}
    assert len(names) == 20


def test_a_folder_is_replaced_whole_or_stays(tmp_path, monkeypatch):
    partial, out, left = tmp_path / "out.partial", tmp_path / "out", tmp_path / "out.replaced"
    for folder, name in ((partial, "new"), (out, "old"), (left, "of a crash")):
        folder.mkdir()
        (folder / name).touch()
    real = type(partial).rename

    def in_use(self, target):
        if self == partial:
            raise PermissionError(13, "in use")
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(type(partial), "rename", in_use)
        with pytest.raises(PermissionError):
            replace_folder(partial, out)
    assert [path.name for path in out.iterdir()] == ["old"]
    replace_folder(partial, out)
    assert [path.name for path in out.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
