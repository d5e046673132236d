"""All checks in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from collection.devices.registry import without_later_faults
from collection.preflight import machine, screen, stimuli
from collection.preflight.checks import Check, PreflightReport
from collection.preflight.devices import check_devices
from collection.preflight.trial_recording import check_recording, remove_left_behind
from collection.recorder import RecorderSettings
from data_schema.clocks import ScaledClock
from data_schema.errors import StudyError
from data_schema.study.folder import StudyFolder

#: Called with each check as it ends, and with what is being done.
OnCheck = Callable[[Check], None]
Progress = Callable[[str], None]


class Preflight:
    """Check everything that a session needs.

    Parameters
    ----------
    study : StudyFolder
    settings : RecorderSettings
        Those of the session; their file is not made.
    with_window : bool
        True if the clips will be shown in a window: sound is checked then.
    on_check : callable, optional
        Called with each check as soon as it is made.
    progress : callable, optional
        Called with what is being done.
    """

    def __init__(
        self,
        study: StudyFolder,
        settings: RecorderSettings,
        *,
        with_window: bool = True,
        on_check: OnCheck | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._study = study
        self._settings = settings
        self._with_window = with_window
        self._on_check = on_check
        self._progress = progress
        self._checks: list[Check] = []

    def run(self, *, devices: bool = True, test_recording_s: float | None = None) -> PreflightReport:
        """Make all checks.

        Parameters
        ----------
        devices : bool
            False leaves trackers and cameras alone.
        test_recording_s : float, optional
            Length of the test recording, the study's by default; 0 measures the rates without one.
        """
        self._checks = []
        settings, config = self._settings, self._settings.config
        seconds = config.preflight.test_recording_s if test_recording_s is None else test_recording_s
        remove_left_behind(settings.path)
        self._say("looking at the machine")
        wall_clock = machine.WallClockWatch()
        self._add(
            machine.check_writable(self._study.root),
            machine.check_disk(settings.path, config, settings.planned_s),
            machine.check_clock(),
            machine.check_memory(config),
            machine.check_processors(),
        )
        self._say("decoding the stimuli")
        self._add(*stimuli.check_stimuli(self._study, self._progress))
        self._add(*self._sound())
        if devices and seconds > 0:
            self._say(f"test recording of {seconds:g} s")
            self._add(*check_recording(self._for_checks(), seconds, self._progress))
        elif devices:
            self._say("measuring what the devices deliver")
            self._add(*check_devices(self._for_checks()))
        self._add(wall_clock.check())
        return PreflightReport(tuple(self._checks))

    def _sound(self) -> Iterable[Check]:
        if not self._with_window:
            return ()
        try:
            # A rehearsal may be silent; for a participant a clip without its sound is another clip.
            return (screen.check_sound(stimuli.any_sound(self._study), needed_by_people=not self._settings.simulated),)
        except StudyError:
            # Said by the check of the stimuli.
            return ()

    def _for_checks(self) -> RecorderSettings:
        """Return the settings with a clock that begins now, and without faults that a rehearsal has ordered for later."""
        given = self._settings
        speed = given.clock.speed
        return replace(
            given,
            # Simulated devices owe nothing for the time before.
            clock=given.clock if speed == 1.0 else ScaledClock.starting_now(speed),
            eye_tracker=without_later_faults(given.eye_tracker),
            camera=without_later_faults(given.camera),
            second_camera=without_later_faults(given.second_camera),
        )

    def _add(self, *checks: Check) -> None:
        self._checks += checks
        if self._on_check is not None:
            for check in checks:
                self._on_check(check)

    def _say(self, what: str) -> None:
        if self._progress is not None:
            self._progress(what)
