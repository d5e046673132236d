"""Write the golden session file of the current format version into tests/golden.

Run once when a format version is released; the file is then never changed, and the
tests read it for ever.

    python tools/make_golden.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from data_schema.session.layout import FORMAT_VERSION
from data_schema.session.synthetic import make_synthetic_session

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden"


def main() -> int:
    version = "v" + ".".join(str(part) for part in FORMAT_VERSION)
    path = FOLDER / version / "sub-P001_ses-01.h5"
    if path.exists():
        print(f"{path} exists; a released format is never written again. Raise FORMAT_VERSION first.", file=sys.stderr)
        return 1
    make_synthetic_session(path, n_trials=2, trial_s=1.0, seed=11, rate_hz=120.0, fps=15.0)
    print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
