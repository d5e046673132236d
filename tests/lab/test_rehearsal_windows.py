"""The whole app as an operator starts it: the participant's window and the console, from consent to quality page.

Both windows are real, on a virtual screen of their own; the participant is a script whose keys and clicks go through
the window's events, and devices are simulated. Everything else is what a lab runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from data_schema.errors import SessionFileError
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CONSENT,
    FLIPS,
    FRAMES,
    GAZE,
    LUMINANCE,
    MARKERS,
    PREFLIGHT,
    PRESENTATIONS,
    RESPONSES,
    decode_text,
)
from data_schema.session.reader import Session, open_session
from data_schema.session.validate import check_session
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study

from .conftest import start_xvfb, wait_for
from .console_screen import TITLE

pytestmark = pytest.mark.lab

EMER = [sys.executable, "-c", "import sys; from data_schema.cli import main; sys.exit(main(sys.argv[1:]))"]
#: Small: a screen without a graphics card is drawn by the processor.
WIDTH, HEIGHT = 800, 600
#: Times as fast as a person; every page is still seen.
PACE = 12.0
#: A session takes some 45 s on a quiet machine.
PATIENCE_S = 240.0
SETTINGS: dict[str, dict[str, object]] = {
    "screen": {"width_px": WIDTH, "height_px": HEIGHT},
    "camera": {"width_px": 160, "height_px": 120},
    "eye_tracker": {"rate_hz": 120.0},
    "recording": {"min_free_gb": 0.0},
    "calibration": {"points": 1, "validation_points": 1, "target_s": 0.5},
    "protocol": {
        "baseline_s": 0.3, "fixation_s": 0.3, "washout_s": 0.3, "free_text": False, "attention_checks": 0,
        "questionnaires_before": [], "questionnaires_after": [],
    },
    "preflight": {"test_recording_s": 0.0, "min_free_memory_gb": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """Start a virtual screen for participant and operator together: there is one screen in this lab."""
    process, name = start_xvfb(f"{WIDTH}x{HEIGHT}x24")
    yield name
    process.terminate()
    process.wait(10)


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return init_study(
        tmp_path / "study", clips_per_emotion=1, clip_s=1.0, emotions=("fear", "anger"), settings=SETTINGS
    )


def _words(process: psutil.Process) -> list[str]:
    """Return a process's command line; nothing for one that has just ended (a short-lived child of another)."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie is one of these
        return []


class Rehearsal:
    """`emer record rehearse STUDY -p P001 --auto`, started as an operator starts it."""

    def __init__(self, study: StudyFolder, screen: str, log: Path) -> None:
        self.study, self.screen = study, screen
        self.path = study.session_path("P001", "01")
        self._log = log
        environment = {**os.environ, "DISPLAY": screen, "SDL_AUDIODRIVER": "dummy", "QT_QPA_PLATFORM": "xcb"}
        words = [*EMER, "record", "rehearse", str(study.root), "-p", "P001", "--auto", "--pace", f"{PACE:g}"]
        with log.open("wb") as out:
            # A group of its own, so that whatever goes wrong can be ended as a whole.
            self.process = subprocess.Popen(
                words, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        self._console: psutil.Process | None = None

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, condition: Callable[[], object], because: str) -> object:
        def look() -> object:
            found = condition()
            if not found and self.process.poll() is not None:
                raise AssertionError(
                    f"the session ended with {self.process.returncode} before: {because}\n{self.said()}"
                )
            return found

        return wait_for(look, PATIENCE_S, f"{because}\n{self.said()}")

    def titles(self) -> list[str]:
        """Return the names of the windows on the screen."""
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "."],
            env={**os.environ, "DISPLAY": self.screen}, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        names = []
        for window in found.stdout.split():
            name = subprocess.run(
                ["xdotool", "getwindowname", window],
                env={**os.environ, "DISPLAY": self.screen}, capture_output=True, text=True, timeout=20, check=False,
            )  # fmt: skip
            names.append(name.stdout.strip())
        return names

    def console(self) -> psutil.Process:
        """Return the console's process, once it runs."""
        if self._console is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            found = [child for child in children if "collection.console" in _words(child)]
            assert len(found) == 1, found
            self._console = found[0]
        return self._console

    def kinds(self) -> list[str]:
        """Return the kinds of all markers so far; none while there is no file that can be read."""
        if not self.path.is_file():
            return []
        try:
            with open_session(self.path) as session:
                return list(decode_text(session.table(MARKERS)[:]["kind"]))
        except (SessionFileError, OSError):
            return []

    def finish(self) -> int:
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        """Leave nothing behind: a console stays open until its operator closes it."""
        if self._console is not None and self._console.is_running():
            self._console.kill()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for left in psutil.process_iter():
            try:
                if str(self.study.root) in left.cmdline() or f"{self.study.root}/.emer-console.json" in left.cmdline():
                    left.kill()
            except psutil.Error:
                continue


@pytest.fixture
def rehearsal(study: StudyFolder, screen: str, tmp_path: Path) -> Iterator[Rehearsal]:
    rehearsal = Rehearsal(study, screen, tmp_path / "said.txt")
    yield rehearsal
    rehearsal.end()


