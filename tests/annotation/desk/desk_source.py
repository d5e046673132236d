"""Clips without a study for tests of the desk: numbered pictures from memory, labels in a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from annotation.desk.desk import Desk
from annotation.items import Block, Item
from annotation.playback.frames import FrameIdentity, RgbImage
from annotation.source import GoldAnswer, Guess
from data_schema.errors import MediaError
from data_schema.labels import LabelStore
from data_schema.study.sections import AnnotationSection, LabelsSection

N_FRAMES, FIRST_FRAME, FRAME_US = 12, 300, 40_000
MODEL = "cd" * 32


class NumberedFrames:
    """A clip in the middle of a session's video: frame n of the clip is frame 300 + n of the file."""

    width_px = height_px = 4
    time_base = Fraction(1, 1_000_000)

    def __init__(self) -> None:
        self.times_us = np.arange(N_FRAMES, dtype=np.int64) * FRAME_US
        self.pts = self.times_us + 5_000_000
        self.group_starts = np.array([0], dtype=np.int64)

    def __len__(self) -> int:
        return N_FRAMES

    def identity(self, index: int) -> FrameIdentity:
        return FrameIdentity(FIRST_FRAME + index, int(self.pts[index]))

    def frame(self, index: int) -> RgbImage:
        return np.full((4, 4, 3), index, dtype=np.uint8)

    def index_at(self, time_us: int) -> int:
        return max(0, int(np.searchsorted(self.times_us, time_us, side="right")) - 1)

    def close(self) -> None:
        pass


def queue(task: str, training: int = 0, admission: int = 0, main: int = 0) -> tuple[Item, ...]:
    """Items of the blocks in their order; every clip but for its name is alike."""
    blocks = [Block.TRAINING] * training + [Block.ADMISSION] * admission + [Block.MAIN] * main
    return tuple(
        Item(f"i{place:05d}", f"clip-{place:05d}", "ab" * 32, task, 0, block, place)
        for place, block in enumerate(blocks)
    )


class ListSource:
    """A `ClipSource` over a list."""

    def __init__(
        self,
        labels_path: Path,
        items: Sequence[Item],
        *,
        task: str = "fer",
        rules: Mapping[str, object] | None = None,
        labels: LabelsSection | None = None,
        guesses: Mapping[str, Guess] | None = None,
        broken: Sequence[str] = (),
        is_admitted: Callable[[Mapping[str, str]], bool | None] = lambda emotions: True,
        code: str = "",
    ) -> None:
        self.labels_path, self._items, self.task = labels_path, items, task
        self.title, self.study_id, self.annotator_id = "Test", "study-1", "a01"
        self.labels = labels or LabelsSection()
        self.rules = AnnotationSection(**(rules or {}))
        self._guesses, self._broken, self._is_admitted, self._code = guesses or {}, broken, is_admitted, code
        self.asked_for_eyes: list[str] = []

    def items(self) -> Sequence[Item]:
        return self._items

    def open_face(self, item: Item) -> NumberedFrames:
        if item.clip_id in self._broken:
            raise MediaError(f"{item.clip_id}: does not decode. Skip it with the reason 'does not play'.")
        return NumberedFrames()

    def open_stimulus(self, item: Item) -> None:
        return None

    def eyes(self, item: Item) -> None:
        self.asked_for_eyes.append(item.item_id)

    def gold(self, item: Item) -> GoldAnswer | None:
        if item.block is not Block.TRAINING:
            return None
        return GoldAnswer("fear", "negative", -0.3, 0.5, 2.0, "Raised brows.")

    def guess(self, item: Item) -> Guess | None:
        return self._guesses.get(item.item_id)

    def admission(self, emotions: Mapping[str, str]) -> bool | None:
        return self._is_admitted(emotions)

    def unlock(self, code: str) -> bool:
        return bool(self._code) and code == self._code

    def open_store(self) -> LabelStore:
        return LabelStore.open(self.labels_path, self.annotator_id, study_id=self.study_id)

    def close(self) -> None:
        pass


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s

    def play(self, desk: Desk, seconds: float, tick_s: float = 0.02) -> None:
        """Let time pass at the desk, each picture decoded before the next tick."""
        for _ in range(round(seconds / tick_s)):
            self.s += tick_s
            desk.tick()
            desk.player.settle()


def watch(desk: Desk, clock: Clock) -> None:
    """Look at the clip from its start to its end."""
    desk.perform("replay")
    clock.play(desk, (N_FRAMES + 2) * FRAME_US / 1e6)


def press(desk: Desk, *keys: str) -> None:
    """Press digits and actions, one after the other."""
    for key in keys:
        assert desk.perform(f"digit.{key}" if key.isdigit() else key), key


def repeated(item: Item, repetition: int, item_id: str, position: int) -> Item:
    """The same clip at another place of the queue."""
    return replace(item, repetition=repetition, item_id=item_id, position=position)
