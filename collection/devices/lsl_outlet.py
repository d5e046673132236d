"""Send the session's markers to other programs as an LSL stream.

One string channel of type Markers, one JSON object a marker, stamped with the
moment that the marker carries and not with the moment of sending. Nothing is
imported before an outlet is made.
"""

from __future__ import annotations

import json
import math
import socket
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.devices.lsl import host_minus_local_us, import_pylsl
from data_schema.clocks import HostClock, SystemClock
from data_schema.errors import DeviceError

#: Name of the stream; other programs look for it.
OUTLET_NAME = "emer-markers"


class LslMarkerOutlet:
    """An LSL stream of markers.

    Parameters
    ----------
    name : str
        Name that the stream announces.
    clock : HostClock
        Clock of the markers; must run in real time.

    Raises
    ------
    MissingExtraError
        If ``pylsl`` is not installed.
    DeviceError
        If the clock does not run in real time.
    """

    def __init__(self, name: str = OUTLET_NAME, clock: HostClock | None = None) -> None:
        self.clock: HostClock = clock if clock is not None else SystemClock()
        if self.clock.speed != 1.0:
            raise DeviceError("LSL runs in real time only. Leave --speed out, or set markers = false in [lsl].")
        self._pylsl = import_pylsl()
        # A receiver recovers a stream by this identifier, so a restarted session must have the same.
        source_id = f"emer-{name}-{socket.gethostname()}"
        info = self._pylsl.StreamInfo(name, "Markers", 1, self._pylsl.IRREGULAR_RATE, "string", source_id)
        info.desc().append_child_value("manufacturer", "emer-toolkit")
        self._outlet: Any = self._pylsl.StreamOutlet(info)
        self._lock = threading.Lock()

    @property
    def has_consumers(self) -> bool:
        """True if somebody listens."""
        return self._outlet is not None and bool(self._outlet.have_consumers())

    def push(self, rows: npt.NDArray[np.void]) -> None:
        """Send rows of ``/events/markers``; never waits for a receiver."""
        _, host_minus_local = host_minus_local_us(self.clock, self._pylsl)
        with self._lock:
            if self._outlet is None:
                return
            for row in np.atleast_1d(rows):
                stamp_s = (int(row["t_system_us"]) - host_minus_local) / 1e6
                self._outlet.push_sample([marker_json(row)], timestamp=stamp_s)

    def close(self) -> None:
        """Withdraw the stream; idempotent."""
        with self._lock:
            self._outlet = None


def marker_json(row: np.void) -> str:
    """Return a marker as the JSON object that is sent: kind, message, value, trial_id, t_system_us."""
    value = float(row["value"])
    marker = {
        "kind": bytes(row["kind"]).decode("utf-8", errors="replace"),
        "message": bytes(row["message"]).decode("utf-8", errors="replace"),
        "value": value if math.isfinite(value) else None,
        "trial_id": int(row["trial_id"]),
        "t_system_us": int(row["t_system_us"]),
    }
    return json.dumps(marker, ensure_ascii=False)
