"""The scripted participant's hands: clicks and keys where a person would put them, when a person would.

They go into the queue of the window's events, so that everything behind it, from the
layout of a page to the stored answer, runs as it does with a person.
"""

from __future__ import annotations

from collection.presenter.psychopy.consent_page import ConsentPage
from collection.presenter.psychopy.input import Does, Event
from collection.presenter.psychopy.page import DecisionPage, Page, TextPage
from collection.presenter.psychopy.questions import QuestionsPage
from collection.presenter.psychopy.text_entry import TextEntryPage
from collection.presenter.scripted import ScriptedParticipant
from collection.protocol.steps import AskItems, Consent, Item, Step
from data_schema.clocks import HostClock

#: From the last answer of a page to the click on its button, and between two decisions.
_MOMENT_US = 150_000
#: Into a step, when the script wants to stop in it.
_STOP_AFTER_US = 300_000


class Autopilot:
    """Act for the script.

    Parameters
    ----------
    script : ScriptedParticipant
        Who answers.
    clock : HostClock
        Shared with the presenter.
    """

    def __init__(self, script: ScriptedParticipant, clock: HostClock) -> None:
        self._script = script
        self._clock = clock
        self._step: Step | None = None
        self._until_us = 0
        self._item_us: dict[str, int] = {}
        self._page: Page | None = None
        self._due: list[Event] = []
        self._escape_us: int | None = None

    def begin(self, step: Step | None, until_us: int = 0) -> None:
        """Take note of the step that is shown, and until when it is planned."""
        self._step, self._until_us = step, until_us
        self._page, self._due = None, []
        wants = self._script.wants_to_stop(step)
        self._escape_us = self._clock.now_us() + _STOP_AFTER_US if wants else None
        if isinstance(step, AskItems):
            shares = self._script.latency_share(step.trial_id, len(step.items))
            self._item_us = {
                item.scale: round(step.planned_s * float(share) * 1e6 / self._script.pace)
                for item, share in zip(step.items, shares, strict=True)
            }

    def escape_due(self) -> bool:
        """Tell, once, that the script presses Escape now."""
        if self._escape_us is None or self._clock.now_us() < self._escape_us:
            return False
        self._escape_us = None
        return True

    def acts(self, page: Page | None) -> list[Event]:
        """Return what is done by now on a page (None: nothing to click on)."""
        now_us = self._clock.now_us()
        events = [Event(Does.KEY, now_us, key="escape")] if self.escape_due() else []
        if page is None:
            return events
        if page is not self._page:
            self._page = page
            self._due = self._plan(page, now_us)
        while self._due and self._due[0].t_us <= now_us:
            events.append(self._due.pop(0))
        return events

    def _plan(self, page: Page, now_us: int) -> list[Event]:
        if isinstance(page, QuestionsPage):
            return self._answers(page, now_us)
        if isinstance(page, TextEntryPage):
            return self._words(page, now_us)
        if isinstance(page, ConsentPage):
            return self._decisions(page, now_us)
        if isinstance(page, DecisionPage):
            x, y = page.yes.box.center
            return [_click((x / page.ink.width, y / page.ink.height), now_us + _MOMENT_US)]
        if isinstance(page, TextPage) and page.button is not None:
            reads_us = max(0, self._until_us - now_us) / self._script.pace
            return [Event(Does.KEY, now_us + round(reads_us), key="space")]
        return []

    def _answers(self, page: QuestionsPage, now_us: int) -> list[Event]:
        events: list[Event] = []
        t_us = now_us
        for row, item in enumerate(page.items):
            t_us += self._time_for(item)
            events.append(_click(page.option_center(row, self._script.rate(self._trial, item)), t_us))
        return [*events, _click(page.button_center(), t_us + _MOMENT_US)]

    def _words(self, page: TextEntryPage, now_us: int) -> list[Event]:
        t_us = now_us + self._time_for(page.item)
        text = self._script.write(self._trial, page.item)
        typed = [Event(Does.TEXT, t_us, text=letter) for letter in text]
        return [*typed, _click(page.button_center(), t_us + _MOMENT_US)]

    def _decisions(self, page: ConsentPage, now_us: int) -> list[Event]:
        step = self._step if isinstance(self._step, Consent) else Consent("consent", 0.0, texts=page.scopes)
        events: list[Event] = []
        t_us = now_us
        for scope, agree in self._script.decide(step).items():
            t_us += _MOMENT_US
            events.append(_click(page.answer_center(scope, agree), t_us))
        return [*events, _click(page.button_center(), t_us + _MOMENT_US)]

    @property
    def _trial(self) -> int:
        return self._step.trial_id if self._step is not None else 0

    def _time_for(self, item: Item) -> int:
        return self._item_us.get(item.scale, _MOMENT_US)


def _click(at: tuple[float, float], t_us: int) -> Event:
    return Event(Does.CLICK, t_us, x=at[0], y=at[1])
