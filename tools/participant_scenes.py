"""Every screen of the participant, in both languages, as the real presenter draws it.

    python -m tools.participant_scenes OUT        one PNG a screen and language; needs psychopy and a display

The pages come from the plan of a new study, so that they show what a participant reads,
and they are brought into their state by the same events that a mouse and keys make.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collection.presenter.base import HeadPosition
from collection.presenter.psychopy.input import Does, Event
from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.protocol.consent import consent_step
from collection.protocol.plan import make_plan
from collection.protocol.steps import AskItems, Baseline, Break, Fixation, Item, ItemKind, PlayClip, ShowText, Step
from collection.texts import load_texts
from data_schema.clocks import SystemClock
from data_schema.study.scaffold import init_study
from data_schema.study.sections import ScreenSection

LANGUAGES = ("en", "zh")
#: Whole pictures that a page is given for taking its events in.
_PATIENCE = 6


class Camera:
    """Shows something and keeps the last picture that was flipped."""

    def __init__(self, presenter: PsychopyPresenter, folder: Path, language: str) -> None:
        self.presenter = presenter
        self._folder, self._language = folder, language
        self._last: Any = None
        window = presenter.window
        flip = window.flip

        def keep() -> int:
            self._last = window.screenshot()
            return flip()

        window.flip = keep  # type: ignore[method-assign]

    def take(self, name: str, show: Callable[[Callable[[], bool]], Any], *acts: Callable[[Any], Event]) -> None:
        """Show something, let events act on its page, and save what is on the screen then."""
        calls = 0
        waiting = list(acts)

        def should_stop() -> bool:
            nonlocal calls
            calls += 1
            if waiting and calls > 1:
                self.presenter.window.input.post(waiting.pop(0)(self.presenter.page))
                calls = 1
            if waiting or calls <= _PATIENCE:
                return False
            # Kept now: what lies below a dialog is drawn again when it is left.
            if calls == _PATIENCE + 1:
                self.save(name)
            return True

        show(should_stop)
        if calls <= _PATIENCE:
            self.save(name)

    def save(self, name: str) -> None:
        """Save the last picture."""
        self._last.save(self._folder / f"{name}-{self._language}.png")


def key(name: str) -> Callable[[Any], Event]:
    """Return an act: press a key."""
    return lambda page: Event(Does.KEY, 0, key=name)


def typed(letter: str) -> Callable[[Any], Event]:
    """Return an act: type a letter."""
    return lambda page: Event(Does.TEXT, 0, text=letter)


def take_all(folder: Path, study_folder: Path, language: str) -> None:
    """Take every screen of one language."""
    texts = load_texts(language)
    protocol = {"language": language, "break_every": 1}
    study = init_study(
        study_folder,
        clips_per_emotion=1,
        clip_s=2.0,
        emotions=("happiness", "sadness"),
        settings={"protocol": protocol},
    )
    durations = {stimulus.id: 2.0 for stimulus in study.config.stimuli}
    steps = list(make_plan(study, "P001", "01", durations).steps)
    clock = SystemClock()
    presenter = PsychopyPresenter(ScreenSection(), language=language, clock=clock, texts=texts)
    presenter.open()
    try:
        camera = Camera(presenter, folder, language)

        def show(step: Step, seconds: float = 0.2) -> Callable[[Callable[[], bool]], Any]:
            return lambda stop: presenter.show(step, clock.now_us() + round(seconds * 1e6), stop)

        for name, step in _texts(steps):
            camera.take(name, show(step))
        if language == LANGUAGES[0]:  # without a word on them
            for name, step in (("fixation", Fixation("fixation", 0.2)), ("grey", Baseline("baseline", 0.2))):
                camera.take(name, show(step))
            _take_clip(camera, next(step for step in steps if isinstance(step, PlayClip)), clock)
            _take_targets(camera, clock)
        camera.take(
            "consent", lambda stop: presenter.consent(consent_step(texts), stop), key("1"), key("down"), key("2")
        )
        camera.take("stop", show(steps_of(steps, Baseline)[0], 60.0), key("escape"))
        camera.take("pause", lambda stop: presenter.pause(texts["pause.text"], stop))
        _take_questions(camera, steps, texts)
        _take_positioning(camera, texts)
    finally:
        presenter.close()


def steps_of(steps: list[Step], kind: type[Step]) -> list[Any]:
    """Return the steps of a kind."""
    return [step for step in steps if isinstance(step, kind)]


def _texts(steps: list[Step]) -> Iterator[tuple[str, Step]]:
    seen: set[str] = set()
    for step in steps:
        if isinstance(step, (ShowText, Break)) and step.name not in seen:
            seen.add(step.name)
            yield step.name.replace("_", "-"), step


def _take_questions(camera: Camera, steps: list[Step], texts: Any) -> None:
    asked = steps_of(steps, AskItems)
    mood = next(step for step in asked if step.questionnaire)
    report = next(
        step for step in asked if not step.questionnaire and any(item.expected is not None for item in step.items)
    )
    ask = camera.presenter.ask

    def only(step: AskItems, *kinds: ItemKind, which: Callable[[Item], bool] = lambda item: True) -> AskItems:
        items = tuple(item for item in step.items if item.kind in kinds and which(item))
        return AskItems(step.name, 10.0, step.trial_id, items=items, title=step.title, text=step.text)

    def is_feeling(item: Item) -> bool:
        return item.scale not in {"familiarity", "attention"}

    camera.take("questionnaire", lambda stop: list(ask(mood, stop)), key("4"), key("2"))
    ratings = only(report, ItemKind.RATING, which=is_feeling)
    camera.take("ratings", lambda stop: list(ask(ratings, stop)), key("3"), key("1"), key("1"))
    camera.take("manikins", lambda stop: list(ask(only(report, ItemKind.SAM), stop)), key("7"))
    familiarity = only(report, ItemKind.RATING, ItemKind.CHOICE, which=lambda item: item.scale == "familiarity")
    camera.take("familiarity", lambda stop: list(ask(familiarity, stop)))
    camera.take("yes-no", lambda stop: list(ask(only(report, ItemKind.YES_NO), stop)), key("right"))
    words = texts.labels("labels.familiarity")
    choice = Item("choice", ItemKind.CHOICE, 1, len(words), texts["prompts.familiarity"], words)
    camera.take("choice", lambda stop: list(ask(AskItems("choice", 5.0, items=(choice,)), stop)), key("2"))
    written = "心里暖暖的，还有一点难过。" if texts.language == "zh" else "Warm at first, then a little sad."
    camera.take("free-text", lambda stop: list(ask(only(report, ItemKind.TEXT), stop)), *map(typed, written))


def _take_clip(camera: Camera, clip: PlayClip, clock: SystemClock) -> None:
    until_us = clock.now_us() + 1_500_000
    camera.presenter.play(clip, clock.now_us(), lambda rows: None, lambda: clock.now_us() > until_us and _saved(camera))


def _saved(camera: Camera) -> bool:
    camera.save("clip")
    return True


def _take_positioning(camera: Camera, texts: Any) -> None:
    screen = camera.presenter.calibration_screen
    distance = texts.say("positioning.distance", centimetres=71)
    for name, advice, x, z in (("positioning", "good", 0.5, 0.5), ("positioning-closer", "closer", 0.44, 0.85)):
        text = "\n\n".join((texts["positioning.text"].strip(), texts[f"positioning.{advice}"], distance))
        screen.show_head(HeadPosition((x + 0.1, 0.48, z), (x - 0.1, 0.5, z), 640.0), text)
        camera.save(name)
        screen.clear()


def _take_targets(camera: Camera, clock: SystemClock) -> None:
    screen = camera.presenter.calibration_screen
    screen.move_target(0.5, 0.5, 0.1, lambda: False)
    began_us = clock.now_us()
    screen.move_target(0.75, 0.3, 1.0, lambda: clock.now_us() > began_us + 400_000)
    camera.save("target-moving")
    screen.move_target(0.75, 0.3, 0.1, lambda: False)
    camera.save("target")


def main() -> int:
    """Write all pictures into the folder that is named."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for language in LANGUAGES:
            take_all(out, Path(folder) / language, language)
    return 0


if __name__ == "__main__":
    sys.exit(main())
