"""A listener in a process of its own: says that it is there, then receives, or does nothing any more."""

from __future__ import annotations

import sys
import threading

from collection.live import LiveAddress, LiveClient
from collection.live.messages import Message


def main() -> None:
    """Connect; with 'deaf' never read from the socket again once connected."""
    address, key, how = sys.argv[1:4]
    if how == "deaf":
        from collection.live.channel import Channel

        Channel._receive = lambda self: threading.Event().wait()  # type: ignore[method-assign]
    client = LiveClient(LiveAddress(address, key))
    print("connected", flush=True)
    while True:
        got: tuple[Message, bytes | None] | None = client.receive(1.0)
        if got is not None and got[0]["kind"] == "question":
            print(got[0]["text"], flush=True)


if __name__ == "__main__":
    main()
