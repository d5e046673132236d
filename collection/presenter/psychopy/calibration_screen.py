"""What calibration shows: the head in the track box, and a target that leads the gaze.

The target is a disc with a cross cut out of it and a dot in its middle: the
combination of bull's eye and cross hair that the eyes rest on most steadily (Thaler,
Schütz, Goodale and Gegenfurtner, 2013, "What is the best fixation target?", Vision
Research 76: outer diameter 0.6 degrees, dot 0.2 degrees). It is large while it travels,
shrinks onto its place, and its outer rim pulses while it waits; the dot never changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from collection.presenter.base import HeadPosition, ShouldStop, never
from collection.presenter.psychopy.ink import INK, QUIET, Box, Ink
from collection.presenter.psychopy.input import Does
from collection.presenter.psychopy.page import TextPage
from collection.presenter.psychopy.window import StimulusWindow
from collection.texts import Texts
from data_schema.clocks import HostClock
from data_schema.study.sections import ScreenSection

#: Diameters of the target, degrees (Thaler et al. 2013); the outer one while it travels is ours.
OUTER_DEG, INNER_DEG, TRAVEL_DEG = 0.6, 0.2, 1.6
#: The rim pulses by this share, so often a second; chosen by us: alive, not distracting.
_PULSE, _PULSE_HZ = 0.35, 1.2
#: Share of the way's time in which it travels; in the rest it shrinks where it is.
_TRAVEL_SHARE = 0.6
#: A text is drawn anew so often: something may have covered it.
_REDRAW_US = 100_000
#: The scripted participant presses a key so long after the head is shown.
_SETTLED_US = 1_000_000
_BLACK = (-1.0, -1.0, -1.0)
#: Colours of eyes by how far they are from the best place (PsychoPy's -1 to 1).
_GOOD, _FAR = (-0.55, 0.1, -0.45), (0.45, -0.05, -0.65)
_KEYS = {"enter": "go_on", "space": "go_on", "r": "redo", "s": "skip"}
_ADVICE = ("good", "closer", "farther", "left", "right", "up", "down", "not_seen", "one_eye")


class PsychopyCalibrationScreen:
    """Draw for a calibration procedure.

    Parameters
    ----------
    window : StimulusWindow
        Open.
    ink : Ink
        Draws its texts.
    clock : HostClock
        Of the returned times.
    screen : ScreenSection
        Size and distance, for degrees.
    texts : Texts
        Of the study.
    ask_to_stop : callable
        Asks the participant whether to stop, unless what it is given says that all ends; True if so.
    scripted : bool
        Whether the positioning is ended without a key.
    """

    def __init__(
        self,
        window: StimulusWindow,
        ink: Ink,
        clock: HostClock,
        screen: ScreenSection,
        texts: Texts,
        ask_to_stop: Callable[[ShouldStop], bool],
        *,
        scripted: bool,
    ) -> None:
        self._window, self._ink, self._clock = window, ink, clock
        self._texts, self._ask_to_stop, self._scripted = texts, ask_to_stop, scripted
        # Along the shorter way from centimetres to pixels both axes agree, for square pixels.
        self._px_per_deg = 2 * screen.distance_mm * math.tan(math.radians(0.5)) * window.width / screen.width_mm
        self._keys: list[str] = []
        self._at: tuple[float, float] | None = None
        self._head_since_us: int | None = None
        self._head_text: str | None = None
        self._head_sheet: Any = None
        self._text_sheet: Any = None
        self._text_drawn_us = 0
        self._due_us = 0
        self._stimuli: dict[str, Any] = {}

    # ------------------------------------------------------------------ verbs

    def show_head(self, head: HeadPosition, text: str = "", should_stop: ShouldStop = never) -> None:
        """Draw the two eyes in the frame of the track box, as in a mirror, and the words of advice."""
        if self._head_since_us is None:
            self._head_since_us = self._clock.now_us()
            self._text_sheet = None
            self._keys.clear()
            self._window.input.forget()
        if text != self._head_text:
            self._head_text, self._head_sheet = text, self._head_page(text)
        self._window.draw_picture(self._head_sheet)
        frame = self._head_frame()
        for position in (head.left_norm, head.right_norm):
            if position is not None and all(math.isfinite(value) for value in position):
                self._draw_eye(frame, position)
        self._window.flip()
        self._at = None
        self._take_keys(should_stop)

    def show_text(self, text: str) -> None:
        """Show a text in the middle of the screen."""
        self._at = self._head_since_us = self._head_text = None
        self._text_sheet = TextPage(self._ink, text).picture()
        self._window.show_mouse(False)
        self._keys.clear()
        self._window.input.forget()
        self._draw_text()

    def move_target(self, x: float, y: float, duration_s: float, should_stop: ShouldStop) -> int:
        """Let the target travel to a place and shrink there; returns the flip from which it stood still."""
        start_us = self._begin_target()
        begin = self._at
        travel_s = duration_s * _TRAVEL_SHARE if begin is not None else 0.0
        self._at = (x, y)
        while True:
            # Drawn for the time at which it will be seen.
            since_s = (self._due_us - start_us) / 1e6
            done = since_s >= duration_s
            place, outer = self._on_its_way(begin, (x, y), since_s, travel_s, duration_s)
            self._draw_target(place, outer)
            flip_us = self._flip()
            if done or should_stop() or self._take_keys(should_stop):
                return flip_us

    def hold_target(self, until_us: int, should_stop: ShouldStop) -> None:
        """Let the rim pulse where the target is, until a time."""
        if self._at is None:
            self._clock.sleep_until(min(until_us, self._clock.now_us() + 50_000))
            return
        self._begin_target(keep=True)
        while self._clock.now_us() < until_us and not should_stop() and not self._take_keys(should_stop):
            phase = 0.5 - 0.5 * math.cos(2 * math.pi * _PULSE_HZ * (self._due_us / 1e6))
            self._draw_target(self._at, OUTER_DEG * (1 + _PULSE * phase))
            self._flip()

    def clear(self) -> None:
        """Show the empty grey screen."""
        self._window.flip()
        self._at = None
        self._head_since_us = None
        self._head_text = None
        self._text_sheet = None

    def poll_key(self, should_stop: ShouldStop = never) -> str:
        """Return 'go_on', 'redo', 'skip' or 'stop', or '' for nothing."""
        self._take_keys(should_stop)
        if self._text_sheet is not None and self._clock.now_us() - self._text_drawn_us > _REDRAW_US:
            self._draw_text()
        if self._keys:
            return self._keys.pop(0)
        since_us = self._head_since_us
        if self._scripted and since_us is not None and self._clock.now_us() - since_us >= _SETTLED_US:
            self._head_since_us = None
            return "go_on"
        return ""

    # ------------------------------------------------------------------- keys

    def _draw_text(self) -> None:
        self._window.draw_picture(self._text_sheet)
        self._text_drawn_us = self._window.flip()

    def _take_keys(self, should_stop: ShouldStop) -> bool:
        """Note what was pressed; True if the participant stops."""
        for event in self._window.input.take():
            if event.does is Does.CLICK and self._head_since_us is not None:
                self._keys.append("go_on")
            elif event.does is Does.KEY and event.key == "escape":
                if self._ask_to_stop(should_stop):
                    self._keys.append("stop")
                # The question covered what was there.
                self._head_text, self._text_drawn_us = None, 0
            elif event.does is Does.KEY and event.key in _KEYS:
                self._keys.append(_KEYS[event.key])
        return "stop" in self._keys

    # ----------------------------------------------------------------- target

    def _begin_target(self, *, keep: bool = False) -> int:
        now_us = self._clock.now_us()
        period_us = round(self._window.period_us)
        if not keep or now_us - self._due_us > 2 * period_us:
            self._due_us = self._window.next_flip_us(now_us)
        if not keep:
            self._head_since_us = None
            self._text_sheet = None
            self._window.show_mouse(False)
        return now_us

    def _flip(self) -> int:
        flip_us = self._window.flip_at(self._due_us)
        self._due_us = max(self._due_us, flip_us - round(self._window.period_us)) + round(self._window.period_us)
        return flip_us

    def _on_its_way(
        self,
        begin: tuple[float, float] | None,
        end: tuple[float, float],
        since_s: float,
        travel_s: float,
        duration_s: float,
    ) -> tuple[tuple[float, float], float]:
        """Return place and diameter (degrees) `since_s` after the start."""
        if begin is not None and since_s < travel_s:
            share = since_s / travel_s
            eased = share * share * (3 - 2 * share)
            place = (begin[0] + (end[0] - begin[0]) * eased, begin[1] + (end[1] - begin[1]) * eased)
            grown = min(1.0, share * 4)
            return place, OUTER_DEG + (TRAVEL_DEG - OUTER_DEG) * grown
        left_s = max(0.0, duration_s - since_s)
        share = min(1.0, left_s / max(1e-6, duration_s - travel_s))
        return end, OUTER_DEG + (TRAVEL_DEG - OUTER_DEG) * share

    def _draw_target(self, place: tuple[float, float], outer_deg: float) -> None:
        self._make_stimuli()
        x = (place[0] - 0.5) * self._window.width
        y = (0.5 - place[1]) * self._window.height
        outer, inner = outer_deg * self._px_per_deg, INNER_DEG * self._px_per_deg
        sizes = {
            "disc": (outer, outer),
            "across": (outer + 2, inner),
            "down": (inner, outer + 2),
            "dot": (inner, inner),
        }
        for name, size in sizes.items():
            stimulus = self._stimuli[name]
            stimulus.pos = (x, y)
            stimulus.size = size
            stimulus.draw()

    def _make_stimuli(self) -> None:
        if self._stimuli:
            return
        visual, win = self._window.visual, self._window.win
        plain = {"units": "pix", "lineWidth": 0, "lineColor": None, "autoLog": False}
        self._stimuli = {
            # Unit size: `size` is their diameter in pixels.
            "disc": visual.Circle(win, radius=0.5, edges=96, fillColor=_BLACK, **plain),
            "across": visual.Rect(win, 1, 1, fillColor=(0, 0, 0), **plain),
            "down": visual.Rect(win, 1, 1, fillColor=(0, 0, 0), **plain),
            "dot": visual.Circle(win, radius=0.5, edges=64, fillColor=_BLACK, **plain),
            "eye": visual.Circle(win, radius=0.5, edges=64, fillColor=_GOOD, **plain),
            "pupil": visual.Circle(win, radius=0.5, edges=48, fillColor=_BLACK, **plain),
        }

    # ------------------------------------------------------------------- head

    def _head_frame(self) -> Box:
        unit = self._ink.unit
        width, height = 760 * unit, 400 * unit
        return Box((self._ink.width - width) / 2, self._ink.height * 0.36, width, height)

    def _head_page(self, text: str) -> Any:
        """Return the sheet behind the eyes: instructions above the frame, advice below it."""
        ink, unit = self._ink, self._ink.unit
        picture = ink.sheet()
        frame = self._head_frame()
        ink.panel(picture, frame, (150, 152, 155), edge=(96, 98, 102), radius=22)
        middle = Box(frame.center[0] - 200 * unit, frame.center[1] - 62 * unit, 400 * unit, 124 * unit)
        ink.panel(picture, middle, (164, 166, 169), edge=(130, 132, 136), radius=62)
        advice = {self._texts[f"positioning.{name}"].strip() for name in _ADVICE}
        paragraphs = [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]
        first = next((i for i, paragraph in enumerate(paragraphs) if paragraph in advice), len(paragraphs))
        width = min(1180 * unit, ink.width * 0.9)
        above = Box((ink.width - width) / 2, 40 * unit, width, frame.top - 70 * unit)
        ink.text(picture, "\n\n".join(paragraphs[:first]), above, 29.0, color=INK, middle=True)
        top = frame.bottom + 24 * unit
        for i, paragraph in enumerate(paragraphs[first:]):
            size, color = (40.0, INK) if i == 0 else (29.0, QUIET)
            top += ink.text(picture, paragraph, Box(above.left, top, width, 0), size, color=color, align="center")
        low = Box(0, ink.height - 76 * unit, ink.width, 40 * unit)
        ink.text(picture, self._texts["hints.ready"], low, 23.0, color=QUIET, align="center")
        return picture

    def _draw_eye(self, frame: Box, position: tuple[float, float, float]) -> None:
        """Draw one eye: higher when it is high, larger when it is near, greener when it is well placed."""
        self._make_stimuli()
        x, y, z = (min(1.0, max(0.0, value)) for value in position)
        away = min(1.0, max(abs(x - 0.5), abs(y - 0.5), abs(z - 0.5)) / 0.4)
        color = tuple(good + (far - good) * away for good, far in zip(_GOOD, _FAR, strict=True))
        size = (104 - 68 * z) * self._ink.unit
        # The track box's x grows to the participant's left: turned round, the picture is a mirror's.
        left = frame.left + (1 - x) * frame.width
        top = frame.top + y * frame.height
        for name, share in (("eye", 1.0), ("pupil", 0.42)):
            stimulus = self._stimuli[name]
            stimulus.pos = (left - self._ink.width / 2, self._ink.height / 2 - top)
            stimulus.size = (size * share, size * share)
            if name == "eye":
                stimulus.fillColor = color
            stimulus.draw()
