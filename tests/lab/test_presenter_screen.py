"""The participant's screen itself: what is measured, what is refused, and what PsychoPy is kept from doing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from collection.preflight.screen import check_screen, measured_by
from collection.presenter.psychopy.fonts import FONT_VARIABLE, find_font, missing_letters
from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.protocol.steps import Baseline, Fixation
from collection.sync_check.pattern import FlashPattern
from collection.texts import load_texts
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import ConfigError, DeviceError
from data_schema.study.sections import ScreenSection

from .presenter_lab import HEIGHT, LIBRARY_WARNINGS, WIDTH, never, watch_flips

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.lab, *(pytest.mark.filterwarnings(line) for line in LIBRARY_WARNINGS)]


@pytest.fixture(scope="module")
def presenter(display: str) -> Iterator[PsychopyPresenter]:
    screen = ScreenSection(width_px=WIDTH, height_px=HEIGHT, refresh_hz=50.0)
    shown = PsychopyPresenter(screen, language="zh", clock=SystemClock(), fullscreen=False)
    shown.open()
    yield shown
    shown.close()


def test_report_names_what_differs_from_the_study(presenter: PsychopyPresenter) -> None:
    report = presenter.screen_report()
    assert (report.width_px, report.height_px, report.n_screens) == (WIDTH, HEIGHT, 1)
    assert "llvmpipe" in report.renderer
    # A virtual screen has no vertical sync: that has to be found, since flip times are the clock's then.
    assert not report.has_vsync
    assert report.refresh_hz > 75
    assert any("vertical sync" in problem for problem in report.problems.values())
    assert any("does not fill the screen" in problem for problem in report.problems.values())
    assert "drawn by the processor (llvmpipe" in report.problems["renderer"]
    assert presenter.window.period_us == 20_000
    # They reach the operator with the other checks, those that are compared there only once.
    checks = {
        check.name: check
        for check in check_screen(ScreenSection(width_px=WIDTH, height_px=HEIGHT), measured_by(presenter))
    }
    assert set(checks) == {"screen", "refresh", "window", "renderer"}
    assert checks["window"].level == checks["renderer"].level == "warning"
    assert "gaze positions on it mean nothing" in checks["window"].message


def test_full_screen_takes_the_screen_and_says_that_its_size_is_another(display: str) -> None:
    presenter = PsychopyPresenter(ScreenSection(width_px=1600, height_px=900), language="en", clock=SystemClock())
    presenter.open()
    try:
        report = presenter.screen_report()
    finally:
        presenter.close()
    assert (report.width_px, report.height_px) == (1920, 1080)
    assert any("1920 x 1080" in problem and "1600 x 900" in problem for problem in report.problems.values())


def test_a_screen_that_does_not_exist_is_a_sentence(display: str) -> None:
    presenter = PsychopyPresenter(ScreenSection(), language="en", clock=SystemClock(), screen_index=3)
    with pytest.raises(DeviceError, match="no screen number 3: this machine has 1"):
        presenter.open()
    presenter.close()


def test_a_screen_cannot_be_hurried() -> None:
    with pytest.raises(DeviceError, match="--headless"):
        PsychopyPresenter(ScreenSection(), language="en", clock=ScaledClock.starting_now(10.0))


def test_grey_is_the_middle_and_the_cross_stands_in_it(presenter: PsychopyPresenter) -> None:
    shots: list[np.ndarray] = []
    flip = presenter.window.flip

    def look() -> int:
        shots.append(np.asarray(presenter.window.screenshot()))
        return flip()

    presenter.window.flip = look
    try:
        presenter.show(Baseline("baseline", 0.1), SystemClock().now_us() + 100_000, never)
        presenter.show(Fixation("fixation", 0.1), SystemClock().now_us() + 100_000, never)
    finally:
        presenter.window.flip = flip
    assert (shots[0] == 128).all()
    cross = shots[-1]
    assert cross[HEIGHT // 2, WIDTH // 2].max() < 40
    assert (cross[: HEIGHT // 3] == 128).all()
    dark = (cross.mean(axis=2) < 64).sum() / cross[..., 0].size
    assert 0.0001 < dark < 0.005


def test_timed_steps_end_in_time_for_the_next(presenter: PsychopyPresenter) -> None:
    clock = SystemClock()
    left_us = []
    for _ in range(5):
        until_us = clock.now_us() + 300_000
        presenter.show(Fixation("fixation", 0.3), until_us, never)
        left_us.append(until_us - clock.now_us())
    # Never too early; and late only when a busy machine draws late, which the best of five did not.
    assert max(left_us) <= 2 * presenter.window.period_us
    assert max(left_us) > -30_000


def test_flip_is_stamped_when_psychopy_says_it_happened(presenter: PsychopyPresenter) -> None:
    clock = SystemClock()
    late = []
    for _ in range(60):
        before_us = clock.now_us()
        flip_us = presenter.window.flip()
        after_us = clock.now_us()
        assert before_us <= flip_us <= after_us
        late.append(after_us - flip_us)
    # What PsychoPy still does after the flip: its stamp is the better one, by this much.
    assert 0 <= np.median(late) < 2_000


def test_flash_shows_the_pattern_and_says_when_it_changed(presenter: PsychopyPresenter) -> None:
    pattern = FlashPattern((0.4, 0.9, 1.5, 2.0), 2.6)
    levels: list[int] = []
    restore = watch_flips(
        presenter, lambda: levels.append(int(np.asarray(presenter.window.screenshot())[10, 10, 0] > 127))
    )
    started_us = SystemClock().now_us()
    try:
        changes = presenter.flash(pattern, never)
    finally:
        restore()
    assert [change.level for change in changes] == [1, 0, 1, 0]
    for change, at_s in zip(changes, pattern.at_s, strict=True):
        assert -0.01 < (change.t_flip_us - started_us) / 1e6 - at_s < 0.45
    assert levels[0] == 0
    assert sum(a != b for a, b in zip(levels[:-1], levels[1:], strict=True)) == 4


# ---------------------------------------------------------------- fonts


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_font_is_found_that_has_every_letter(language: str) -> None:
    texts = load_texts(language)
    letters = {letter for value in texts.values.values() for letter in "".join(value) if not letter.isspace()}
    font = find_font(language, ["".join(letters)])
    assert missing_letters(font, letters) == set()


def test_a_font_without_chinese_is_noticed_and_the_remedy_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    latin = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    assert "同" in missing_letters(latin, "a同")
    assert "a" not in missing_letters(latin, "a同")
    monkeypatch.setenv(FONT_VARIABLE, str(latin))
    assert find_font("en", ["How did you feel?"]) == latin
    with pytest.raises(ConfigError, match="fonts-wqy-microhei"):
        find_font("zh", ["您感到高兴吗"])


# ---------------------------------------------------------------- what PsychoPy is kept from

_OPEN_AND_CLOSE = """
import socket, sys
asked = []
connect = socket.socket.connect
def spy(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        asked.append(address)
    return connect(self, address)
socket.socket.connect = spy
socket.getaddrinfo = lambda *words, **more: asked.append(words) or []
from data_schema.clocks import SystemClock
from data_schema.study.sections import ScreenSection
from collection.presenter.psychopy import PsychopyPresenter
assert not any(name.partition(".")[0] == "psychopy" for name in sys.modules), "imported before there is a window"
presenter = PsychopyPresenter(
    ScreenSection(width_px=640, height_px=360), language="zh", clock=SystemClock(), fullscreen=False
)
presenter.open()
presenter.screen_report()
presenter.close()
presenter.close()
import threading
print(len(asked), threading.active_count())
"""


def test_nothing_is_written_at_home_and_nobody_is_asked(display: str, empty_home: Path) -> None:
    environment = {**os.environ, "HOME": str(empty_home), "PYTHONPATH": str(PROJECT), "PYTHONUTF8": "1"}
    environment.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_OPEN_AND_CLOSE)],
        env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "1"], done.stdout
    assert [path.name for path in empty_home.rglob("*") if "psychopy" in path.name or path.is_file()] == []


def test_without_a_screen_it_is_a_sentence() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    code = _OPEN_AND_CLOSE.replace("presenter.open()", "presenter.open()  # fails")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**environment, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1
    assert "There is no screen" in done.stderr.splitlines()[-1]
