"""The window that fills the participant's screen: flips with their time, pictures, and what the screen is like."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collection.presenter.psychopy.input import InputQueue
from collection.presenter.psychopy.library import import_psychopy
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError

if TYPE_CHECKING:
    from PIL import Image

    from data_schema.study.sections import ScreenSection

logger = logging.getLogger(__name__)

#: Flips that the refresh is measured from.
_N_FLIPS = 40
#: With vertical sync, a flip that is called later within its period still comes at the end of the
#: period; without, the wait is added to it. The wait is this share of the period, the border half of it.
_WAIT_SHARE = 0.5
#: Times the study's refresh rate above which a measured one is doubted.
_DOUBTFUL = 1.2
#: What OpenGL calls renderers without a graphics card: Mesa's, Windows' own, Google's.
_SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "gdi generic", "basic render", "swiftshader")


@dataclass(frozen=True)
class ScreenReport:
    """What the participant's screen is like, against ``[screen]`` of study.toml.

    Parameters
    ----------
    width_px, height_px : int
        Of the window that was got.
    screen_index, n_screens : int
        Which screen, of how many.
    refresh_hz : float
        Measured; without vertical sync the rate at which flips return, which says nothing.
    has_vsync : bool
        Whether flips wait for the screen. Without it, flips are paced by the clock at the study's rate.
    renderer : str
        Of the graphics card, as OpenGL names it.
    sound : str
        The device that plays; empty if there is none: clips are silent.
    problems : mapping of str to str
        Sentences for people, by what they are about: size, window, vsync, refresh, renderer, sound.
    """

    width_px: int
    height_px: int
    screen_index: int
    n_screens: int
    refresh_hz: float
    has_vsync: bool
    renderer: str
    sound: str
    problems: Mapping[str, str] = field(default_factory=dict)


class StimulusWindow:
    """Own PsychoPy's window.

    Parameters
    ----------
    screen : ScreenSection
        Of study.toml.
    clock : HostClock
        Stamps flips.
    fullscreen : bool
        Whether it takes the whole screen; else a window of the study's size.
    screen_index : int
        Which screen, counted from 0.
    """

    def __init__(self, screen: ScreenSection, clock: HostClock, *, fullscreen: bool, screen_index: int) -> None:
        self._screen = screen
        self._clock = clock
        self._fullscreen = fullscreen
        self._screen_index = screen_index
        self._psychopy: Any = None
        self._sheet: Any = None
        self._drawn: Any = None
        self.last_flip_us = 0
        self.win: Any = None
        self.input: InputQueue
        self.width = screen.width_px
        self.height = screen.height_px
        self.period_us = 1e6 / screen.refresh_hz
        self.measured_hz = screen.refresh_hz
        self.has_vsync = True

    @property
    def is_open(self) -> bool:
        """Whether there is a window."""
        return self.win is not None

    @property
    def psychopy(self) -> Any:
        """The package, once there is a window."""
        return self._psychopy

    @property
    def visual(self) -> Any:
        """PsychoPy's module of stimuli."""
        return self._psychopy.visual

    def open(self) -> None:
        """Take the screen and measure its refresh.

        Raises
        ------
        MissingExtraError
            If PsychoPy is not installed.
        DeviceError
            If there is no such screen, or no window can be made on it.
        """
        if self.is_open:
            return
        self._psychopy = import_psychopy()
        n_screens = self.n_screens()
        if not 0 <= self._screen_index < n_screens:
            raise DeviceError(
                f"There is no screen number {self._screen_index}: this machine has {n_screens}, counted from 0. "
                "Switch the participant's screen on, or name another."
            )
        try:
            self.win = self._psychopy.visual.Window(
                size=(self._screen.width_px, self._screen.height_px),
                fullscr=self._fullscreen,
                screen=self._screen_index,
                units="pix",
                color=(0, 0, 0),
                colorSpace="rgb",
                allowGUI=False,
                checkTiming=False,
                waitBlanking=True,
                autoLog=False,
            )
        except Exception as error:
            raise DeviceError(
                f"PsychoPy cannot open a window on screen {self._screen_index}: {type(error).__name__}: {error}. "
                "Check the graphics driver (OpenGL 2 or later)."
            ) from error
        self.width, self.height = (int(side) for side in self.win.size)
        self.input = InputQueue(self.win.winHandle, self._clock)
        self.show_mouse(False)
        self.measure_refresh()

    def close(self) -> None:
        """Give the screen back; idempotent."""
        if self.win is None:
            return
        win, self.win, self._sheet = self.win, None, None
        self.input.close()
        win.mouseVisible = True
        win.close()

    def n_screens(self) -> int:
        """Return how many screens this machine has."""
        pyglet = self._psychopy.visual.window.pyglet
        display = pyglet.canvas.get_display()
        return len(display.get_screens())

    # ------------------------------------------------------------------ flips

    def flip(self) -> int:
        """Bring what was drawn onto the screen; returns the host time of the flip, microseconds.

        PsychoPy stamps a flip when the graphics card says that it is done, and then does
        more before it returns. Its stamp is carried over to the host clock: both clocks
        are read one after the other, at once.
        """
        stamp_s = self.win.flip()
        now_us = self._clock.now_us()
        since_s = self._psychopy.logging.defaultClock.getTime() - stamp_s if stamp_s is not None else 0.0
        self.last_flip_us = now_us - round(since_s * 1e6 * self._clock.speed)
        return self.last_flip_us

    def next_flip_us(self, not_before_us: int) -> int:
        """Return when the first flip from a time on will be: the screen's own beat, or the time itself without one."""
        if not self.has_vsync or not_before_us <= self.last_flip_us:
            return not_before_us
        n_periods = math.ceil((not_before_us - self.last_flip_us) / self.period_us)
        return self.last_flip_us + round(n_periods * self.period_us)

    def flip_at(self, due_us: int) -> int:
        """Flip, on a screen without vertical sync not before `due_us`."""
        if not self.has_vsync:
            # What was drawn is rendered now, or the flip would wait for it.
            self.visual.window.GL.glFinish()
            self._clock.sleep_until(due_us)
        return self.flip()

    def measure_refresh(self) -> None:
        """Measure the refresh, and whether flips wait for the screen at all."""
        rate_hz = self.win.getActualFrameRate(nIdentical=20, nMaxFrames=90, nWarmUpFrames=10, threshold=1)
        plain_us, self.has_vsync = self._waits_for_screen()
        self.measured_hz = float(rate_hz) if rate_hz else 1e6 / plain_us
        if self.has_vsync and self.measured_hz > _DOUBTFUL * self._screen.refresh_hz:
            # A busy machine may seem to wait once (measured: 376 Hz on a screen without vertical sync), not thrice.
            self.has_vsync = all(self._waits_for_screen()[1] for _ in range(2))
        self.period_us = 1e6 / (self.measured_hz if self.has_vsync else self._screen.refresh_hz)
        logger.info("screen: %.2f Hz, vertical sync: %s", self.measured_hz, "yes" if self.has_vsync else "no")

    def _waits_for_screen(self) -> tuple[float, bool]:
        """Return microseconds between flips, and whether they stay the same when each is asked for later."""
        plain_us = self._flip_interval_us(0)
        delayed_us = self._flip_interval_us(round(plain_us * _WAIT_SHARE))
        return plain_us, delayed_us < plain_us * (1 + _WAIT_SHARE / 2)

    def _flip_interval_us(self, wait_us: int) -> float:
        times: list[int] = []
        for _ in range(_N_FLIPS):
            if wait_us:
                # Not by sleeping: a sleep takes longer than it is told to.
                until_us = self._clock.now_us() + wait_us
                while self._clock.now_us() < until_us:
                    pass
            times.append(self.flip())
        return statistics.median(after - before for before, after in zip(times[:-1], times[1:], strict=True))

    # --------------------------------------------------------------- pictures

    def draw_picture(self, picture: Image.Image) -> None:
        """Put a picture of the whole screen into the back buffer."""
        if self._sheet is None:
            self._sheet = self.visual.ImageStim(
                self.win, image=picture, size=(self.width, self.height), units="pix", interpolate=False, autoLog=False
            )
        elif picture is not self._drawn:
            self._sheet.image = picture
        self._drawn = picture
        self._sheet.draw()

    def screenshot(self) -> Image.Image:
        """Return what is in the back buffer; call it before `flip`."""
        picture = self.win.getMovieFrame(buffer="back").convert("RGB")
        # PsychoPy keeps a copy for a film of its own.
        self.win.movieFrames = []
        return picture

    def show_mouse(self, visible: bool) -> None:
        """Show or hide the mouse pointer."""
        self.win.mouseVisible = visible

    # ----------------------------------------------------------------- report

    def report(self, sound: str) -> ScreenReport:
        """Compare the screen with study.toml."""
        screen = self._screen
        problems: dict[str, str] = {}
        if self._fullscreen and (self.width, self.height) != (screen.width_px, screen.height_px):
            problems["size"] = (
                f"The screen has {self.width} x {self.height} pixels, study.toml says {screen.width_px} x "
                f"{screen.height_px}. Set the screen's resolution, or [screen] width_px and height_px."
            )
        if not self._fullscreen:
            problems["window"] = "The window does not fill the screen: gaze positions on it mean nothing."
        if not self.has_vsync:
            problems["vsync"] = (
                "Flips do not wait for the screen (no vertical sync): flip times are those of the clock, not of the "
                "glass. Switch vertical sync on in the graphics driver, and use the card's own output."
            )
        elif abs(self.measured_hz - screen.refresh_hz) > 0.02 * screen.refresh_hz:
            problems["refresh"] = (
                f"The screen refreshes at {self.measured_hz:.1f} Hz, study.toml says {screen.refresh_hz:g} Hz. "
                "Set the screen's refresh rate, or [screen] refresh_hz."
            )
        if not sound:
            problems["sound"] = "PsychoPy finds no sound device: clips are shown without sound."
        renderer = str(self.visual.window.GL.gl_info.get_renderer())
        if any(name in renderer.lower() for name in _SOFTWARE_RENDERERS):
            problems["renderer"] = (
                f"Pictures are drawn by the processor ({renderer}), not by a graphics card: flips come late beside a "
                "recording. Install the card's driver, and do not work over a remote desktop."
            )
        return ScreenReport(
            self.width,
            self.height,
            self._screen_index,
            self.n_screens(),
            self.measured_hz,
            self.has_vsync,
            renderer,
            sound,
            problems,
        )
