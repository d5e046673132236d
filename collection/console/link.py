"""The console's two connections: found, kept, lost and found again, each in a thread of its own.

A thread only connects; what arrives is taken by `ConsoleLink.pump`, which the
window calls many times a second, so that the model belongs to one thread.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collection.console import messages
from collection.console.messages import RECORDER, SESSION
from collection.console.model import ConsoleModel
from collection.console.starting import read_address_file
from collection.live import LiveAddress, LiveClient
from data_schema.errors import EmerError, UsageError

logger = logging.getLogger(__name__)

Address = tuple[str, str]
#: Real seconds between two attempts to connect.
RETRY_S = 0.4
_ALIVE_EVERY_S = 1.0
#: Messages of one feed that one `pump` takes; the rest comes with the next.
_MAX_PER_PUMP = 200


class FeedLink:
    """Keep one feed connected.

    Parameters
    ----------
    feed : str
        'recorder' or 'session'.
    find : callable
        Returns the address to connect to now, or None; called in the link's thread.
    """

    def __init__(self, feed: str, find: Callable[[], Address | None]) -> None:
        self.feed = feed
        self._find = find
        self._client: LiveClient | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"console-{feed}", daemon=True)

    def start(self) -> None:
        """Begin to look for the feed."""
        self._thread.start()

    @property
    def client(self) -> LiveClient | None:
        """The connection, if there is one."""
        client = self._client
        return client if client is not None and not client.ended else None

    @property
    def latest(self) -> LiveClient | None:
        """The connection, even if it has ended: what it has received may still be taken."""
        return self._client

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message; False if nobody is there."""
        client = self.client
        if client is None:
            return False
        try:
            client.send(message)
        except ConnectionError:
            return False
        return True

    def close(self) -> None:
        """End the connection and the thread; idempotent."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(6.0)

    def _keep(self) -> None:
        connected_to: Address | None = None
        while not self._closing.is_set():
            wanted = self._find()
            client = self._client
            if client is not None and (client.ended or (wanted is not None and wanted != connected_to)):
                client.close()
                connected_to = None
            if wanted is not None and connected_to is None:
                connected_to = wanted if self._connect(wanted) else None
            self._closing.wait(RETRY_S)
        if self._client is not None:
            self._client.close()

    def _connect(self, wanted: Address) -> bool:
        try:
            self._client = LiveClient(LiveAddress(*wanted), timeout_s=2.0)
        except (EmerError, ValueError) as error:
            logger.debug("%s: %s", self.feed, error)
            return False
        logger.info("%s: connected", self.feed)
        return True


class ConsoleLink:
    """Feed a model from both connections, and send for it.

    Parameters
    ----------
    address_file : Path
        Read anew for each attempt: the next session of the study is found, too.
    """

    def __init__(self, address_file: Path) -> None:
        self.address_file = address_file
        self.name = secrets.token_hex(4)
        self._recorder_address: Address | None = None
        self._session = FeedLink(SESSION, self._find_session)
        self._recorder = FeedLink(RECORDER, self._find_recorder)
        self._known: dict[str, LiveClient | None] = {SESSION: None, RECORDER: None}
        self._alive_s = 0.0

    def start(self) -> None:
        """Begin to look for both."""
        self._session.start()
        self._recorder.start()

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message to the session; False if it is not there."""
        return self._session.send(message)

    def pump(self, model: ConsoleModel) -> None:
        """Hand the model what has come, and say that this console lives; returns at once."""
        for link in (self._session, self._recorder):
            self._follow(link, model)
        self._recorder_address = model.recorder_address
        now_s = time.monotonic()
        if now_s - self._alive_s >= _ALIVE_EVERY_S:
            self._alive_s = now_s
            self.send({"kind": messages.ALIVE, "console": self.name})
        model.flush()

    def close(self) -> None:
        """Say goodbye and end both connections."""
        self.send({"kind": messages.BYE, "console": self.name})
        self._session.close()
        self._recorder.close()

    def _follow(self, link: FeedLink, model: ConsoleModel) -> None:
        client = link.latest
        if client is not self._known[link.feed]:
            self._known[link.feed] = client
            if client is not None:
                model.set_link(link.feed, True)
                if link.feed == SESSION:
                    link.send({"kind": messages.HELLO, "console": self.name})
        if client is None:
            return
        for message, payload in _received(client):
            model.take(link.feed, message, payload)
        if client.ended and model.links[link.feed].connected:
            model.set_link(link.feed, False)

    def _find_session(self) -> Address | None:
        try:
            return read_address_file(self.address_file).session
        except UsageError:
            return None

    def _find_recorder(self) -> Address | None:
        if self._recorder_address is not None:
            return self._recorder_address
        try:
            # The session may be gone already, the recorder not yet.
            return read_address_file(self.address_file).recorder
        except UsageError:
            return None


def _received(client: LiveClient) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    for _ in range(_MAX_PER_PUMP):
        try:
            item = client.receive(0.0)
        except ConnectionError:
            return
        if item is None:
            return
        yield item
