"""The thread that simulated and replayed devices share.

Such a device works by schedule. It owes everything whose stamp is not later
than the clock, whatever the machine is doing, and pays when it gets to run.
That makes its content independent of the machine's speed.
"""

from __future__ import annotations

import logging
import threading

from collection.devices.base import Sink
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session import markers

logger = logging.getLogger(__name__)

#: Longest real time between two looks at the clock, seconds. Short against the
#: flush interval of the recorder, long against the cost of one look.
_POLL_S = 0.01


class ScheduledDevice:
    """Base of devices that generate or replay by schedule.

    Subclasses implement ``_open``, ``_begin``, ``_produce`` and may extend ``_release``.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    name : str
        Name of the device for threads and messages.
    """

    def __init__(self, clock: HostClock, name: str) -> None:
        self.clock = clock
        self.name = name
        self._connected = False
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop_at_us: int | None = None
        self._ends_at_us: int | None = None
        self._verb_lock = threading.RLock()

    # -- what a subclass provides -------------------------------------------------

    def _open(self) -> None:
        """Load what is needed; raise DeviceError or MediaError where it is not there."""

    def _begin(self, t_start_us: int) -> None:
        """Lay out the schedule from `t_start_us` on."""
        raise NotImplementedError

    def _produce(self, sink: Sink, until_us: int) -> None:
        """Deliver everything that is owed up to `until_us`."""
        raise NotImplementedError

    def _release(self) -> None:
        """Free what ``_open`` took."""

    # -- the verbs ------------------------------------------------------------------

    def connect(self) -> None:
        """Open the device; a second call does nothing."""
        with self._verb_lock:
            if not self._connected:
                self._open()
                self._connected = True

    def start(self, sink: Sink) -> None:
        """Deliver to `sink` from the clock's present time on.

        Raises
        ------
        DeviceError
            If the device is not connected or runs already.
        """
        with self._verb_lock:
            if not self._connected:
                raise DeviceError(f"{self.name}: start() was called before connect().")
            if self._thread is not None:
                raise DeviceError(f"{self.name}: it is running already; stop() it before it is started again.")
            self._stop_at_us = self._ends_at_us = None
            self._wake.clear()
            self._begin(self.clock.now_us())
            self._thread = threading.Thread(target=self._run, args=(sink,), name=self.name, daemon=True)
            self._thread.start()

    def deliver(self, sink: Sink, t_from_us: int, t_until_us: int) -> None:
        """Deliver all of a stretch of time at once, from the caller's thread, whatever the clock says.

        For recordings that nobody waits for: what comes is what `start` would have delivered in that time.

        Raises
        ------
        DeviceError
            If the device is not connected or runs already.
        """
        with self._verb_lock:
            self._require_connected("deliver")
            if self._thread is not None:
                raise DeviceError(f"{self.name}: it is running already; stop() it before deliver() is called.")
            self._begin(t_from_us)
            self._produce(sink, t_until_us)

    def stop_at(self, t_us: int) -> None:
        """Owe nothing after `t_us`, from now until the next start; what was delivered already stays.

        A clock that runs fast runs on while a slow machine gets round to `stop`.
        """
        self._ends_at_us = t_us

    def stop(self) -> None:
        """Deliver what is owed up to now or to `stop_at`, whichever is earlier, then stop; idempotent."""
        with self._verb_lock:
            thread = self._thread
            if thread is None:
                return
            self._stop_at_us = self.clock.now_us()
            self._wake.set()
            thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop and release; idempotent."""
        with self._verb_lock:
            self.stop()
            if self._connected:
                self._connected = False
                self._release()

    def _require_connected(self, verb: str = "describe") -> None:
        if not self._connected:
            raise DeviceError(f"{self.name}: {verb}() was called before connect().")

    def _run(self, sink: Sink) -> None:
        try:
            while True:
                stop_at_us = self._stop_at_us
                until_us = self.clock.now_us() if stop_at_us is None else stop_at_us
                ends_at_us = self._ends_at_us
                self._produce(sink, until_us if ends_at_us is None else min(until_us, ends_at_us))
                if stop_at_us is not None:
                    return
                self._wake.wait(_POLL_S)
        except Exception as error:
            # The thread's end must be seen: a silent death would look like a participant without eyes.
            logger.exception("%s stopped delivering", self.name)
            sink.event(markers.DEVICE_FAULT, f"{self.name} stopped delivering: {error}"[:250])
