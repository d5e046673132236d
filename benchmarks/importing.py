"""Import a Pro Lab export: rows a second against pandas reading the same file, and memory over the length of the file.

The export has the columns of Pro Lab's full export that matter and some that do not, 40 in all, with a decimal comma. Each
import runs in a process of its own; pandas' is the plain `read_csv` that a script would begin with, into memory, and
nothing after it. The import reads the file twice, checks it, compresses, writes and checks what it wrote.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure

RATE_HZ = 1200
_TIMES = ["Recording timestamp [μs]", "Computer timestamp [μs]", "Sensor", "Participant name", "Recording name"]
_SCREEN = ["Recording resolution height [px]", "Recording resolution width [px]", "Eyetracker timestamp [μs]"]
_MEASURED = (
    "import json, resource, sys, time\n"
    "{setup}\n"
    "began = time.perf_counter()\n"
    "{work}\n"
    "used = time.perf_counter() - began\n"
    "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
    "print(json.dumps({{'rows': n, 'seconds': used, 'peak_mb': peak}}))\n"
)
_IMPORT = _MEASURED.format(
    setup=(
        "from pathlib import Path\n"
        "from data_schema.importers import Codes, ImportOptions, plan_import, write_sessions\n"
        "from data_schema.study import StudyFolder\n"
        "study, options = StudyFolder(sys.argv[2]), ImportOptions(codes=Codes('P001', sys.argv[3]), skip_unmapped=True)"
    ),
    work="n = write_sessions(study, plan_import(study, 'prolab', [Path(sys.argv[1])], options), options)[0].n_samples",
)
_PANDAS = _MEASURED.format(
    setup="import pandas", work="n = len(pandas.read_csv(sys.argv[1], sep='\\t', decimal=',', low_memory=False))"
)


def _write_export(path: Path, n_rows: int) -> None:
    rng = np.random.default_rng(0)
    eyes = ("left", "right")
    header = [*_TIMES, *_SCREEN, "Event", "Event value"]
    for eye in eyes:
        header += [f"Gaze point {eye} {axis} [DACS px]" for axis in "XY"]
        header += [f"Gaze direction {eye} {axis} [DACS norm]" for axis in "XYZ"]
        header += [f"Pupil diameter {eye} [mm]", f"Eye openness {eye} [mm]", f"Validity {eye}"]
        header += [f"Eye position {eye} {axis} [DACS mm]" for axis in "XYZ"]
        header += [f"Gaze point {eye} {axis} [DACS mm]" for axis in "XY"]
    header += ["Presented Stimulus name", "Presented Media name", "Eye movement type", "Eye movement type index"]
    pool = []
    for _ in range(2000):
        cells: list[str] = []
        for _ in eyes:
            cells += [str(int(value)) for value in rng.uniform(0, 1080, 2)]
            cells += [f"{value:.5f}" for value in rng.uniform(-1, 1, 3)]
            cells += [f"{rng.uniform(2, 5):.3f}", f"{rng.uniform(7, 10):.3f}", "Valid"]
            cells += [f"{value:.1f}" for value in rng.uniform(80, 600, 5)]
        pool.append("\t".join(cells).replace(".", ","))
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\t".join(header) + "\n")
        for row in range(n_rows):
            t_us = round(row * 1e6 / RATE_HZ)
            name = f"clip {row // (60 * RATE_HZ)}"
            start = f"{t_us}\t{t_us + 5_000_000_000}\tEye Tracker\tParticipant\tRecording\t1080\t1920\t{t_us + 777_000_000}\t\t"
            file.write(f"{start}\t{pool[row % 2000]}\t{name}\t{name}.mp4\tFixation\t{row // 300}\n")


def _measure(script: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run(quick: bool = False) -> list[dict[str, Any]]:
    minutes = (0.5, 2.0) if quick else (1.0, 4.0, 16.0)
    repeats = 1 if quick else 3
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "study.toml").write_text('[study]\ntitle = "Import"\n', encoding="utf-8")
        peaks: list[float] = []
        for number, length in enumerate(minutes, start=1):
            path = root / "export.tsv"
            n_rows = round(length * 60 * RATE_HZ)
            _write_export(path, n_rows)
            pairs = [
                (_measure(_IMPORT, str(path), str(root), f"{number}{turn}"), _measure(_PANDAS, str(path)))
                for turn in range(repeats)
            ]
            if any(ours["rows"] != n_rows or theirs["rows"] != n_rows for ours, theirs in pairs):
                raise RuntimeError("rows were lost")
            rates = [ours["rows"] / ours["seconds"] for ours, _ in pairs]
            theirs = [other["rows"] / other["seconds"] for _, other in pairs]
            peaks.append(max(ours["peak_mb"] for ours, _ in pairs))
            label = f"{length:g} min of {RATE_HZ} Hz, {path.stat().st_size / 1e6:.0f} MB"
            figures.append(
                figure(
                    f"import into a checked session file ({label})", statistics.median(rates), "rows/s",
                    baseline="pandas.read_csv of the same file alone", baseline_value=statistics.median(theirs),
                    ratio=statistics.median(a / b for a, b in zip(rates, theirs, strict=True)),
                )
            )  # fmt: skip
            figures.append(
                figure(
                    f"peak memory of the import ({label})", peaks[-1], "MB",
                    baseline="pandas.read_csv of the same file alone",
                    baseline_value=max(other["peak_mb"] for _, other in pairs),
                )
            )  # fmt: skip
    growth = peaks[-1] / peaks[0]
    longer = minutes[-1] / minutes[0]
    figures.append(
        figure(
            f"peak memory at {longer:g} times the length", growth, "times", target="< 1.2", met=growth < 1.2
        )
    )  # fmt: skip
    return figures


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
