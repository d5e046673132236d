"""Live messages: they arrive whole, and no listener, however it behaves, costs the server anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.live import LiveAddress, LiveClient, LiveServer
from collection.live.messages import MAX_TEXT_BYTES, decode, encode
from collection.live.outbox import Outbox
from data_schema.errors import RecordingError

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
#: More than any socket buffer holds.
PICTURE = bytes(200_000)


def until(condition: Callable[[], object], deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail("the condition did not come true in time")
        time.sleep(0.005)


@pytest.fixture
def heard() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def server(heard: list[dict[str, Any]]) -> Iterator[LiveServer]:
    server = LiveServer(on_message=heard.append)
    yield server
    server.close()


@pytest.fixture
def listener(server: LiveServer) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start listeners in processes of their own."""
    started: list[subprocess.Popen[str]] = []

    def start(how: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "listener.py"), server.address.address, server.address.key_hex, how],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        n = len(started)
        until(lambda: server.n_clients >= n)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def connect(server: LiveServer) -> LiveClient:
    n = server.n_clients
    client = LiveClient(server.address)
    until(lambda: server.n_clients > n)
    return client


def send_much(server: LiveServer, n: int = 300) -> float:
    """Send more than sockets and queues hold; return the longest call in seconds."""
    longest_s = 0.0
    for number in range(n):
        started = time.perf_counter()
        server.send({"kind": "frame", "t_us": number}, PICTURE)
        longest_s = max(longest_s, time.perf_counter() - started)
    return longest_s


def test_messages_and_bytes_arrive_in_order(server: LiveServer, heard: list[dict[str, Any]]) -> None:
    with connect(server) as first, connect(server) as second:
        server.send({"kind": "status", "rate": float("nan"), "rates": np.array([1.0, np.inf]), "path": Path("x")})
        server.send({"kind": "frame", "camera": 1}, b"\xff\xd8")
        for client in (first, second):
            assert client.receive(5.0) == ({"kind": "status", "rate": None, "rates": [1.0, None], "path": "x"}, None)
            assert client.receive(5.0) == ({"kind": "frame", "camera": 1}, b"\xff\xd8")
            assert client.receive(0.01) is None
        first.send({"kind": "command", "name": "mark", "text": "咳嗽"})
        until(lambda: heard)
    assert heard == [{"kind": "command", "name": "mark", "text": "咳嗽"}]


def test_the_number_of_listeners_is_told() -> None:
    told: list[int] = []
    server = LiveServer(on_clients=told.append)
    client = connect(server)
    client.close()
    until(lambda: server.n_clients == 0)
    server.close()
    assert told == [1, 0]


def test_a_listener_learns_that_the_server_has_ended(server: LiveServer) -> None:
    with connect(server) as client:
        server.send({"kind": "ended"})
        server.close()
        assert client.receive(5.0) == ({"kind": "ended"}, None)
        with pytest.raises(ConnectionError):
            while True:
                client.receive(5.0)
        with pytest.raises(ConnectionError):
            client.send({"kind": "command"})
    with pytest.raises(RecordingError, match="no session answers"):
        LiveClient(server.address)


def test_without_the_key_nothing_is_heard(server: LiveServer, heard: list[dict[str, Any]]) -> None:
    with pytest.raises(RecordingError, match="refused"):
        LiveClient(LiveAddress(server.address.address, "00" * 32))
    assert server.n_clients == 0
    with connect(server) as client:
        client.send({"kind": "command"})
        until(lambda: heard)


def test_one_who_connects_and_says_nothing_keeps_nobody_out(server: LiveServer) -> None:
    mute = Client(server.address.address)
    with connect(server) as client:
        server.send({"kind": "marker"})
        assert client.receive(5.0) is not None
    server.close()
    mute.close()


def test_nonsense_ends_only_its_own_connection(server: LiveServer, heard: list[dict[str, Any]]) -> None:
    with connect(server) as good, connect(server) as bad:
        bad._channel.outbox.put((b"no JSON", None), 7, False)
        until(lambda: server.n_clients == 1)
        good.send({"kind": "command"})
        until(lambda: heard)
        until(lambda: bad.ended)


def test_a_message_that_is_nested_too_deeply_ends_its_own_connection(server: LiveServer) -> None:
    with connect(server) as bad:
        text = b'{"kind": "x", "y": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        bad._channel.outbox.put((text, None), len(text), False)
        until(lambda: bad.ended)
    until(lambda: server.n_clients == 0)


def test_a_message_that_cannot_be_handled_ends_nothing() -> None:
    heard: list[str] = []

    def handle(message: dict[str, Any]) -> None:
        heard.append(message["name"])
        raise ZeroDivisionError(message["name"])

    server = LiveServer(on_message=handle)
    with connect(server) as client:
        for name in ("a", "b"):
            client.send({"kind": "command", "name": name})
        until(lambda: heard == ["a", "b"])
    server.close()


