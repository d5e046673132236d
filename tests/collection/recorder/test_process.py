"""The loop inside the recorder's process, run here: however it ends, the file is closed and the parent is told."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collection.recorder.process import _record
from collection.recorder.recording import Recording
from collection.recorder.settings import RecorderSettings
from data_schema.session import markers
from data_schema.session.layout import FRAMES, GAZE, MARKERS
from data_schema.session.lock import is_locked
from data_schema.session.reader import open_session


class Loop:
    """A recording that is served in a thread, and both its pipes."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        orders_in, self.orders = multiprocessing.Pipe(duplex=False)
        self._reports, reports_out = multiprocessing.Pipe(duplex=False)
        self._pipes: list[Connection] = [orders_in, self.orders, self._reports, reports_out]
        self.reports: list[tuple[Any, ...]] = []
        self._thread = threading.Thread(
            target=_record, args=(recording, orders_in, reports_out, threading.Event()), daemon=True
        )
        self._thread.start()

    def read(self) -> list[str]:
        while self._reports.poll():
            self.reports.append(self._reports.recv())
        return [report[0] for report in self.reports]

    def end(self) -> tuple[Any, ...]:
        self._thread.join(20.0)
        assert not self._thread.is_alive()
        self.read()
        return self.reports[-1]

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()


@pytest.fixture
def free() -> list[int | OSError]:
    """What the disk answers; an error if it does not."""
    return [10**12]


@pytest.fixture
def loop(
    settings: RecorderSettings,
    lab: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    free: list[int | OSError],
) -> Iterator[Loop]:
    def probe(path: Path) -> int:
        answer = free[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr("collection.recorder.watch._DISK_EVERY_S", 0.0)
    recording = Recording(settings, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)], probe_free=probe)
    recording.start()
    loop = Loop(recording)
    lab.until(lambda: "durable" in loop.read())
    yield loop
    loop.close()


def test_a_disk_that_does_not_answer_ends_neither_recording_nor_reports(
    loop: Loop, lab: SimpleNamespace, free: list[int | OSError], settings: RecorderSettings
) -> None:
    free[0] = OSError(5, "network share is gone for a moment")
    lab.until(lambda: loop.recording.status().free_bytes == -1)
    loop.read()
    n_before = len(loop.reports)
    lab.until(lambda: {"status", "durable"} <= set(loop.read()[n_before:]))
    free[0] = 10**12
    lab.until(lambda: loop.recording.status().free_bytes == 10**12)
    loop.orders.send(("stop", "complete", "", None))
    word, summary = loop.end()
    assert (word, summary.reason, summary.problems) == ("closed", "complete", ())
    with open_session(settings.path) as session:
        assert session.status == "complete"
        frame = session.table(MARKERS).frame()
        (message,) = frame.loc[frame["kind"] == markers.DEVICE_FAULT, "message"]
        assert message.endswith("[Errno 5] network share is gone for a moment")


def test_a_mistake_of_the_recorders_own_still_closes_the_file_and_is_told(
    loop: Loop, lab: SimpleNamespace, settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake() -> None:
        raise ZeroDivisionError("tick")

    monkeypatch.setattr(loop.recording, "tick", mistake)
    word, name, message, summary = loop.end()
    assert (word, name) == ("failed", "RecordingError")
    assert message.startswith("the recorder failed: ZeroDivisionError: tick.")
    assert (summary.reason, summary.problems) == ("aborted", ())
    assert not is_locked(settings.path)
    with open_session(settings.path) as session:
        assert session.status == "aborted"
        for table in (GAZE.path, FRAMES.path):
            stream = "frames" if table == FRAMES.path else table
            assert len(session.table(table)) == summary.status.stream(stream).received > 0


def test_an_end_that_fails_is_told_and_releases_the_file_with_all_rows(
    loop: Loop, lab: SimpleNamespace, settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*_: object) -> None:
        raise ZeroDivisionError("stop")

    monkeypatch.setattr("collection.recorder.recording.stop_devices", mistake)
    loop.orders.send(("stop", "complete", "", None))
    word, name, message, summary = loop.end()
    assert (word, name, summary) == ("failed", "RecordingError", None)
    assert "ZeroDivisionError: stop" in message
    assert not is_locked(settings.path)
    n_received = loop.recording.status().stream(GAZE.path).received
    with open_session(settings.path) as session:
        assert session.status == "interrupted"
        assert len(session.table(GAZE)) == n_received


def test_counters_that_cannot_be_read_do_not_silence_the_reports(
    loop: Loop, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = loop.recording.status

    def broken() -> None:
        raise OSError("no counters")

    monkeypatch.setattr(loop.recording, "status", broken)
    n_before = len(loop.read())
    lab.until(lambda: loop.read()[n_before:].count("durable") > 10)
    monkeypatch.setattr(loop.recording, "status", status)
    loop.orders.send(("stop", "complete", "", None))
    assert loop.end()[0] == "closed"
