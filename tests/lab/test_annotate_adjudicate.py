"""The adjudicator's window on a real screen: real keys and clicks, then the stored rows are read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotation.status import clip_hashes
from data_schema.labels import Label, LabelStore, read_log
from data_schema.study.folder import StudyFolder

from ..annotation.labelled_study import make_study
from .conftest import Hands, wait_for

pytestmark = pytest.mark.lab

SAID = {"a01": "fear", "a02": "anger", "a03": "sadness"}
#: Started as users start it, with a file that says where things stand on the screen.
STARTER = """
import json, os, sys, time
from pathlib import Path
root, task, places, settings = sys.argv[1:5]
import cv2
from annotation.adjudication.source import case_source, study_cases
from annotation.app import import_qt
from annotation.settings import SettingsFile
from data_schema.study import find_study
study = find_study(Path(root))
cases = study_cases(study, task)
source = case_source(study, task, "e01", cases)
import_qt()
from qtpy.QtCore import QPoint, QTimer
from annotation.views.adjudication.running import run_adjudication

def shown(window):
    timer = QTimer(window)

    def tell():
        panel = window.verdict
        widgets = {
            "reason": panel.reason, "decide": panel.decide, "withdraw": panel.withdraw,
            "chip": panel.findChildren(type(panel.decide))[0], "video": window.video,
            "positive": panel.options["polarity", "positive"],
            **{f"adopt{i}": button for i, button in enumerate(window.raters.buttons)},
        }
        middle = {}
        for name, widget in widgets.items():
            at = widget.mapToGlobal(QPoint(widget.width() // 2, widget.height() // 2))
            middle[name] = [at.x() * window.devicePixelRatioF(), at.y() * window.devicePixelRatioF()]
        image = window.desk.player.image
        state = {
            "turn": time.monotonic(), "position": window.desk.position, "emotion": window.desk.verdict.emotion, "reason": window.desk.verdict.reason,
            "polarity": window.desk.verdict.polarity, "decided": window.desk.n_decided, "playing": window.desk.player.playing,
            "index": window.desk.player.index, "message": window.verdict.message.text(), "places": middle,
            "words": [window.raters.said(one, "emotion") for one in window.desk.case.said], "shown": image is not None,
            "withdraw": panel.withdraw.isEnabled(), "active": window.isActiveWindow(),
            "parts": [] if window.er_panel is None else list(window.er_panel.shown),
        }
        partial = Path(places + ".partial")
        partial.write_text(json.dumps(state))
        os.replace(partial, places)

    timer.timeout.connect(tell)
    timer.start(30)

sys.exit(run_adjudication(source, cases, SettingsFile(Path(settings)), language="en", on_shown=shown))
"""


class Shown:
    """The window of a process of its own."""

    def __init__(self, study: StudyFolder, task: str, folder: Path, display: str, api: str = "pyqt5") -> None:
        self._places = folder / "state.json"
        self._places.unlink(missing_ok=True)
        environment = {**os.environ, "DISPLAY": display, "QT_API": api, "XDG_RUNTIME_DIR": str(folder)}
        environment.pop("QT_QPA_PLATFORM", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(study.root), task, str(self._places), str(folder / "settings.json")],
            env=environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # Only what no longer moves can be clicked.
        seen: list[object] = [None]

        def settled(state: dict) -> bool:
            last, seen[0] = seen[0], (state["turn"], state.get("places"))
            return bool(state["shown"] and last and last[0] != state["turn"] and last[1] == state["places"])

        self.wait(settled)

    @property
    def state(self) -> dict:
        import json

        if self.process.poll() is not None:
            raise RuntimeError(f"the window is gone: {self.process.stderr.read() if self.process.stderr else ''}")
        return json.loads(self._places.read_text()) if self._places.exists() else {"shown": False, "turn": 0.0}

    def wait(self, holds) -> dict:
        return wait_for(lambda: (state := self.state) and holds(state) and state)

    def at(self, name: str) -> tuple[int, int]:
        return tuple(self.state["places"][name])

    def end(self, kill: bool = False) -> None:
        if self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
        self.process.wait(20)
        if self.process.stderr:
            self.process.stderr.close()


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    made = make_study(tmp_path / "study", n_participants=1, n_trials=2)
    hashes = clip_hashes(made)
    made.labels_dir.mkdir(exist_ok=True)
    for task in ("fer", "er"):
        for name, word in SAID.items():
            with LabelStore.open(made.labels_dir / f"{name}.sqlite", name) as store:
                store.add_many([Label(clip, hashes[clip], task, emotion=word, valence=-0.5) for clip in sorted(hashes)])
    return made


@pytest.fixture
def windows() -> Iterator[list[Shown]]:
    opened: list[Shown] = []
    yield opened
    for one in opened:
        one.end()


def test_decide_by_keyboard_alone_survive_a_kill_and_take_back(study, windows, display, hands: Hands, tmp_path):
    if shutil.which("xdotool") is None:
        pytest.fail("xdotool is not installed", pytrace=False)
    before = {name: (study.labels_dir / f"{name}.sqlite").read_bytes() for name in SAID}
    window = Shown(study, "fer", tmp_path, display)
    windows.append(window)
    hands.click(*window.at("video"))
    assert sorted(window.state["words"]) == ["Anger", "Fear", "Sadness"]

    hands.key("Return")  # nothing is decided yet: it says so and stays
    window.wait(lambda state: "at least one answer" in state["message"])
    hands.key("5")
    window.wait(lambda state: (state["emotion"], state["polarity"]) == ("disgust", "negative"))
    hands.key("c")
    hands.type("r2 nose 1")  # letters and digits are text now, not commands
    window.wait(lambda state: state["reason"] == "r2 nose 1")
    assert window.state["emotion"] == "disgust"
    hands.key("Escape", "End")
    window.wait(lambda state: state["index"] == 29)
    window.end(kill=True)

    window = Shown(study, "fer", tmp_path, display)
    windows.append(window)
    assert (window.state["emotion"], window.state["reason"]) == ("disgust", "r2 nose 1")
    hands.click(*window.at("video"))
    hands.key("Return")
    window.wait(lambda state: (state["decided"], state["position"]) == (1, 1))
    log = read_log(study.label_files(), "decisions")
    assert log[["annotator_id", "task", "emotion", "polarity", "reason"]].to_numpy().tolist() == [
        ["e01", "fer", "disgust", "negative", "r2 nose 1"]
    ]

    hands.key("p")
    window.wait(lambda state: state["position"] == 0 and state["withdraw"])
    hands.key("c", "ctrl+a")
    hands.type("mistaken")
    window.wait(lambda state: state["reason"] == "mistaken")
    hands.click(*window.at("withdraw"))
    window.wait(lambda state: state["decided"] == 0)
    assert len(read_log(study.label_files(), "decisions")) == 2
    assert {name: (study.labels_dir / f"{name}.sqlite").read_bytes() for name in SAID} == before


@pytest.mark.parametrize("api", ["pyqt5", "pyqt6"])
def test_decide_by_mouse_in_the_er_pass(study, windows, display, hands: Hands, tmp_path, api):
    window = Shown(study, "er", tmp_path, display, api)
    windows.append(window)
    place = window.state["words"].index("Anger")
    hands.click(*window.at(f"adopt{place}"))
    window.wait(lambda state: state["emotion"] == "anger")
    hands.key("ctrl+4")
    window.wait(lambda state: state["parts"] == ["stimulus", "gaze", "traces"])
    hands.click(*window.at("positive"))
    window.wait(lambda state: state["polarity"] == "positive")
    hands.click(*window.at("chip"))
    window.wait(lambda state: state["reason"] == "The majority is right")
    hands.click(*window.at("decide"))
    window.wait(lambda state: state["decided"] == 1)
    row = read_log(study.label_files(), "decisions").iloc[0]
    assert (row["emotion"], row["polarity"], row["valence"], row["reason"]) == (
        "anger", "positive", -0.5, "The majority is right",
    )  # fmt: skip
