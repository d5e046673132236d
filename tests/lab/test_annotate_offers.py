"""What comes up in the annotator's window only at times: a trace, a model's guess, the end of the admission test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.desk.state import Page
from annotation.settings import SettingsFile
from annotation.source import Guess
from annotation.sources.study import StudySource
from data_schema.labels import LabelStore

from ..annotation.desk.desk_source import MODEL, ListSource, queue
from ..annotation.labelled_study import make_study
from .annotate_window import FULL_LABEL, Shown

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def application() -> Iterator[Any]:
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from annotation.app import make_application

    yield make_application()
    if before is None:
        del os.environ["QT_QPA_PLATFORM"]
    else:
        os.environ["QT_QPA_PLATFORM"] = before


@pytest.fixture
def show(application: Any, tmp_path: Path) -> Iterator[Any]:
    opened: list[Shown] = []

    def make(items: Any = None, **options: Any) -> Shown:
        SettingsFile(tmp_path / "settings.json").change(tour_seen=True, language="en", theme="light")
        source = options.pop("source", None) or ListSource(
            tmp_path / "a01.sqlite", items or queue("fer", main=2), **options
        )
        opened.append(Shown(application, source, tmp_path / "settings.json", (1366, 768)))
        return opened[-1]

    yield make
    for shown in opened:
        shown.close()


def _move(shown: Shown, valence: float, arousal: float) -> None:
    from qtpy.QtTest import QTest

    pad = shown.window.clip.form.affect.pad
    place = pad.mapTo(shown.window, pad.place_of(valence, arousal).toPoint())
    QTest.mouseMove(shown.window.windowHandle(), place)
    shown.until(lambda: abs(shown.desk.trace_point[0] - valence) < 0.05)
    _wait_for_a_sample(shown)


def _wait_for_a_sample(shown: Shown) -> None:
    """Wait for the next frame: a sample is taken with each."""
    index = shown.desk.player.index
    shown.until(lambda: shown.desk.player.index > index)


def test_the_way_of_the_mouse_is_the_trace(show: Any, tmp_path: Path) -> None:
    # At a quarter of the speed the clip lasts for eight seconds: long enough for a slow machine.
    lines = 'trace = "bounded"\ntrace_of = "both"'
    study = make_study(tmp_path / "study", n_participants=1, n_trials=1, trial_s=2.0, annotation=lines)
    shown = show(source=StudySource(study, "fer", "a01"))
    shown.press("BracketLeft", "BracketLeft", "BracketLeft", "T")
    assert shown.desk.tracing
    assert shown.desk.player.playing, "the clip plays while it is traced"
    for place in ((-0.5, 0.25), (0.25, 0.5), (0.75, -0.5)):
        _move(shown, *place)
    shown.press("T")
    assert not shown.desk.tracing
    (trace,) = shown.log("traces").itertuples()
    assert (trace.mode, trace.traced, trace.speed) == ("bounded", "both", 0.25)
    with LabelStore.open(shown.store_path, "a01") as store:
        samples = store.samples(trace.row_id)
    for value in (-0.5, 0.25, 0.75):
        assert np.nanmin(np.abs(samples["valence"] - value)) < 0.05
    assert shown.desk.draft.valence is None, "a trace is no answer to the field"


def test_no_trace_is_offered_where_the_study_asks_for_none(show: Any) -> None:
    shown = show()
    assert not shown.window.clip.bar.buttons["trace"].isVisible()
    shown.press("T")
    assert not shown.desk.tracing
    assert shown.window.notice.words.text()


def test_a_guess_is_seen_only_after_the_clip_and_one_key_agrees(show: Any) -> None:
    items = queue("fer", main=2)
    guess = Guess(MODEL, "anger", 0.93, {"valence": -0.5, "arousal": 0.5, "intensity": 2.0}, True)
    shown = show(items, guesses={items[0].item_id: guess})
    strip = shown.window.clip.form.guess
    assert not strip.isVisible()
    shown.press("G")
    assert len(shown.rows()) == 0, "nothing can be agreed to before the clip was seen"
    shown.press("Space")
    shown.until(lambda: shown.desk.has_seen_clip)
    shown.until(strip.isVisible)
    assert "Anger" in strip.words.text()
    assert "93" in strip.words.text()
    shown.press("G")
    (row,) = shown.rows().itertuples()
    assert (row.emotion, row.valence, row.intensity) == ("anger", -0.5, 2.0)
    (logged,) = shown.log("guesses").itertuples()
    assert (logged.outcome, logged.label_row_id) == ("accepted", row.row_id)
    assert not strip.isVisible(), "the next clip has no guess"


def test_a_guess_of_the_control_share_is_never_seen(show: Any) -> None:
    items = queue("fer", main=2)
    guess = Guess(MODEL, "anger", 0.93, {}, False)
    shown = show(items, guesses={items[0].item_id: guess})
    shown.press("Space")
    shown.until(lambda: shown.desk.has_seen_clip)
    shown.settle()
    assert not shown.window.clip.form.guess.isVisible()
    shown.press(*FULL_LABEL)
    assert shown.log("guesses")["outcome"].tolist() == ["control"]


def test_the_labs_code_is_typed_without_labelling_anything(show: Any) -> None:
    shown = show(queue("fer", admission=1, main=2), is_admitted=lambda _: None, code="17-kN5")
    shown.press(*FULL_LABEL)
    assert shown.desk.page is Page.ADMISSION
    page = shown.window.messages[Page.ADMISSION]
    assert page.code.isVisible()
    shown.type("12345")
    shown.press("Return")
    assert shown.desk.page is Page.ADMISSION
    assert page.problem.text()
    shown.type("17-kN5")
    shown.press("Return")
    shown.until(lambda: shown.desk.page is Page.CLIP)
    assert shown.desk.position == 1
    assert len(shown.rows()) == 1
    shown.press(*FULL_LABEL)
    assert len(shown.rows()) == 2, "the keys label again"


def test_a_break_stands_over_the_clip_until_enter(show: Any) -> None:
    shown = show()
    shown.window.menus.actions["break"].trigger()
    assert shown.desk.page is Page.BREAK
    shown.press("Return", "Ctrl+B")
    assert shown.desk.page is Page.BREAK, "by its key as well as by the menu"
    shown.press("1")
    assert shown.desk.draft.emotion is None
    shown.press("Return")
    assert shown.desk.page is Page.CLIP
    shown.press("1")
    assert shown.desk.draft.emotion == "happiness"
