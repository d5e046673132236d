"""Two windows of one annotator on one file: the second is told who has it, and nobody else is hindered."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_schema.labels import Label, LabelStore, SeatTakenError, read_labels
from data_schema.labels.seat import SEAT_KEY, lock_path

MakeLabel = Callable[..., Label]
_SITS = """
import sys
from data_schema.labels import LabelStore
store = LabelStore.open(sys.argv[1], "a01")
store.take_seat()
print("seated", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_where_the_first_is(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "a01.sqlite"
    (tmp_path / "way").symlink_to(tmp_path, target_is_directory=True)
    with LabelStore.open(path, "a01") as first, LabelStore.open(tmp_path / "way" / "a01.sqlite", "a01") as second:
        first.take_seat()
        first.take_seat()
        with pytest.raises(SeatTakenError, match="Go on there, or close it") as refused:
            second.take_seat()
        sitting = refused.value.sitting
        assert sitting is not None
        assert (sitting.host, sitting.pid) == (platform.node(), os.getpid())
        assert f"on {sitting.host}, process {os.getpid()}, since {sitting.since}" in str(refused.value)
        # Rows come home meanwhile, and readers read.
        second.add(make_label())
        assert len(read_labels([path])) == 1
        first.close()
        second.take_seat()
    with LabelStore.open(path, "a01") as store:
        assert store.desk_value(SEAT_KEY) == "", "the computer's name does not travel with the file"


def test_the_seat_of_a_killed_process_is_free_at_once(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "a01.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", _SITS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "seated\n"
            with LabelStore.open(path, "a01") as store:
                with pytest.raises(SeatTakenError, match=f"process {other.pid}, since 20"):
                    store.take_seat()
                other.kill()
                other.wait(20)
                store.take_seat()
                store.add(make_label())
        finally:
            other.kill()
    assert lock_path(path).exists()


@pytest.mark.skipif(os.name == "nt", reason="needs Windows not to lock open files")
def test_the_seat_is_taken_again_on_a_drive_that_came_back(tmp_path: Path, make_label: MakeLabel) -> None:
    share = tmp_path / "share"
    share.mkdir()
    path = share / "a01.sqlite"
    store = LabelStore.open(path, "a01")
    store.take_seat()
    store.add(make_label())
    away = share.rename(tmp_path / "away")
    # Another mount of it: other files, by their numbers.
    subprocess.run(["cp", "-r", str(away), str(share)], check=True)
    store.add(make_label(emotion="anger"))
    with LabelStore.open(path, "a01") as other:
        with pytest.raises(SeatTakenError):
            other.take_seat()
        store.close()
        other.take_seat()
    # Somebody else sat down while the drive was away.
    store = LabelStore.open(path, "a01")
    store.take_seat()
    subprocess.run(["cp", "-r", str(share), str(tmp_path / "third")], check=True)
    share.rename(tmp_path / "gone")
    (tmp_path / "third").rename(share)
    with LabelStore.open(path, "a01") as other:
        other.take_seat()
        with pytest.raises(SeatTakenError, match=f"process {os.getpid()}"):
            store.add(make_label(emotion="fear"))
    store.add(make_label(emotion="sadness"))
    store.close()
    assert read_labels([path])["emotion"].tolist() == ["fear", "anger", "sadness"]
