"""`emer annotate open` as an annotator starts it: a process of its own on a real display, keys alone, a kill."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from annotation.settings import SettingsFile
from data_schema.errors import LabelError
from data_schema.labels import read_labels, read_log

from ..annotation.labelled_study import make_study
from .annotate_window import FULL_LABEL
from .console_screen import VirtualScreen, until

pytestmark = pytest.mark.lab

PROJECT = Path(__file__).resolve().parents[2]
N_CLIPS = 3


@pytest.fixture(scope="module")
def screen() -> Iterator[VirtualScreen]:
    if shutil.which("xdotool") is None:
        pytest.fail("xdotool is not installed: apt-get install xdotool", pytrace=False)
    made = VirtualScreen(1366, 768)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bundle_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open")
    lines = 'annotators = ["a01"]\nrepeats_share = 0.0'
    study = make_study(folder / "study", n_participants=1, n_trials=N_CLIPS, annotation=lines)
    for words in (
        ("assign", study.root),
        ("bundle", study.root, "--task", "fer", "--annotator", "a01", "--out", folder / "b"),
    ):
        emer(*words)
    return folder / "b"


@pytest.fixture
def bundle(bundle_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_once, tmp_path / "bundle"))


def emer(*words: object) -> None:
    code = "from data_schema.cli import run; run()"
    done = subprocess.run([sys.executable, "-c", code, "annotate", *map(str, words)], capture_output=True, text=True,
                          timeout=100, check=False, cwd=PROJECT)  # fmt: skip
    assert done.returncode == 0, done.stderr


class Annotator:
    """A person before the window."""

    def __init__(self, screen: VirtualScreen, bundle: Path, settings: Path) -> None:
        self.screen, self.labels = screen, bundle / "labels" / "a01_fer.sqlite"
        plugins = Path(subprocess.run([sys.executable, "-c", "import cv2; print(cv2.__path__[0])"], text=True,
                                      capture_output=True, check=True).stdout.strip()) / "qt" / "plugins"  # fmt: skip
        self._environment = {
            **os.environ, "DISPLAY": screen.name, "QT_QPA_PLATFORM": "xcb", "QT_API": "pyqt5",
            # As a shell has it in which OpenCV's own Qt was used; and cv2 is there before Qt is.
            "QT_QPA_PLATFORM_PLUGIN_PATH": str(plugins),
        }  # fmt: skip
        self._command = [sys.executable, "-c", "import cv2; from data_schema.cli import run; run()", "annotate", "open",
                         str(bundle), "--settings", str(settings)]  # fmt: skip
        self.process: subprocess.Popen[str] | None = None

    def sit_down(self) -> None:
        """Start the tool and wait for its window."""
        self.process = self.start()
        window = until(self._window, 60.0, "the window")
        self.screen.do("windowfocus", "--sync", str(window))

    def start(self) -> subprocess.Popen[str]:
        """Start the tool."""
        return subprocess.Popen(self._command, env=self._environment, cwd=PROJECT, stderr=subprocess.PIPE, text=True)

    def _window(self) -> str:
        assert self.process is not None
        assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
        try:
            return self.screen.do("search", "--onlyvisible", "--name", "Labelled study - FER").splitlines()[0]
        except (subprocess.CalledProcessError, IndexError):
            return ""

    def press(self, keys: Sequence[str]) -> None:
        self.screen.do("key", "--delay", "20", *keys)

    def rows(self) -> list[tuple[str, str | None, str | None]]:
        """Return clip, emotion and polarity of each row, as another program finds them."""
        try:
            table = read_labels([self.labels])
        except LabelError:
            return []  # not made yet
        return list(zip(table["clip_id"], table["emotion"], table["polarity"], strict=True))

    def n_steps(self) -> int:
        return len(read_log([self.labels], "steps"))

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        if self.process is not None and self.process.stderr is not None:
            self.process.stderr.close()


@pytest.fixture
def annotator(screen: VirtualScreen, bundle: Path, tmp_path: Path) -> Iterator[Annotator]:
    SettingsFile(tmp_path / "settings.json").change(tour_seen=True, language="en", theme="light")
    person = Annotator(screen, bundle, tmp_path / "settings.json")
    yield person
    person.end()


def _after(person: Annotator, keys: Sequence[str], holds: Callable[[], bool], what: str) -> None:
    person.press(keys)
    until(holds, 30.0, what)


def test_a_bundle_is_labelled_by_keys_alone_from_the_first_clip_to_the_end(annotator: Annotator) -> None:
    annotator.sit_down()
    for n in range(1, N_CLIPS + 1):
        _after(annotator, FULL_LABEL, lambda n=n: len(annotator.rows()) == n, f"label {n}")
    rows = annotator.rows()
    assert len({clip for clip, *_ in rows}) == N_CLIPS
    assert {(emotion, polarity) for _, emotion, polarity in rows} == {("happiness", "positive")}
    # The page at the end: Enter closes the window, but for the first second, so that a double Enter hides nothing.
    assert annotator.process is not None
    for _ in range(20):
        annotator.press(["Return"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            annotator.process.wait(1.5)
            break
    assert annotator.process.returncode == 0


def test_after_a_kill_the_window_opens_at_the_same_clip_with_the_same_draft(annotator: Annotator) -> None:
    annotator.sit_down()
    _after(annotator, FULL_LABEL, lambda: len(annotator.rows()) == 1, "the first label")
    before = annotator.n_steps()
    # Surprise on the second clip: no polarity is suggested, so the focus is on it.
    _after(annotator, ["4"], lambda: annotator.n_steps() == before + 1, "the step")
    assert annotator.process is not None
    annotator.process.send_signal(signal.SIGKILL)
    annotator.end()
    annotator.sit_down()
    _after(annotator, ["2", "3", "8", "1", "Return"], lambda: len(annotator.rows()) == 2, "the second label")
    (first, *_), second = annotator.rows()
    assert second[0] != first
    assert second[1:] == ("surprise", "negative"), "what was said before the kill is part of the label"
    annotator.process.send_signal(signal.SIGTERM)
    assert annotator.process.wait(30) == 0, "a polite end closes the window"


def test_a_second_window_says_where_the_first_is_and_the_first_goes_on(annotator: Annotator) -> None:
    annotator.sit_down()
    first = annotator.process
    assert first is not None
    _after(annotator, FULL_LABEL, lambda: len(annotator.rows()) == 1, "the first label")
    with annotator.start() as second:
        try:
            title = "The window cannot open"

            def dialog() -> str:
                assert second.poll() is None, second.stderr.read() if second.stderr else ""
                try:
                    return annotator.screen.do("search", "--onlyvisible", "--name", title).splitlines()[0]
                except (subprocess.CalledProcessError, IndexError):
                    return ""

            window = until(dialog, 60.0, "the message")
            annotator.screen.do("windowfocus", "--sync", str(window))
            annotator.press(["Return"])
            assert second.wait(30) == 1
            said = second.stderr.read() if second.stderr else ""
        finally:
            second.kill()
    assert f"'a01' are open in another window or program: on {platform.node()}, process {first.pid}, since 20" in said
    assert "Traceback" not in said
    annotator.screen.do("windowfocus", "--sync", annotator._window())
    _after(annotator, FULL_LABEL, lambda: len(annotator.rows()) == 2, "the second label")
