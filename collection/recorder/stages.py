"""The thread behind the queues that alone writes the file.

    devices -> sink -> queues -> EncoderStage -> packets queue -> WriterStage -> session file
                            \\_____________________________________/

A writer that fails remembers why, closes its queues so that nobody waits for it,
and leaves the rest to :class:`~collection.recorder.recording.Recording`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from collection.recorder.queues import RECORDER_STOPPED, CountedQueue
from collection.recorder.settings import (
    FRAMES_STREAM,
    PACKETS_STREAM,
    SECOND_FRAMES_STREAM,
    SECOND_PACKETS_STREAM,
)
from data_schema.errors import EmerError, RecordingError
from data_schema.session import markers
from data_schema.session.declaration import join_rows
from data_schema.session.layout import FRAMES, MARKERS, SECOND_FRAMES, TABLE_BY_PATH, make_row
from data_schema.session.writer import SessionWriter

logger = logging.getLogger(__name__)

#: How often the writer looks into its queues, real seconds. Batches cost less
#: than waking for each of 1200 samples a second, and 20 ms is far below the
#: flush interval.
POLL_S = 0.02
#: At most one marker about dropped rows per stream and reason in this time, real seconds; the
#: longer it goes on, the rarer, up to the second number.
_DROP_MARKER_EVERY_S = 1.0
_DROP_MARKER_LONGEST_S = 60.0

#: In place of a reason for which rows were dropped: they are kept, but their stamps went back.
_WENT_BACK = "stamps went back"

#: Number of the camera and table of its frames, by the stream of its packets.
_CAMERAS = {PACKETS_STREAM: (1, FRAMES.path), SECOND_PACKETS_STREAM: (2, SECOND_FRAMES.path)}
_FRAME_STREAMS = (FRAMES_STREAM, PACKETS_STREAM, SECOND_FRAMES_STREAM, SECOND_PACKETS_STREAM)


class _Payload:
    """Bytes that somebody waits to see on file."""

    def __init__(self, blob_path: str, payload: bytes) -> None:
        self.blob_path = blob_path
        self.payload = payload
        self.offset = -1
        self.done = threading.Event()


class WriterStage:
    """Own the session writer: the only thread that touches the file.

    Parameters
    ----------
    writer : SessionWriter
        Ready for rows; nobody else may call it until `finish` has returned.
    queues : dict of str to CountedQueue
        By table path, and 'packets'. May grow while the stage runs.
    drop_sources : callable
        Returns all queues whose drops are to be marked, by name.
    show : callable, optional
        Sees the markers that the stage itself makes.
    """

    def __init__(
        self,
        writer: SessionWriter,
        queues: dict[str, CountedQueue],
        drop_sources: Callable[[], dict[str, CountedQueue]],
        show: Callable[[str, npt.NDArray[np.void]], None] | None = None,
    ) -> None:
        self._writer = writer
        self._queues = queues
        self._drop_sources = drop_sources
        self._last_stamp: dict[str, int] = {}
        self._drops: dict[tuple[str, str], int] = {}
        self._drops_due: dict[tuple[str, str], tuple[float, float]] = {}
        self._show = show
        self._payloads: deque[_Payload] = deque()
        self._wake = threading.Event()
        self._draining = threading.Event()
        self.durable: dict[str, int] = writer.durable
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="recorder-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def wake(self) -> None:
        """Look into the queues now instead of at the next poll."""
        self._wake.set()

    def add(self, name: str, queue: CountedQueue) -> None:
        """Write one more stream from now on."""
        self._queues[name] = queue

    def store(self, blob_path: str, payload: bytes, timeout_s: float) -> int:
        """Store bytes in a blob and wait until they are on file.

        Returns
        -------
        int
            Offset of the first byte.

        Raises
        ------
        RecordingError
            If the writer has ended, has failed or does not get to it in time.
        """
        item = _Payload(blob_path, payload)
        self._payloads.append(item)
        self._wake.set()
        if not self._thread.is_alive() or not item.done.wait(timeout_s) or item.offset < 0:
            raise RecordingError(
                f"{len(payload)} bytes for {blob_path} could not be stored: the recorder is not writing."
            )
        return item.offset

    def finish(self) -> None:
        """Write everything that waits and end the thread; the writer stays open."""
        self._draining.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        storing: list[_Payload] = []
        try:
            while True:
                self._wake.wait(POLL_S)
                self._wake.clear()
                draining = self._draining.is_set()
                n_taken = self._append_waiting()
                self._append_payloads(storing)
                self._mark_drops(at_once=draining)
                self.durable = self._writer.flush()
                while storing:
                    storing.pop().done.set()
                if draining and not n_taken:
                    self.durable = self._writer.flush(force=True)
                    break
        except Exception as error:
            logger.exception("the writer stage failed")
            self.failure = error
        finally:
            if self.failure is not None:
                for queue in self._drop_sources().values():
                    queue.close()
                    queue.discard_waiting(RECORDER_STOPPED)
            for payload in (*storing, *self._payloads):
                payload.offset = -1
                payload.done.set()

    def _append_payloads(self, storing: list[_Payload]) -> None:
        while self._payloads:
            item = self._payloads.popleft()
            storing.append(item)
            item.offset = self._writer.append_blob(item.blob_path, item.payload)

    def _append_waiting(self) -> int:
        n_taken = 0
        for name, queue in list(self._queues.items()):
            items = queue.take_all()
            n_taken += len(items)
            if not items:
                continue
            if name in _CAMERAS:
                camera, frames = _CAMERAS[name]
                for payload, row in items:
                    self._writer.append_packet(payload, row, camera)
                self._note_order(frames, join_rows([row for _, row in items]))
                continue
            rows = join_rows(items)
            self._writer.append(name, rows)
            self._note_order(name, rows)
        return n_taken

    def _note_order(self, name: str, rows: npt.NDArray[np.void]) -> None:
        """Mark rows whose stamp is earlier than one before; they are kept as they came.

        Readers look rows up by bisection, which such a marker turns off for the table.
        """
        table = TABLE_BY_PATH[name]
        if not table.time_column or not table.monotonic:
            return
        stamps = rows[table.time_column]
        last = self._last_stamp.get(name, -(2**62))
        highest = np.maximum.accumulate(np.concatenate(([last], stamps)))
        n_back = int(np.count_nonzero(stamps < highest[:-1]))
        if n_back:
            # One stamp far ahead makes all that follow "earlier": not a marker for each look at them.
            self._drops[name, _WENT_BACK] = self._drops.get((name, _WENT_BACK), 0) + n_back
        self._last_stamp[name] = int(highest[-1])

    def _mark_drops(self, at_once: bool) -> None:
        for name, queue in self._drop_sources().items():
            for reason, n in queue.unreported_drops().items():
                self._drops[name, reason] = self._drops.get((name, reason), 0) + n
        now = time.monotonic()
        for key in list(self._drops):
            due_s, interval_s = self._drops_due.get(key, (0.0, _DROP_MARKER_EVERY_S))
            if now < due_s and not at_once:
                continue
            name, reason = key
            kind = markers.FRAMES_DROPPED if name in _FRAME_STREAMS else markers.SAMPLES_DROPPED
            message = f"{name}: {reason}"
            if reason == _WENT_BACK:
                kind, message = markers.TIME_WENT_BACK, name
            self._mark(kind, message, float(self._drops.pop(key)))
            # Something that goes on is told less and less often; after a pause it is news again.
            again = now - due_s < interval_s
            interval_s = min(2 * interval_s, _DROP_MARKER_LONGEST_S) if again else _DROP_MARKER_EVERY_S
            self._drops_due[key] = (now + interval_s, interval_s)

    def _mark(self, kind: str, message: str, value: float) -> None:
        row = make_row(
            MARKERS, t_system_us=self._writer.clock.now_us(), trial_id=0, kind=kind, value=value, message=message
        )
        self._writer.append(MARKERS.path, row)
        if self._show is not None:
            self._show(MARKERS.path, row)


def first_failure(*failures: Exception | None) -> EmerError | None:
    """Return the first failure as an error that a user can act on."""
    for failure in failures:
        if isinstance(failure, EmerError):
            return failure
        if failure is not None:
            return RecordingError(
                f"the recorder failed: {type(failure).__name__}: {failure}. What was written before is safe; "
                "the session's log says more."
            )
    return None
