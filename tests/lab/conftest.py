"""A screen for windows: a virtual X server of its own, and hands that press real keys and move a real mouse."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: Longest real time that anything may take to appear.
PATIENCE_S = 30.0


def wait_for(what: Callable[[], object], seconds: float = PATIENCE_S, because: str = "") -> object:
    """Wait until a condition holds; returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(because or "what was waited for did not happen")
        time.sleep(0.01)


def start_xvfb(size: str = "1920x1080x24") -> tuple[subprocess.Popen[bytes], str]:
    """Start a virtual screen on a free display; returns its process and its name."""
    if shutil.which("Xvfb") is None:
        pytest.fail("Xvfb is not installed: apt-get install xvfb", pytrace=False)
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", size, "+extension", "GLX", "+render", "-noreset"]
    process = subprocess.Popen(command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        number = answer.readline().strip()
    if not number:
        process.wait(10)
        pytest.fail("Xvfb did not start", pytrace=False)
    return process, f":{number}"


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """Start a virtual screen for all tests of this process, without sound, and point PsychoPy at it."""
    process, name = start_xvfb()
    before = {key: os.environ.get(key) for key in ("DISPLAY", "SDL_AUDIODRIVER")}
    os.environ.update(DISPLAY=name, SDL_AUDIODRIVER="dummy")
    yield name
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
    process.terminate()
    process.wait(10)


class Hands:
    """Press keys and click, as X events that the window cannot tell from a person's."""

    def __init__(self, display: str) -> None:
        self._environment = {**os.environ, "DISPLAY": display}

    def _do(self, *words: str) -> None:
        subprocess.run(["xdotool", *words], env=self._environment, check=True, timeout=20, capture_output=True)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the screen, pixels."""
        self._do("mousemove", str(round(x)), str(round(y)), "click", "1")

    def move(self, x: float, y: float) -> None:
        """Move the mouse."""
        self._do("mousemove", str(round(x)), str(round(y)))

    def key(self, *names: str) -> None:
        """Press keys, by their X names."""
        self._do("key", "--delay", "30", *names)

    def type(self, text: str) -> None:
        """Type a text; letters that the keyboard lacks are mapped onto free keys for the moment."""
        self._do("type", "--delay", "60", text)


@pytest.fixture
def hands(display: str) -> Hands:
    """Return hands on the virtual screen."""
    if shutil.which("xdotool") is None:
        pytest.fail("xdotool is not installed: apt-get install xdotool", pytrace=False)
    return Hands(display)


class Participant:
    """Does something while the presenter, on the main thread, waits for it."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def does(self, act: Callable[[], None]) -> None:
        """Begin to act; what goes wrong is raised by `finish`."""

        def run() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 raised again by finish
                self.failure = error

        self._thread = threading.Thread(target=run, name="participant")
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether there is no use in waiting any longer."""
        return self.failure is not None

    def finish(self) -> None:
        """Wait for the end and raise what went wrong."""
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def participant() -> Iterator[Participant]:
    """Return someone who acts on another thread."""
    someone = Participant()
    yield someone
    someone.finish()


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder with nothing in it."""
    return tmp_path_factory.mktemp("home")
