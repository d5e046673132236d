"""One live connection with a thread for each direction, so that neither side ever waits for the other."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from collection.live.messages import MAX_PAYLOAD_BYTES, MAX_TEXT_BYTES, TELEMETRY, Message, decode
from collection.live.outbox import Outbox

logger = logging.getLogger(__name__)

#: Real seconds that a thread has for leaving once its connection is cut.
_EXIT_S = 2.0


class Channel:
    """Both directions of one connection that is authenticated already.

    Parameters
    ----------
    connection : Connection
        Owned from now on.
    on_message : callable
        Takes a message and its payload, in the channel's thread.
    on_end : callable
        Called once, in one of the channel's threads, when the connection has ended.
    name : str
        For the names of the threads.
    """

    def __init__(
        self,
        connection: Connection,
        on_message: Callable[[Message, bytes | None], None],
        on_end: Callable[[], None],
        name: str,
    ) -> None:
        self._connection = connection
        self._on_message = on_message
        self._on_end = on_end
        self._ended = threading.Event()
        self._end_lock = threading.Lock()
        self._n_running = 0
        self._handle = second_handle(connection)
        self.outbox = Outbox()
        self._threads = (
            threading.Thread(target=self._send, name=f"{name}-send", daemon=True),
            threading.Thread(target=self._receive, name=f"{name}-receive", daemon=True),
        )

    def start(self) -> None:
        """Begin to send and to receive."""
        self._n_running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def put(self, text: bytes, payload: bytes | None, kind: str) -> bool:
        """Queue an encoded message; returns at once, False if the channel has ended."""
        size = len(text) + (len(payload) if payload is not None else 0)
        return self.outbox.put((text, payload), size, kind in TELEMETRY)

    @property
    def ended(self) -> bool:
        """True once the connection has ended, from whichever side."""
        return self._ended.is_set()

    def close(self, linger_s: float = 0.0) -> None:
        """Cut the connection; what waits may still leave within `linger_s`. Idempotent."""
        if linger_s > 0 and not self.ended:
            end_s = time.monotonic() + linger_s
            self.outbox.wait_empty(linger_s)
            # What was taken from it last may not have been written yet: the thread that writes ends by itself.
            self.outbox.close()
            if self._threads[0].is_alive() and self._threads[0] is not threading.current_thread():
                self._threads[0].join(max(0.0, end_s - time.monotonic()))
        self._end()
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join(_EXIT_S)
        # Only now: a thread that still reads must not meet the number of another file.
        if not any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread()):
            self._release()

    def _send(self) -> None:
        try:
            while True:
                item = self.outbox.take()
                if item is None:
                    break
                text, payload = item
                self._connection.send_bytes(text)
                if payload is not None:
                    self._connection.send_bytes(payload)
        except (OSError, ValueError) as error:
            logger.debug("a live connection ended while sending: %s", error)
        self._leave()

    def _receive(self) -> None:
        try:
            while not self.ended:
                message = decode(self._connection.recv_bytes(MAX_TEXT_BYTES))
                payload = None
                if message.pop("n_bytes", None) is not None:
                    payload = self._connection.recv_bytes(MAX_PAYLOAD_BYTES)
                try:
                    self._on_message(message, payload)
                except Exception:
                    # One message that nobody understands must not end the connection.
                    logger.exception("a live message of kind '%s' could not be handled", message["kind"])
        except (EOFError, OSError) as error:
            logger.debug("a live connection ended while receiving: %s", error)
        except ValueError as error:
            logger.warning("a live connection was cut: %s", error)
        self._leave()

    def _leave(self) -> None:
        """End one of the two threads; the last one gives the connection back."""
        self._end()
        with self._end_lock:
            self._n_running -= 1
            last = self._n_running == 0
        # Nobody calls `close` for a listener that went, and the garbage collector may be off while a clip plays.
        if last:
            self._release()

    def _release(self) -> None:
        with self._end_lock, contextlib.suppress(OSError):
            self._connection.close()

    def _end(self) -> None:
        with self._end_lock:
            if self._ended.is_set():
                return
            self._ended.set()
        self.outbox.close()
        cut(self._connection, self._handle)
        try:
            self._on_end()
        except Exception:
            logger.exception("the end of a live connection could not be told")


def cut(connection: Connection, handle: socket.socket | None) -> None:
    """End a connection on which another thread may wait; closing alone does not wake it on Linux."""
    if handle is None:
        with contextlib.suppress(OSError):
            connection.close()
        return
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)
    handle.close()


def second_handle(connection: Connection) -> socket.socket | None:
    """Return a second handle of a Unix socket, which can be shut down; None for a Windows pipe."""
    if sys.platform == "win32":
        return None
    handle = socket.socket(fileno=os.dup(connection.fileno()))
    # PsychoPy sets a default timeout for all sockets made after its import (psychopy/web.py). With one, this
    # handle, and the connection that it is a second handle of, would not wait: the first read would end it.
    handle.setblocking(True)
    return handle
