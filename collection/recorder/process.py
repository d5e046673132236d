"""The recorder's own process: a recording, a pipe of orders in, a pipe of reports out.

Orders (tuples, first item is the word): ``rows``, ``marker``, ``react``,
``look_at``, ``request``, ``follow``, ``stop``. Reports: ``live``, ``started``,
``status``, ``durable``, ``answer``, ``followed``, ``failed``, ``closed``.

The process ignores Ctrl-C: the parent decides what it means. If the parent
disappears, the file is closed in good order and marked as aborted.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from collection.live import LiveServer
from collection.process_priority import RECORDING, take_place
from collection.recorder.answers import error_as_words
from collection.recorder.feed import LiveFeed
from collection.recorder.follow import FollowTap
from collection.recorder.marker_sender import MarkerSender
from collection.recorder.recording import Recording
from collection.recorder.requests import RequestDesk
from collection.recorder.settings import ABORTED, RecorderSettings, RecordingSummary
from collection.recorder.stages import first_failure
from data_schema.errors import EmerError, RecordingError

logger = logging.getLogger(__name__)

#: Real seconds between two snapshots.
REPORT_EVERY_S = 0.1
#: Real seconds within which rows that have reached the file are acknowledged.
ACKNOWLEDGE_EVERY_S = 0.02
_TICK_S = 0.05


def run_recorder(settings: RecorderSettings, orders: Connection, reports: Connection) -> None:
    """Record one session; the target of the recorder's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before there are threads: they inherit it. A recorder that is not woken for a second loses frames.
    take_place(RECORDING)
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    log = _begin_log()
    server = _live_server()
    sender = None
    try:
        recording = Recording(settings, settings.make_devices())
        if settings.lsl_markers:
            sender = MarkerSender(settings.clock)
            recording.observe(sender)
        started = recording.start()
    except EmerError as error:
        _give_up(reports, server, error)
        return
    except Exception as error:
        # A bug or a driver's own exception: the parent shows one line, not a traceback.
        logger.exception("the recorder could not start")
        _give_up(reports, server, RecordingError(f"the recorder could not start: {type(error).__name__}: {error}"))
        return
    _write_log_to(log, settings.path.with_suffix(".log"))
    logger.info("recording %s", settings.path.name)
    feed = None
    if server is not None:
        feed = LiveFeed(server, recording, settings.planned_s)
        _send(reports, ("live", server.address))
    _send(reports, ("started", started))
    heard = False
    try:
        heard = _record(recording, orders, reports, terminated)
    finally:
        if feed is not None:
            feed.close()
        if server is not None:
            server.close()
        if sender is not None:
            sender.close()
    logging.shutdown()
    if settings.throwaway and not heard:
        shutil.rmtree(settings.path.parent, ignore_errors=True)


def _live_server() -> LiveServer | None:
    """Open the live feed's door; a recording needs none."""
    try:
        return LiveServer()
    except OSError as error:
        logger.error("there is no live view of this recording: %s", error)
        return None


def _give_up(reports: Connection, server: LiveServer | None, error: EmerError) -> None:
    if server is not None:
        server.close()
    _send(reports, ("failed", *error_as_words(error), None))


