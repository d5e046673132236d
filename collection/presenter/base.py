"""The presenter: whoever owns the screen and the participant's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from collection.protocol.steps import AskItems, Item, PlayClip, Step

#: Asked many times a second while a presenter waits; True means: stop now.
ShouldStop = Callable[[], bool]
#: Takes rows of ``/stimulus/flips`` while a clip plays.
TakeFlips = Callable[[npt.NDArray[np.void]], None]


@dataclass(frozen=True)
class Presentation:
    """How a clip was shown; times are host microseconds of the first and last flip."""

    t_onset_us: int
    t_offset_us: int
    n_flips: int
    n_flips_late: int
    completed: bool


@dataclass(frozen=True)
class Answer:
    """One answer; `rating` is on the item's own scale, times are host microseconds."""

    item: Item
    rating: int
    t_shown_us: int
    t_answered_us: int


class Presenter(Protocol):
    """Show steps to a participant.

    Every verb returns soon after `should_stop` says so, and must call it often
    (at least ten times a second) while it waits.
    """

    def open(self) -> None:
        """Take the screen."""
        ...

    def close(self) -> None:
        """Give the screen back; idempotent."""
        ...

    def show(self, step: Step, until_us: int, should_stop: ShouldStop) -> None:
        """Show a page, a cross or an empty screen until a time, or until the participant goes on."""
        ...

    def play(self, clip: PlayClip, t_due_us: int, take_flips: TakeFlips, should_stop: ShouldStop) -> Presentation:
        """Play a clip from `t_due_us` on and report each flip."""
        ...

    def ask(self, step: AskItems, should_stop: ShouldStop) -> Iterator[Answer]:
        """Ask the items of a page, one after the other."""
        ...
