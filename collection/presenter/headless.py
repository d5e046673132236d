"""A presenter without a screen.

In real time every flip is waited for and stamped when it really happened; one
that was slept through is missing, as on a real screen. On a clock that runs
faster than real time, flips get the times at which they were due.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from collection.presenter.base import Answer, HeadPosition, Presentation, ShouldStop, TakeFlips, never
from collection.presenter.scripted import ScriptedParticipant
from collection.protocol.steps import AskItems, Consent, ItemKind, PlayClip, Step
from data_schema.clocks import HostClock
from data_schema.errors import MediaError
from data_schema.session.layout import FLIPS

__all__ = ["HeadlessCalibrationScreen", "HeadlessPresenter", "ScriptedParticipant"]

#: Longest real time between two looks at `should_stop`.
_SLICE_S = 0.05
#: Flips are handed over in batches of about this many seconds.
_BATCH_S = 0.25
#: Seconds of the session's clock after which the scripted participant sits well.
_SETTLED_S = 1.0
#: A moment that never comes, for waits that something else ends.
_NEVER_US = 1 << 62


class HeadlessPresenter:
    """Run a session without a screen.

    Parameters
    ----------
    clock : HostClock
        Shared with the recorder.
    refresh_hz : float
        Of the screen that is played for.
    script : ScriptedParticipant
        Who answers.
    """

    def __init__(self, clock: HostClock, refresh_hz: float, script: ScriptedParticipant) -> None:
        self._clock = clock
        self._period_us = 1e6 / refresh_hz
        self._script = script
        self._step: Step | None = None
        self._calibration_screen = HeadlessCalibrationScreen(clock)

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    @property
    def calibration_screen(self) -> HeadlessCalibrationScreen:
        """What calibration draws on: nothing, in time."""
        return self._calibration_screen

    def stop_requested(self) -> bool:
        """Tell whether the script says to stop in the step that is shown."""
        return self._script.wants_to_stop(self._step)

    def consent(self, step: Consent, should_stop: ShouldStop) -> dict[str, bool] | None:
        """Let the scripted participant decide."""
        return None if should_stop() else self._script.decide(step)

    def pause(self, text: str, is_over: ShouldStop) -> None:
        """Wait until it is over."""
        self._step = None
        wait_until(self._clock, _NEVER_US, is_over)

    def show(self, step: Step, until_us: int, should_stop: ShouldStop) -> None:
        """Wait for the planned time."""
        self._step = step
        wait_until(self._clock, until_us, should_stop)

    def prepare(self, clip: PlayClip) -> None:
        """Check that the clip's file has a picture that can be decoded.

        Raises
        ------
        MediaError
            If it has not.
        """
        if clip.file != Path():
            _check_plays(clip.file)

    def play(self, clip: PlayClip, t_due_us: int, take_flips: TakeFlips, should_stop: ShouldStop) -> Presentation:
        """Flip at the screen's refresh for the length of the clip."""
        self._step = clip
        wait_until(self._clock, t_due_us, should_stop)
        flips = _Flips(clip.trial_id, self._period_us, round(_BATCH_S * self._clock.speed * 1e6), take_flips)
        n_expected = max(1, round(clip.planned_s * 1e6 / self._period_us))
        if self._clock.speed == 1.0:
            self._flip_in_real_time(flips, max(t_due_us, self._clock.now_us()), n_expected, should_stop)
        else:
            self._flip_by_schedule(flips, t_due_us, n_expected, should_stop)
        return flips.finish(t_due_us, completed=flips.next_number >= n_expected)

    def _flip_in_real_time(self, flips: _Flips, first_us: int, n_expected: int, should_stop: ShouldStop) -> None:
        while flips.next_number < n_expected and not should_stop():
            due_us = first_us + round(flips.next_number * self._period_us)
            self._clock.sleep_until(due_us)
            flip_us = self._clock.now_us()
            reached = math.floor((flip_us - first_us) / self._period_us)
            flips.add(flip_us, due_us, min(n_expected - 1, max(flips.next_number, reached)))

    def _flip_by_schedule(self, flips: _Flips, first_us: int, n_expected: int, should_stop: ShouldStop) -> None:
        end_us = first_us + round(n_expected * self._period_us)
        while flips.next_number < n_expected and not should_stop():
            due_us = first_us + round(flips.next_number * self._period_us)
            wait_until(self._clock, min(end_us, due_us + round(_SLICE_S * 1e6 * self._clock.speed)), should_stop)
            reached = math.floor((self._clock.now_us() - first_us) / self._period_us)
            for number in range(flips.next_number, min(n_expected - 1, max(flips.next_number, reached)) + 1):
                due_us = first_us + round(number * self._period_us)
                flips.add(due_us, due_us, number)

    def ask(self, step: AskItems, should_stop: ShouldStop) -> Iterator[Answer]:
        """Let the scripted participant answer; the page takes its planned time."""
        self._step = step
        shares = self._script.latency_share(step.trial_id, len(step.items))
        shown_us = self._clock.now_us()
        for item, share in zip(step.items, shares, strict=True):
            answered_us = shown_us + max(1, round(step.planned_s * float(share) * 1e6))
            wait_until(self._clock, answered_us, should_stop)
            if should_stop():
                return
            if item.kind is ItemKind.TEXT:
                yield Answer(item, 0, shown_us, answered_us, self._script.write(step.trial_id, item))
            else:
                yield Answer(item, self._script.rate(step.trial_id, item), shown_us, answered_us)
            shown_us = answered_us


