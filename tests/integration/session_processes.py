"""Sessions in processes of their own, which tests kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from data_schema.errors import SessionFileError
from data_schema.session import markers
from data_schema.session.layout import MARKERS
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study

EMER = [sys.executable, "-c", "import sys; from data_schema.cli import main; sys.exit(main(sys.argv[1:]))"]
SETTINGS: dict[str, dict[str, object]] = {
    "camera": {"width_px": 160, "height_px": 120},
    "eye_tracker": {"rate_hz": 120.0},
    "recording": {"min_free_gb": 0.0},
    "protocol": {"baseline_s": 0.2, "fixation_s": 0.2, "washout_s": 0.2},
    "calibration": {"points": 1, "validation_points": 1},
    "preflight": {"test_recording_s": 0.0, "min_free_memory_gb": 0.0},
}
#: Seconds of real time in which a session that is waited for must get somewhere.
PATIENCE_S = 90.0


def make_study(root: Path, **settings: dict[str, object]) -> StudyFolder:
    """Make a study of four clips."""
    merged = {name: {**SETTINGS.get(name, {}), **settings.get(name, {})} for name in {**SETTINGS, **settings}}
    emotions = ("fear", "anger", "neutral", "sadness")
    return init_study(root, clips_per_emotion=1, clip_s=1.0, emotions=emotions, settings=merged)


def start(study: StudyFolder, verb: str, *options: str, speed: float = 2.0) -> subprocess.Popen[str]:
    """Start a session without a window; its processes are in a group of their own."""
    command = [
        *EMER, "record", verb, str(study.root), "--headless", "--no-quality-page", "--speed", f"{speed:g}", *options,
    ]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, encoding="utf-8"
    )


def recorder_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the process that records, which is the child that was spawned by multiprocessing."""
    found = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if any("spawn_main" in part for part in child.cmdline())
    ]
    if len(found) != 1:
        raise RuntimeError(f"expected one recorder, found {len(found)}")
    return found[0]


def kinds_of(path: Path, trial_id: int | None = None) -> list[str]:
    """Return the kinds of all markers so far; none while the file cannot be read yet."""
    if not path.is_file():
        return []
    try:
        with open_session(path) as session:
            table = session.table(MARKERS).frame()
    except (SessionFileError, OSError):
        return []
    return list(table["kind"] if trial_id is None else table.loc[table["trial_id"] == trial_id, "kind"])


def wait_for_clip(path: Path, trial_id: int, process: subprocess.Popen[str]) -> None:
    """Wait until a trial has begun and its fixation cross is over."""

    def plays() -> bool:
        return kinds_of(path, trial_id).count(markers.STEP_STARTED) >= 2

    wait_until(plays, process)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a condition; fails if the session ends first."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None:
            out, err = process.communicate()
            raise RuntimeError(f"the session ended with {process.returncode} before it was waited for: {out} {err}")
        if time.monotonic() > deadline:
            kill_group(process)
            raise TimeoutError("the session did not get that far")
        time.sleep(0.02)


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the session and all that it started, as a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def wait_until_closed(path: Path) -> None:
    """Wait until a recorder that lost its parent has closed its file."""
    deadline = time.monotonic() + PATIENCE_S
    while markers.RECORDING_CLOSED not in kinds_of(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} was not closed")
        time.sleep(0.05)


def run(study: StudyFolder, verb: str, *options: str, speed: float = 8.0) -> subprocess.CompletedProcess[str]:
    """Run a session to its end."""
    process = start(study, verb, *options, speed=speed)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        kill_group(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
