"""Freeze the pinned dependencies into constraints/py310.txt, py311.txt and faces.txt.

    python tools/lock.py py311        or py310, faces, or nothing for all

Builds a throw-away environment from setup.cfg and the choices in the .in file
beside the result, asks pip what it took, and writes that down. Takes one to
three minutes each and needs the package index.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Sequence

import bootstrap

# Which extras the pins of a Python version must cover. 3.10 is the recording PC and has no torch.
TARGETS = {
    "py311": ((3, 11), "annotate,dev,train"),
    "py310": ((3, 10), "annotate,lab,test"),
    "faces": ((3, 11), "mediapipe,test"),
}


def lock(name: str) -> None:
    """Resolve one target in a temporary environment and write its pins."""
    version, extras = TARGETS[name]
    command, _ = bootstrap.find_python([version])
    choices = bootstrap.ROOT / "constraints" / (name + ".in")
    with tempfile.TemporaryDirectory(prefix="emer-lock-") as temporary:
        folder = Path(temporary) / "venv"
        log = Path(temporary) / "log"
        subprocess.run([command, "-m", "venv", str(folder)], check=True)
        python = str(bootstrap.interpreter(folder))
        pip_install = [python, "-m", "pip", "install", "--no-input", "--progress-bar", "off", "-c", str(choices)]
        if "train" in extras:  # alone and first, as bootstrap does, so that the CPU build is taken
            torch = next(
                line for line in choices.read_text(encoding="utf-8").splitlines() if line.startswith("torch==")
            )
            bootstrap.run_step([*pip_install, torch], "install " + torch, log)
        requirement = "{}[{}]".format(bootstrap.ROOT, extras)
        bootstrap.run_step([*pip_install, "-e", requirement], "resolve {}".format(name), log)
        subprocess.run([python, "-m", "pip", "check"], check=True)
        frozen = subprocess.run(
            [python, "-m", "pip", "freeze", "--all", "--exclude-editable", "--exclude", "pip"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    # A local build tag (+cpu) names one machine's file; the plain version fits every build of it.
    pins = re.sub(r"\+\w+$", "", frozen, flags=re.MULTILINE)
    header = "# Frozen by `make constraints` for CPython {} from setup.cfg [{}] and {}.\n".format(
        bootstrap.version_text(version), extras, choices.name
    )
    target = choices.with_suffix(".txt")
    target.write_text(header + pins, encoding="utf-8")
    bootstrap.say("{}: {} pins".format(target.name, len(pins.splitlines())))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Freeze the pinned dependencies.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="py310, py311; nothing: both")
    names = parser.parse_args(argv).targets or sorted(TARGETS)
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        parser.error("no target '{}'; there are: {}".format(unknown[0], ", ".join(sorted(TARGETS))))
    try:
        for name in names:
            lock(name)
    except bootstrap.BootstrapError as error:
        print("lock: {}".format(error), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
