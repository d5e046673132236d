"""Consent before the recorder starts: on the screen, on paper, taken over, or simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collection.presenter.base import Presenter
from collection.protocol.consent import consent_rows, consent_step
from collection.protocol.steps import Consent, ShowText
from collection.texts import Texts
from data_schema.clocks import HostClock
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING

#: What is said to an operator whose participant did not agree.
DECLINED_TEXT = (
    "The participant did not agree to the recording of eye movements and answers, so nothing was recorded and no file "
    "was made. Thank them all the same; nothing has to be deleted."
)
UNDECIDED_TEXT = "The consent page was left without a decision, so nothing was recorded and no file was made."
NO_VIDEO_TEXT = "No consent to video: the camera stays off, and the session has no picture."
#: Longest time for the page that thanks a participant who did not agree.
_DECLINED_US = 15_000_000


@dataclass(frozen=True)
class Agreement:
    """What the participant decided, and the rows that say so.

    Parameters
    ----------
    decisions : dict of str to bool
        By scope.
    way : str
        screen, paper or simulated; empty if the rows are taken over from an earlier run.
    """

    decisions: Mapping[str, bool]
    way: str
    language: str
    t_system_us: int
    step: Consent | None = None
    earlier: npt.NDArray[np.void] | None = None

    def allows(self, scope: str) -> bool:
        """Tell whether a scope was agreed to."""
        return bool(self.decisions.get(scope, False))

    def rows(self) -> npt.NDArray[np.void]:
        """Return the rows of ``/participant/consent``."""
        if self.earlier is not None:
            rows = self.earlier.copy()
            # The earlier run's clock may have been another boot's.
            rows["t_system_us"] = self.t_system_us
            return rows
        return consent_rows(
            self.decisions,
            way=self.way,  # type: ignore[arg-type]
            language=self.language,
            t_system_us=self.t_system_us,
            step=self.step,
        )


def taken_over(earlier: npt.NDArray[np.void], decisions: Mapping[str, bool], clock: HostClock) -> Agreement:
    """Return the consent of an earlier run of the same session."""
    return Agreement(decisions, "", "", clock.now_us(), earlier=earlier)


def on_paper(decisions: Mapping[str, bool], language: str, clock: HostClock) -> Agreement:
    """Return what the operator has on paper."""
    complete = {scope: bool(decisions.get(scope, False)) for scope in CONSENT_SCOPES}
    if FACE_SHARING in decisions:
        complete[FACE_SHARING] = bool(decisions[FACE_SHARING])
    return Agreement(complete, "paper", language, clock.now_us())


def ask_on_screen(
    presenter: Presenter,
    texts: Texts,
    clock: HostClock,
    *,
    scopes: tuple[str, ...],
    simulated: bool,
    should_stop: Callable[[], bool],
) -> Agreement | None:
    """Ask the participant; None if the page was left without a decision."""
    step = consent_step(texts, scopes)
    decisions = presenter.consent(step, should_stop)
    if decisions is None:
        return None
    complete = {scope: bool(decisions.get(scope, False)) for scope in scopes}
    if not complete["gaze"]:
        until_us = clock.now_us() + (1_000_000 if simulated else _DECLINED_US)
        page = ShowText("declined", 0.0, text=texts["consent.declined"].strip())
        presenter.show(page, until_us, lambda: should_stop() or clock.now_us() >= until_us)
    way = "simulated" if simulated else "screen"
    return Agreement(complete, way, texts.language, clock.now_us(), step)
