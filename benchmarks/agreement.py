"""Agreement: time and memory for 1,303 clips and 5 raters with missing labels, both passes, all figures and intervals.

The baseline computes one single figure of the hundreds, nominal alpha of the emotions, by the
library krippendorff, once per bootstrap resample (50 of them, scaled to as many as ours).

Run it: python -m benchmarks.agreement
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figure import figure

N_CLIPS, N_RATERS, MISSING = 1303, 5, 0.15  # the clips kept in EMER (arXiv 2512.16485)
LIMIT_S, LIMIT_MB = 10.0, 500.0  # issue "Annotate"
_BASELINE_RESAMPLES = 50


def synthetic_labels(seed: int = 0, n_clips: int = N_CLIPS, n_raters: int = N_RATERS) -> pd.DataFrame:
    """Return labels of simulated raters, a tenth of the clips twice, some missing or skipped."""
    from data_schema.labels import label_frame
    from data_schema.labels.models import COLUMN_NAMES
    from data_schema.vocabularies import EMOTIONS, POLARITIES

    rng = np.random.default_rng(seed)
    rows = []
    for task in ("er", "fer"):
        truth = rng.integers(len(EMOTIONS), size=n_clips)
        level = rng.uniform(-1, 1, n_clips)
        for rater in range(n_raters):
            for clip in range(n_clips):
                for repetition in range(2 if clip % 10 == 0 else 1):
                    if rng.random() < MISSING:
                        continue
                    word = int(truth[clip] if rng.random() < 0.7 else rng.integers(len(EMOTIONS)))
                    skipped = rng.random() < 0.03
                    mark = float(np.clip(round((level[clip] + rng.normal(0, 0.3)) / 0.05) * 0.05, -1, 1))
                    cells: dict[str, Any] = dict.fromkeys(COLUMN_NAMES)
                    cells |= {
                        "row_id": f"{len(rows):032x}", "action": "label", "annotator_id": f"sim-{rater:02d}",
                        "annotator_kind": "simulated", "clip_id": f"clip-{clip:05d}", "clip_sha256": "ab" * 32,
                        "task": task, "view": "", "repetition": repetition, "comment": "",
                        "created_utc": f"2026-01-01T00:00:00.{len(rows) % 1_000_000:06d}Z", "toolkit_version": "0",
                        "skip_reason": "cannot_decide" if skipped else None,
                    }  # fmt: skip
                    if not skipped:
                        cells |= {
                            "emotion": EMOTIONS[word], "polarity": POLARITIES[word % 3], "valence": mark,
                            "arousal": -mark, "intensity": float(word % 4) if task == "fer" else None,
                        }  # fmt: skip
                    rows.append(tuple(cells[name] for name in COLUMN_NAMES))
    return label_frame(rows)


def _measure() -> None:
    """Compute once in this process; print seconds and the growth of the peak memory."""
    from pathlib import Path

    from annotation.agreement import agreement
    from annotation.agreement.page import render

    labels = synthetic_labels()
    began, spent = time.perf_counter(), time.process_time()
    report = agreement(labels, title="benchmark")
    figures_s, processor_s = time.perf_counter() - began, time.process_time() - spent
    page = render(report)
    # resource's figure would count what a parent process held at the fork.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    whole_s = time.perf_counter() - began
    table = report.table()
    found = {
        "figures_s": figures_s,
        "processor_s": processor_s,
        "whole_s": whole_s,
        "peak_mb": int(peak.split()[1]) / 1024,
        "rows": len(table),
        "page_mb": len(page) / 1e6,
    }
    print(json.dumps(found))


def _baseline(n_resamples: int) -> float:
    import krippendorff

    from annotation.agreement import pass_ratings

    codes = pass_ratings(synthetic_labels(), "er", kinds=("simulated",)).classes[0].codes
    data = np.where(codes < 0, np.nan, codes.astype(float)).T
    rng = np.random.default_rng(0)
    began = time.perf_counter()
    for _ in range(_BASELINE_RESAMPLES):
        krippendorff.alpha(data[:, rng.integers(data.shape[1], size=data.shape[1])], level_of_measurement="nominal")
    return (time.perf_counter() - began) / _BASELINE_RESAMPLES * n_resamples


def run() -> list[dict[str, Any]]:
    """Measure in a process of its own and return one dictionary per figure."""
    from annotation.agreement.report import N_RESAMPLES

    found = json.loads(
        subprocess.run(
            [sys.executable, "-c", "from benchmarks.agreement import _measure; _measure()"],
            check=True, capture_output=True, text=True,
            # The products are small: more threads would only wait for each other.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        ).stdout
    )  # fmt: skip
    against = _baseline(N_RESAMPLES)
    what = f"{N_CLIPS} clips x {N_RATERS} raters, both passes, {N_RESAMPLES} resamples"
    one = "alpha of the emotions of one pass alone, by krippendorff"
    return [
        figure(f"agreement, {what}", found["figures_s"], "s", baseline=one, baseline_value=against,
               target=f"< {LIMIT_S:g} s", met=found["figures_s"] < LIMIT_S),
        figure(f"agreement and its page, {what}", found["whole_s"], "s", baseline=one, baseline_value=against,
               target=f"< {LIMIT_S:g} s", met=found["whole_s"] < LIMIT_S),
        figure(f"processor time of agreement, all cores together, {what}", found["processor_s"], "s"),
        figure(f"peak memory of the process, {what}", found["peak_mb"], "MB", target=f"< {LIMIT_MB:g} MB",
               met=found["peak_mb"] < LIMIT_MB),
    ]  # fmt: skip


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
