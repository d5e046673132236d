"""The streams of a Tobii Pro tracker: subscribe, take over, hand on, and come back after a fault.

A callback of the SDK stamps the sample and puts it into a queue, nothing else: a
delay in it fills the SDK's buffer, and what it raises is swallowed. A thread of
ours empties the queue every few milliseconds, turns whole batches into rows and
gives them to the sink. A second thread looks after the connection: subscribing
from within a callback is not allowed by the SDK.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from collection.devices import sdk as samples_of_sdk
from collection.devices.base import Sink
from collection.devices.tobii_errors import explained, sdk_errors
from collection.devices.tobii_notices import NOTIFICATION_NAMES, Notice, external_signal, notification, stream_error
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS, TIME_SYNC, USER_POSITION, Table, make_row

logger = logging.getLogger(__name__)

#: Real seconds between two looks into the queue; six samples at 1200 Hz.
_PUMP_S = 0.005
#: Samples that may wait for the thread; a minute of the fastest stream.
_QUEUE_LIMIT = 72_000
#: Real seconds after which a tracker that came back, or one that fell silent, is subscribed to anew.
RESTORED_WITHIN_S = 2.0
SILENT_S = 5.0
_LONGEST_WAIT_S = 30.0
_SAY_EVERY_S = 1.0

_TABLES: dict[str, Table] = {
    "GAZE_DATA": GAZE,
    "EYE_OPENNESS_DATA": OPENNESS,
    "USER_POSITION_GUIDE": USER_POSITION,
    "TIME_SYNCHRONIZATION_DATA": TIME_SYNC,
}
#: Streams that a tracker may lack, and the claim without which they are not even asked for.
_CLAIMED = {
    "EYE_OPENNESS_DATA": "CAPABILITY_HAS_EYE_OPENNESS_DATA",
    "EXTERNAL_SIGNAL": "CAPABILITY_HAS_EXTERNAL_SIGNAL",
}
_Item = tuple[str, Any, int]


class TobiiStreams:
    """All subscriptions of one start.

    Parameters
    ----------
    sdk : module
        ``tobii_research``.
    tracker : tobii_research.EyeTracker
        Connected.
    clock : HostClock
        Clock of the recording.
    sink : Sink
        Where rows and events go.
    sdk_minus_host_us : int
        What is taken off the SDK's system stamps; 0 where both are one clock.
    reopen : callable
        Called on the watching thread before streams are subscribed anew; returns the tracker to
        use, which may be a new object, and sentences about what was set again.
    calibrating : callable
        Tells whether the tracker is in calibration mode, in which silence is no fault.
    lost : callable
        Called when the connection is lost.
    """

    def __init__(
        self,
        sdk: ModuleType,
        tracker: Any,
        clock: HostClock,
        sink: Sink,
        *,
        sdk_minus_host_us: int = 0,
        reopen: Callable[[], tuple[Any, Sequence[str]]],
        calibrating: Callable[[], bool] = lambda: False,
        lost: Callable[[], None] = lambda: None,
        restored_within_s: float = RESTORED_WITHIN_S,
        silent_s: float = SILENT_S,
    ) -> None:
        self._sdk = sdk
        self._tracker = tracker
        self._clock = clock
        self._sink = sink
        self._shift_us = sdk_minus_host_us
        self._reopen = reopen
        self._calibrating = calibrating
        self._lost = lost
        self._restored_within_s = restored_within_s
        self._silent_s = silent_s
        self._queue: deque[_Item] = deque()
        self._dropped = 0
        self._unreadable: dict[str, int] = {}
        self._unreadable_said_s = -_SAY_EVERY_S
        self._trouble_said_s = -_SAY_EVERY_S
        self._callbacks: dict[str, Callable[[Any], None]] = {}
        self._subscribed: list[str] = []
        self._stopping = threading.Event()
        self._closed = False
        self._last_gaze_s = time.monotonic()
        self._connected = True
        self._restored_s: float | None = None
        self._pumper = threading.Thread(target=self._pump, name="eye tracker samples", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="eye tracker watch", daemon=True)

    # -- start and stop ---------------------------------------------------------------

    def start(self) -> None:
        """Subscribe to everything that the tracker has, and deliver.

        Raises
        ------
        DeviceError
            If the tracker refuses the gaze stream; nothing is subscribed then.
        """
        self._subscribe_all()
        self._last_gaze_s = time.monotonic()
        self._pumper.start()
        self._watcher.start()

    def stop(self) -> None:
        """Unsubscribe, deliver what waits, end the threads; idempotent."""
        self._stopping.set()
        # The watching thread first: it may be subscribing at this moment.
        if self._watcher.ident is not None:
            self._watcher.join()
        self._unsubscribe_all()
        # A callback that the SDK is still running finds the queue closed.
        self._closed = True
        if self._pumper.ident is not None:
            self._pumper.join()

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that are subscribed."""
        return tuple(self._subscribed)

    # -- subscriptions ------------------------------------------------------------------

    def _subscribe_all(self) -> None:
        self._subscribe("GAZE_DATA", required=True)
        for name in ("EYE_OPENNESS_DATA", "USER_POSITION_GUIDE", "TIME_SYNCHRONIZATION_DATA", "EXTERNAL_SIGNAL"):
            claim = getattr(self._sdk, _CLAIMED.get(name, ""), None)
            if name not in _CLAIMED or (claim is not None and claim in self._tracker.device_capabilities):
                self._subscribe(name)
        self._subscribe("STREAM_ERRORS")
        for name in NOTIFICATION_NAMES:
            self._subscribe(f"NOTIFICATION_{name}")

    def _subscribe(self, name: str, *, required: bool = False) -> None:
        stream = getattr(self._sdk, f"EYETRACKER_{name}", None)
        if stream is None:
            refusal = DeviceError(f"This Tobii SDK has no stream {name}. Install tobii-research 2.1 or later.")
        else:
            callback = self._callbacks.setdefault(name, self._make_callback(name))
            try:
                self._tracker.subscribe_to(stream, callback, as_dictionary=True)
            except (*sdk_errors(self._sdk), ValueError) as error:
                refusal = explained(error, f"deliver the stream {name}")
                # The SDK counts a refused callback as subscribed and would refuse it the next time.
                self._unsubscribe(name)
            else:
                self._subscribed.append(name)
                return
        if required:
            self._unsubscribe_all()
            raise refusal
        logger.warning("not recorded: %s", refusal)

    def _unsubscribe(self, name: str) -> None:
        try:
            self._tracker.unsubscribe_from(getattr(self._sdk, f"EYETRACKER_{name}"), self._callbacks[name])
        except (*sdk_errors(self._sdk), ValueError, KeyError) as error:
            # The tracker may be gone; there is nothing left to stop then.
            logger.info("unsubscribing from %s failed: %s", name, error)

    def _unsubscribe_all(self) -> None:
        subscribed, self._subscribed = self._subscribed, []
        for name in subscribed:
            self._unsubscribe(name)

    def _make_callback(self, name: str) -> Callable[[Any], None]:
        queue, now_us = self._queue, self._clock.now_us

        def stamp_and_enqueue(sample: Any) -> None:
            if self._closed:
                return
            if len(queue) >= _QUEUE_LIMIT:
                self._dropped += 1
                return
            queue.append((name, sample, now_us()))

        return stamp_and_enqueue

    # -- the thread that hands on --------------------------------------------------------

    def _pump(self) -> None:
        while True:
            closed = self._closed
            try:
                self._hand_on()
            except Exception as error:  # noqa: BLE001 reported
                # Those samples are lost and must be seen; the next ones may be good, so the thread goes on.
                self._report_trouble("samples could not be handed on", error)
            if closed:
                return
            time.sleep(_PUMP_S)

    def _hand_on(self) -> None:
        waiting: dict[str, tuple[list[Any], list[int]]] = {}
        for _ in range(len(self._queue)):
            name, sample, t_us = self._queue.popleft()
            if name in _TABLES:
                group = waiting.setdefault(name, ([], []))
                group[0].append(sample)
                group[1].append(t_us)
            else:
                try:
                    self._notify(name, sample, t_us)
                except Exception as error:  # noqa: BLE001 reported
                    # A firmware may say what nobody expects; the samples that wait beside it must not pay for it.
                    self._report_trouble(f"what it said as {name} cannot be read", error)
        for name, (items, stamps) in waiting.items():
            self._rows(name, items, stamps)
        self._say_losses()

    def _report_trouble(self, what: str, error: Exception) -> None:
        """Log and report something unexpected, not more often than once a second."""
        now_s = time.monotonic()
        if now_s - self._trouble_said_s < _SAY_EVERY_S:
            return
        self._trouble_said_s = now_s
        logger.exception("eye tracker: %s", what)
        said = f"eye tracker: {what}: {type(error).__name__}: {error}"
        self._sink.event(markers.DEVICE_FAULT, said[:250])

    def _rows(self, name: str, items: list[Any], stamps: list[int]) -> None:
        table = _TABLES[name]
        try:
            rows = samples_of_sdk.rows_of(table, items, stamps)
        except (KeyError, ValueError, TypeError) as error:
            self._one_by_one(name, items, stamps, error)
            return
        if self._shift_us:
            for column in ("t_system_us", "t_request_us", "t_response_us"):
                if column in (rows.dtype.names or ()):
                    rows[column] -= self._shift_us
        if name == "GAZE_DATA":
            self._last_gaze_s = time.monotonic()
        self._sink.rows(table.path, rows)

    def _one_by_one(self, name: str, items: list[Any], stamps: list[int], error: Exception) -> None:
        """Keep the samples that can be read, and count the others."""
        if len(items) > 1:
            for item, stamp in zip(items, stamps, strict=True):
                self._rows(name, [item], [stamp])
            return
        if not self._unreadable.get(name):
            logger.error("a sample of %s cannot be read: %r: %s", name, error, items[0])
        self._unreadable[name] = self._unreadable.get(name, 0) + 1

    def _say_losses(self) -> None:
        """Report samples that were lost here, not more often than once a second."""
        now_s = time.monotonic()
        if now_s - self._unreadable_said_s < _SAY_EVERY_S and not self._closed:
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._sink.event(markers.SAMPLES_DROPPED, "eye tracker: the queue of its samples was full", float(dropped))
        for name, count in self._unreadable.items():
            self._sink.event(markers.SAMPLES_DROPPED, f"eye tracker: samples of {name} cannot be read", float(count))
        if self._unreadable:
            self._unreadable.clear()
            self._unreadable_said_s = now_s

    def _notify(self, name: str, data: Any, t_us: int) -> None:
        if name == "STREAM_ERRORS":
            notice = stream_error(data)
        elif name == "EXTERNAL_SIGNAL":
            notice = external_signal(data)
        else:
            notice = notification(name.removeprefix("NOTIFICATION_"), data)
        self._say(notice, t_us)
        if notice.kind == "CONNECTION_LOST":
            self._connected = False
            self._lost()
        elif notice.kind == "CONNECTION_RESTORED":
            self._connected = True
            self._restored_s = time.monotonic()

    def _say(self, notice: Notice, t_us: int) -> None:
        stamp = t_us if notice.t_system_us is None else notice.t_system_us - self._shift_us
        row = make_row(NOTIFICATIONS, t_system_us=stamp, kind=notice.kind, message=notice.message)
        self._sink.rows(NOTIFICATIONS.path, row)
        if notice.sentence:
            self._sink.event(markers.DEVICE_FAULT, notice.sentence[:250], t_system_us=stamp)

    # -- the thread that looks after the connection ----------------------------------------

    def _watch(self) -> None:
        poll_s = min(0.25, self._restored_within_s / 4)
        delay_s, next_attempt_s = self._silent_s, 0.0
        while not self._stopping.wait(poll_s):
            now_s = time.monotonic()
            if not self._is_overdue(now_s):
                delay_s, next_attempt_s = self._silent_s, 0.0
            elif now_s >= next_attempt_s:
                if self._subscribe_anew(now_s - self._last_gaze_s):
                    self._restored_s, self._last_gaze_s = None, time.monotonic()
                else:
                    # A tracker that does not come back is asked less and less often.
                    delay_s = min(2 * delay_s, _LONGEST_WAIT_S)
                    next_attempt_s = now_s + delay_s

    def _is_overdue(self, now_s: float) -> bool:
        """Tell whether gaze should have come by now and has not."""
        restored_s = self._restored_s
        if restored_s is not None:
            if self._last_gaze_s > restored_s:
                self._restored_s = None
                return False
            return now_s - restored_s >= self._restored_within_s
        return self._connected and not self._calibrating() and now_s - self._last_gaze_s >= self._silent_s

    def _subscribe_anew(self, silent_s: float) -> bool:
        try:
            self._unsubscribe_all()
            self._tracker, sentences = self._reopen()
            self._subscribe_all()
        except Exception as error:
            # Also what the SDK never raised before: this thread is the only way back to gaze.
            logger.warning(
                "the streams could not be subscribed anew: %s", error, exc_info=not isinstance(error, DeviceError)
            )
            self._sink.event(
                markers.DEVICE_FAULT, f"eye tracker: silent for {silent_s:.0f} s, and it does not answer. {error}"[:250]
            )
            return False
        for sentence in ("its streams were subscribed anew", *sentences):
            self._sink.event(markers.DEVICE_FAULT, f"eye tracker: {sentence}"[:250], silent_s)
        return True
