"""Ctrl-C and termination while a session runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals(request_stop: Callable[[str], None], say: Callable[[str], None]) -> Iterator[None]:
    """End a session in good order on Ctrl-C and on termination; a second Ctrl-C leaves at once.

    Signals can be caught in the main thread alone; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = 0

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise KeyboardInterrupt
        request_stop("stopped by the operator (Ctrl-C)")
        say("stopping; the file will be closed (Ctrl-C again: at once)")

    def terminated(_number: int, _frame: FrameType | None) -> None:
        request_stop("this process was asked to terminate (SIGTERM)")

    handlers = {signal.SIGINT: interrupted, signal.SIGTERM: terminated}
    # Closing the console window on Windows, Ctrl-Break.
    if hasattr(signal, "SIGBREAK"):
        handlers[signal.SIGBREAK] = terminated
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
