"""Play a clip by its frames' own times: exact, late pictures are dropped, and nothing drifts."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from annotation.playback.feeder import FrameFeeder
from annotation.playback.frames import FrameIdentity, FrameSource, RgbImage
from data_schema.errors import MediaError

#: Speeds that `faster` and `slower` go through; 1 is that of the recording.
SPEEDS: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
#: How long `load` waits for the first picture. A prepared clip needs a few milliseconds.
FIRST_PICTURE_S = 0.1
#: Frames passed over by less than this while playing were still part of what was watched.
_PASSED_US = 250_000


class Player:
    """Show one clip at a time.

    It belongs to one thread. A second one decodes; `tick` takes over what it has
    decoded. `image` is always the image of `index`: while a picture is on its
    way, both stay at what is shown, and `target` says where it is going.

    Parameters
    ----------
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._speed = 1.0
        self._feeder: FrameFeeder | None = None
        self._forget()

    def _forget(self) -> None:
        self._frames: FrameSource | None = None
        self._playing = False
        self._index = 0
        self._target = 0
        self._image: RgbImage | None = None
        self._error: MediaError | None = None
        self._loop: tuple[int, int] | None = None
        self._loop_on = False
        self._seen = np.zeros(0, dtype=bool)
        self._anchor_s = 0.0
        self._anchor_us = 0.0
        self._holding = False

    # ------------------------------------------------------------ one clip after the other

    def load(self, frames: FrameSource, index: int = 0) -> None:
        """Take a clip and show a frame of it, paused. The player closes it when it is unloaded.

        The speed stays; loop, error and what was seen begin anew.
        """
        self.unload()
        self._frames = frames
        self._seen = np.zeros(len(frames), dtype=bool)
        self._feeder = FrameFeeder(frames)
        self.seek(index)
        self.settle(FIRST_PICTURE_S)

    def unload(self) -> None:
        """Let go of the clip; its file is closed by the thread that decodes it."""
        feeder, self._feeder = self._feeder, None
        self._forget()
        if feeder is not None:
            feeder.close()

    def close(self) -> None:
        """Let go of the clip and wait until its file is closed; a new clip may be loaded afterwards."""
        feeder = self._feeder
        self.unload()
        if feeder is not None:
            feeder.join()

    def settle(self, timeout_s: float = 5.0) -> bool:
        """Wait until the target is shown or has failed; False if neither happened in time. For tests and tools."""
        if self._feeder is None:
            return False
        self._feeder.wait_for(self._target, timeout_s)
        return self._take_target() or self._error is not None or self._index == self._target

    # ------------------------------------------------------------ what is shown

    @property
    def frames(self) -> FrameSource | None:
        """The clip; None if there is none."""
        return self._frames

    @property
    def index(self) -> int:
        """Number of the frame that is shown, from 0 in the clip."""
        return self._index

    @property
    def target(self) -> int:
        """The frame that was asked for last; `index`, unless its picture is still being decoded."""
        return self._target

    @property
    def image(self) -> RgbImage | None:
        """Picture of frame `index`; None until the first one is decoded."""
        return self._image

    @property
    def time_us(self) -> int:
        """When frame `index` stands on the clip's time line, microseconds from its onset."""
        return int(self._frames.times_us[self._index]) if self._frames is not None else 0

    @property
    def identity(self) -> FrameIdentity | None:
        """Number and pts of the shown frame in its file: what is stored where this frame is meant."""
        return self._frames.identity(self._index) if self._frames is not None else None

    @property
    def playing(self) -> bool:
        """True while the clip runs."""
        return self._playing

    @property
    def speed(self) -> float:
        """Speed of playback, 1 is that of the recording."""
        return self._speed

    @property
    def loop(self) -> tuple[int, int] | None:
        """First and last frame of the loop; None while it is off."""
        return self._loop if self._loop_on else None

    @property
    def at_end(self) -> bool:
        """True while the last frame is shown."""
        return self._frames is not None and self._index == len(self._frames) - 1 and self._image is not None

    @property
    def seen_share(self) -> float:
        """Share of the clip's frames that were shown, or passed by in running playback."""
        return float(self._seen.mean()) if len(self._seen) else 0.0

    @property
    def error(self) -> MediaError | None:
        """Why the frame last asked for is not shown; None once another one is."""
        return self._error

    # ------------------------------------------------------------ intents

    def play(self) -> None:
        """Run from the shown frame on; from the start (of the loop) where the end is reached."""
        if self._frames is None:
            return
        first, last = self._range()
        if self._target >= last or self._target < first:
            self.seek(first)
        self._playing = True
        self.seek(self._target)

    def pause(self) -> None:
        """Stop at the shown frame."""
        if self._playing:
            self._playing = False
            self._target = self._target if self._holding else self._index
            self._want(self._target)

    def toggle(self) -> None:
        """Play or pause."""
        self.pause() if self._playing else self.play()

    def replay(self) -> None:
        """Play from the start of the clip, or of the loop."""
        self.seek(self._range()[0])
        self.play()

    def seek(self, index: int) -> None:
        """Go to a frame; beyond the ends, to the first or the last. Running playback goes on from there."""
        if self._frames is None:
            return
        self._target = min(max(0, int(index)), len(self._frames) - 1)
        if self._feeder is not None:
            self._feeder.try_again(self._target)
        self._error = None
        self._want(self._target)
        self._take_target()
        self._hold()

    def step(self, n: int) -> None:
        """Pause, and go `n` frames on (back if negative) from the frame that was asked for last."""
        at = self._index if self._playing else self._target
        self._playing = False
        self.seek(at + n)

    def scrub(self, seconds: float) -> None:
        """Go on or back by a time of the clip."""
        if self._frames is not None:
            at = self._index if self._playing else self._target
            index = self._frames.index_at(int(self._frames.times_us[at]) + round(seconds * 1e6))
            # Where frames are further apart than the step, it still has to lead somewhere.
            self.seek(index if index != at else at + (1 if seconds > 0 else -1))

    def to_start(self) -> None:
        """Go to the first frame."""
        self.seek(0)

    def to_end(self) -> None:
        """Go to the last frame."""
        self.seek(len(self._frames) - 1 if self._frames is not None else 0)

    def faster(self) -> None:
        """Go to the next higher of `SPEEDS`."""
        self.set_speed(min((speed for speed in SPEEDS if speed > self._speed + 1e-9), default=SPEEDS[-1]))

    def slower(self) -> None:
        """Go to the next lower of `SPEEDS`."""
        self.set_speed(max((speed for speed in SPEEDS if speed < self._speed - 1e-9), default=SPEEDS[0]))

    def set_speed(self, speed: float) -> None:
        """Set the speed, held within `SPEEDS`; running playback goes on from where it is."""
        if self._playing and not self._holding:
            self._anchor_us, self._anchor_s = self._clip_time_us(), self._clock()
        self._speed = min(max(float(speed), SPEEDS[0]), SPEEDS[-1])

    # ------------------------------------------------------------ loop

    def set_loop(self, start: int, end: int) -> None:
        """Loop over the frames from `start` to `end`, both included; the other way round is taken as meant."""
        if self._frames is not None:
            last = len(self._frames) - 1
            low, high = sorted((min(max(0, int(start)), last), min(max(0, int(end)), last)))
            self._loop, self._loop_on = (low, high), True
            if self._playing and not low <= self._index <= high:
                self.seek(low)
            self._want(self._target)

    def toggle_loop(self) -> None:
        """Switch the loop off, or on again: the last one, at first the whole clip."""
        if self._frames is None:
            return
        if self._loop is None:
            self.set_loop(0, len(self._frames) - 1)
        else:
            self._loop_on = not self._loop_on
        self._want(self._target)

    def loop_start_here(self) -> None:
        """Let the loop begin at the shown frame; an end before it moves to the clip's end."""
        if self._frames is not None:
            end = self._loop[1] if self._loop is not None else len(self._frames) - 1
            self.set_loop(self._index, end if end > self._index else len(self._frames) - 1)

    def loop_end_here(self) -> None:
        """Let the loop end at the shown frame; a start behind it moves to the clip's start."""
        if self._frames is not None:
            start = self._loop[0] if self._loop is not None else 0
            self.set_loop(start if start < self._index else 0, self._index)

    # ------------------------------------------------------------ time passes

    def tick(self) -> bool:
        """Take over what is due and decoded; call it about 60 times a second.

        Returns
        -------
        bool
            True if what is shown changed (frame, error, or playing stopped at the end).
        """
        if self._frames is None or self._feeder is None:
            return False
        return self._tick_playing() if self._playing else self._take_target()

    def _tick_playing(self) -> bool:
        if self._frames is None or self._feeder is None:
            return False
        if self._holding:
            changed = self._take_target()
            self._hold()
            return changed
        first, last = self._range()
        now_us = self._clip_time_us()
        if now_us >= self._end_us(last):
            if not self._loop_on:
                return self._finish(last)
            before = self._index
            self.seek(first)
            return self._index != before
        due = min(max(self._frames.index_at(int(now_us)), first), last)
        self._target = due
        self._want(due)
        # The newest picture that is due: a late one is shown late, those before it are dropped.
        at = self._feeder.newest(self._index + 1 if first <= self._index < due else due, due)
        return self._show_played(at) if at is not None and at != self._index else self._note_error(due)

    def _finish(self, last: int) -> bool:
        """Playing stops only when the last frame is shown, so that nobody misses it."""
        self._target = last
        self._want(last)
        shown = self._take_target()
        if self._index == last or self._error is not None:
            self._playing = False
            return True
        return shown

    def _show_played(self, at: int) -> bool:
        before = self._index
        changed = self._show(at)
        if self._frames is not None and before < at:
            gap = int(self._frames.times_us[at]) - int(self._frames.times_us[before])
            if gap <= _PASSED_US * max(1.0, self._speed):
                self._seen[before : at + 1] = True
        return changed

    def _take_target(self) -> bool:
        if self._feeder is None or (self._index == self._target and self._image is not None):
            return False
        return self._show(self._target) or self._note_error(self._target)

    def _show(self, index: int) -> bool:
        image = self._feeder.image(index) if self._feeder is not None else None
        if image is None:
            return False
        self._index, self._image, self._error = index, image, None
        self._seen[index] = True
        return True

    def _note_error(self, index: int) -> bool:
        error = self._feeder.error(index) if self._feeder is not None else None
        if error is None or error is self._error:
            return False
        self._error = error
        return True

    # ------------------------------------------------------------ clip time

    def _range(self) -> tuple[int, int]:
        if self._loop_on and self._loop is not None:
            return self._loop
        return 0, max(0, len(self._frames) - 1) if self._frames is not None else 0

    def _hold(self) -> None:
        """Let the clip's time begin to run at the target, but not before that frame is shown or has failed."""
        if self._frames is not None:
            self._anchor_s, self._anchor_us = self._clock(), float(self._frames.times_us[self._target])
            shown = self._index == self._target and self._image is not None
            self._holding = not shown and self._error is None

    def _clip_time_us(self) -> float:
        return self._anchor_us + (self._clock() - self._anchor_s) * self._speed * 1e6

    def _end_us(self, last: int) -> float:
        """A frame stands until the next one; the last one as long as frames do in the median."""
        times = self._frames.times_us if self._frames is not None else np.zeros(0, dtype=np.int64)
        if last + 1 < len(times):
            return float(times[last + 1])
        return float(times[last]) + (float(np.median(np.diff(times))) if len(times) > 1 else 40_000.0)

    def _want(self, index: int) -> None:
        if self._feeder is not None:
            self._feeder.want(index, playing=self._playing, loop=self.loop)
