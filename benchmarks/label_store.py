"""Label store: time of a commit and of merging, against the least that could do.

A commit is what the annotation tool does at the last key press of a clip: a label
and a step in one transaction. The baseline does the least that keeps a label over a
power cut in a database: one INSERT by the bare sqlite3 module, fully synced, in the
same journal mode. It has no undo, no check, no protection against changes. The
merge baseline concatenates CSV files with pandas. ``ratio`` is value over baseline
value, of one run, the two interleaved.

Run it: python -m benchmarks.label_store
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.labels import Judged, Label, LabelStore, Step, current_labels, read_labels
from data_schema.labels.journal import journal_mode_for
from data_schema.labels.label import LABEL_FIELDS
from data_schema.vocabularies import EMOTIONS

N_CLIPS, N_RATERS = 1303, 5  # the clips kept in EMER (arXiv 2512.16485), and five raters
N_COMMITS = 600
COMMIT_P95_MS = 10.0  # issue "Annotate": commit p95 under 10 ms
MERGE_S = 2.0  # chosen: nobody should wait for `emer annotate status`


def _labels(rng: np.random.Generator, n: int) -> list[Label]:
    return [
        Label(
            f"sub-P{i // 11:03d}_ses-01_trial-{i % 11:03d}",
            "ab" * 32,
            "fer",
            emotion=EMOTIONS[int(rng.integers(len(EMOTIONS)))],
            valence=round(float(rng.uniform(-1, 1)), 2),
            arousal=round(float(rng.uniform(-1, 1)), 2),
            intensity=float(rng.integers(4)),
            duration_ms=int(rng.integers(2000, 20000)),
        )
        for i in range(n)
    ]


def _commits(folder: Path, labels: list[Label]) -> tuple[np.ndarray, np.ndarray]:
    """Return milliseconds per commit of the store and of a bare, fully synced INSERT."""
    store_ms, bare_ms = [], []
    with (
        LabelStore.open(folder / "a00.sqlite", "a00") as store,
        contextlib.closing(sqlite3.connect(folder / "bare.sqlite", isolation_level=None)) as bare,
    ):
        bare.execute(f"PRAGMA journal_mode={journal_mode_for(folder)}")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute(f"CREATE TABLE labels (seq INTEGER PRIMARY KEY, {', '.join(LABEL_FIELDS)})")
        statement = f"INSERT INTO labels ({', '.join(LABEL_FIELDS)}) VALUES ({', '.join('?' * len(LABEL_FIELDS))})"
        for number, label in enumerate(labels):
            about = Judged(label.clip_id, label.clip_sha256, label.task)
            entries = [label, Step(about, f"i-{number}", "commit", "{}", '{"emotion": "fear", "valence": 0.5}')]
            start = time.perf_counter()
            store.write(entries)
            between = time.perf_counter()
            bare.execute(statement, [getattr(label, name) for name in LABEL_FIELDS])
            store_ms.append(1e3 * (between - start))
            bare_ms.append(1e3 * (time.perf_counter() - between))
    return np.array(store_ms), np.array(bare_ms)


def _merges(folder: Path, rng: np.random.Generator) -> tuple[float, float, int]:
    """Return seconds to merge the files of all raters, as a store and as CSV, and the labels found."""
    stores, tables = [], []
    for number in range(N_RATERS):
        labels = _labels(rng, N_CLIPS)
        stores.append(folder / f"m{number:02d}.sqlite")
        tables.append(folder / f"m{number:02d}.csv")
        with LabelStore.open(stores[-1], f"m{number:02d}") as store:
            store.add_many(labels)
        pd.DataFrame(
            [[getattr(label, name) for name in LABEL_FIELDS] for label in labels], columns=LABEL_FIELDS
        ).to_csv(tables[-1], index=False)
    store_s, csv_s, n = [], [], 0
    for _ in range(5):
        start = time.perf_counter()
        n = len(current_labels(read_labels(stores)))
        between = time.perf_counter()
        pd.concat([pd.read_csv(path) for path in tables])
        store_s.append(between - start)
        csv_s.append(time.perf_counter() - between)
    return float(np.median(store_s)), float(np.median(csv_s)), n


def _figure(name: str, value: float, unit: str, baseline: str, against: float, target: float) -> dict[str, Any]:
    return {
        "figure": name,
        "value": round(value, 4),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": round(against, 4),
        "ratio": round(value / against, 2),
        "target": f"< {target:g} {unit}",
        "met": value < target,
    }


def run() -> list[dict[str, Any]]:
    """Measure and return one dictionary per figure."""
    rng = np.random.default_rng(0)
    # Beside the user's files, not in /tmp, which may be memory and would make fsync free.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".label-store-") as name:
        folder = Path(name)
        store_ms, bare_ms = _commits(folder, _labels(rng, N_COMMITS))
        merge_s, concat_s, n = _merges(folder, rng)
    if n != N_CLIPS * N_RATERS:
        raise RuntimeError(f"{n} labels after merging, expected {N_CLIPS * N_RATERS}")
    append = "bare sqlite3 INSERT, full sync"
    return [
        _figure(
            "label commit p50", *_percentiles(store_ms, 50), append, float(np.percentile(bare_ms, 50)), COMMIT_P95_MS
        ),
        _figure(
            "label commit p95", *_percentiles(store_ms, 95), append, float(np.percentile(bare_ms, 95)), COMMIT_P95_MS
        ),
        _figure(
            f"merge {N_CLIPS} clips x {N_RATERS} raters", merge_s, "s", "pandas.concat of CSV files", concat_s, MERGE_S
        ),
    ]


def _percentiles(values: np.ndarray, q: float) -> tuple[float, str]:
    return float(np.percentile(values, q)), "ms"


if __name__ == "__main__":
    for figure in run():
        print(json.dumps(figure))
