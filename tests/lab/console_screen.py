"""A virtual screen with real keys and clicks, and a console's process on it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collection.console.operator import ConsoleOperator

TITLE = "EMER operator console"


def until(condition: Callable[[], Any], timeout_s: float = 20.0, what: str = "it") -> Any:
    """Wait for a condition; returns what it returned."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"{what} never came within {timeout_s} s"
        time.sleep(0.02)


class VirtualScreen:
    """An X server of its own on a free display number."""

    def __init__(self, width: int = 1366, height: int = 768) -> None:
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-noreset"],
            pass_fds=(writing,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as file:
            number = file.readline().strip()
        assert number, "Xvfb did not start"
        self.name = f":{number}"

    def do(self, *words: str, timeout_s: float = 15.0) -> str:
        """Run xdotool; returns what it prints."""
        environment = {**os.environ, "DISPLAY": self.name}
        done = subprocess.run(
            ["xdotool", *words], env=environment, capture_output=True, text=True, timeout=timeout_s, check=True
        )
        return done.stdout.strip()

    def focus(self) -> str:
        """Give the console the keyboard, as a click would; returns its window."""
        window = self.do("search", "--sync", "--onlyvisible", "--name", TITLE).splitlines()[0]
        self.do("windowfocus", "--sync", window)
        return window

    def key(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.do("key", "--clearmodifiers", key)

    def type(self, text: str) -> None:
        """Type a text."""
        self.do("type", "--delay", "20", text)

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(10)


class ConsoleProcess:
    """A console that the session's side started, with its process at hand."""

    def __init__(self, operator: ConsoleOperator, screen: VirtualScreen, monkeypatch: Any) -> None:
        monkeypatch.setenv("DISPLAY", screen.name)
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        # What a presenter that imported cv2 hands on to its children.
        monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", str(Path("somewhere") / "cv2" / "qt" / "plugins"))
        assert operator.start_console()
        self.process = operator._starter._process
        assert self.process is not None
        until(lambda: operator.wait_for_console(0.1), 30.0, "the console")
        screen.focus()

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def end(self) -> None:
        """Kill it, whatever state it is in."""
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)
