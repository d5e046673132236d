"""The presenter on a real screen: PsychoPy's window, our pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collection.presenter.base import Answer, CalibrationScreen, Presentation, ShouldStop, TakeFlips
from collection.presenter.psychopy.autopilot import Autopilot
from collection.presenter.psychopy.calibration_screen import PsychopyCalibrationScreen
from collection.presenter.psychopy.clip_player import ClipPlayer
from collection.presenter.psychopy.consent_page import ConsentPage, ConsentWords
from collection.presenter.psychopy.fonts import find_font
from collection.presenter.psychopy.ink import INK, Ink
from collection.presenter.psychopy.input import Does, Event
from collection.presenter.psychopy.page import DecisionPage, Page, TextPage
from collection.presenter.psychopy.question_layout import Frame
from collection.presenter.psychopy.questions import QuestionsPage, group_items
from collection.presenter.psychopy.sound import find_sound_device
from collection.presenter.psychopy.text_entry import TextEntryPage
from collection.presenter.psychopy.window import ScreenReport, StimulusWindow
from collection.presenter.scripted import ScriptedParticipant
from collection.protocol.steps import AskItems, Break, Consent, Fixation, Item, ItemKind, PlayClip, Step
from collection.sync_check.pattern import Flash, FlashPattern
from collection.texts import Texts, load_texts
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.study.sections import ScreenSection

#: A page that waits looks for events so often, and draws itself anew so often (something may have covered it).
_POLL_US, _REDRAW_US = 10_000, 100_000
#: Pages of this name end by themselves: the participant is to do nothing.
_TIMED_PAGES = frozenset({"trouble"})
#: Arms of the fixation cross, units.
_CROSS, _CROSS_LINE = 22, 5


class PsychopyPresenter:
    """Show a session in a window.

    Parameters
    ----------
    screen : ScreenSection
        Of study.toml.
    language : str
        Of all texts.
    clock : HostClock
        Shared with the recorder; must run in real time: a screen cannot be hurried.
    fullscreen : bool
        Whether the window takes the whole screen; gaze positions need that.
    screen_index : int
        Which screen, counted from 0.
    script : ScriptedParticipant, optional
        Answers by itself (``--auto``); without, a person does.
    texts : Texts, optional
        With the study's own changes; the shipped ones of the language if not given.
    """

    def __init__(
        self,
        screen: ScreenSection,
        *,
        language: str,
        clock: HostClock,
        fullscreen: bool = True,
        screen_index: int = 0,
        script: ScriptedParticipant | None = None,
        texts: Texts | None = None,
    ) -> None:
        if clock.speed != 1.0:
            raise DeviceError(f"A screen shows in real time, not {clock.speed:g} times as fast. Add --headless.")
        self._screen = screen
        self._clock = clock
        self._language = language
        self._texts = texts if texts is not None else load_texts(language)
        self._autopilot = Autopilot(script, clock) if script is not None else None
        self._window = StimulusWindow(screen, clock, fullscreen=fullscreen, screen_index=screen_index)
        self._stop = self._stopped_before = False
        self._ink: Ink
        self._player: ClipPlayer
        self._calibration: PsychopyCalibrationScreen | None = None
        self._sheets: dict[str, Any] = {}
        self._sound = ""
        #: The page that waits for the participant; None while there is none.
        self.page: Page | None = None
        #: Whether clips play at a raised priority, where that is permitted; benchmarks compare.
        self.goes_first = True
        #: Whether a grey screen or a cross is being held.
        self.showing = False

    # ------------------------------------------------------------ the screen

    def open(self) -> None:
        """Take the screen.

        Raises
        ------
        MissingExtraError
            If PsychoPy is not installed.
        DeviceError
            If there is no such screen.
        ConfigError
            If no font has the characters of the texts.
        """
        if self._window.is_open:
            return
        values = self._texts.values.values()
        font = find_font(self._language, ["".join(value) for value in values])
        self._window.open()
        self._ink = Ink(self._window.width, self._window.height, font)
        self._player = ClipPlayer(self._window, self._clock)
        self._sound = find_sound_device(self._window.psychopy)
        self._sheets.clear()
        self._calibration = PsychopyCalibrationScreen(
            self._window,
            self._ink,
            self._clock,
            self._screen,
            self._texts,
            self._ask_to_stop,
            scripted=self._autopilot is not None,
        )
        self._present(self._grey())

    def close(self) -> None:
        """Give the screen back; idempotent."""
        if self._window.is_open:
            self._player.unload()
            self._window.close()
            self._calibration = None

    def screen_report(self) -> ScreenReport:
        """Return what the screen is like, measured when it was opened."""
        return self._window.report(self._sound)

    @property
    def window(self) -> StimulusWindow:
        """The window, for screenshots and measurements."""
        return self._window

    @property
    def calibration_screen(self) -> CalibrationScreen:
        """What calibration draws on; the screen must be open."""
        if self._calibration is None:
            raise DeviceError("The participant's screen is not open.")
        return self._calibration

    def stop_requested(self) -> bool:
        """Tell whether the participant asked to stop, and confirmed it."""
        return self._stop

    # -------------------------------------------------------------------- show

    def show(self, step: Step, until_us: int, should_stop: ShouldStop) -> None:
        """Show a page until the participant goes on, or anything else until its time."""
        self._begin(step, until_us)
        text = str(getattr(step, "text", ""))
        if isinstance(step, Fixation):
            self._hold(self._cross(), until_us, should_stop)
        elif not text:
            self._hold(self._grey(), until_us, should_stop)
        elif step.name in _TIMED_PAGES:
            self._run(TextPage(self._ink, text), should_stop, until_us)
        else:
            hint = self._texts["hints.ready" if isinstance(step, Break) else "hints.go_on"]
            self._run(TextPage(self._ink, text, self._texts["buttons.go_on"], hint), should_stop)

    def pause(self, text: str, is_over: ShouldStop) -> None:
        """Show a text until `is_over` says so; the participant may ask to stop meanwhile."""
        self._begin(None, 0)
        self._run(TextPage(self._ink, text), is_over)

    # -------------------------------------------------------------------- clips

    def prepare(self, clip: PlayClip) -> None:
        """Load a clip that plays soon.

        Raises
        ------
        MediaError
            If it is missing or cannot be decoded.
        """
        self._player.load(clip)

    def play(self, clip: PlayClip, t_due_us: int, take_flips: TakeFlips, should_stop: ShouldStop) -> Presentation:
        """Play a clip with its sound; nothing but the clip is on the screen, not even the pointer.

        Raises
        ------
        MediaError
            If it is missing or cannot be decoded.
        """
        self._begin(clip, t_due_us)
        self._player.load(clip)
        autopilot = self._autopilot

        def stops() -> bool:
            if autopilot is not None and autopilot.escape_due():
                self._window.input.post(Event(Does.KEY, self._clock.now_us(), key="escape"))
            return should_stop()

        self._player.goes_first = self.goes_first
        return self._player.play(clip, t_due_us, take_flips, stops, lambda: self._ask_to_stop(should_stop))

    # ---------------------------------------------------------------- questions

    def ask(self, step: AskItems, should_stop: ShouldStop) -> Iterator[Answer]:
        """Ask the items, those that share a scale on one page; answers of a page come when it is left."""
        self._begin(step, 0)
        number = 1
        for i, items in enumerate(group_items(step.items)):
            frame = self._frame(step, items, number, with_text=i == 0)
            number += len(items)
            page = (
                TextEntryPage(self._ink, items[0], frame)
                if items[0].kind is ItemKind.TEXT
                else QuestionsPage(self._ink, items, frame)
            )
            shown_us = self._run(page, should_stop)
            if not page.done:
                return
            yield from self._answers(page, shown_us)

    def _answers(self, page: TextEntryPage | QuestionsPage, shown_us: int) -> Iterator[Answer]:
        if isinstance(page, TextEntryPage):
            yield Answer(page.item, page.item.low, shown_us, page.t_typed_us or self._clock.now_us(), page.text.strip())
            return
        for item, answer in zip(page.items, page.chosen, strict=True):
            if answer is not None:
                yield Answer(item, answer[0], shown_us, answer[1])

    def _frame(self, step: AskItems, items: tuple[Item, ...], number: int, *, with_text: bool) -> Frame:
        texts = self._texts
        kind = items[0].kind
        last = number + len(items) - 1
        shown = str(number) if last == number else f"{number}–{last}"
        hint = {
            ItemKind.SAM: "hints.sam",
            ItemKind.YES_NO: "hints.yes_no",
            ItemKind.TEXT: "hints.text",
        }.get(kind, "hints.rating")
        is_text = kind is ItemKind.TEXT
        return Frame(
            title=step.title,
            # A field says how many characters are left; the sentence above a page is said once.
            text=texts["hints.characters_left"] if is_text else step.text if with_text else "",
            hint=texts[hint],
            progress=texts.say("hints.page", number=shown, total=len(step.items)) if len(step.items) > 1 else "",
            button=texts["buttons.done" if is_text else "buttons.go_on"],
            incomplete=texts["hints.incomplete"],
            yes=texts["buttons.yes"],
            no=texts["buttons.no"],
        )

    def consent(self, step: Consent, should_stop: ShouldStop) -> dict[str, bool] | None:
        """Ask for a decision on each scope; None if it was ended without."""
        self._begin(step, 0)
        texts = self._texts
        words = ConsentWords(
            texts["consent.title"],
            (step.text or texts["consent.text"]).strip(),
            texts["consent.agree"],
            texts["consent.disagree"],
            texts["consent.confirm"],
            texts["consent.incomplete"],
        )
        page = ConsentPage(self._ink, step.texts, words)
        self._run(page, should_stop)
        return dict(page.decisions) if page.done else None

    # ---------------------------------------------------------------- sync check

    def flash(self, pattern: FlashPattern, should_stop: ShouldStop) -> list[Flash]:
        """Flash the whole screen black and white; returns every change with the time of its flip."""
        self._begin(None, 0)
        sides = (self._window.width, self._window.height)
        sheet = self._window.visual.Rect(self._window.win, *sides, units="pix", lineWidth=0, autoLog=False)
        changes: list[Flash] = []
        level = 0
        due_us = start_us = self._window.next_flip_us(self._clock.now_us() + round(self._window.period_us))
        while due_us - start_us < pattern.seconds * 1e6 and not should_stop() and not self._stops_now:
            wanted = pattern.level_at((due_us - start_us) / 1e6)
            sheet.fillColor = (1, 1, 1) if wanted else (-1, -1, -1)
            sheet.draw()
            flip_us = self._window.flip_at(due_us)
            if wanted != level:
                changes.append(Flash(flip_us, wanted))
                level = wanted
            due_us = max(flip_us, due_us) + round(self._window.period_us)
            if any(event.key == "escape" for event in self._window.input.take()):
                self._ask_to_stop(should_stop)
        self._present(self._grey())
        return changes

    # -------------------------------------------------------------------- loops

    def _begin(self, step: Step | None, until_us: int) -> None:
        # What is shown after a stop (thanks, and how to have data deleted) is shown all the same.
        self._stopped_before = self._stop
        if self._autopilot is not None:
            self._autopilot.begin(step, until_us)

    @property
    def _stops_now(self) -> bool:
        return self._stop and not self._stopped_before

    def _run(self, page: Page, should_stop: ShouldStop, until_us: int | None = None) -> int:
        """Show a page until it is done, or somebody stops; returns the time of the flip that showed it."""
        self._window.show_mouse(True)
        # Whoever pressed a key twice must not answer the next page with it.
        self._window.input.forget()
        picture = page.picture()
        shown_us = drawn_us = self._present(picture)
        below, self.page = self.page, page
        while not page.done and not should_stop() and not self._stops_now:
            if until_us is not None and self._clock.now_us() >= until_us:
                break
            changed = False
            for event in self._events(page):
                if event.key == "escape" and not isinstance(page, DecisionPage):
                    self._ask_to_stop(should_stop)
                    self._window.show_mouse(True)
                    changed = True
                    break
                changed = page.handle(event) or changed
                if page.done:
                    break
            now_us = self._clock.now_us()
            if changed and not page.done:
                picture = page.picture()
                drawn_us = self._present(picture)
            elif now_us - drawn_us > _REDRAW_US:
                drawn_us = self._present(picture)
            if not page.done:
                self._clock.sleep_until(now_us + _POLL_US)
        self.page = below
        self._window.show_mouse(False)
        return shown_us

    def _hold(self, picture: Any, until_us: int, should_stop: ShouldStop) -> None:
        """Show a picture until just before a time: what comes next is drawn in the refresh that is left."""
        self._window.show_mouse(False)
        self._window.input.forget()
        drawn_us = self._present(picture)
        end_us = until_us - round(1.5 * self._window.period_us)
        self.showing = True
        while not should_stop() and not self._stops_now:
            now_us = self._clock.now_us()
            if now_us >= end_us:
                break
            if any(event.key == "escape" for event in self._events(None)):
                self._ask_to_stop(should_stop)
                drawn_us = self._present(picture)
            elif now_us - drawn_us > _REDRAW_US:
                drawn_us = self._present(picture)
            self._clock.sleep_until(min(end_us, now_us + _POLL_US))
        self.showing = False

    def _events(self, page: Page | None) -> list[Event]:
        if self._autopilot is not None:
            for event in self._autopilot.acts(page):
                self._window.input.post(event)
        return self._window.input.take()

    def _ask_to_stop(self, should_stop: ShouldStop) -> bool:
        """Ask whether to stop; a session never ends by one key alone."""
        texts = self._texts
        page = DecisionPage(self._ink, texts["stop.question"], texts["stop.text"], texts["stop.yes"], texts["stop.no"])
        self._run(page, should_stop)
        self._window.show_mouse(False)
        if page.answer:
            self._stop = True
        return bool(page.answer)

    # ------------------------------------------------------------------ pictures

    def _present(self, picture: Any) -> int:
        self._window.draw_picture(picture)
        return self._window.flip()

    def _grey(self) -> Any:
        if "grey" not in self._sheets:
            self._sheets["grey"] = self._ink.sheet()
        return self._sheets["grey"]

    def _cross(self) -> Any:
        """Return the fixation cross: thin enough to look at, large enough to be found at once."""
        if "cross" not in self._sheets:
            from PIL import ImageDraw

            picture = self._ink.sheet()
            draw = ImageDraw.Draw(picture)
            x, y = self._ink.width // 2, self._ink.height // 2
            arm, line = round(_CROSS * self._ink.unit), max(1, round(_CROSS_LINE * self._ink.unit) // 2)
            draw.rectangle((x - arm, y - line, x + arm, y + line), fill=INK)
            draw.rectangle((x - line, y - arm, x + line, y + arm), fill=INK)
            self._sheets["cross"] = picture
        return self._sheets["cross"]
