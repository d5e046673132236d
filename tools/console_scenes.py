"""Screens of the operator's console from a seeded example: for the documentation's pictures and for tests.

    python -m tools.console_scenes OUT [--size 1920x1080]     one PNG a scene, with PyQt5 and a display (or offscreen)

The model is fed with the messages that a session sends, at a time that stands still.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from collection.console.messages import RECORDER, SESSION
from collection.console.model import ConsoleModel

SEED = 3
NOW_S = 1000.0
NOW_US = 1_000_000_000
SCREEN = {"width_px": 1920, "height_px": 1080, "width_mm": 528.0, "height_mm": 297.0, "distance_mm": 650.0,
          "refresh_hz": 60.0}  # fmt: skip
SCENES = ("form", "preflight", "recording", "alarm", "calibration", "summary", "keys", "stop")


class Stage:
    """A model with a clock that stands still and a stimulus on disk."""

    def __init__(self, folder: Path) -> None:
        self.now_s = NOW_S
        self.folder = folder
        self.sent: list[dict[str, Any]] = []
        self.model = ConsoleModel(self._send, clock_s=lambda: self.now_s, host_us=lambda: NOW_US)

    def _send(self, message: dict[str, Any]) -> bool:
        self.sent.append(message)
        return True

    def session(self, kind: str, **fields: Any) -> None:
        self.model.take(SESSION, {"kind": kind, **fields})

    def recorder(self, kind: str, payload: bytes | None = None, **fields: Any) -> None:
        self.model.take(RECORDER, {"kind": kind, **fields}, payload)

    def play(self, scene: str) -> None:
        """Feed the messages of a scene."""
        self.model.set_link(SESSION, True)
        self.session("setup", title="Emotion and eye behaviour", screen=SCREEN, stimuli={"joy-1": str(self.clip())},
                     rehearsal=True, max_gaze_loss=0.5, rate_tolerance=0.05)  # fmt: skip
        {
            "form": self._form, "preflight": self._preflight, "recording": self._recording, "alarm": self._alarm,
            "calibration": self._calibration, "summary": self._summary, "keys": self._recording, "stop": self._recording,
        }[scene]()  # fmt: skip
        self.model.flush()

    def clip(self) -> Path:
        path = self.folder / "joy-1.mp4"
        if not path.exists():
            from data_schema.study.placeholders import write_placeholder

            write_placeholder(path, emotion="happiness", number=1, duration_s=12.0)
        return path

    def _form(self) -> None:
        self.session("form", open=True, code="P7KQ4", session="01", used={"P001": ["01", "02"]}, consent="paper",
                     scopes=["video", "gaze", "sharing"], problem="")  # fmt: skip

    def _preflight(self) -> None:
        checks = [
            ("stimuli", "good", "28 clips can be decoded, 31 min together", ""),
            ("eye_tracker", "good", "Tobii Pro Spectrum TPSP1-010203, firmware 2.6.1", ""),
            ("gaze_rate", "error", "584 of 1200 Hz arrive",
             "Set 1200 Hz in Eye Tracker Manager, close it, and use the tracker's own network port."),
            ("camera", "good", "1280x720 at 30.0 frames/s", ""),
            ("exposure", "warning", "15.1 of 30 frames/s arrive in the dark",
             "Turn up the lamp in front of the participant or set exposure_ms in [camera] of study.toml."),
            ("screen", "good", "1920x1080, 59.94 Hz, as study.toml says", ""),
            ("sound", "good", "2 output channels", ""),
            ("disk", "good", "212 GB free, enough for 21 h", ""),
            ("memory", "good", "9.4 GB free", ""),
            ("clock", "note", "the wall clock is set by NTP, last step 0.3 s ago in March", ""),
            ("test_recording", "good", "10 s recorded and checked: no sample lost", ""),
        ]  # fmt: skip
        self.session("session", participant="P7KQ4", session="01", state="preflight", trial=0, n_trials=28, step="")
        self.session(
            "preflight", running=False,
            checks=[{"check": c, "level": v, "message": m, "remedy": r, "value": None} for c, v, m, r in checks],
        )  # fmt: skip
        self.session(
            "question", id="preflight", number=1, text="One check failed: 584 of 1200 Hz arrive. What now?",
            choices=[["again", "Check again"], ["override", "Start all the same (say why)"], ["stop", "Do not start"]],
            reason_for=["override"],
        )  # fmt: skip

    def _recording(self) -> None:
        self.model.set_link(RECORDER, True)
        self.session("recorder", address="demo", key_hex="00")
        self.session("session", participant="P7KQ4", session="01", state="running", trial=9, n_trials=28,
                     step="clip joy-1", stimulus_id="joy-1", step_elapsed_s=6.4, step_planned_s=12.0, remaining_s=1684.0,
                     paused=False, run=1)  # fmt: skip
        self._status()
        self._gaze()
        self.recorder("head", left=[0.56, 0.47, 0.52], right=[0.43, 0.48, 0.51], distance_mm=664.0)
        self._camera()
        for number, text in enumerate(("", "phone rang in the corridor", "")):
            self.model.command(_mark_or_note(text), text)
            if number < 2:
                self.recorder("marker", t_us=NOW_US, marker="operator_note" if text else "operator_mark", message=text)

    def _status(self, silent: str = "") -> None:
        names = {"/eye/gaze": 1200.0, "/eye/openness": 1200.0, "/eye/user_position": 30.0, "/eye/time_sync": 1.0,
                 "frames": 30.0}  # fmt: skip
        streams = {
            name: {"received": round(hz * 812), "written": round(hz * 812), "dropped": 0, "waiting": 0, "rate_hz": hz * 0.9993,
                   "silent_s": 0.0}
            for name, hz in names.items()
        }  # fmt: skip
        if silent:
            streams[silent]["rate_hz"], streams[silent]["silent_s"] = 0.0, 4.0
        self.recorder(
            "status", t_us=NOW_US, state="recording", streams=streams, nominal_hz=names, effective_hz={},
            loss={"left": 0.03, "right": 0.29, "both": 0.02}, uptime_s=812.0, free_bytes=212_000_000_000,
            clock={"offset_us": 5.1e6, "drift_ppm": -3.2, "residual_us": 241.0}, planned_s=2500.0,
            minutes_left_on_disk=1260.0,
        )  # fmt: skip

    def _gaze(self) -> None:
        rng = np.random.default_rng(SEED)
        times = NOW_US - np.arange(40, -1, -1) * 16_667
        path = np.linspace(0, 1, len(times))
        smooth = 1 / (1 + np.exp(-(path - 0.55) * 40))
        x, y = 0.36 + 0.21 * smooth, 0.62 - 0.24 * smooth
        eyes = {}
        for eye, shift in (("left", -0.008), ("right", 0.012)):
            noise = rng.normal(0, 0.003, (len(times), 2))
            eyes[eye] = [[float(a + shift + n[0]), float(b + n[1])] for a, b, n in zip(x, y, noise, strict=True)]
        ones = [1] * len(times)
        self.recorder("gaze", t_us=[int(t) for t in times], left=eyes["left"], right=eyes["right"], left_valid=ones,
                      right_valid=ones, left_pupil_mm=[3.4], right_pupil_mm=[3.5])  # fmt: skip

    def _camera(self, light: float = 1.0) -> None:
        import cv2

        from collection.console.light import PictureState
        from collection.devices.face import FaceRenderer
        from collection.simulation.participant import SimulatedParticipant
        from data_schema.study.sections import SimulationSection

        looks = SimulatedParticipant(SEED, "P7KQ4", SimulationSection()).appearance
        image = FaceRenderer(looks, 640, 360, np.random.default_rng(SEED)).draw({"happiness": 1.2})
        image = np.clip(image * light, 0, 255).astype(np.uint8)
        done, jpeg = cv2.imencode(".jpg", image)
        self.recorder("frame", jpeg.tobytes() if done else None, camera=1, t_us=NOW_US, width=640, height=360)
        self.model.set_picture(1, PictureState(120 * light, 0.01, 0.02, (0.38, 0.13, 0.23, 0.60), True))

    def _alarm(self) -> None:
        self._recording()
        self._camera(0.25)
        self._status("/eye/gaze")
        # The same counters again, some seconds later: nothing new has come.
        self.now_s += 3.4
        for other in ("/eye/openness", "/eye/user_position", "frames"):
            self.model.streams.streams[other].changed_s = self.now_s
        self._status("/eye/gaze")
        self.session("alarm", key="tobii", level="warning", text="The tracker said: connection lost at 14:03:12.")

    def _calibration(self) -> None:
        self.session("session", participant="P7KQ4", session="01", state="running", trial=0, n_trials=28,
                     step="calibration", remaining_s=2390.0)  # fmt: skip
        self.model.set_link(RECORDER, True)
        attempts = [_attempt(2, "failed", 1.35, SEED), _attempt(4, "failed", 0.95, SEED + 1, lost="right"),
                    _attempt(6, "passed", 0.45, SEED + 2)]  # fmt: skip
        limits = {"accuracy_deg": 1.0, "precision_rms_deg": 1.0, "loss": 0.2}
        self.session("calibration", attempts=attempts, limits=limits, chosen=4, drift_deg=None)
        choices = [
            ["redo", "Collect 2 points again"], ["override", "Go on in spite of it (say why)"],
            ["recalibrate", "Calibrate again"], ["left_only", "Left eye only"], ["position", "Look at the head's position"],
            ["use_2", "Use attempt 2, 1.35 deg"], ["use_6", "Use attempt 6, 0.45 deg"], ["stop", "Stop the session"],
        ]  # fmt: skip
        self.session(
            "question", id="calibration", number=2, choices=choices, reason_for=["override"],
            text="The validation is outside the study's limits: right eye, offset 2.1 of 1.0 deg allowed.",
            data={"attempts": attempts, "current": 4, "limits": limits},
        )  # fmt: skip

    def _summary(self) -> None:
        self.session("session", participant="P7KQ4", session="01", state="complete", trial=28, n_trials=28, step="end")
        self.session(
            "ended", reason="complete", path="sessions/sub-P7KQ4/ses-01/sub-P7KQ4_ses-01.h5",
            quality_page=str(self.folder / "sub-P7KQ4_ses-01_quality.html"),
            quality=[
                {"level": "good", "text": "26 of 28 trials can be used"},
                {"level": "good", "text": "accuracy 0.45 deg, precision 0.08 deg RMS, 3 % of samples lost"},
                {"level": "warning", "text": "trials 9 and 14: more than half of the gaze lost (phone rang; glasses slipped)"},
                {"level": "good", "text": "1199.2 of 1200 Hz gaze, 29.98 of 30 frames/s, no frame missed"},
            ],
            next="Next: emer clips, or record the next participant.",
        )  # fmt: skip


def _mark_or_note(text: str) -> Any:
    from collection.protocol.operator import CommandName

    return CommandName.NOTE if text else CommandName.MARK


def _attempt(number: int, gate: str, size_deg: float, seed: int, lost: str = "") -> dict[str, Any]:
    """Return a validation on four targets with offsets of about `size_deg`."""
    rng = np.random.default_rng(seed)
    share = math.tan(math.radians(1.0)) * SCREEN["distance_mm"] / SCREEN["width_mm"]
    points = []
    for target in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8), (0.5, 0.5)):
        turn = rng.uniform(0, 2 * math.pi)
        for eye in ("left", "right"):
            missing = eye == lost and target == (0.8, 0.8)
            offset = float(size_deg * rng.uniform(0.5, 1.3) * (1.7 if eye == lost else 1.0))
            turn += rng.normal(0, 0.5)
            gaze = [target[0] + math.cos(turn) * offset * share, target[1] + math.sin(turn) * offset * share * 16 / 9]
            points.append({
                "eye": eye, "target_norm": list(target), "gaze_norm": None if missing else gaze,
                "accuracy_deg": None if missing else offset, "precision_rms_deg": 0.08,
                "precision_sd_deg": float(rng.uniform(0.15, 0.35)), "loss": 1.0 if missing else 0.02,
            })  # fmt: skip

    def mean(eye: str) -> float:
        return float(np.mean([p["accuracy_deg"] for p in points if p["eye"] == eye and p["accuracy_deg"] is not None]))

    return {
        "attempt_id": number, "kind": "validation", "eyes": "both", "gate": gate, "success": True, "points": points,
        "accuracy_deg": {eye: mean(eye) for eye in ("left", "right")}, "precision_rms_deg": {"left": 0.08, "right": 0.09},
        "loss": {"left": 0.02, "right": 0.22 if lost else 0.03},
        "problems": [f"{lost} eye: one target without gaze"] if lost else [],
    }  # fmt: skip


def make_window(stage: Stage, scene: str, width: int, height: int) -> tuple[Any, Any]:
    """Return the console's window with a scene, painted, and its clip player (close both)."""
    from PyQt5.QtWidgets import QApplication

    from collection.console.clip_player import ClipPlayer
    from collection.console.face_watch import FaceWatch
    from collection.console.views.window import ConsoleWindow

    player = ClipPlayer()
    player.start()
    window = ConsoleWindow(stage.model, stage.model.flush, player, FaceWatch(), lambda _: True, beep=lambda: None)
    # The scene's pictures are judged already.
    window._offer_pictures = lambda: None
    window.resize(width, height)
    window.show()
    stage.play(scene)
    if scene in ("keys", "stop"):
        window.do(scene)
        if scene == "stop":
            window.do("yes")
    if scene == "preflight":
        window.do("choice 2")
    deadline_s = time.monotonic() + 5.0
    while time.monotonic() < deadline_s:
        window.tick()
        QApplication.processEvents()
        if scene not in ("recording", "alarm", "keys", "stop") or player.picture is not None:
            break
        # The clock stands still, so the clip's picture has to be asked for again.
        window.live.gaze._asked_s = 0.0
        time.sleep(0.02)
    for _ in range(5):
        window.tick()
        QApplication.processEvents()
    return window, player


def save_scenes(out: Path, width: int, height: int, scenes: tuple[str, ...] = SCENES) -> list[Path]:
    """Save one PNG a scene; returns the files."""
    from PyQt5.QtWidgets import QApplication

    from collection.console.starting import forget_other_qt

    forget_other_qt()
    application = QApplication.instance() or QApplication([])
    out.mkdir(parents=True, exist_ok=True)
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for scene in scenes:
            window, player = make_window(Stage(Path(folder)), scene, width, height)
            files.append(out / f"console-{scene}.png")
            window.grab().save(str(files[-1]))
            window.close()
            player.close()
            window.deleteLater()
            application.processEvents()
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Save pictures of the operator's console.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="1920x1080")
    given = parser.parse_args()
    size = given.size.split("x")
    for path in save_scenes(given.out, int(size[0]), int(size[1])):
        print(path)
