"""The presenter's side of the recorder: orders that never wait for a disk, and what the recorder reports."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.devices.base import PlantedReaction
from collection.live.address import LiveAddress
from collection.recorder.answers import Answers, FollowedRows, error_from_words
from collection.recorder.process import run_recorder
from collection.recorder.queues import CountedQueue
from collection.recorder.settings import (
    ABORTED,
    CHECKING,
    COMPLETE,
    RecorderSettings,
    RecorderStatus,
    RecordingStarted,
    RecordingSummary,
)
from data_schema.errors import DeviceError, EmerError, RecordingError
from data_schema.session import markers
from data_schema.session.layout import TABLE_BY_PATH

#: Rows that may wait for the pipe to the recorder: minutes of flips.
_OUTGOING_ROWS = 50_000
#: Real seconds without any progress after which a stopping recorder is given up.
_PATIENCE_S = 60.0
#: The same for checking the closed file, in which nothing counts up.
_CHECK_PATIENCE_S = 300.0
#: Real seconds that a recorder has for leaving once its file is closed, or nothing can be hoped for.
_EXIT_S = 5.0


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back while a process starts, which is born deaf to it; this one hears it afterwards.

    A terminal sends Ctrl-C to both. The recorder must not die of it: its parent
    decides. Until it has imported itself it could not ignore the signal. Windows
    has no such mask, and leaves a moment in which Ctrl-C ends a recorder that has
    not begun.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started now, since starting it later would lift the mask.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Recorder:
    """Start a recorder in its own process and talk to it.

    `rows`, `marker` and `react` only put into a bounded queue: the flip loop may
    call them. Every call raises if the recorder has died, so that nobody goes on
    presenting to a recorder that is gone. Use it in a ``with`` block: leaving the
    block without `stop` aborts the recording in good order.

    Parameters
    ----------
    settings : RecorderSettings
        What to record and where.
    """

    def __init__(self, settings: RecorderSettings) -> None:
        self.settings = settings
        self._outgoing = CountedQueue("presenter", _OUTGOING_ROWS, block=settings.paced)
        self._state = threading.Condition()
        self._started: RecordingStarted | None = None
        self._summary: RecordingSummary | None = None
        self._failure: EmerError | None = None
        self._gone = False
        self._status = RecorderStatus()
        self._acknowledged: dict[str, int] = {}
        self._progress_s = time.monotonic()
        self._stop_order: tuple[Any, ...] | None = None
        self._answers = Answers()
        self._followed = FollowedRows()
        self._live: LiveAddress | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        if self._summary is None and self._failure is None and not self._gone:
            self.stop(ABORTED, f"{kind.__name__}: {error}" if kind else "the recording was left without an end")
        self._release()

    @property
    def pid(self) -> int | None:
        """Number of the recorder's process."""
        return self._process.pid if self._process is not None else None

    @property
    def started(self) -> RecordingStarted | None:
        """What the recorder said when it began to write."""
        return self._started

    @property
    def acknowledged(self) -> dict[str, int]:
        """Rows by table path that the recorder said are on file; answers after its death, too."""
        return dict(self._acknowledged)

    @property
    def live(self) -> LiveAddress:
        """Where the recorder's live feed can be listened to.

        Raises
        ------
        RecordingError
            If the recorder was not started.
        """
        if self._live is None:
            raise RecordingError("the recorder was not started, so there is no live feed")
        return self._live

    def start(self, timeout_s: float = 60.0) -> RecordingStarted:
        """Start the process, wait until it writes.

        Parameters
        ----------
        timeout_s : float
            Real seconds for everything: libraries, devices, first data.

        Raises
        ------
        DeviceError, MediaError, RecordingError
            As the recorder says; nothing is left behind.
        """
        if self._process is not None:
            raise RecordingError("this recorder was started already; make a new one for each session")
        if self.settings.path.exists():
            raise RecordingError(
                f"{self.settings.path.name} exists already, and a recording is never overwritten. "
                "Choose another session (--session) or participant."
            )
        context = multiprocessing.get_context("spawn")
        orders_in, orders_out = context.Pipe(duplex=False)
        reports_in, reports_out = context.Pipe(duplex=False)
        self._process = context.Process(
            target=run_recorder, args=(self.settings, orders_in, reports_out), name="emer-recorder"
        )
        with _interrupts_held_back():
            self._process.start()
        orders_in.close()
        reports_out.close()
        # If this process ends without `stop`, the closed pipe tells the recorder to finish.
        self._finalizer = weakref.finalize(self, orders_out.close)
        self._threads = [
            threading.Thread(target=self._send_orders, args=(orders_out,), name="recorder-orders", daemon=True),
            threading.Thread(target=self._read_reports, args=(reports_in,), name="recorder-listen", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        try:
            with self._state:
                self._state.wait_for(lambda: self._started or self._failure or self._gone, timeout_s)
            if self._started is None:
                raise self._error() or RecordingError(
                    f"the recorder did not start within {timeout_s:.0f} s. Check the devices and try again."
                )
        except BaseException:
            self._release()
            raise
        return self._started

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Store rows of a table, such as flips or answers; returns at once."""
        if table not in TABLE_BY_PATH or rows.dtype != TABLE_BY_PATH[table].dtype:
            raise RecordingError(
                f"rows for {table} have the columns {rows.dtype.names}, which the layout does not know"
            )
        self._order(("rows", table, rows), len(rows))

    def marker(
        self,
        kind: str,
        message: str = "",
        value: float = float("nan"),
        t_system_us: int | None = None,
        trial_id: int = 0,
    ) -> None:
        """Store a marker; stamped now, here, unless a time is given."""
        stamp = self.settings.clock.now_us() if t_system_us is None else t_system_us
        self._order(("marker", kind, message, value, stamp, trial_id), 1)

    def react(self, reaction: PlantedReaction) -> None:
        """Tell simulated devices what the simulated participant feels and shows."""
        self._order(("react", reaction), 1)

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        """Tell a simulated tracker what its participant looks at from `t_us` on; None: as before."""
        self._order(("look_at", t_us, target_norm), 1)

    def request(self, verb: str, *args: Any, timeout_s: float = 30.0) -> Any:
        """Ask something of the eye tracker, in the recorder's process, and wait for the answer.

        Parameters
        ----------
        verb : str
            Of `collection.recorder.requests.VERBS`: the verbs of a tracker that can be
            calibrated, 'is_calibratable', 'display_area', 'set_display_area', and
            'store_calibration', which answers (offset, size) in ``/calibration/data``.
        args
            What the verb takes.
        timeout_s : float
            Real seconds to wait.

        Raises
        ------
        DeviceError
            As the device says, or if it does not answer in time. The recording goes on.
        RecordingError
            If the recorder has died, is ending or had to stop.
        """
        self._check_alive()
        with self._state:
            number = self._answers.expect()
        self._order(("request", number, verb, args, timeout_s), 1)
        with self._state:
            self._state.wait_for(
                lambda: self._answers.has(number) or self._failure or self._gone or self._summary, timeout_s
            )
            given = self._answers.take(number)
        if given is None:
            self._check_alive()
            raise DeviceError(
                f"the eye tracker did not answer '{verb}' within {timeout_s:g} s; the recording goes on. Check its "
                "cable. If it stays so, end the session and switch the tracker off and on."
            )
        good, answer = given
        if not good:
            raise error_from_words(*answer)
        return answer

    def follow(self, *tables: str) -> None:
        """Have rows of these tables sent here from now on, for `recent`; none ends it."""
        for table in tables:
            if table not in TABLE_BY_PATH or not TABLE_BY_PATH[table].time_column:
                raise RecordingError(f"rows of {table} cannot be followed: there is no such table with times")
        self._order(("follow", *tables), 1)

    def recent(self, table: str, since_us: int) -> npt.NDArray[np.void]:
        """Return rows of a followed table with a time not before `since_us`; at most the last minute is kept."""
        self._check_alive()
        with self._state:
            return self._followed.since(table, since_us)

    def status(self) -> RecorderStatus:
        """Return the recorder's last report.

        Raises
        ------
        RecordingError
            If the recorder has died or had to stop.
        """
        self._check_alive()
        return self._status

    def stop(
        self,
        reason: str = COMPLETE,
        message: str = "",
        at_us: int | None = None,
        on_status: Callable[[RecorderStatus], None] | None = None,
    ) -> RecordingSummary:
        """End the recording and wait until the file is closed.

        Parameters
        ----------
        reason : str
            'complete' or 'aborted'.
        message : str
            Why it was aborted.
        at_us : int, optional
            Host clock until which the devices go on; now by default.
        on_status : callable, optional
            Called a few times a second while simulated devices catch up.

        Raises
        ------
        RecordingError
            If the recorder died; the message names ``emer repair``.
        """
        if self._summary is not None:
            return self._summary
        self._check_alive()
        self._stop_order = ("stop", reason, message, at_us)
        self._outgoing.close()
        self._progress_s = time.monotonic()
        while True:
            with self._state:
                ended = self._state.wait_for(lambda: self._summary or self._failure or self._gone, 0.25)
            if ended:
                break
            if on_status is not None:
                on_status(self._status)
            if time.monotonic() - self._progress_s > self._patience_s:
                raise self._give_up()
        self._release()
        if self._summary is None:
            raise self._error() or RecordingError("the recorder ended without a word")
        return self._summary

    @property
    def _patience_s(self) -> float:
        return _CHECK_PATIENCE_S if self._status.state == CHECKING else _PATIENCE_S

    def _give_up(self) -> RecordingError:
        """End a recorder that does not get on any more; returns what to say."""
        closed, patience_s = self._status.state == CHECKING, self._patience_s
        self._release(0.0)
        path = self.settings.path
        if closed:
            return RecordingError(
                f"{path.name} is closed, but checking it did not end within {patience_s:.0f} s. Run `emer check {path}`"
            )
        return RecordingError(
            f"the recorder made no progress for {patience_s:.0f} s while it closed {path.name}, and was ended. "
            f"What is on file is safe: run `emer repair {path}`"
        )

    # --------------------------------------------------------------- threads

    def _order(self, order: tuple[Any, ...], n_rows: int) -> None:
        self._check_alive()
        self._outgoing.put(order, n_rows)

    def _send_orders(self, orders: Connection) -> None:
        try:
            while True:
                order = self._outgoing.take(0.2)
                for reason, n_rows in self._outgoing.unreported_drops().items():
                    text = f"between presenter and recorder: {reason}"
                    orders.send(("marker", markers.SAMPLES_DROPPED, text, float(n_rows), None, 0))
                if order is not None:
                    orders.send(order)
                elif self._outgoing.closed:
                    if self._stop_order is not None:
                        orders.send(self._stop_order)
                    break
        except OSError:
            # The recorder is gone; the listening thread says so.
            self._outgoing.close()

    def _read_reports(self, reports: Connection) -> None:
        while True:
            try:
                report = reports.recv()
            except (EOFError, OSError):
                break
            with self._state:
                self._take_report(report)
                self._state.notify_all()
        reports.close()
        with self._state:
            self._gone = True
            self._outgoing.close()
            self._state.notify_all()

    def _take_report(self, report: tuple[Any, ...]) -> None:
        word = report[0]
        # A recorder that hangs reports as ever: only what changes counts.
        if word not in ("status", "followed") or (word == "status" and report[1].progress != self._status.progress):
            self._progress_s = time.monotonic()
        if word == "status":
            self._status = report[1]
            self._acknowledged = report[1].durable
        elif word == "durable":
            self._acknowledged = report[1]
        elif word == "answer":
            self._answers.take_in(*report[1:])
        elif word == "followed":
            for table, rows in report[1]:
                self._followed.add(table, rows)
        elif word == "live":
            self._live = report[1]
        elif word == "started":
            self._started = report[1]
        elif word == "closed":
            self._summary = report[1]
            self._status = self._summary.status if self._summary else self._status
        elif word == "failed":
            self._failure = error_from_words(report[1], report[2])

    # ------------------------------------------------------------------ ends

    def _error(self) -> EmerError | None:
        if self._failure is not None:
            return self._failure
        if self._gone and self._summary is None:
            code = self._exit_code()
            if self._started is None:
                return RecordingError(f"the recorder's process ended before it began to write ({code}). Try again.")
            return RecordingError(
                f"the recorder's process ended unexpectedly ({code}) while it wrote {self.settings.path.name}. "
                f"What was on file is safe: run `emer repair {self.settings.path}`"
            )
        return None

    def _exit_code(self) -> str:
        if self._process is None:
            return "not started"
        self._process.join(5.0)
        code = self._process.exitcode
        if code is None:
            return "still there"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _check_alive(self) -> None:
        if self._process is None:
            raise RecordingError("the recorder was not started")
        error = self._error()
        if error is not None:
            self._release()
            raise error
        if self._summary is not None:
            raise RecordingError(f"the recording of {self.settings.path.name} has ended")

    def _release(self, grace_s: float | None = None) -> None:
        """End the process and the threads, whatever state they are in; idempotent.

        The process may take `grace_s` real seconds for leaving by itself: by
        default a short while if its file is closed or was never made, else
        long enough for closing it.
        """
        self._outgoing.close()
        process = self._process
        if process is None:
            return
        if self._threads and threading.current_thread() not in self._threads:
            self._threads[0].join(0.0 if grace_s == 0.0 else _EXIT_S)
        self._finalizer()
        if grace_s is None:
            writes = self._started is not None and self._summary is None and self._failure is None
            grace_s = _PATIENCE_S if writes else _EXIT_S
        process.join(grace_s)
        if process.is_alive():
            process.kill()
            process.join(5.0)
        for thread in self._threads:
            thread.join(5.0)
