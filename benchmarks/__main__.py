"""Run benchmarks and print one JSON line per figure.

    python -m benchmarks                 all of them, at full length
    python -m benchmarks --quick         shorter runs, for a first look
    python -m benchmarks recorder_kills session_read

Each line has the figure, its value and unit, the baseline measured in the same run
with their ratio, the target and whether it was met, and the machine. Machines are
noisy: compare ratios, and repeat before you believe a difference.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
#: Parts that benchmarks share.
NOT_BENCHMARKS = {
    "figure",
    "numbered_video",
    "iohub_store",
    "observed_recorder",
    "planted_difficulty",
    "plain_stack",
    "planted_table",
    "postgres_server",
}
NAMES = tuple(
    sorted(
        path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_") and path.stem not in NOT_BENCHMARKS
    )
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Print one JSON line per figure.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    missed = False
    for name in arguments.names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        quick = {"quick": True} if arguments.quick and "quick" in inspect.signature(module.run).parameters else {}
        for figure in module.run(**quick):
            print(json.dumps({"benchmark": name, **figure}), flush=True)
            missed = missed or figure.get("met") is False
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
