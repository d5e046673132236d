"""Holes in a stream: where it delivered nothing, and how much should have come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_schema.signals.gaze import Int

#: From first to last of what a session holds, microseconds.
Span = tuple[int, int]
#: Streams never begin and end at one instant: silence at an end of the session is a gap from here on.
#: Chosen by us: as long as the silence after which the recorder raises its alarm.
END_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Gap:
    """A hole in a stream: the stamps before and after it, microseconds."""

    t_before_us: int
    t_after_us: int

    @property
    def duration_s(self) -> float:
        """Seconds from the last sample before to the first after."""
        return (self.t_after_us - self.t_before_us) / 1e6


def find_gaps(t_us: Int, min_gap_s: float = 0.1) -> list[Gap]:
    """Find times in which a stream delivered nothing.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    min_gap_s : float
        Shortest hole reported.
    """
    at = np.flatnonzero(np.diff(t_us) > min_gap_s * 1e6)
    return [Gap(int(t_us[i]), int(t_us[i + 1])) for i in at]


def count_gaps(t_us: Int, span_us: Span | None = None, min_gap_s: float = 0.1) -> int:
    """Count the holes of a stream, within it and, given a span, before and after it.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    span_us : tuple of int, optional
        The session; without it, the stream is judged by itself.
    min_gap_s : float
        Shortest hole within the stream; at the ends it is :data:`END_TOLERANCE_S`.
    """
    within = len(find_gaps(t_us, min_gap_s))
    if span_us is None:
        return within
    ends = (t_us.min() - span_us[0], span_us[1] - t_us.max()) if len(t_us) else (span_us[1] - span_us[0],)
    return within + sum(int(end > END_TOLERANCE_S * 1e6) for end in ends)


def expected_samples(t_us: Int, span_us: Span, interval_us: float) -> int:
    """Return how many samples a stream without holes would have over a span.

    The samples that are there, and as many for each hole (of more than 0.1 s, and at the ends) as fit into it: jitter
    of the stamps does not count.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    span_us : tuple of int
    interval_us : float
        Time between two samples.
    """
    if not np.isfinite(interval_us) or interval_us <= 0:
        return len(t_us)
    if not len(t_us):
        return round((span_us[1] - span_us[0]) / interval_us) + 1
    ends = [max(0.0, float(t_us.min() - span_us[0])), max(0.0, float(span_us[1] - t_us.max()))]
    holes = [(gap.t_after_us - gap.t_before_us) - interval_us for gap in find_gaps(t_us)]
    return len(t_us) + sum(int(silence_us / interval_us + 0.5) for silence_us in ends + holes if silence_us > 0)
