"""How long `emer --help` takes, against `python -c "import typer"`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.figure import figure

EMER = [sys.executable, "-c", "from data_schema.cli import run; run()", "--help"]
TYPER = [sys.executable, "-c", "import typer"]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def run(quick: bool = False) -> list[dict[str, Any]]:
    pairs = [(_seconds(EMER), _seconds(TYPER)) for _ in range(5 if quick else 15)]
    help_s = statistics.median(a for a, _ in pairs)
    typer_s = statistics.median(b for _, b in pairs)
    ratio = statistics.median(a / b for a, b in pairs)
    return [
        figure("emer --help, median", help_s, "s", target="< 0.5 s", met=help_s < 0.5),
        figure(
            "emer --help against import typer, median of pairs", help_s, "s",
            baseline='python -c "import typer"', baseline_value=typer_s, ratio=ratio, target="< 3", met=ratio < 3,
        ),
    ]  # fmt: skip
