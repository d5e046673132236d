"""Plant the default world (1,303 clips of 121 simulated people), and export it, faces included.

The baseline is the time that the same sessions would last if somebody sat through them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figure import figure
from collection.simulation.planted_study import plant_study
from collection.simulation.world import World
from data_schema.exports.training import export_training
from data_schema.work.running import usable_cores

#: Seconds that the default world may take on two cores.
_LIMIT_S = 240.0


def run(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the figures; `quick` plants twelve people, from whom no limit is asked."""
    world = World(participants=12, clips=129) if quick else World()
    size = f"{world.clips:,} clips of {world.clip_s:g} s by {world.participants} people, {usable_cores()} processes"
    with tempfile.TemporaryDirectory() as folder:
        planted = plant_study(Path(folder) / "world", world)
        yield figure(
            f"plant {size}",
            planted.seconds,
            "s",
            baseline="the sessions in real time",
            baseline_value=world.clips * (world.clip_s + world.gap_s),
            ratio=world.clips * (world.clip_s + world.gap_s) / planted.seconds,
            target=None if quick else f"at most {_LIMIT_S:g} s on two idle cores",
            met=None if quick else planted.seconds <= _LIMIT_S,
        )
        began_s = time.monotonic()
        result = export_training(planted.study, planted.study.exports_dir / "training", workers=0)
        yield figure(f"export them for training: {result.counts['clips']:,} clips", time.monotonic() - began_s, "s")
        n_bytes = sum(path.stat().st_size for path in planted.study.root.rglob("*") if path.is_file())
        yield figure("study and export on disk", n_bytes / 1e6, "MB")