class HeadlessCalibrationScreen:
    """A calibration screen that draws nothing and keeps the time."""

    def __init__(self, clock: HostClock) -> None:
        self._clock = clock
        self._head_since_us: int | None = None

    def show_head(self, head: HeadPosition, text: str = "", should_stop: ShouldStop = never) -> None:
        """Note that the head's position is being shown."""
        if self._head_since_us is None:
            self._head_since_us = self._clock.now_us()

    def move_target(self, x: float, y: float, duration_s: float, should_stop: ShouldStop) -> int:
        """Wait for the target's way; returns when it arrived."""
        arrives_us = self._clock.now_us() + round(duration_s * 1e6)
        wait_until(self._clock, arrives_us, should_stop)
        return self._clock.now_us() if self._clock.speed == 1.0 else arrives_us

    def hold_target(self, until_us: int, should_stop: ShouldStop) -> None:
        """Wait."""
        wait_until(self._clock, until_us, should_stop)

    def clear(self) -> None:
        """End what is shown."""
        self._head_since_us = None

    def show_text(self, text: str) -> None:
        """Nothing to show."""
        self._head_since_us = None

    def poll_key(self, should_stop: ShouldStop = never) -> str:
        """Return 'go_on' once the participant has had a moment to sit well."""
        since_us = self._head_since_us
        if since_us is not None and self._clock.now_us() - since_us >= _SETTLED_S * 1e6:
            self._head_since_us = None
            return "go_on"
        return ""


class _Flips:
    """Count flips and hand their rows over in batches."""

    def __init__(self, trial_id: int, period_us: float, batch_us: int, take: TakeFlips) -> None:
        self.next_number = 0
        self._trial_id = trial_id
        self._period_us = period_us
        self._n_batch = max(1, round(batch_us / period_us))
        self._take = take
        self._pending: list[tuple[int, int, int, int]] = []
        self._n = self._n_late = self._n_dropped = 0
        self._onset_us = self._offset_us = 0

    def add(self, flip_us: int, due_us: int, number: int) -> None:
        """Add the flip that showed picture `number`."""
        dropped = number - self.next_number
        if not self._n:
            self._onset_us = flip_us
        self._n += 1
        self._n_late += flip_us - due_us > self._period_us / 2
        self._n_dropped += dropped
        self._offset_us = flip_us
        self.next_number = number + 1
        self._pending.append((flip_us, due_us, round(number * self._period_us), dropped))
        if len(self._pending) >= self._n_batch:
            self._hand_over()

    def finish(self, t_due_us: int, *, completed: bool) -> Presentation:
        """Hand over what is left and sum up."""
        self._hand_over()
        if not self._n:
            return Presentation(t_due_us, t_due_us, 0, 0, False)
        duration_s = (self._offset_us - self._onset_us + self._period_us) / 1e6
        return Presentation(
            self._onset_us, self._offset_us, self._n, self._n_late, completed, self._n_dropped, duration_s
        )

    def _hand_over(self) -> None:
        if not self._pending:
            return
        rows = FLIPS.empty(len(self._pending))
        rows["trial_id"] = self._trial_id
        columns = zip(*self._pending, strict=True)
        rows["t_flip_us"], rows["t_due_us"], rows["clip_time_us"], rows["n_dropped_before"] = columns
        self._pending = []
        self._take(rows)


def wait_until(clock: HostClock, t_us: int, should_stop: ShouldStop) -> None:
    """Wait until the clock reads `t_us` or `should_stop` says so, whichever is first."""
    slice_us = round(_SLICE_S * 1e6 * clock.speed)
    while not should_stop():
        now_us = clock.now_us()
        if now_us >= t_us:
            return
        clock.sleep_until(min(t_us, now_us + slice_us))


def _check_plays(path: Path) -> None:
    import av

    try:
        with av.open(str(path)) as container:
            if next(container.decode(video=0), None) is not None:
                return
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise MediaError(f"{path}: this is no video that can be decoded: {error}. Put the clip there again.") from error
    raise MediaError(f"{path}: not one frame can be decoded. Put the clip there again.")