def test_a_rehearsal_with_both_windows_from_consent_to_quality_page(rehearsal: Rehearsal) -> None:
    titles = rehearsal.wait(lambda: len(found := rehearsal.titles()) >= 2 and found, "both windows are open")
    assert isinstance(titles, list)
    assert any(TITLE in title for title in titles), titles
    assert any("PsychoPy" in title for title in titles), titles
    rehearsal.console()
    assert rehearsal.finish() in (0, 1), "1 if `emer check` warns of anything, such as a late flip"
    said = rehearsal.said()
    assert "complete: 2 of 2 trials" in said
    assert [finding for finding in check_session(rehearsal.path) if finding.level == "error"] == []
    with open_session(rehearsal.path) as session:
        _check_file(session)
    page = rehearsal.path.with_name("sub-P001_ses-01_quality.html")
    assert "P001" in page.read_text(encoding="utf-8")
    assert page.with_suffix(".json").is_file()
    assert rehearsal.console().is_running(), "the operator reads the summary"
    assert not (rehearsal.study.root / ".emer-console.json").exists()


def _check_file(session: Session) -> None:
    assert session.status == "complete"
    consent = session.table(CONSENT)[:]
    assert set(decode_text(consent["scope"])) == {"gaze", "video", "sharing"}
    assert consent["granted"].all()
    assert len(session.table(PREFLIGHT)) > 8
    assert set(decode_text(session.table(LUMINANCE)[:]["stimulus_id"])) >= {"fear-1", "anger-1"}
    attempts = session.table(CALIBRATION_ATTEMPTS)[:]
    assert set(decode_text(attempts["kind"])) == {"calibration", "validation"}
    assert attempts["chosen"].any()
    kinds = list(decode_text(session.table(MARKERS)[:]["kind"]))
    assert markers.CONSOLE_CONNECTED in kinds
    assert markers.CONSOLE_LOST not in kinds
    assert kinds.count(markers.CALIBRATION_CHOSEN) == 1
    shown = session.table(PRESENTATIONS)[:]
    assert shown["trial_id"].tolist() == [-1, 1, 2]
    assert shown["completed"].all()
    _check_flips(session, shown)
    answers = session.table(RESPONSES)[:]
    for trial in (1, 2):
        scales = set(decode_text(answers["scale"][answers["trial_id"] == trial]))
        assert {"fear", "anger", "valence", "arousal", "familiarity"} <= scales
    assert (answers["t_answered_us"] > answers["t_shown_us"]).all()
    assert len(session.table(GAZE)) > 120 * 5
    assert len(session.table(FRAMES)) > 30 * 5


def _check_flips(session: Session, shown: np.ndarray) -> None:
    flips = session.table(FLIPS)[:]
    for row in shown:
        mine = flips[flips["trial_id"] == row["trial_id"]]
        assert len(mine) == row["n_flips"] > 10
        assert (np.diff(mine["t_flip_us"].astype(np.int64)) > 0).all()
        clip_us = mine["clip_time_us"].astype(np.int64)
        assert (np.diff(clip_us) >= 0).all()
        assert len(np.unique(clip_us)) > 8, "the clip runs"
        # The clip's own time keeps up with the clock's, to within a few frames of a machine that draws by itself.
        passed_us = int(mine["t_flip_us"][-1]) - int(mine["t_flip_us"][0])
        assert abs(int(clip_us[-1] - clip_us[0]) - passed_us) < 250_000


def test_a_console_that_is_killed_costs_the_session_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.wait(lambda: rehearsal.kinds().count(markers.TRIAL_STARTED) >= 2, "the first trial")
    # Killed as by a crash or the task manager: no word of farewell.
    rehearsal.console().send_signal(signal.SIGKILL)
    killed_us = time.monotonic_ns() // 1000
    rehearsal.wait(lambda: markers.CONSOLE_LOST in rehearsal.kinds(), "the file says that the console is gone")
    assert rehearsal.finish() in (0, 1)
    assert "complete: 2 of 2 trials" in rehearsal.said()
    assert "Open one again with: emer record console" in rehearsal.said()
    with open_session(rehearsal.path) as session:
        assert session.status == "complete"
        said = session.table(MARKERS)[:]
        kinds = list(decode_text(said["kind"]))
        lost_us = int(said["t_system_us"][kinds.index(markers.CONSOLE_LOST)])
        assert lost_us - killed_us < 5_000_000
        assert not {markers.SAMPLES_DROPPED, markers.STREAM_SILENT} & set(kinds)
        gaze_us = session.table(GAZE)[:]["t_system_us"].astype(np.int64)
        gaps_us = np.diff(gaze_us)
        # Every sample is there, also those of the seconds around the kill: none is missing in 120 a second.
        assert gaps_us.max() < 1.5e6 / 120
        assert (gaze_us > killed_us).sum() > 120
        assert session.table(PRESENTATIONS)[:]["trial_id"].tolist() == [-1, 1, 2]
