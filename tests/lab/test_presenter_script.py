"""The scripted participant answers through the window's own events: what it means to say is what is returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from collection.presenter.base import HeadPosition
from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.presenter.scripted import ScriptedParticipant
from collection.protocol.steps import AskItems, Baseline, Consent, Item, ItemKind, PlayClip, ShowText
from collection.simulation.participant import SimulatedParticipant
from collection.texts import load_texts
from data_schema.clocks import SystemClock
from data_schema.study.sections import ScreenSection

from .conftest import wait_for
from .presenter_lab import HEIGHT, LIBRARY_WARNINGS, WIDTH, make_numbered_clip, never

pytestmark = [pytest.mark.lab, *(pytest.mark.filterwarnings(line) for line in LIBRARY_WARNINGS)]

TEXTS = load_texts("zh")
WORDS = TEXTS.labels("labels.intensity")
ITEMS = (
    *(Item(name, ItemKind.RATING, 0, 4, TEXTS[f"emotions.{name}"], WORDS) for name in ("happiness", "sadness", "fear")),
    Item("valence", ItemKind.SAM, 1, 9, TEXTS["prompts.valence"], TEXTS.labels("sam.valence")),
    Item("arousal", ItemKind.SAM, 1, 9, TEXTS["prompts.arousal"], TEXTS.labels("sam.arousal")),
    Item("attention", ItemKind.YES_NO, 0, 1, TEXTS["prompts.attention"], TEXTS.labels("labels.no_yes")),
    Item("free_text", ItemKind.TEXT, 0, 0, TEXTS["prompts.free_text"]),
)


@pytest.fixture
def make(display: str) -> Iterator[Callable[[ScriptedParticipant], PsychopyPresenter]]:
    opened: list[PsychopyPresenter] = []

    def make_presenter(script: ScriptedParticipant) -> PsychopyPresenter:
        screen = ScreenSection(width_px=WIDTH, height_px=HEIGHT)
        presenter = PsychopyPresenter(screen, language="zh", clock=SystemClock(), fullscreen=False, script=script)
        presenter.open()
        opened.append(presenter)
        return presenter

    yield make_presenter
    for presenter in opened:
        presenter.close()


def _soon(seconds: float) -> int:
    return SystemClock().now_us() + round(seconds * 1e6)


def test_answers_are_those_of_the_script(make: Callable[[ScriptedParticipant], PsychopyPresenter]) -> None:
    simulated = SimulatedParticipant(4, "P007")
    script = ScriptedParticipant(simulated, consents={"video": False})
    trial = simulated.react_to(3, "happiness")
    script.feel(trial)
    presenter = make(script)
    step = AskItems("self_report", 2.0, trial.trial_id, items=ITEMS, title="?")
    started_us = SystemClock().now_us()
    answers = list(presenter.ask(step, never))
    took_s = (SystemClock().now_us() - started_us) / 1e6
    assert [answer.item for answer in answers] == list(ITEMS)
    for answer in answers[:-1]:
        assert answer.rating == script.rate(trial.trial_id, answer.item), answer.item.scale
        assert answer.t_shown_us < answer.t_answered_us
    assert answers[-1].text == script.write(trial.trial_id, ITEMS[-1]) != ""
    assert 1.8 < took_s < 6.0, "it takes the time that was planned, and the way from page to page"
    scopes = tuple((scope, TEXTS[f"consent.{scope}"]) for scope in ("gaze", "video", "sharing"))
    assert presenter.consent(Consent("consent", 5.0, texts=scopes), never) == {
        "gaze": True, "video": False, "sharing": True,
    }  # fmt: skip
    until_us = _soon(0.5)
    presenter.show(ShowText("welcome", 0.5, text=TEXTS["welcome.text"]), until_us, never)
    assert 0 <= SystemClock().now_us() - until_us < 300_000


def test_the_script_positions_itself(make: Callable[[ScriptedParticipant], PsychopyPresenter]) -> None:
    screen = make(ScriptedParticipant(SimulatedParticipant(4, "P007"))).calibration_screen

    def look() -> str:
        screen.show_head(HeadPosition((0.6, 0.5, 0.5), (0.4, 0.5, 0.5), 640.0), TEXTS["positioning.good"])
        return screen.poll_key()

    assert wait_for(look, 10.0) == "go_on"


@pytest.mark.parametrize("in_clip", [False, True], ids=["grey", "clip"])
def test_the_script_can_stop(
    make: Callable[[ScriptedParticipant], PsychopyPresenter], tmp_path: Path, in_clip: bool
) -> None:
    script = ScriptedParticipant(SimulatedParticipant(4, "P007"), stop_in=(3, "clip" if in_clip else "washout"))
    presenter = make(script)
    if in_clip:
        path = make_numbered_clip(tmp_path / "clip.mp4", n_frames=150)
        rows: list[np.ndarray] = []
        shown = presenter.play(PlayClip("clip", 5.0, 3, "c", "neutral", path), _soon(0.1), rows.append, never)
        assert not shown.completed
        assert shown.n_flips == sum(map(len, rows))
    else:
        presenter.show(Baseline("washout", 60.0, 2), _soon(0.6), never)
        assert not presenter.stop_requested(), "another trial's"
        until_us = _soon(30.0)
        presenter.show(Baseline("washout", 60.0, 3), until_us, never)
        assert SystemClock().now_us() < until_us
    assert presenter.stop_requested()
