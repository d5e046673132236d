"""Listen to a live server."""

from __future__ import annotations

from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, answer_challenge, deliver_challenge

from collection.live.address import LiveAddress
from collection.live.channel import Channel
from collection.live.messages import TELEMETRY, Message, encode
from collection.live.outbox import Outbox
from data_schema.errors import RecordingError


class LiveClient:
    """One listener of a live server.

    What arrives is kept in a bounded inbox until it is asked for; a listener that
    does not ask loses old telemetry. `send` never waits.

    Parameters
    ----------
    address : LiveAddress
        Of the server.
    timeout_s : float
        Real seconds in which the server must answer.

    Raises
    ------
    RecordingError
        If nobody answers there, or the key is wrong.
    """

    def __init__(self, address: LiveAddress, timeout_s: float = 5.0) -> None:
        self.address = address
        self._inbox = Outbox()
        try:
            connection = Client(address.address)
        except OSError as error:
            raise RecordingError(f"no session answers at {address.address}: {error}. Has it ended?") from error
        try:
            # The server speaks first; one that is stopped must not hold a window up for ever.
            if not connection.poll(timeout_s):
                raise RecordingError(f"the session at {address.address} did not answer within {timeout_s:g} s.")
            answer_challenge(connection, address.key)
            deliver_challenge(connection, address.key)
        except (AuthenticationError, OSError, EOFError) as error:
            connection.close()
            raise RecordingError(f"the session at {address.address} refused: {error or 'it left'}.") from error
        except BaseException:
            connection.close()
            raise
        self._channel = Channel(connection, self._arrived, self._inbox.close, "live-client")
        self._channel.start()

    def __enter__(self) -> LiveClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """True once the server is gone or this side has closed."""
        return self._channel.ended

    @property
    def n_dropped(self) -> int:
        """Messages that were not asked for in time."""
        return self._inbox.n_dropped

    def receive(self, timeout_s: float) -> tuple[Message, bytes | None] | None:
        """Return the next message and its payload, or None if none came within `timeout_s`.

        Raises
        ------
        ConnectionError
            If the server is gone and everything it said was received.
        """
        item = self._inbox.take(timeout_s)
        if item is None:
            if self._inbox.closed and not len(self._inbox):
                raise ConnectionError("the live connection has ended")
            return None
        message, payload = item
        return message, payload

    def send(self, message: Message) -> None:
        """Send a message; returns at once.

        Raises
        ------
        ConnectionError
            If the server is gone.
        """
        if not self._channel.put(encode(message), None, message["kind"]):
            raise ConnectionError("the live connection has ended")

    def close(self) -> None:
        """Send what waits, then end; idempotent."""
        self._channel.close(0.5)

    def _arrived(self, message: Message, payload: bytes | None) -> None:
        size = 200 + (len(payload) if payload is not None else 0)
        self._inbox.put((message, payload), size, message["kind"] in TELEMETRY)
