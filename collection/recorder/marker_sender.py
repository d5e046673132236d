"""Send the markers of a recording to other programs while they happen, from a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_schema.clocks import HostClock
from data_schema.session.layout import MARKERS

if TYPE_CHECKING:
    from collection.devices.base import CapturedFrame

logger = logging.getLogger(__name__)

#: Markers that may wait; more come only if the network stack hangs, and are then on file alone.
_MOST_WAITING = 1000


class MarkerSender:
    """An observer of a recording that pushes its markers into an LSL outlet.

    A receiver that hangs must not hold a device's thread up, so pushing has a thread of
    its own. What cannot be sent is on file all the same.

    Parameters
    ----------
    clock : HostClock
        Clock of the markers; in real time.

    Raises
    ------
    MissingExtraError
        If ``pylsl`` is not installed.
    DeviceError
        If the clock does not run in real time.
    """

    def __init__(self, clock: HostClock) -> None:
        from collection.devices.lsl_outlet import LslMarkerOutlet

        self._outlet = LslMarkerOutlet(clock=clock)
        self._waiting: queue.Queue[npt.NDArray[np.void] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="lsl-markers", daemon=True)
        self._thread.start()

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Take rows of a table; only markers are sent."""
        if table == MARKERS.path:
            try:
                self._waiting.put_nowait(rows.copy())
            except queue.Full:
                logger.warning("%d markers were not sent to LSL; they are in the file", len(rows))

    def frame(self, stream: str, frame: CapturedFrame) -> None:
        """Pictures are not sent."""

    def close(self) -> None:
        """Send what waits and withdraw the stream; idempotent."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(5.0)
        self._outlet.close()

    def _run(self) -> None:
        while (rows := self._waiting.get()) is not None:
            try:
                self._outlet.push(rows)
            except Exception:
                # A broken network must not end the thread: the next marker may get through.
                logger.exception("a marker was not sent to LSL; it is in the file")
