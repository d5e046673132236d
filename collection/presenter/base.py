"""The presenter: whoever owns the screen and the participant's answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from collection.protocol.steps import AskItems, Consent, Item, PlayClip, Step

#: Asked many times a second while a presenter waits; True means: stop now.
ShouldStop = Callable[[], bool]
#: Takes rows of ``/stimulus/flips`` while a clip plays.
TakeFlips = Callable[[npt.NDArray[np.void]], None]


def never() -> bool:
    """Never stop; a :data:`ShouldStop`."""
    return False


@dataclass(frozen=True)
class Presentation:
    """How a clip was shown; times are host microseconds of the first and last flip."""

    t_onset_us: int
    t_offset_us: int
    n_flips: int
    n_flips_late: int
    completed: bool
    n_flips_dropped: int = 0
    #: From the first flip to one refresh after the last; NaN if nothing was shown.
    duration_s: float = math.nan
    #: More than one frame at the clip's end was not shown.
    ended_early: bool = False
    #: Times for which the clip stood still: host time of the last flip before, and seconds until the next.
    holds: tuple[tuple[int, float], ...] = ()
    #: How many frames of the clip lie behind the last one that was shown.
    n_frames_missing: int = 0
    #: By how many seconds of the clip the last frame that was shown lies before its last one.
    missing_s: float = 0.0


@dataclass(frozen=True)
class Answer:
    """One answer; `rating` is on the item's own scale, times are host microseconds. Texts have their words in `text`."""

    item: Item
    rating: int
    t_shown_us: int
    t_answered_us: int
    text: str = ""


@dataclass(frozen=True)
class HeadPosition:
    """Where the head is, for positioning.

    Parameters
    ----------
    left_norm, right_norm : tuple of float or None
        Eye in the track box, 0 to 1 on each axis (x, y, z), 0.5 is best; None if it is not seen.
    distance_mm : float
        From the tracker; NaN if it is not known.
    """

    left_norm: tuple[float, float, float] | None
    right_norm: tuple[float, float, float] | None
    distance_mm: float = math.nan


class CalibrationScreen(Protocol):
    """What a calibration procedure draws on; every verb draws and flips by itself and returns soon."""

    def show_head(self, head: HeadPosition, text: str = "", should_stop: ShouldStop = never) -> None:
        """Draw one picture of the head in the track box, with one line of advice; call it 20 times a second.

        Whatever it asks the participant, such as whether to stop, ends when `should_stop` says so.
        """
        ...

    def show_text(self, text: str) -> None:
        """Show a text until something else is shown; call `poll_key` ten times a second meanwhile, which keeps it."""
        ...

    def move_target(self, x: float, y: float, duration_s: float, should_stop: ShouldStop) -> int:
        """Bring the animated target to (x, y), shares of the display area, origin top left.

        Returns the host time (microseconds) of the flip from which it stood still there.
        """
        ...

    def hold_target(self, until_us: int, should_stop: ShouldStop) -> None:
        """Keep animating the target where it is until a time."""
        ...

    def clear(self) -> None:
        """Show an empty screen."""
        ...

    def poll_key(self, should_stop: ShouldStop = never) -> str:
        """Return what was pressed since the last call: 'go_on', 'redo', 'skip', 'stop', or '' for nothing."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A presenter that can load a clip before its time; nobody needs to have it."""

    def prepare(self, clip: PlayClip) -> None:
        """Load a clip that plays soon, while nothing is shown that time matters for.

        Raises
        ------
        MediaError
            If the file is missing or cannot be decoded.
        """
        ...


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
        """Play a clip from `t_due_us` on and report each flip.

        Raises
        ------
        MediaError
            If the file is missing or cannot be decoded; the session goes on without it.
        """
        ...

    def ask(self, step: AskItems, should_stop: ShouldStop) -> Iterator[Answer]:
        """Ask the items of a page, one after the other."""
        ...

    def consent(self, step: Consent, should_stop: ShouldStop) -> dict[str, bool] | None:
        """Ask for each scope; None if the participant (or `should_stop`) ended it without deciding."""
        ...

    def pause(self, text: str, is_over: ShouldStop) -> None:
        """Show a text until `is_over` says so."""
        ...

    def stop_requested(self) -> bool:
        """Tell whether the participant asked to stop (Escape, then yes); asked many times a second."""
        ...

    @property
    def calibration_screen(self) -> CalibrationScreen:
        """What calibration draws on."""
        ...