@pytest.mark.parametrize("how", ["frozen", "deaf"])
def test_a_listener_that_stops_reading_costs_nothing(
    server: LiveServer, listener: Callable[[str], subprocess.Popen[str]], how: str
) -> None:
    """SIGSTOP, or a window that hangs: what is sent is dropped for it alone, and memory stays bounded."""
    process = listener(how)
    if how == "frozen":
        os.kill(process.pid, signal.SIGSTOP)
    try:
        with connect(server) as good:
            got: list[int] = []
            longest_s = 0.0
            for number in range(300):
                started = time.perf_counter()
                server.send({"kind": "frame", "t_us": number}, PICTURE)
                longest_s = max(longest_s, time.perf_counter() - started)
                item = good.receive(5.0)
                assert item is not None
                assert item[1] == PICTURE
                got.append(item[0]["t_us"])
            assert got == list(range(300))
            assert server.n_dropped > 200
            assert sum(channel.outbox._n_bytes for channel in server._channels) <= 9 << 20
            # Two cores shared with whatever else runs; a send that waited for the listener would never return.
            assert longest_s < 1.0
    finally:
        if how == "frozen":
            os.kill(process.pid, signal.SIGCONT)


def test_a_frozen_listener_that_wakes_hears_what_matters(
    server: LiveServer, listener: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = listener("listens")
    os.kill(process.pid, signal.SIGSTOP)
    server.send({"kind": "question", "text": "go on in spite of it?"})
    send_much(server)
    server.send({"kind": "question", "text": "and now?"})
    assert server.n_dropped > 0
    os.kill(process.pid, signal.SIGCONT)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["go on in spite of it?\n", "and now?\n"]


def test_a_killed_listener_is_forgotten(server: LiveServer, listener: Callable[[str], subprocess.Popen[str]]) -> None:
    process = listener("listens")
    os.kill(process.pid, signal.SIGSTOP)
    send_much(server)  # the server's thread is in the middle of a send now
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: server.n_clients == 0)
    server.send({"kind": "frame"}, PICTURE)
    with connect(server) as client:
        server.send({"kind": "marker"})
        assert client.receive(5.0) == ({"kind": "marker"}, None)


def test_a_server_closes_in_spite_of_a_frozen_listener(
    server: LiveServer, listener: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = listener("listens")
    os.kill(process.pid, signal.SIGSTOP)
    send_much(server)
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 5.0
    os.kill(process.pid, signal.SIGCONT)


def test_telemetry_goes_before_anything_else() -> None:
    box = Outbox(max_messages=4, max_bytes=1000)
    for name, telemetry in (("q1", False), ("g1", True), ("q2", False), ("g2", True), ("q3", False), ("g3", True)):
        box.put(name, 10, telemetry)
    assert [box.take(0.0) for _ in range(4)] == ["q1", "q2", "q3", "g3"]
    for number in range(6):
        box.put(f"q{number}", 10, False)
    assert [box.take(0.0) for _ in range(4)] == ["q2", "q3", "q4", "q5"]
    box.put("small", 10, False)
    box.put("large", 2000, True)
    assert box.take(0.0) == "large"
    assert box.take(0.0) is None
    assert box.n_dropped == 5


def test_what_is_no_message_is_refused() -> None:
    for text in (b"[]", b'{"a": 1}', b"\xff", b"{", b"[" * 100_000):
        with pytest.raises(ValueError):
            decode(text)
    with pytest.raises(TypeError, match="'kind'"):
        encode({"a": 1})
    with pytest.raises(TypeError, match="cannot hold object"):
        encode({"kind": "x", "value": object()})
    with pytest.raises(ValueError, match="long"):
        encode({"kind": "x", "text": "a" * MAX_TEXT_BYTES})


@pytest.fixture
def busy() -> Iterator[LiveAddress]:
    """Serve from a process that is as busy as the presenter's."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "busy_server.py")],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    yield LiveAddress(*process.stdout.readline().split())
    process.kill()
    process.wait()
    process.stdout.close()


def said(client: LiveClient, name: str) -> str:
    client.send({"kind": "command", "name": name})
    got = client.receive(10.0)
    assert got is not None
    return str(got[0]["text"])


def test_listeners_come_and_go_while_the_presenter_is_at_work(busy: LiveAddress) -> None:
    for number in range(12):
        with LiveClient(busy) as late:
            assert said(late, f"hello {number}") == f"hello {number}"
    with LiveClient(busy) as last:
        last.send({"kind": "command", "name": "end"})


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_a_listener_that_has_gone_leaves_no_open_file_behind(busy: LiveAddress) -> None:
    def open_files(client: LiveClient) -> int:
        assert said(client, "count") == "count"
        got = client.receive(10.0)
        assert got is not None
        return int(got[0]["text"])

    with LiveClient(busy) as watching:
        before = open_files(watching)
        for number in range(12):
            with LiveClient(busy) as other:
                other.send({"kind": "command", "name": f"hello {number}"})
                assert watching.receive(10.0) is not None
        until(lambda: open_files(watching) <= before)
        watching.send({"kind": "command", "name": "end"})


def test_the_last_word_arrives_although_its_thread_is_slow(server: LiveServer) -> None:
    with connect(server) as client:
        connection = server._channels[0]._connection
        taken = threading.Event()

        class Slow:
            """The connection of a thread that loses the processor between taking a message and writing it."""

            def __getattr__(self, name: str) -> Any:
                return getattr(connection, name)

            def send_bytes(self, text: bytes) -> None:
                taken.set()
                threading.Event().wait(0.2)
                connection.send_bytes(text)

        server._channels[0]._connection = Slow()  # type: ignore[assignment]
        server.send({"kind": "ended"})
        assert taken.wait(5.0)
        server.close()
        assert client.receive(5.0) == ({"kind": "ended"}, None)