class _Reports:
    """The pipe to the parent; several threads report."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, *report: Any) -> bool:
        """Send a report; returns False if the parent is gone."""
        with self._lock:
            return _send(self._pipe, report)


class _Session:
    """A recording, and what serves its orders beside it."""

    def __init__(self, recording: Recording, reports: _Reports) -> None:
        self.recording = recording
        self.tap = FollowTap()
        self.reports = reports
        self.desk = RequestDesk(lambda: recording.tracker, recording.store_calibration, self._answer)

    def follow(self, *tables: str) -> None:
        """Send rows of these tables from now on; of none if there are none."""
        self.tap.follow(tables)
        self.recording.ignore(self.tap)
        if tables:
            self.recording.observe(self.tap)

    def _answer(self, number: int, good: bool, answer: Any) -> None:
        self.reports.send("answer", number, good, answer if good else error_as_words(answer))


def _record(recording: Recording, orders: Connection, pipe: Connection, terminated: threading.Event) -> bool:
    """Record until the end, and report it; returns False if nobody is there to hear it."""
    reports = _Reports(pipe)
    session = _Session(recording, reports)
    ended = threading.Event()
    reporter = threading.Thread(target=_report, args=(session, ended), name="recorder-reports", daemon=True)
    reporter.start()
    failure: EmerError | None = None
    summary: RecordingSummary | None = None
    reason, message = ABORTED, ""
    at_us: int | None = None
    # Whatever happens, the file is closed and the parent hears of it.
    try:
        reason, message, at_us = _serve(session, orders, terminated)
    except EmerError as error:
        logger.error("%s", error)
        failure = error
    except Exception as error:
        logger.exception("the recorder failed")
        failure = first_failure(error)
    session.desk.close()
    try:
        summary = recording.finish(reason, message if failure is None else str(failure), at_us)
    except EmerError as error:
        logger.error("%s", error)
        failure = failure or error
    except Exception as error:
        logger.exception("the recorder failed while it closed the file")
        failure = failure or first_failure(error)
    ended.set()
    reporter.join()
    if failure is not None:
        return reports.send("failed", *error_as_words(failure), summary)
    logger.info("closed: %s %s", reason, message)
    return reports.send("closed", summary)


def _serve(session: _Session, orders: Connection, terminated: threading.Event) -> tuple[str, str, int | None]:
    """Carry out orders until one says stop; returns reason, message and time of the end."""
    recording = session.recording
    verbs: dict[str, Callable[..., None]] = {
        "rows": recording.rows,
        "marker": recording.marker,
        "react": recording.react,
        "look_at": recording.look_at,
        "request": session.desk.put,
        "follow": session.follow,
    }
    while True:
        recording.tick()
        if terminated.is_set():
            return ABORTED, "the recorder was asked to terminate", None
        try:
            if not orders.poll(_TICK_S):
                continue
            order: tuple[Any, ...] = orders.recv()
        except (EOFError, OSError):
            return ABORTED, "the process that controls the recorder has ended", None
        word, arguments = order[0], order[1:]
        if word == "stop":
            return arguments[0], arguments[1], arguments[2]
        if word in verbs:
            verbs[word](*arguments)
        else:
            logger.error("unknown order '%s'", word)


def _report(session: _Session, ended: threading.Event) -> None:
    """Acknowledge what is on file as soon as it is, and send a snapshot now and then."""
    recording, reports = session.recording, session.reports
    acknowledged: dict[str, int] = {}
    sent_s = -math.inf
    silent = False
    while not ended.wait(ACKNOWLEDGE_EVERY_S):
        durable = recording.durable
        if durable != acknowledged:
            acknowledged = durable
            if not reports.send("durable", dict(durable)):
                return
        followed = session.tap.fetch()
        if followed and not reports.send("followed", followed):
            return
        if time.monotonic() - sent_s >= REPORT_EVERY_S:
            sent_s = time.monotonic()
            try:
                status = recording.status()
            except Exception:
                # Without this thread the parent would take the recorder for dead.
                if not silent:
                    logger.exception("the recorder's counters cannot be read")
                silent = True
                continue
            if not reports.send("status", status):
                return


def _send(reports: Connection, report: tuple[Any, ...]) -> bool:
    with contextlib.suppress(OSError, ValueError):
        reports.send(report)
        return True
    return False


def _begin_log() -> logging.handlers.MemoryHandler:
    """Keep log records in memory until there is a session to keep them beside."""
    handler = logging.handlers.MemoryHandler(10_000, flushLevel=logging.CRITICAL + 1)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    return handler


def _write_log_to(memory: logging.handlers.MemoryHandler, path: Path) -> None:
    try:
        target = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        # The recording runs already; it goes on without a log beside it.
        logger.warning("no log is kept: %s", error)
        return
    target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    memory.setTarget(target)
    memory.flush()
    root = logging.getLogger()
    root.removeHandler(memory)
    root.addHandler(target)
