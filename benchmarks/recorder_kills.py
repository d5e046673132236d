"""Kill the recorder at random moments and count what is lost.

Each round starts a real recorder (own process, real time, simulated tracker and
camera), lets it record for a random while, sends SIGKILL, repairs the file and
compares it with what the recorder had acknowledged and with the moment of the kill.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
from collection.recorder import Recorder, RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.errors import RecordingError, SessionFileError
from data_schema.session import markers
from data_schema.session.layout import FRAMES, GAZE, MARKERS, OPENNESS, TABLE_BY_PATH, USER_POSITION
from data_schema.session.reader import open_session
from data_schema.session.repair import repair_session
from data_schema.session.validate import check_session
from data_schema.study.config import StudyConfig, parse_config

#: Streams that flow all the time; the markers are written every 50 ms by this script.
STREAMS = (GAZE, OPENNESS, USER_POSITION, FRAMES, MARKERS)


@dataclass
class KillOutcome:
    """What one kill did.

    `lost_s` is, by table, the time between the last row on file and the kill: it
    counts what was still on its way from the device as lost, too.
    """

    recorded_s: float = 0.0
    lost_s: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    on_file: dict[str, int] = field(default_factory=dict)
    opened: bool = False
    findings: list[str] = field(default_factory=list)
    last_frame_decodes: bool = False
    holes: int = 0

    @property
    def rows_lost(self) -> int:
        """Acknowledged rows (and packets: one a frame) that are not on file."""
        return sum(max(0, n - self.on_file.get(path, 0)) for path, n in self.acknowledged.items())


def kill_config(rate_hz: float = 1200.0, width_px: int = 320, height_px: int = 240) -> StudyConfig:
    """Return the study of the kills."""
    return parse_config(
        {
            "study": {"title": "kills"},
            "eye_tracker": {"kind": "simulated", "rate_hz": rate_hz},
            "camera": {"source": "simulated", "width_px": width_px, "height_px": height_px, "fps": 30.0},
            "recording": {"min_free_gb": 0.0},
        },
        "kills",
    )


def kill_once(path: Path, config: StudyConfig, record_s: float, seed: int) -> KillOutcome:
    """Record for `record_s` seconds, kill, repair, compare."""
    clock = SystemClock()
    settings = RecorderSettings(
        path, "K1", "01", config, clock=clock, planned_s=10.0, simulated=True, device_seed=seed, participant_seed=seed
    )
    with Recorder(settings) as recorder:
        started = recorder.start()
        pid = recorder.pid
        if pid is None:
            raise RecordingError("the recorder has no process")
        kill_us = started.t_started_us + round(record_s * 1e6)
        number = 0
        while clock.now_us() < kill_us:
            number += 1
            recorder.marker(markers.OPERATOR_NOTE, "tick", float(number))
            clock.sleep_until(min(kill_us, clock.now_us() + 50_000))
        os.kill(pid, signal.SIGKILL)
        kill_us = clock.now_us()
        deadline_s = time.monotonic() + 20.0
        while time.monotonic() < deadline_s:
            try:
                recorder.status()
            except RecordingError:
                break
            threading.Event().wait(0.01)
        acknowledged = {name: n for name, n in recorder.acknowledged.items() if name in TABLE_BY_PATH}
    outcome = KillOutcome(recorded_s=(kill_us - started.t_started_us) / 1e6, acknowledged=acknowledged)
    try:
        repair_session(path)
        outcome.findings = [str(finding) for finding in check_session(path) if finding.level == "error"]
        _compare(path, kill_us, outcome)
    except SessionFileError as error:
        outcome.findings.append(str(error))
    return outcome


def _compare(path: Path, kill_us: int, outcome: KillOutcome) -> None:
    with open_session(path) as session:
        outcome.opened = True
        for table in TABLE_BY_PATH.values():
            outcome.on_file[table.path] = len(session.table(table))
        for table in STREAMS:
            times = session.table(table)[:][table.time_column]
            # What `emer repair` adds is stamped by itself; it is no data of the session.
            times = times[times <= kill_us]
            last_us = int(times[-1]) if len(times) else kill_us - round(outcome.recorded_s * 1e6)
            outcome.lost_s[table.path] = (kill_us - last_us) / 1e6
        gaze_us = session.table(GAZE)[:]["t_system_us"]
        if len(gaze_us) > 2:
            outcome.holes = int(np.sum(np.diff(gaze_us) > 2.5 * np.median(np.diff(gaze_us))))
        video = session.video
        if video is not None and len(video):
            outcome.last_frame_decodes = bool(video.decode(len(video) - 1).any())


def kill_many(
    folder: Path, n: int, seed: int, *, workers: int = 2, earliest_s: float = 0.8, latest_s: float = 2.5, **study: Any
) -> Iterator[KillOutcome]:
    """Kill `n` recorders at seeded random moments, `workers` at a time."""
    moments = np.random.default_rng(seed).uniform(earliest_s, latest_s, n)
    config = kill_config(**study)
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(
            lambda number: kill_once(folder / f"kill-{number:03d}.h5", config, float(moments[number]), seed + number),
            range(n),
        )


def run(n_kills: int = 100, seed: int = 20, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return the figures of `n_kills` kills (10 if `quick`)."""
    n_kills = 10 if quick else n_kills
    with tempfile.TemporaryDirectory() as folder:
        outcomes = list(kill_many(Path(folder), n_kills, seed, width_px=640, height_px=480))
    opened = sum(outcome.opened and not outcome.findings for outcome in outcomes)
    lost_s = [max(outcome.lost_s.values(), default=float("inf")) for outcome in outcomes]
    rows_lost = sum(outcome.rows_lost for outcome in outcomes)
    acknowledged = sum(sum(outcome.acknowledged.values()) for outcome in outcomes)
    decodes = sum(outcome.last_frame_decodes for outcome in outcomes)
    of = f"of {n_kills} random SIGKILLs"
    return [
        figure(f"files that emer repair opens, {of}", opened, "files", target=f"{n_kills}", met=opened == n_kills),
        figure(f"acknowledged rows and packets lost, {of}, {acknowledged} acknowledged", rows_lost, "rows",
               target="0", met=rows_lost == 0),
        figure(f"largest loss of any stream, {of}", max(lost_s), "s", target="at most 1", met=max(lost_s) <= 1.0),
        figure(f"median of the largest loss, {of}", float(np.median(lost_s)), "s"),
        figure(f"last stored frame decodes, {of}", decodes, "files", target=f"{n_kills}", met=decodes == n_kills),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in run():
        print(json.dumps(item))
