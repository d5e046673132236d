"""A presenter without a screen, and the scripted participant who answers.

In real time every flip is waited for and stamped when it really happened; one
that was slept through is missing, as on a real screen. On a clock that runs
faster than real time, flips get the times at which they were due.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from collection.presenter.base import Answer, Presentation, ShouldStop, TakeFlips
from collection.protocol.steps import AskItems, Item, PlayClip, Step
from collection.simulation.participant import PlantedTrial, SelfReport, SimulatedParticipant
from data_schema.clocks import HostClock
from data_schema.session.layout import FLIPS

#: Longest real time between two looks at `should_stop`.
_SLICE_S = 0.05
#: Flips are handed over in batches of about this many seconds.
_BATCH_S = 0.25


class ScriptedParticipant:
    """Answer as the simulated participant would, from what was planted for the trial."""

    def __init__(self, participant: SimulatedParticipant) -> None:
        self._participant = participant
        self._reports: dict[int, SelfReport] = {}

    def feel(self, trial: PlantedTrial) -> None:
        """Take note of what a trial makes the participant feel."""
        self._reports[trial.trial_id] = self._participant.report(trial)

    def rate(self, trial_id: int, item: Item) -> int:
        """Return the rating of one item."""
        report = self._reports.get(trial_id)
        if report is None:
            return round((item.low + item.high) / 2)
        named = {
            "valence": report.valence_sam,
            "arousal": report.arousal_sam,
            "familiarity": report.familiarity,
            "attention": int(report.attention),
        }
        return named.get(item.scale, report.emotions.get(item.scale, item.low))

    def latency_share(self, trial_id: int, n_items: int) -> npt.NDArray[np.float64]:
        """Return how the time for a page is divided among its items, shape (n_items,), sum 1."""
        return self._participant.rng("latency", trial_id).dirichlet(np.full(n_items, 8.0))


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

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def show(self, step: Step, until_us: int, should_stop: ShouldStop) -> None:
        """Wait for the planned time."""
        self._wait_until(until_us, should_stop)

    def play(self, clip: PlayClip, t_due_us: int, take_flips: TakeFlips, should_stop: ShouldStop) -> Presentation:
        """Flip at the screen's refresh for the length of the clip."""
        self._wait_until(t_due_us, should_stop)
        real_time = self._clock.speed == 1.0
        first_us = max(t_due_us, self._clock.now_us()) if real_time else t_due_us
        n_expected = max(1, round(clip.planned_s * 1e6 / self._period_us))
        batch_flips = max(1, round(_BATCH_S * self._clock.speed * 1e6 / self._period_us))
        pending: list[tuple[int, int, int]] = []
        n_flips = n_late = 0
        onset_us = offset_us = first_us
        number = 0
        while number < n_expected and not should_stop():
            due_us = first_us + round(number * self._period_us)
            if real_time:
                self._clock.sleep_until(due_us)
                flip_us = self._clock.now_us()
                shown = min(n_expected - 1, max(number, math.floor((flip_us - first_us) / self._period_us)))
                due_now = [(flip_us, due_us, shown)]
                number = shown + 1
            else:
                slice_end_us = due_us + round(_SLICE_S * 1e6 * self._clock.speed)
                self._wait_until(min(slice_end_us, first_us + round(clip.planned_s * 1e6)), should_stop)
                reached = math.floor((self._clock.now_us() - first_us) / self._period_us)
                last = min(n_expected - 1, max(number, reached))
                due_now = [
                    (due, due, index)
                    for index in range(number, last + 1)
                    for due in (first_us + round(index * self._period_us),)
                ]
                number = last + 1
            for flip_us, flip_due_us, shown in due_now:
                if not n_flips:
                    onset_us = flip_us
                n_flips += 1
                n_late += flip_us - flip_due_us > self._period_us / 2
                offset_us = flip_us
                pending.append((flip_us, flip_due_us, round(shown * self._period_us)))
            if len(pending) >= batch_flips:
                take_flips(_flip_rows(clip.trial_id, pending))
                pending = []
        if pending:
            take_flips(_flip_rows(clip.trial_id, pending))
        return Presentation(onset_us, offset_us, n_flips, n_late, number >= n_expected)

    def ask(self, step: AskItems, should_stop: ShouldStop) -> Iterator[Answer]:
        """Let the scripted participant answer; the page takes its planned time."""
        shares = self._script.latency_share(step.trial_id, len(step.items))
        shown_us = self._clock.now_us()
        for item, share in zip(step.items, shares, strict=True):
            answered_us = shown_us + round(step.planned_s * float(share) * 1e6)
            self._wait_until(answered_us, should_stop)
            if should_stop():
                return
            yield Answer(item, self._script.rate(step.trial_id, item), shown_us, answered_us)
            shown_us = answered_us

    def _wait_until(self, t_us: int, should_stop: ShouldStop) -> None:
        slice_us = round(_SLICE_S * 1e6 * self._clock.speed)
        while not should_stop():
            now_us = self._clock.now_us()
            if now_us >= t_us:
                return
            self._clock.sleep_until(min(t_us, now_us + slice_us))


def _flip_rows(trial_id: int, flips: list[tuple[int, int, int]]) -> npt.NDArray[np.void]:
    rows = FLIPS.empty(len(flips))
    rows["trial_id"] = trial_id
    rows["t_flip_us"], rows["t_due_us"], rows["clip_time_us"] = zip(*flips, strict=True)
    return rows
