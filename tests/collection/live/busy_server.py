"""A server in a process as the presenter's is: PsychoPy's socket timeout, no garbage collector, a busy main thread."""

from __future__ import annotations

import gc
import socket
import sys
from pathlib import Path

from collection.live import LiveServer


def main() -> None:
    """Serve, and keep the main thread at work until a listener says so; then say how many files are left open."""
    server = LiveServer(on_message=lambda message: heard.append(message["name"]))
    heard: list[str] = []
    # As psychopy/web.py does when it is imported, after the server has begun.
    socket.setdefaulttimeout(20)
    gc.disable()
    print(server.address.address, server.address.key_hex, flush=True)
    told = 0
    while "end" not in heard:
        sum(range(2000))
        if len(heard) > told:
            told += 1
            server.send({"kind": "alarm", "text": heard[told - 1]})
        if heard and heard[-1] == "count" and server.n_clients == 1 and told == len(heard):
            heard.append("counted")
            told += 1
            n_open = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
            server.send({"kind": "alarm", "text": str(n_open)})
    server.close()


if __name__ == "__main__":
    main()
