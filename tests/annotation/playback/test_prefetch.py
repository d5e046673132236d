"""Clips that come next are open and decoded before they are asked for; a failure waits until then."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from annotation.items import Block, Item
from annotation.playback import FrameSource, Prefetcher, open_video
from annotation.playback.video_file import VideoFileFrames
from data_schema.errors import MediaError

from ..labelled_study import burnt_number
from .numbered_video import X264, Kind, write_video


def item(number: int) -> Item:
    return Item(f"i{number}", f"clip-{number}", "0" * 64, "fer", 0, Block.MAIN, number)


class Opened:
    """Opens one video for every item and notes what is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.calls: list[tuple[str, str]] = []
        self.sources: dict[str, VideoFileFrames] = {}
        self.missing: set[str] = set()

    def __call__(self, item: Item) -> FrameSource:
        self.calls.append((item.item_id, threading.current_thread().name))
        if item.item_id in self.missing:
            raise MediaError(f"{item.clip_id}: there is no such file. Copy it again.")
        self.sources[item.item_id] = open_video(self._path)
        return self.sources[item.item_id]

    def open_now(self) -> set[str]:
        return {name for name, source in self.sources.items() if not source._closed}


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(write_video(tmp_path / "clip.mp4", Kind(options=X264, n_frames=40)))


def test_a_prepared_clip_is_taken_with_its_first_group_decoded(opened: Opened) -> None:
    prefetcher = Prefetcher(opened)
    prefetcher.prepare([item(1), item(2)])
    assert prefetcher.wait()
    assert prefetcher.is_ready(item(1))
    assert [thread for _, thread in opened.calls] == ["clip-prefetch"] * 2
    frames = prefetcher.take(item(1))
    assert len(opened.calls) == 2
    assert all(opened.sources["i1"].is_kept(index) for index in range(15))
    assert burnt_number(frames.frame(0)) == 0
    frames.close()
    prefetcher.close()
    assert opened.open_now() == set()


def test_what_was_not_prepared_is_opened_at_once(opened: Opened) -> None:
    prefetcher = Prefetcher(opened)
    frames = prefetcher.take(item(9))
    assert opened.calls == [("i9", threading.current_thread().name)]
    frames.close()
    prefetcher.close()


def test_clips_no_longer_wanted_are_closed_and_few_are_held(opened: Opened) -> None:
    prefetcher = Prefetcher(opened, max_ready=2)
    prefetcher.prepare([item(1), item(2), item(3), item(4)])
    assert prefetcher.wait()
    assert opened.open_now() == {"i1", "i2"}
    prefetcher.prepare([item(2), item(3)])
    assert prefetcher.wait()
    assert opened.open_now() == {"i2", "i3"}
    assert [name for name, _ in opened.calls] == ["i1", "i2", "i3"]
    prefetcher.close()
    prefetcher.close()
    assert opened.open_now() == set()
    prefetcher.prepare([item(5)])
    assert len(opened.calls) == 3


def test_a_clip_that_cannot_be_opened_is_said_when_it_is_taken_and_tried_again(opened: Opened) -> None:
    opened.missing = {"i1"}
    prefetcher = Prefetcher(opened)
    prefetcher.prepare([item(1), item(2)])
    assert prefetcher.wait()
    assert prefetcher.is_ready(item(2))
    with pytest.raises(MediaError, match="clip-1: there is no such file"):
        prefetcher.take(item(1))
    opened.missing = set()
    prefetcher.take(item(1)).close()
    prefetcher.close()
