"""The clock inside a simulated tracker: its own zero, its own speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class DeviceClock:
    """A clock that differs from the host's by an offset and a drift.

    Parameters
    ----------
    epoch_us : int
        Host time at which the device clock reads `offset_us`.
    offset_us : int
        Reading at the epoch.
    drift_ppm : float
        How much faster than the host it runs, parts per million. A Tobii Pro
        Spectrum was measured at about 8 ppm.
    """

    epoch_us: int
    offset_us: int
    drift_ppm: float

    def read(self, t_host_us: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the device's readings at host times, microseconds."""
        elapsed = t_host_us - self.epoch_us
        return self.offset_us + np.rint(elapsed * (1.0 + self.drift_ppm * 1e-6)).astype(np.int64)
