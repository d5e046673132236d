"""No session past a failed check, unless the operator gives a reason for just that check."""

from __future__ import annotations

import math
from collections.abc import Callable

from collection.preflight import Check, Preflight, PreflightReport
from collection.preflight.checks import GOOD, NOTE
from collection.preflight.screen import WINDOW_SOUND, check_screen, measured_by
from collection.presenter.base import Presenter
from collection.protocol.operator import Question
from collection.recorder import RecorderSettings
from collection.runner.operator_link import OperatorLink
from collection.runner.request import SessionEvents, SessionRequest
from data_schema.errors import RecordingError
from data_schema.study.folder import StudyFolder

#: Identifier of the question, as consoles know it.
QUESTION = "preflight"
_AGAIN, _STOP, _OVERRIDE = "again", "stop", "override"


class PreflightGate:
    """Make the checks, show them, and let the operator decide.

    Parameters
    ----------
    study : StudyFolder
    request : SessionRequest
        What is left out, and a reason that was given beforehand.
    link : OperatorLink
    events : SessionEvents
    should_stop : callable
    """

    def __init__(
        self,
        study: StudyFolder,
        request: SessionRequest,
        link: OperatorLink,
        events: SessionEvents,
        should_stop: Callable[[], bool],
    ) -> None:
        self._study = study
        self._request = request
        self._link = link
        self._events = events
        self._should_stop = should_stop

    def pass_machine(self, settings: RecorderSettings) -> PreflightReport | None:
        """Check everything but the screen, again and again if the operator wants; None if the session must not start.

        Raises
        ------
        RecordingError
            If a check failed and there is nobody to decide.
        """
        while not self._should_stop():
            report = self._make_checks(settings)
            if self._should_stop():
                return None
            decided = self._judge(report)
            if decided != _AGAIN:
                return decided if isinstance(decided, PreflightReport) else None
        return None

    def pass_screen(self, report: PreflightReport, presenter: Presenter) -> PreflightReport | None:
        """Add what only the open window can measure; None if the session must not start.

        Raises
        ------
        RecordingError
            If it does not fit the study and there is nobody to decide.
        """
        while not self._should_stop():
            found = check_screen(self._study.config.screen, measured_by(presenter))
            if _sound_is_settled(report):
                found = [check for check in found if check.name != WINDOW_SOUND]
            for check in found:
                self._events.checked(check)
            report = report.with_checks(found)
            self._link.checks(report.checks, running=False)
            decided = self._judge(report)
            if decided != _AGAIN:
                return decided if isinstance(decided, PreflightReport) else None
        return None

    def _make_checks(self, settings: RecorderSettings) -> PreflightReport:
        request = self._request
        made: list[Check] = []

        def checked(check: Check) -> None:
            made.append(check)
            self._events.checked(check)
            self._link.checks(made, running=True)

        preflight = Preflight(
            self._study, settings, with_window=not request.headless, on_check=checked, progress=self._events.doing
        )
        report = preflight.run(
            devices=request.devices_checked, test_recording_s=None if request.test_recording else 0.0
        )
        self._link.checks(report.checks, running=False)
        return report

    def _judge(self, report: PreflightReport) -> PreflightReport | str:
        """Return the report if the session may start, or the operator's word."""
        undecided = report.undecided
        if not undecided:
            return report
        if self._request.override_reason:
            return self._override(report, self._request.override_reason)
        if self._link.nobody:
            raise RecordingError(report.refusal())
        failed = "\n".join(f"{check.name}: {check.sentence}" for check in undecided)
        question = Question(
            QUESTION,
            f"The session should not start:\n{failed}",
            ((_AGAIN, "Check again"), (_STOP, "End; nothing is recorded"), (_OVERRIDE, "Start all the same")),
            reason_for=(_OVERRIDE,),
            data={"checks": [check.as_dict() for check in report.checks]},
        )
        decision = self._link.decide(question, self._should_stop)
        if decision is None or decision.choice == _STOP:
            return _STOP
        return _AGAIN if decision.choice == _AGAIN else self._override(report, decision.reason)

    def _override(self, report: PreflightReport, reason: str) -> PreflightReport:
        for check in report.undecided:
            self._link.say(f"overridden: {check.name}: {check.message}")
        return report.overridden(reason)


def _sound_is_settled(report: PreflightReport) -> bool:
    """Tell whether the machine's check of the sound has said all: that there is none, or that no clip has any."""
    found = [check for check in report.checks if check.name == "sound"]
    return any(check.level not in (GOOD, NOTE) or (check.level == GOOD and math.isnan(check.value)) for check in found)
