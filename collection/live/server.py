"""Serve live messages to any number of listeners, none of whom can hold the server up."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge

from collection.live.address import LiveAddress
from collection.live.channel import Channel, cut, second_handle
from collection.live.messages import Message, encode

logger = logging.getLogger(__name__)

#: More than a console, a second console and a test ever need; further ones are turned away.
MAX_CLIENTS = 8
#: Real seconds for what was sent last before the server closes.
_LINGER_S = 0.5


class LiveServer:
    """Send messages to whoever has connected, and hear what they say.

    A Unix socket in a folder of this user, or a named pipe on Windows, with a
    random key. A listener that is slow, frozen or killed loses messages and
    nothing else happens: `send` never waits.

    Parameters
    ----------
    on_message : callable, optional
        Takes each message that a listener sends, in a thread of that listener.
    on_clients : callable, optional
        Takes the number of listeners whenever it changes, in a thread of the server.
    """

    def __init__(
        self,
        on_message: Callable[[Message], None] | None = None,
        on_clients: Callable[[int], None] | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_clients = on_clients
        self._key = os.urandom(32)
        # Without a key here: the listener would authenticate inside `accept`, where one frozen client blocks all.
        self._listener = Listener(None)
        self._address = LiveAddress(str(self._listener.address), self._key.hex())
        self._channels: list[Channel] = []
        self._waiting: set[Connection] = set()
        self._lock = threading.Lock()
        self._told = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="live-accept", daemon=True)
        self._thread.start()

    @property
    def address(self) -> LiveAddress:
        """Where listeners connect."""
        return self._address

    @property
    def n_clients(self) -> int:
        """Number of listeners now."""
        return len(self._channels)

    @property
    def n_dropped(self) -> int:
        """Messages that the present listeners were too slow for."""
        return sum(channel.outbox.n_dropped for channel in list(self._channels))

    def send(self, message: Message, payload: bytes | None = None) -> None:
        """Send a message to all listeners; returns at once, does nothing if there are none.

        Raises
        ------
        TypeError, ValueError
            If the message cannot be written as JSON or is too long.
        """
        if not self._channels:
            return
        text = encode(message, payload)
        for channel in list(self._channels):
            channel.put(text, payload, message["kind"])

    def close(self) -> None:
        """Tell the listeners what waits, then end; idempotent."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            channels = list(self._channels)
        # `accept` cannot be interrupted, but a connection ends it.
        with contextlib.suppress(OSError, EOFError):
            Client(self._address.address).close()
        self._thread.join(2.0)
        for channel in channels:
            channel.close(_LINGER_S)
        with self._lock:
            waiting = list(self._waiting)
        for connection in waiting:
            cut(connection, second_handle(connection))
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError) as error:
                if self._closing:
                    return
                # On Windows a client that leaves at once makes accept fail; the next one may be good.
                logger.debug("a live connection could not be accepted: %s", error)
                continue
            with self._lock:
                refused = self._closing or len(self._channels) + len(self._waiting) >= MAX_CLIENTS
                if not refused:
                    self._waiting.add(connection)
            if refused:
                connection.close()
                continue
            threading.Thread(target=self._welcome, args=(connection,), name="live-welcome", daemon=True).start()

    def _welcome(self, connection: Connection) -> None:
        """Make sure that the other side has the key, then serve it."""
        try:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
        except (AuthenticationError, OSError, EOFError, ValueError, TypeError) as error:
            logger.debug("a live connection was refused: %s", error)
            with self._lock:
                self._waiting.discard(connection)
            connection.close()
            return
        channel = Channel(connection, self._heard, lambda: self._left(channel), "live")
        with self._lock:
            self._waiting.discard(connection)
            refused = self._closing
            if not refused:
                self._channels = [*self._channels, channel]
        if refused:
            channel.close()
            return
        self._tell_clients()
        channel.start()

    def _heard(self, message: Message, payload: bytes | None) -> None:
        if self._on_message is not None:
            self._on_message(message)

    def _left(self, channel: Channel) -> None:
        with self._lock:
            self._channels = [other for other in self._channels if other is not channel]
        self._tell_clients()

    def _tell_clients(self) -> None:
        if self._on_clients is None:
            return
        # One at a time, so that the last number told is the last number.
        with self._told:
            self._on_clients(self.n_clients)
