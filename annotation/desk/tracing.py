"""A continuous trace: where valence and arousal are while the clip plays, sample by sample."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from annotation.playback import FrameIdentity
from data_schema.labels import LabelStore
from data_schema.labels.models import TRACE_SAMPLE

#: A kill loses less than this of a trace.
CHUNK_S = 0.5
_DTYPE = np.dtype(list(TRACE_SAMPLE))


class TraceRecorder:
    """Samples of one trace on their way to the store.

    Parameters
    ----------
    store : LabelStore
    trace_id : str
        Row of the trace.
    mode : {'bounded', 'relative'}
        On the scale, or free of ends.
    traced : {'valence', 'arousal', 'both'}
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, store: LabelStore, trace_id: str, mode: str, traced: str, clock: Callable[[], float]) -> None:
        self._store, self._trace_id, self._clock = store, trace_id, clock
        self._bounded, self._traced = mode == "bounded", traced
        self._start = self._last_cut = clock()
        self._rows: list[tuple[int, int, int, float, float]] = []
        self._full: deque[np.ndarray] = deque()
        self._n_saved = 0
        self.point = (0.0, 0.0)

    def move_to(self, valence: float, arousal: float) -> None:
        """Say where the trace is now."""
        limit = 1.0 if self._bounded else float("inf")
        self.point = (min(max(valence, -limit), limit), min(max(arousal, -limit), limit))

    def sample(self, identity: FrameIdentity) -> bool:
        """Take one sample; True if half a second has come together."""
        now = self._clock()
        valence = self.point[0] if self._traced != "arousal" else np.nan
        arousal = self.point[1] if self._traced != "valence" else np.nan
        t_work_us = round((now - self._start) * 1e6)
        self._rows.append((t_work_us, identity.frame_index, identity.frame_pts, valence, arousal))
        if now - self._last_cut < CHUNK_S:
            return False
        self._last_cut = now
        self._cut()
        return True

    def finish(self) -> None:
        """Take no more samples; `save` brings the last ones too."""
        self._cut()

    def save(self) -> None:
        """Save the chunks that wait, oldest first; each leaves the queue only once it is on the disk.

        Raises
        ------
        EmerError
            If the store cannot take them; they are kept and go with the next ones.
        """
        while self._full:
            self._store.add_samples(self._trace_id, self._n_saved, self._full[0])
            self._full.popleft()
            self._n_saved += 1

    def _cut(self) -> None:
        if self._rows:
            self._full.append(np.array(self._rows, dtype=_DTYPE))
            self._rows = []
