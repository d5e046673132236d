"""One figure of a benchmark, as a line of JSON."""

from __future__ import annotations

import os
import platform
from typing import Any


def figure(
    name: str,
    value: float,
    unit: str,
    *,
    baseline: str | None = None,
    baseline_value: float | None = None,
    ratio: float | None = None,
    target: str | None = None,
    met: bool | None = None,
) -> dict[str, Any]:
    """Return a figure; `ratio` is the value over the baseline's unless it is given."""
    if ratio is None and baseline_value:
        ratio = value / baseline_value
    return {
        "figure": name,
        "value": round(value, 6),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": None if baseline_value is None else round(baseline_value, 6),
        "ratio": None if ratio is None else round(ratio, 4),
        "target": target,
        "met": met,
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()},
    }
