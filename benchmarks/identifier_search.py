"""How fast a finished export is searched for identifiers, beside reading the same bytes once."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.figure import figure
from data_schema.publishing.identifiers import Identifier
from data_schema.publishing.scan import search
from data_schema.session.reader import file_sha256


def run(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Search video-like bytes and compressed tables for what a study of 200 participants would search for."""
    size = 32 << 20 if quick else 256 << 20
    many = [Identifier("participant", f"P{number:03d}") for number in range(200)]
    many += [Identifier("text", f"some words of participant {number}, in their own way") for number in range(1000)]
    many += [Identifier("date", f"2026-11-{day:02d}") for day in range(1, 31)]
    for name, wanted in (("200 participants, 1,000 texts, 30 days", many), ("one participant who withdraws", many[:1])):
        with TemporaryDirectory() as folder:
            video = Path(folder) / "video.mp4"
            video.write_bytes(np.random.default_rng(0).bytes(size))
            yield _timed(f"search a video for {name}", Path(folder), video, size)(wanted)
        with TemporaryDirectory() as folder:
            table = Path(folder) / "gaze.tsv.gz"
            rows = np.random.default_rng(0).uniform(0, 1, (size // 160, 5))
            text = "\n".join("\t".join(f"{value:.6f}" for value in row) for row in rows).encode()
            table.write_bytes(gzip.compress(text, 1, mtime=0))
            yield _timed(f"search a gaze table for {name}", Path(folder), table, len(text))(wanted)


def _timed(name: str, folder: Path, path: Path, n_bytes: int) -> Any:
    def measure(wanted: list[Identifier]) -> dict[str, Any]:
        began = time.perf_counter()
        file_sha256(path)
        hashed_s = time.perf_counter() - began
        began = time.perf_counter()
        report = search(folder, wanted)
        seconds = time.perf_counter() - began
        if report.findings:
            raise RuntimeError(f"found what is not there: {report.findings[0]}")
        return figure(
            name,
            n_bytes / 1e6 / seconds,
            "MB/s",
            baseline="SHA-256 of the same file",
            baseline_value=n_bytes / 1e6 / hashed_s,
        )

    return measure
