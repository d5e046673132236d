"""Play a clip with sound, and keep the time and the clip's own time of each flip.

PsychoPy's ``MovieStim`` decodes in threads of ffpyplayer; each `draw` takes the frame
that is due by then, and its ``pts`` says which one that is. The stored ``clip_time_us``
of a flip is that ``pts``: the picture that stood in the back buffer when it was flipped.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.presenter.base import Presentation, ShouldStop, TakeFlips
from collection.presenter.psychopy.clip_file import ClipFile, read_clip_file
from collection.presenter.psychopy.window import StimulusWindow
from collection.process_priority import raised
from collection.protocol.steps import PlayClip
from data_schema.clocks import HostClock
from data_schema.errors import MediaError
from data_schema.session.layout import FLIPS

logger = logging.getLogger(__name__)

#: Flips are handed over in batches of so much time; between them the loop stores numbers alone.
_BATCH_US = 250_000
#: So often the loop asks whether to stop.
_ASK_EVERY_US = 40_000
#: Longest real time for the first frame of a clip that was opened already.
_READY_S = 1.0
#: Asked when Escape was pressed; True means: stop.
AskToStop = Callable[[], bool]


@dataclass
class _Flips:
    """Flips of one clip, as plain numbers."""

    t_flip_us: list[int]
    t_due_us: list[int]
    clip_time_us: list[int]
    n_dropped: list[int]

    def rows(self, trial_id: int) -> npt.NDArray[np.void]:
        rows = FLIPS.empty(len(self.t_flip_us))
        rows["trial_id"] = trial_id
        rows["t_flip_us"] = self.t_flip_us
        rows["t_due_us"] = self.t_due_us
        rows["clip_time_us"] = self.clip_time_us
        rows["n_dropped_before"] = self.n_dropped
        return rows


class ClipPlayer:
    """Load and play one clip at a time.

    Parameters
    ----------
    window : StimulusWindow
        Open.
    clock : HostClock
        The one that stamps its flips.
    goes_first : bool
        Whether this process goes before others while a clip plays, if that is permitted.
    """

    def __init__(self, window: StimulusWindow, clock: HostClock, *, goes_first: bool = True) -> None:
        self.goes_first = goes_first
        self._window = window
        self._clock = clock
        self._clip: PlayClip | None = None
        self._file: ClipFile | None = None
        self._movie: Any = None

    def load(self, clip: PlayClip) -> None:
        """Open a clip and decode its first frame, unless that was done.

        Raises
        ------
        MediaError
            If it is missing or cannot be decoded.
        """
        if self._movie is not None and self._clip == clip:
            return
        self.unload()
        file = read_clip_file(clip.file)
        scale = min(self._window.width / file.width_px, self._window.height / file.height_px)
        try:
            movie = self._window.visual.MovieStim(
                self._window.win,
                str(clip.file),
                units="pix",
                # As large as fits, its own shape kept; what is left of the screen stays grey, as in the baseline.
                size=(round(file.width_px * scale), round(file.height_px * scale)),
                autoStart=False,
                autoLog=False,
            )
        except Exception as error:
            raise MediaError(
                f"{clip.file.name}: the player cannot open it: {type(error).__name__}: {error}. "
                "Convert it anew to .mp4 with H.264 and AAC."
            ) from error
        _make_ready(movie)
        self._movie, self._file, self._clip = movie, file, clip

    def unload(self) -> None:
        """Close the clip; idempotent."""
        movie, self._movie, self._clip = self._movie, None, None
        if movie is not None:
            movie.unload()

    def play(
        self,
        clip: PlayClip,
        t_due_us: int,
        take_flips: TakeFlips,
        should_stop: ShouldStop,
        ask_to_stop: AskToStop,
    ) -> Presentation:
        """Play a clip from `t_due_us` on.

        Raises
        ------
        MediaError
            If it is missing or cannot be decoded.
        """
        self.load(clip)
        self._window.show_mouse(False)
        collected = gc.isenabled()
        # A collection in the loop costs a flip: pauses of 10 ms and more with many objects alive.
        gc.collect()
        gc.disable()
        try:
            with raised() if self.goes_first else nullcontext():
                return _Playing(self._window, self._clock, self._movie, self._file, clip).run(
                    t_due_us, take_flips, should_stop, ask_to_stop
                )
        finally:
            if collected:
                gc.enable()
            self._window.win.flip()
            self.unload()


def _make_ready(movie: Any) -> None:
    """Let the decoder run up to its first frame, and never let it hold up a flip.

    PsychoPy leaves a new movie where a seek has just emptied its buffers, so that the
    first 2 to 7 frames are decoded too late and left out (measured: a hole of 67 to 233 ms
    after the first frame; none once the decoder has run up, with sound and without). And
    it waits up to a frame's time for a frame that is not decoded yet: here the last one
    stays for one more refresh instead.
    """
    reader = getattr(movie, "_player", None)
    player = getattr(reader, "_player", None)
    if player is None:
        return
    reader._maxGetFrameAttempts = 0
    player.set_mute(True)
    player.set_pause(False)
    give_up_s = time.monotonic() + _READY_S
    while player.get_frame()[0] is None and time.monotonic() < give_up_s:
        time.sleep(0.001)
    player.set_pause(True)
    player.set_mute(False)


class _Playing:
    """One clip while it plays."""

    def __init__(self, window: StimulusWindow, clock: HostClock, movie: Any, file: ClipFile | None, clip: PlayClip):
        self._window, self._clock, self._movie, self._clip = window, clock, movie, clip
        self._file = file
        self._period_us = window.period_us
        self._pending = _Flips([], [], [], [])
        self._n_flips = self._n_late = self._n_dropped = 0
        self._first_us = self._last_us = 0
        self._handed_us = 0
        self._holds: list[tuple[int, float]] = []
        self._held_from_us = 0

    def run(
        self, t_due_us: int, take_flips: TakeFlips, should_stop: ShouldStop, ask_to_stop: AskToStop
    ) -> Presentation:
        if not self._wait_until(t_due_us, should_stop):
            return Presentation(t_due_us, t_due_us, 0, 0, False)
        due_us = self._window.next_flip_us(max(t_due_us, self._clock.now_us()))
        asked_us = self._clock.now_us()
        stopped = False
        self._movie.play(log=False)
        while True:
            self._movie.draw()
            if self._movie.isFinished:
                break
            clip_time_us = round(self._movie.pts * 1e6)
            flip_us = self._window.flip_at(due_us)
            self._note(flip_us, due_us, clip_time_us)
            due_us = self._next_due(flip_us, due_us)
            if flip_us - self._handed_us >= _BATCH_US:
                self._hand_over(take_flips, flip_us)
            if flip_us - asked_us >= _ASK_EVERY_US:
                asked_us = flip_us
                escape = any(event.key == "escape" for event in self._window.input.take())
                if should_stop() or (escape and self._ask(ask_to_stop)):
                    stopped = True
                    break
                if escape:
                    due_us = self._window.next_flip_us(self._clock.now_us())
                    self._held_from_us, self._last_us = self._last_us, 0
        self._movie.pause(log=False)
        self._hand_over(take_flips, self._last_us)
        return self._presentation(not stopped)

    def _wait_until(self, t_us: int, should_stop: ShouldStop) -> bool:
        """Leave the screen as it is until just before a time; False if told to stop."""
        while True:
            now_us = self._clock.now_us()
            left_us = t_us - self._period_us - now_us
            if should_stop():
                return False
            if left_us <= 0:
                return True
            self._clock.sleep_until(now_us + round(min(left_us, _ASK_EVERY_US)))

    def _note(self, flip_us: int, due_us: int, clip_time_us: int) -> None:
        dropped = 0
        if self._last_us:
            dropped = max(0, round((flip_us - self._last_us) / self._period_us) - 1)
        if not self._n_flips:
            self._first_us = self._handed_us = flip_us
        if self._held_from_us:
            self._holds.append((self._held_from_us, (flip_us - self._held_from_us) / 1e6))
            self._held_from_us = 0
        self._n_flips += 1
        self._n_late += flip_us - due_us > self._period_us / 2
        self._n_dropped += dropped
        self._last_us = self._end_us = flip_us
        self._clip_time_us = clip_time_us
        pending = self._pending
        pending.t_flip_us.append(flip_us)
        pending.t_due_us.append(due_us)
        pending.clip_time_us.append(clip_time_us)
        pending.n_dropped.append(dropped)

    def _next_due(self, flip_us: int, due_us: int) -> int:
        if self._window.has_vsync:
            return flip_us + round(self._period_us)
        # Without a screen's beat the clock's: one period after the last due time, or as many as were missed.
        n_periods = max(1, round((flip_us - due_us) / self._period_us) + 1)
        return due_us + round(n_periods * self._period_us)

    def _hand_over(self, take_flips: TakeFlips, now_us: int) -> None:
        if self._pending.t_flip_us:
            take_flips(self._pending.rows(self._clip.trial_id))
        self._pending = _Flips([], [], [], [])
        self._handed_us = now_us

    def _ask(self, ask_to_stop: AskToStop) -> bool:
        """Hold the clip while the participant decides."""
        self._movie.pause(log=False)
        stop = ask_to_stop()
        if not stop:
            self._window.show_mouse(False)
            self._movie.play(log=False)
            logger.info("the participant asked to stop during %s, and then went on", self._clip.stimulus_id)
        return stop

    def _presentation(self, completed: bool) -> Presentation:
        if not self._n_flips:
            return Presentation(self._clock.now_us(), self._clock.now_us(), 0, 0, False)
        # MovieStim ends when the clip's time is over: what it had not decoded by then is never shown, and on a
        # slow machine these are several frames, though the clip stood on the screen for its whole length.
        missing_s = max(0.0, self._file.last_frame_s - self._clip_time_us / 1e6) if self._file else 0.0
        frame_s = self._file.frame_s if self._file else 0.0
        return Presentation(
            self._first_us,
            self._end_us,
            self._n_flips,
            self._n_late,
            completed,
            self._n_dropped,
            (self._end_us - self._first_us + self._period_us) / 1e6,
            # More than one frame: one and a half, since times of frames are rounded.
            completed and missing_s > 1.5 * frame_s,
            tuple(self._holds),
            round(missing_s / frame_s) if frame_s > 0 else 0,
            missing_s,
        )
