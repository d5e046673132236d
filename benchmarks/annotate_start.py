"""From starting the process to the first frame on the screen, with 10,000 clips in the annotator's queue.

The real verb `emer annotate open` in a fresh process under Xvfb (or the display named in DISPLAY), with a session of
1280x720 face video; the window itself says when it has painted its first frame. The queue was handed out before, as a
lead does. The baseline is a bare process with the same binding that decodes one frame with PyAV and shows it in a
label: what Python, Qt and the decoder cost before there is any tool. Files are in the system's cache.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.console import find_python, screen
from benchmarks.figure import figure
from benchmarks.numbered_video import START_US, write_file, write_session

N_CLIPS = 10_000
LIMIT_S = 1.5
_SECONDS = 20.0
_TOML = """\
[study]
title = "Ten thousand clips"
seed = 1
[camera]
width_px = 1280
height_px = 720
[annotation]
annotators = ["a01"]
annotators_per_clip = 1
"""
_MEMORY = "int(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
_CHILD = f"""
import sys
import annotation.app as app
shown = app.run_window
def quit_at_first_frame(source, settings, **more):
    def ready():
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication
        print("ready", {_MEMORY}, len(source.items()), flush=True)
        QTimer.singleShot(0, QApplication.instance().closeAllWindows)
    return shown(source, settings, on_ready=ready, **more)
app.run_window = quit_at_first_frame
from data_schema.cli import main
sys.exit(main(sys.argv[1:]))
"""
_BARE = f"""
import sys, av
from qtpy.QtCore import QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QApplication, QLabel
application = QApplication([])
class Label(QLabel):
    def paintEvent(self, event):
        super().paintEvent(event)
        print("ready", {_MEMORY}, 1, flush=True)
        QTimer.singleShot(0, application.quit)
frame = next(av.open(sys.argv[1]).decode(video=0)).to_ndarray(format="rgb24")
label = Label()
image = QImage(frame.tobytes(), frame.shape[1], frame.shape[0], frame.strides[0], QImage.Format.Format_RGB888)
label.setPixmap(QPixmap.fromImage(image))
label.show()
application.exec_()
"""


def make_study(root: Path) -> None:
    """Write a study of 10,000 clips, all of them parts of one real session, and hand them out."""
    from annotation.queue.assignments import extend_assignments
    from data_schema.files import write_table
    from data_schema.session.reader import file_sha256
    from data_schema.study import StudyFolder

    root.mkdir(parents=True)
    (root / "study.toml").write_text(_TOML, encoding="utf-8")
    study = StudyFolder(root)
    path = study.session_path("P001", "01")
    path.parent.mkdir(parents=True)
    write_session(path, _SECONDS)
    numbers = np.arange(N_CLIPS)
    starts = START_US + numbers * 1_000_000 % round((_SECONDS - 5) * 1e6)
    people = [f"P{1 + number // 20:03d}" for number in numbers]
    table = pd.DataFrame(
        {
            "clip_id": [f"sub-{who}_ses-01_trial-{1 + number % 20:03d}" for who, number in zip(people, numbers, strict=True)],
            "participant": people, "session": "01", "trial_id": (1 + numbers % 20).astype("int32"), "stimulus_id": "s00",
            "target_emotion": "neutral", "session_file": path.relative_to(root).as_posix(),
            "session_sha256": file_sha256(path), "t_start_us": starts, "t_end_us": starts + 4_000_000,
            "n_face_frames": np.int32(120), "gaze_valid_share": 1.0, "included": True, "exclusion_reason": "",
            "simulated": True,
        }
    )  # fmt: skip
    write_table(study.clip_index_path, table)
    extend_assignments(study, ())


def seconds_to_first_frame(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Start a process; return seconds until it says it is ready, its resident memory then in MB, and its queue's length."""
    environment = {**environment, "QT_API": "pyqt5"}
    # Writing the videos imported cv2 here, which points Qt at its own plugins.
    environment.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    elapsed, said = 0.0, ""
    for line in process.stdout or ():
        if line.startswith("ready"):
            elapsed, said = time.perf_counter() - began, line
            break
    _, errors = process.communicate(timeout=60)
    if not said:
        raise RuntimeError(f"the process ended with {process.returncode} before its first frame:\n{errors}")
    _, kilobytes, n_items = said.split()
    return elapsed, int(kilobytes) / 1024, int(n_items)


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Return seconds to the first frame and memory then (fewer starts if `quick`)."""
    python = find_python()
    if python is None:
        print("annotate_start: no interpreter with PyQt5, nothing is measured", file=sys.stderr)
        return []
    tool, bare, memory, bare_memory = [], [], [], []
    with tempfile.TemporaryDirectory() as folder, screen() as environment:
        study = Path(folder) / "study"
        make_study(study)
        video = write_file(Path(folder) / "frame.mp4", 15)
        settings = Path(folder) / "settings.json"
        settings.write_text(json.dumps({"tour_seen": True}), encoding="utf-8")
        verb = ["annotate", "open", str(study), "--task", "fer", "--annotator", "a01", "--settings", str(settings)]
        n_items = 0
        # The first start of each fills the system's cache and is not counted.
        for number in range(4 if quick else 12):
            seconds, megabytes, n_items = seconds_to_first_frame([str(python), "-c", _CHILD, *verb], environment)
            bare_s, bare_mb, _ = seconds_to_first_frame([str(python), "-c", _BARE, str(video)], environment)
            if number:
                tool.append(seconds)
                memory.append(megabytes)
                bare.append(bare_s)
                bare_memory.append(bare_mb)
    name = "a bare window with one decoded frame"
    median = statistics.median(tool)
    return [
        figure(f"start to first frame, {n_items} clips in the queue, median of {len(tool)}", median, "s", baseline=name,
               baseline_value=statistics.median(bare), target=f"< {LIMIT_S} s", met=median < LIMIT_S),
        figure("start to first frame, longest", max(tool), "s", baseline=name, baseline_value=max(bare)),
        figure("resident memory at the first frame, median", statistics.median(memory), "MB", baseline=name,
               baseline_value=statistics.median(bare_memory)),
    ]  # fmt: skip


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
