"""The participant's screen and its sound, as far as they can be measured here."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from collection.preflight.checks import ERROR, GOOD, NOTE, WARNING, Check
from data_schema.study.sections import ScreenSection

#: Share by which a measured refresh rate may differ from the one in study.toml.
_REFRESH_TOLERANCE = 0.02
#: Share by which the tracker's idea of the screen may differ from study.toml's.
_AREA_TOLERANCE = 0.03
#: Of a presenter's problems, those that are found here from what it measured.
_COMPARED_HERE = frozenset({"size", "vsync", "refresh"})
#: Checks of what the presenter says, where another check has the plain name.
WINDOW_SOUND = "window_sound"
_NAMES = {"sound": WINDOW_SOUND}


@dataclass(frozen=True)
class ScreenMeasurement:
    """What a presenter measured of its screen; 0 and NaN where it could not."""

    width_px: int = 0
    height_px: int = 0
    refresh_hz: float = math.nan
    #: False if flips do not wait for the screen, so that their rate says nothing of it.
    has_vsync: bool = True
    #: What the presenter finds wrong, by what it is about; what is compared here anyway is left out.
    problems: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class MeasuresScreen(Protocol):
    """A presenter that has measured its screen when it was opened."""

    def screen_report(self) -> Any:
        """Return what it found: width_px, height_px, refresh_hz, has_vsync, problems."""
        ...


def measured_by(presenter: object) -> ScreenMeasurement | None:
    """Return what an open presenter measured; None if it has no screen."""
    if not isinstance(presenter, MeasuresScreen):
        return None
    found = presenter.screen_report()
    refresh_hz = float(found.refresh_hz) if found.has_vsync else math.nan
    problems = {about: text for about, text in found.problems.items() if about not in _COMPARED_HERE}
    return ScreenMeasurement(found.width_px, found.height_px, refresh_hz, found.has_vsync, problems)


def check_screen(screen: ScreenSection, measured: ScreenMeasurement | None) -> list[Check]:
    """Compare the screen of study.toml with what the presenter measured; None if there is no window."""
    stated = f"study.toml: {screen.width_px} x {screen.height_px} px, {screen.refresh_hz:g} Hz"
    if measured is None:
        return [Check("screen", NOTE, f"not measured, since there is no window ({stated})")]
    said = [Check(_NAMES.get(about, about), WARNING, text.rstrip(".")) for about, text in measured.problems.items()]
    return [_check_size(screen, measured, stated), _check_refresh(screen, measured), *said]


def _check_size(screen: ScreenSection, measured: ScreenMeasurement, stated: str) -> Check:
    if not (measured.width_px and measured.height_px):
        return Check("screen", NOTE, f"its size was not measured ({stated})")
    said = f"{measured.width_px} x {measured.height_px} px ({stated})"
    if (measured.width_px, measured.height_px) != (screen.width_px, screen.height_px):
        remedy = "Mend [screen] in study.toml, or the display settings: gaze would be computed for another screen."
        return Check("screen", ERROR, said, remedy)
    return Check("screen", GOOD, said)


def _check_refresh(screen: ScreenSection, measured: ScreenMeasurement) -> Check:
    if not math.isfinite(measured.refresh_hz):
        if not measured.has_vsync:
            text = "not measured: flips do not wait for this screen, and are paced by the clock"
            remedy = "Switch vertical synchronisation on in the graphics driver; a virtual screen has none."
            return Check("refresh", WARNING, text, remedy)
        return Check("refresh", WARNING, "not measured: flips did not keep a steady pace")
    said = f"{measured.refresh_hz:.2f} Hz measured, study.toml says {screen.refresh_hz:g}"
    if abs(measured.refresh_hz / screen.refresh_hz - 1) > _REFRESH_TOLERANCE:
        remedy = "Set [screen] refresh_hz to what the screen does, or choose the rate in the display settings."
        return Check("refresh", WARNING, said, remedy, measured.refresh_hz)
    return Check("refresh", GOOD, said, value=measured.refresh_hz)


def check_display_area(screen: ScreenSection, display_area_mm: dict[str, Any] | None) -> list[Check]:
    """Compare the tracker's idea of the screen's size with that of study.toml.

    Parameters
    ----------
    screen : ScreenSection
    display_area_mm : dict, optional
        Corners top_left, top_right and bottom_left in the tracker's coordinates, mm; None if it has none.
    """
    if not display_area_mm:
        return []
    try:
        top_left, top_right, bottom_left = (
            [float(value) for value in display_area_mm[name]] for name in ("top_left", "top_right", "bottom_left")
        )
    except (KeyError, TypeError, ValueError):
        return []
    width_mm, height_mm = math.dist(top_left, top_right), math.dist(top_left, bottom_left)
    said = (
        f"the tracker knows a screen of {width_mm:.0f} x {height_mm:.0f} mm, "
        f"study.toml one of {screen.width_mm:.0f} x {screen.height_mm:.0f} mm"
    )
    for knows, states in ((width_mm, screen.width_mm), (height_mm, screen.height_mm)):
        if abs(knows / states - 1) > _AREA_TOLERANCE:
            remedy = "Set up the screen in Eye Tracker Manager, or mend [screen] in study.toml: measure with a ruler."
            return [Check("display_area", WARNING, said, remedy)]
    return [Check("display_area", GOOD, said)]


def check_sound(needed: bool, *, needed_by_people: bool = True) -> Check:
    """Check that there is a device for the sound of the clips, where they have any.

    Parameters
    ----------
    needed : bool
        True if a clip has sound.
    needed_by_people : bool
        False in a rehearsal: a missing device is a warning then.
    """
    missing = ERROR if needed_by_people else WARNING
    if not needed:
        return Check("sound", GOOD, "no stimulus has sound")
    try:
        # PortAudio talks of the drivers that it does not find.
        with contextlib.redirect_stderr(io.StringIO()):
            sounddevice: Any = importlib.import_module("sounddevice")
    except (ImportError, OSError) as error:
        return Check("sound", NOTE, f"not checked: the sound library is not there ({error})")
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        return Check("sound", missing, f"the sound system does not answer: {error}", "Plug in loudspeakers.")
    outputs = [str(device["name"]) for device in devices if device["max_output_channels"] > 0]
    if not outputs:
        remedy = "Plug in loudspeakers or headphones; clips without their sound induce something else."
        return Check("sound", missing, "the stimuli have sound, but this machine has no sound device", remedy, 0.0)
    return Check("sound", GOOD, f"{outputs[0]} and {len(outputs) - 1} more", value=float(len(outputs)))
