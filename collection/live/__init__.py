"""Live messages between the processes of a session: JSON over a local connection, for whoever listens."""

from __future__ import annotations

from collection.live.address import LiveAddress
from collection.live.client import LiveClient
from collection.live.server import LiveServer

__all__ = ["LiveAddress", "LiveClient", "LiveServer"]
