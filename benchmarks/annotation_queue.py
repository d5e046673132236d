"""Handing out 10,000 clips, and opening one annotator's queue of them.

The baseline of each is what cannot be avoided: to read, or read and write, the same tables with pandas.

Run it: python -m benchmarks.annotation_queue
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figure import figure

N_CLIPS, N_ANNOTATORS, PER_CLIP = 10_000, 6, 2
OPEN_LIMIT_S = 0.5  # our limit: a third of what the window has until its first frame (issue "Annotate": 1.5 s)
ASSIGN_LIMIT_S = 5.0  # our limit: a command that nobody waits for

_TOML = """\
[study]
title = "Benchmark"
seed = 1
[annotation]
annotators = [{names}]
annotators_per_clip = {per_clip}
"""


def make_table_study(root: Path, n_clips: int, n_annotators: int, per_clip: int) -> Any:
    """Write a study with a clip table and no recordings."""
    from data_schema.files import write_table
    from data_schema.study import StudyFolder
    from data_schema.vocabularies import EMOTIONS

    names = ", ".join(f'"a{number:02d}"' for number in range(n_annotators))
    root.mkdir(parents=True, exist_ok=True)
    (root / "study.toml").write_text(_TOML.format(names=names, per_clip=per_clip), encoding="utf-8")
    study = StudyFolder(root)
    numbers = np.arange(n_clips)
    people = [f"P{number // 20:03d}" for number in numbers]
    table = pd.DataFrame(
        {
            "clip_id": [f"sub-{who}_ses-01_trial-{number % 20:03d}" for who, number in zip(people, numbers, strict=True)],
            "participant": people, "session": "01", "trial_id": (numbers % 20).astype("int32"), "stimulus_id": "s00",
            "target_emotion": [EMOTIONS[number % 7] for number in numbers],
            "session_file": [f"sessions/sub-{who}/ses-01/sub-{who}_ses-01.h5" for who in people],
            "session_sha256": "ab" * 32, "t_start_us": numbers * 1000, "t_end_us": numbers * 1000 + 900,
            "n_face_frames": np.int32(30), "gaze_valid_share": 1.0, "included": True, "exclusion_reason": "",
            "simulated": True,
        }
    )  # fmt: skip
    write_table(study.clip_index_path, table)
    return study


def _seconds(what: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        what()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _process_seconds(root: Path, repeat: int) -> float:
    """Return the seconds of a fresh process that opens a queue, imports included."""
    script = (
        "import sys; from annotation.sources.study import StudySource; from data_schema.study import StudyFolder;"
        "print(len(StudySource(StudyFolder(sys.argv[1]), 'fer', 'a00').items()))"
    )
    return _seconds(
        lambda: subprocess.run([sys.executable, "-c", script, str(root)], check=True, capture_output=True), repeat
    )


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Measure and return the figures."""
    from annotation.queue.assignments import assignments_path, extend_assignments, load_assignments
    from annotation.sources.study import StudySource
    from data_schema.study import StudyFolder

    n_clips = 2_000 if quick else N_CLIPS
    repeat = 3 if quick else 9
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        study = make_table_study(root / "shared", n_clips, N_ANNOTATORS, PER_CLIP)
        start = time.perf_counter()
        extend_assignments(study)
        assign_s = time.perf_counter() - start

        def write_again() -> None:
            load_assignments(study).to_parquet(root / "copy.parquet", index=False)

        write_s = _seconds(write_again, repeat)
        alone = make_table_study(root / "alone", n_clips, 1, 1)
        extend_assignments(alone)

        def read_both() -> None:
            pd.read_parquet(alone.clip_index_path)
            pd.read_parquet(assignments_path(alone))

        open_s = _seconds(lambda: StudySource(StudyFolder(alone.root), "fer", "a00"), repeat)
        read_s = _seconds(read_both, repeat)
        process_s = _process_seconds(alone.root, max(3, repeat // 3))
    return [
        figure(
            f"hand out {n_clips} clips, {PER_CLIP} of {N_ANNOTATORS} annotators each, two passes, repeats", assign_s, "s",
            baseline="read and write the same table with pandas", baseline_value=write_s,
            target=f"< {ASSIGN_LIMIT_S:g} s (ours)", met=assign_s < ASSIGN_LIMIT_S,
        ),
        figure(
            f"open the queue of one annotator with {n_clips} clips", open_s, "s",
            baseline="read the two tables with pandas", baseline_value=read_s,
            target=f"< {OPEN_LIMIT_S:g} s (ours)", met=open_s < OPEN_LIMIT_S,
        ),
        figure("the same in a fresh process, imports included", process_s, "s"),
    ]  # fmt: skip


if __name__ == "__main__":
    for line in run(quick="--quick" in sys.argv):
        sys.stdout.write(json.dumps(line) + "\n")
