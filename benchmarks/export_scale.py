"""Export 1 to 1,000 sessions: time grows with the number of sessions, memory does not.

Each size runs in a process of its own, in which one core does all the work, so that its peak memory is the export's. Sessions
are small (two clips of a second) and simulated; each is a file of its own with a hash of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.figure import figure
from data_schema.session.attributes import write_attribute
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study.folder import StudyFolder

STUDY = """\
[study]
title = "Scale benchmark"
[camera]
width_px = 320
height_px = 240
[folds]
n = 3
[[stimuli]]
id = "s00"
file = "s00.mp4"
target_emotion = "happiness"
"""
_MEASURED = """
import json, sys, time
from pathlib import Path
from data_schema.clips.index import build_clip_index
from data_schema.exports.training import export_training
from data_schema.study.folder import StudyFolder

def peak_mb():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

study = StudyFolder(sys.argv[1])
build_clip_index(study)
before, began = peak_mb(), time.process_time()
result = export_training(study, study.exports_dir / "training", workers=1)
first_s, first_mb = time.process_time() - began, peak_mb()
began = time.process_time()
export_training(study, study.exports_dir / "training", workers=1, force=True)
print(json.dumps([first_s, time.process_time() - began, before, first_mb, result.counts["clips"]]))
"""


def make_study(root: Path, n_sessions: int) -> StudyFolder:
    """Write a study of so many participants with one session each."""
    root.mkdir()
    (root / "study.toml").write_text(STUDY, encoding="utf-8")
    study = StudyFolder(root)
    recording = make_synthetic_session(
        root / "sub-X_ses-01.h5", participant="X", n_trials=2, trial_s=1.0, rate_hz=120.0
    )
    for number in range(n_sessions):
        code = f"P{number + 1:04d}"
        path = study.session_path(code, "01")
        path.parent.mkdir(parents=True)
        shutil.copyfile(recording, path)
        with h5py.File(path, "r+") as file:
            write_attribute(file, "participant", code)
    recording.unlink()
    return study


def measure(n_sessions: int) -> tuple[float, float, float, float]:
    """Return seconds of one core to export and to export again, and peak memory before and after, MB."""
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder) / "study", n_sessions)
        argv = [sys.executable, "-c", _MEASURED, str(study.root)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    first, again, before, peak, clips = json.loads(done.stdout.splitlines()[-1])
    if clips != 2 * n_sessions:
        raise RuntimeError(f"{clips} clips of {n_sessions} sessions")
    return first, again, before, peak


def run(quick: bool = False) -> list[dict[str, Any]]:
    # Folds need three participants: the smallest export there is.
    sizes = (3, 10, 30) if quick else (3, 10, 100, 1000)
    measured = {size: measure(size) for size in sizes}
    figures = []
    smallest, largest = sizes[1], sizes[-1]
    for size, (first, again, _, peak) in measured.items():
        what = f"export of {size} sessions"
        figures += [
            figure(f"{what}, seconds of one core", first, "s"),
            figure(f"{what} again, nothing changed", again, "s", baseline="first time", baseline_value=first),
            figure(f"{what}, peak memory", peak, "MB"),
        ]
    x = np.log([size for size in sizes if size >= smallest])
    slope = float(np.polyfit(x, np.log([measured[size][0] for size in sizes if size >= smallest]), 1)[0])
    growth = measured[largest][3] - measured[smallest][3]
    per_session = growth / (largest - smallest)
    figures += [
        figure(
            "exponent of time over the number of sessions", slope, "", target="at most 1.1: linear", met=slope <= 1.1
        ),
        figure("memory that one more session takes", per_session, "MB", target="at most 0.1", met=per_session <= 0.1),
    ]
    return figures


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
