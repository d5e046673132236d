"""From devices to a report, on simulated people: what ``make demo`` runs.

    python examples/demo.py [--out demo] [--recordings FOLDER] [--participants 14]

Each stage is the `emer` command that you would type; the commands are printed. One
session is recorded in real time. Where real recordings are at hand (a folder with
``tobii_spectrum_600hz/`` and ``face_video/``) that session replays real gaze and a
real face video. Feelings, faces and labels are simulated all the same, and nothing
that comes out is a result about people.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from data_schema.errors import EmerError
from data_schema.study import StudyFolder, init_study

PROJECT = Path(__file__).resolve().parent.parent
EMER = [sys.executable, "-c", "from data_schema.cli import run; run()"]

#: Small enough for two cores and a few minutes; everything else is the default.
SETTINGS: dict[str, dict[str, object]] = {
    "screen": {"refresh_hz": 60.0},
    "eye_tracker": {"kind": "simulated", "rate_hz": 600.0},
    "camera": {"source": "simulated", "width_px": 640, "height_px": 360, "fps": 30.0},
    "protocol": {"baseline_s": 1.5, "fixation_s": 0.4, "washout_s": 0.3, "self_report": True},
    "recording": {"min_free_gb": 0.5},
    # One point is enough for a simulated eye, and nobody waits for a test recording before each of many sessions.
    # A replayed recording looks where it looked, not at our target: that is said, and does not end the session.
    "calibration": {"points": 1, "validation_points": 1, "gate": "warn"},
    "preflight": {"test_recording_s": 0.0},
}
CLIPS_PER_EMOTION = 2
CLIP_S = 3.0
#: Simulated sessions run at most this many times faster than real time.
SPEED = 20.0
#: What is compared; `emer models` says what each is, and the default model is always among them.
MODELS = ("majority", "logistic-eye", "logistic-face", "emert")
#: Of networks: enough to see them learn, within a minute or two on two cores.
EPOCHS = 12


@dataclass
class Recordings:
    """The real recordings that the real-time session replays; None where there are none."""

    eye_tracker: Path | None
    camera: Path | None


def find_recordings(folder: Path | None) -> Recordings:
    """Look for real recordings in `folder`, or beside the project."""
    candidates = [folder] if folder else [PROJECT.parent / "shared" / "data"]
    for candidate in candidates:
        gaze, video = candidate / "tobii_spectrum_600hz", candidate / "face_video" / "single_face.mp4"
        if gaze.is_dir() or video.is_file():
            return Recordings(gaze if gaze.is_dir() else None, video if video.is_file() else None)
    if folder:
        raise SystemExit(f"error: {folder} holds neither tobii_spectrum_600hz/ nor face_video/single_face.mp4")
    return Recordings(None, None)


class Stages:
    """Runs commands one after the other and says which, how long and how far."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line with the time since the start."""
        print(f"[{time.monotonic() - self.began_s:6.1f} s] {text}", flush=True)

    def emer_together(self, commands: list[tuple[str, list[str]]]) -> None:
        """Run named `emer` commands, as many at once as there are processors, and pass on what they say."""
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for future in [pool.submit(self._emer_beside, name, command) for name, command in commands]:
                future.result()

    def _emer_beside(self, name: str, command: list[str]) -> None:
        self.say("$ emer " + " ".join(command))
        with subprocess.Popen(
            [*EMER, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        ) as child:
            for line in child.stderr or ():
                if line.strip():
                    self.say(f"{name}: {line.rstrip()}")
        if child.returncode:
            raise SystemExit(f"the demo stops: `emer {command[0]}` ended with exit code {child.returncode}")

    def emer(self, *arguments: str | Path) -> str:
        """Run one `emer` command, show it, and return what it printed; a failure ends the demo."""
        self.say("$ emer " + " ".join(str(argument) for argument in arguments))
        done = subprocess.run(
            [*EMER, *map(str, arguments)], stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False
        )
        if done.returncode:
            sys.stdout.write(done.stdout)
            raise SystemExit(f"the demo stops: that command ended with exit code {done.returncode}")
        return done.stdout


def session_commands(study: StudyFolder, recordings: Recordings, n_participants: int) -> list[tuple[str, list[str]]]:
    """Return the commands that record all sessions: the first in real time, the others faster."""
    real_time = ["--speed", "1"]
    if recordings.eye_tracker:
        real_time += ["--eye-tracker", f"replay:{recordings.eye_tracker}"]
    if recordings.camera:
        real_time += ["--camera", str(recordings.camera)]
    commands = []
    for number in range(1, n_participants + 1):
        participant = f"P{number:03d}"
        # One quality page shows what there is; the others are made at once by `emer quality`.
        options = real_time if number == 1 else ["--speed", f"{SPEED:g}", "--no-quality-page"]
        command = ["record", "rehearse", str(study.root), "--participant", participant, "--session", "01", "--headless"]
        command += options
        commands.append((participant, command))
    return commands


def run_demo(out: Path, recordings: Recordings, n_participants: int) -> Path:
    """Run every stage and return the report's path."""
    stages = Stages()
    stages.say(f"a new study in {out}: everything in it is simulated")
    study = init_study(
        out, title="Demo (simulated)", clips_per_emotion=CLIPS_PER_EMOTION, clip_s=CLIP_S, settings=SETTINGS
    )
    # The session in real time takes a minute and little else: it has a thread of its own.
    first, *others = session_commands(study, recordings, n_participants)
    with ThreadPoolExecutor(max_workers=1) as alone:
        in_real_time = alone.submit(stages.emer_together, [first])
        stages.emer_together(others)
        in_real_time.result()
    stages.emer("check", study.root)
    # The page of each session is made when it is recorded; here the numbers are enough.
    print(stages.emer("quality", study.root, "--no-pages"), end="")
    stages.emer("clips", study.root)
    stages.emer("annotate", "simulate", study.root, "--annotators", "3")
    export = study.exports_dir / "training"
    stages.emer("export", "training", study.root, export, "--workers", str(os.cpu_count() or 1))
    benchmark = study.models_dir / "benchmark"
    print(
        stages.emer(
            "benchmark", export, "--models", ",".join(MODELS), "--epochs", str(EPOCHS), "--allow-missing-classes",
            "--workers", str(os.cpu_count() or 1), "--threads", "1", "--out", benchmark,
        ),
        end="",
    )  # fmt: skip
    runs = [benchmark / name for name in ("emert", "stack")]
    print(stages.emer("compare", *runs, "--protocol", "er-7"), end="")
    report = study.reports_dir / "report.html"
    everything = sorted(path.parent for path in benchmark.glob("*/metrics.json"))
    stages.emer("report", *everything, "--export", export, "--out", report)
    stages.say("done")
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the demo, and say where to look."""
    parser = argparse.ArgumentParser(description="Run the whole line on simulated people.")
    parser.add_argument("--out", type=Path, default=PROJECT / "demo", help="study folder to make (default: demo)")
    parser.add_argument("--recordings", type=Path, help="folder of real recordings that the real-time session replays")
    parser.add_argument("--participants", type=int, default=14, help="simulated participants (default: 14)")
    parser.add_argument("--keep", action="store_true", help="stop if the folder exists, instead of making it anew")
    arguments = parser.parse_args(argv)
    out: Path = arguments.out
    if out.exists():
        if arguments.keep or not is_demo_study(out):
            print(f"error: {out} exists. Name another folder with --out.", file=sys.stderr)
            return 1
        shutil.rmtree(out)
    try:
        report = run_demo(out, find_recordings(arguments.recordings), arguments.participants)
    except EmerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    shown = report.relative_to(Path.cwd()) if report.is_relative_to(Path.cwd()) else report
    study = out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out
    print(
        f"\nThe report:  {shown}   (open it in a browser; its data are simulated)\n"
        f"The study:   {study}\n\n"
        "What to type next (after: source .venv/bin/activate)\n"
        f"  emer status {study}\n"
        f"  emer describe {study}\n"
        f"  emer annotate status {study}\n"
        f"  emer evaluate {study / 'models' / 'benchmark' / 'emert'}\n"
        f"  emer export bids {study} {study / 'exports' / 'bids'}\n"
        "  emer init mystudy                  a study of your own\n"
    )
    return 0


def is_demo_study(folder: Path) -> bool:
    """Tell whether a folder was made by this script, so that a second run may replace it."""
    try:
        return StudyFolder(folder).config.study.title == "Demo (simulated)"
    except EmerError:
        # A demo that was interrupted while it made its study leaves an empty or partial folder.
        return folder.is_dir() and not any(folder.iterdir())


if __name__ == "__main__":
    sys.exit(main())
