"""A session that was recorded anew or repaired since: frames that were marked in the old one are not these frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from annotation.desk.desk import Desk

from .desk_source import queue


def test_marks_of_another_recording_are_neither_shown_nor_said_again(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.player.seek(3)
    desk.player.settle()
    desk.perform("mark.apex")
    desk.perform("mark.onset")
    desk.perform("flag")
    desk.perform("undo")
    desk.perform("undo")
    assert [mark.kind for mark in desk.marks] == ["apex"] and desk.can_undo and desk.can_redo
    desk.close()
    anew = tuple(replace(item, clip_sha256="cd" * 32) for item in queue("fer", main=3))
    desk = open_desk(anew)
    assert desk.marks == () and not desk.can_undo and not desk.can_redo
    desk.perform("redo")
    desk.perform("undo")
    desk.perform("mark.offset")
    assert [mark.kind for mark in desk.marks] == ["offset"]
    desk.close()
    # The old recording again: nothing of it was lost, and nothing of it was said of the other.
    desk = open_desk()
    assert [mark.kind for mark in desk.marks] == ["apex"]
