"""Carry out what the presenter's process asks of the eye tracker, beside the recording.

A verb of a tracker may block for seconds, or for ever if its cable is pulled in
the middle of a calibration. Each lane is a thread of its own, so that orders,
reports and the recording go on meanwhile.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collection.devices.base import Calibratable, Device
from data_schema.errors import DeviceError, EmerError, RecordingError

logger = logging.getLogger(__name__)

#: Verbs that need a tracker that can be calibrated.
CALIBRATION_VERBS = (
    "calibration_begin",
    "calibration_collect",
    "calibration_discard",
    "calibration_compute",
    "calibration_end",
    "calibration_data",
    "calibration_apply",
)
#: Answered without waiting for whatever the tracker is busy with.
STORE_CALIBRATION = "store_calibration"
IS_CALIBRATABLE = "is_calibratable"
VERBS = (*CALIBRATION_VERBS, "display_area", "set_display_area", IS_CALIBRATABLE, STORE_CALIBRATION)
#: Carried out however late: a tracker that is left in calibration mode delivers nothing useful.
_NEVER_TOO_LATE = "calibration_end"


@dataclass(frozen=True)
class Request:
    """One thing that is asked for."""

    number: int
    verb: str
    arguments: tuple[Any, ...]
    #: Real time (monotonic seconds of this process) after which nobody waits for it any more.
    expires_s: float


#: Takes the request's number, True if it went well, and the answer or the error.
Answer = Callable[[int, bool, Any], None]


class RequestDesk:
    """Carry out requests one after the other, in threads of their own.

    Parameters
    ----------
    tracker : callable
        Returns the eye tracker, or None if there is none.
    store : callable
        Stores calibration data and returns (offset, size) once it is on file.
    answer : callable
        Sends an answer; called from the desk's threads.
    """

    def __init__(
        self, tracker: Callable[[], Device | None], store: Callable[[bytes], tuple[int, int]], answer: Answer
    ) -> None:
        self._tracker = tracker
        self._store = store
        self._answer = answer
        self._lanes: dict[str, queue.SimpleQueue[Request | None]] = {}
        self._busy_with = ""
        self._closed = False

    def put(self, number: int, verb: str, arguments: tuple[Any, ...], timeout_s: float) -> None:
        """Take a request; returns at once."""
        request = Request(number, verb, arguments, time.monotonic() + timeout_s)
        if self._closed:
            self._answer(
                number, False, RecordingError("the recording is ending; the eye tracker is not asked any more")
            )
            return
        lane = "file" if verb in (STORE_CALIBRATION, IS_CALIBRATABLE) else "tracker"
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = queue.SimpleQueue()
            threading.Thread(
                target=self._serve, args=(waiting, lane), name=f"recorder-requests-{lane}", daemon=True
            ).start()
        waiting.put(request)

    @property
    def busy_with(self) -> str:
        """The tracker's verb that is being carried out; empty if there is none."""
        return self._busy_with

    def close(self) -> None:
        """Take nothing more; a verb that hangs is left behind with its thread."""
        self._closed = True
        for waiting in self._lanes.values():
            waiting.put(None)

    def _serve(self, waiting: queue.SimpleQueue[Request | None], lane: str) -> None:
        while True:
            request = waiting.get()
            if request is None:
                return
            if time.monotonic() > request.expires_s and request.verb != _NEVER_TOO_LATE:
                continue
            if lane == "tracker":
                self._busy_with = request.verb
            try:
                answer, good = self._carry_out(request), True
            except EmerError as error:
                answer, good = error, False
            except Exception as error:
                logger.exception("the eye tracker failed at '%s'", request.verb)
                text = f"the eye tracker failed at '{request.verb}': {type(error).__name__}: {error}"
                answer, good = DeviceError(text), False
            finally:
                if lane == "tracker":
                    self._busy_with = ""
            self._answer(request.number, good, answer)

    def _carry_out(self, request: Request) -> Any:
        verb, arguments = request.verb, request.arguments
        if verb == STORE_CALIBRATION:
            return self._store(*arguments)
        if verb not in VERBS:
            raise DeviceError(f"the recorder knows no request '{verb}'. Known: {', '.join(VERBS)}.")
        tracker = self._tracker()
        if verb == IS_CALIBRATABLE:
            return can_be_calibrated(tracker)
        if tracker is None:
            raise DeviceError(f"there is no eye tracker in this recording, so '{verb}' cannot be done.")
        if verb in CALIBRATION_VERBS and not can_be_calibrated(tracker):
            raise DeviceError(
                f"this eye tracker ({tracker.describe().model}) cannot be calibrated from here. Set points = 0 in "
                "[calibration] of study.toml, or calibrate it with its own software."
            )
        method = getattr(tracker, verb, None)
        if method is None:
            if verb == "display_area":
                return None
            raise DeviceError(f"this eye tracker ({tracker.describe().model}) has no display area that can be set.")
        return method(*arguments)


def can_be_calibrated(tracker: Device | None) -> bool:
    """Tell whether a tracker can be calibrated; a device that wraps another one says so itself."""
    says = getattr(tracker, IS_CALIBRATABLE, None)
    return bool(says()) if says is not None else isinstance(tracker, Calibratable)
