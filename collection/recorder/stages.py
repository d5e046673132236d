"""The two threads behind the queues: one encodes frames, one alone writes the file.

    devices -> sink -> queues -> EncoderStage -> packets queue -> WriterStage -> session file
                            \\_____________________________________/

A stage that fails remembers why, closes its queues so that nobody waits for it,
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

from collection.devices.base import CapturedFrame
from collection.recorder.encoder import FrameRejected, VideoEncoder
from collection.recorder.queues import RECORDER_STOPPED, CountedQueue
from collection.recorder.settings import FRAMES_STREAM, PACKETS_STREAM
from data_schema.errors import EmerError, RecordingError
from data_schema.session import markers
from data_schema.session.declaration import join_rows
from data_schema.session.layout import FRAMES, TABLE_BY_PATH
from data_schema.session.writer import SessionWriter

logger = logging.getLogger(__name__)

#: How often the writer looks into its queues, real seconds. Batches cost less
#: than waking for each of 1200 samples a second, and 20 ms is far below the
#: flush interval.
POLL_S = 0.02
#: At most one marker about dropped rows per stream in this time, real seconds.
_DROP_MARKER_EVERY_S = 1.0


class EncoderStage:
    """Take frames, encode them, hand packets on.

    A full packets queue makes this stage wait: a packet that is thrown away
    after encoding would damage all frames up to the next key frame, a frame
    thrown away before encoding costs one frame.
    """

    def __init__(self, encoder: VideoEncoder, frames: CountedQueue, packets: CountedQueue) -> None:
        self._encoder = encoder
        self._frames = frames
        self._packets = packets
        self._rejected_before = 0
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="recorder-encoder", daemon=True)

    def start(self) -> None:
        """Begin to encode."""
        self._thread.start()

    def finish(self) -> None:
        """Encode what waits, flush the encoder and end. Frames that come later are dropped."""
        self._frames.close()
        if self._thread.is_alive():
            self._thread.join()

    def cost_ms(self) -> tuple[float, float]:
        """Return median and 95th percentile of milliseconds a frame."""
        return self._encoder.cost_ms()

    def _run(self) -> None:
        try:
            while True:
                item = self._frames.take(0.2)
                if item is None:
                    if self._frames.closed:
                        break
                    continue
                self._encode(*item)
            n_late = self._encoder.close()
            if n_late:
                logger.error("the encoder still held %d packets at the end", n_late)
        except Exception as error:
            logger.exception("the encoder stage failed")
            self.failure = error
            self._frames.close()
            self._frames.discard_waiting(RECORDER_STOPPED)

    def _encode(self, frame: CapturedFrame, dropped_before: int) -> None:
        missed = frame.missed_before + dropped_before + self._rejected_before
        try:
            encoded = self._encoder.encode(frame.image, frame.t_capture_us, frame.t_device_us, missed)
        except FrameRejected as error:
            logger.warning("frame not encoded: %s", error)
            self._frames.drop_taken(1, error.reason)
            self._rejected_before += 1
            return
        self._rejected_before = 0
        self._packets.put((encoded.payload, encoded.row))


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
    """

    def __init__(
        self,
        writer: SessionWriter,
        queues: dict[str, CountedQueue],
        drop_sources: Callable[[], dict[str, CountedQueue]],
    ) -> None:
        self._writer = writer
        self._queues = queues
        self._drop_sources = drop_sources
        self._last_stamp: dict[str, int] = {}
        self._drops: dict[tuple[str, str], int] = {}
        self._drops_marked_s = 0.0
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
        try:
            while True:
                self._wake.wait(POLL_S)
                self._wake.clear()
                draining = self._draining.is_set()
                n_taken = self._append_waiting()
                payloads = self._append_payloads()
                self._mark_drops(at_once=draining)
                self.durable = self._writer.flush()
                for payload in payloads:
                    payload.done.set()
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
            for payload in self._payloads:
                payload.done.set()

    def _append_payloads(self) -> list[_Payload]:
        taken: list[_Payload] = []
        while self._payloads:
            item = self._payloads.popleft()
            item.offset = self._writer.append_blob(item.blob_path, item.payload)
            taken.append(item)
        return taken

    def _append_waiting(self) -> int:
        n_taken = 0
        for name, queue in list(self._queues.items()):
            items = queue.take_all()
            n_taken += len(items)
            if not items:
                continue
            if name == PACKETS_STREAM:
                for payload, row in items:
                    self._writer.append_packet(payload, row)
                self._note_order(FRAMES.path, join_rows([row for _, row in items]))
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
            self._writer.marker(markers.TIME_WENT_BACK, name, float(n_back))
        self._last_stamp[name] = int(highest[-1])

    def _mark_drops(self, at_once: bool) -> None:
        for name, queue in self._drop_sources().items():
            for reason, n in queue.unreported_drops().items():
                self._drops[name, reason] = self._drops.get((name, reason), 0) + n
        now = time.monotonic()
        if not self._drops or (not at_once and now - self._drops_marked_s < _DROP_MARKER_EVERY_S):
            return
        for (name, reason), n in self._drops.items():
            kind = markers.FRAMES_DROPPED if name in (FRAMES_STREAM, PACKETS_STREAM) else markers.SAMPLES_DROPPED
            self._writer.marker(kind, f"{name}: {reason}", float(n))
        self._drops.clear()
        self._drops_marked_s = now


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
