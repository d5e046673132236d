"""Screens of the annotator's window from a simulated session: for the documentation's pictures.

    python -m tools.annotator_scenes OUT [SCENE ...]     one PNG a scene, English light and Chinese dark

A study is made and a session of a simulated participant is recorded into it; the face is
that of `collection`'s simulated camera. The window is the real one, on real label files.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_schema.study import StudyFolder, init_study

EMER = [sys.executable, "-c", "from data_schema.cli import run; run()"]
SETTINGS: dict[str, dict[str, object]] = {
    "eye_tracker": {"kind": "simulated", "rate_hz": 600.0},
    "camera": {"source": "simulated", "width_px": 960, "height_px": 540, "fps": 30.0},
    "protocol": {"baseline_s": 0.5, "fixation_s": 0.3, "washout_s": 0.2, "self_report": False},
    "recording": {"min_free_gb": 0.2},
    "calibration": {"points": 1, "validation_points": 1},
    "preflight": {"test_recording_s": 0.0},
}
CLIP_S = 8.0
#: A simulated session runs this many times faster.
SPEED = "8"
#: What the stimuli are called in their pictures: their own names would say the emotion.
TITLES = ("A walk by the river", "The old piano", "Market day", "Night train", "The letter", "Two dogs", "Snow")
SIZE = (1600, 920)
LAPTOP = (1366, 768)
#: Longest that the window may take to show a frame.
PATIENCE_S = 20.0
#: Language, theme and what the file's name ends with.
LOOKS = (("en", "light", "en"), ("zh", "dark", "zh"))


def make_studies(folder: Path) -> dict[str, StudyFolder]:
    """Make a study with one session, and a copy of it with a training block and an admission test."""
    from data_schema.study.placeholders import write_placeholder

    study = init_study(
        folder / "plain", title="Emotion and eye behaviour", clips_per_emotion=1, clip_s=CLIP_S, settings=SETTINGS
    )
    for number, stimulus in enumerate(study.config.trial_stimuli):
        path = study.stimulus_path(stimulus)
        path.unlink()
        write_placeholder(
            path, emotion=stimulus.target_emotion, number=1, duration_s=CLIP_S, title=TITLES[number % len(TITLES)]
        )
    _emer("record", "rehearse", str(study.root), "--participant", "P001", "--session", "01", "--headless", "--speed",
          SPEED, "--no-quality-page")  # fmt: skip
    _emer("clips", str(study.root))
    shutil.copytree(study.root, folder / "trained")
    return {"plain": study, "trained": _with_training(StudyFolder(folder / "trained"))}


def _emer(*arguments: str) -> None:
    subprocess.run([*EMER, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _with_training(study: StudyFolder) -> StudyFolder:
    import pandas as pd

    clips = pd.read_parquet(study.clip_index_path)["clip_id"].tolist()
    with (study.root / "gold.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("clip_id", "task", "emotion", "valence", "arousal", "intensity", "explanation"))
        for clip in clips[:3]:
            why = "The brows are raised and the mouth is open for a moment only; fear would hold the upper lids up."
            writer.writerow((clip, "fer", "surprise", 0.25, 0.5, 2, why))
    config = study.root / "study.toml"
    text = config.read_text(encoding="utf-8")
    for name, value in (("gold_file", '"gold.csv"'), ("training_clips", "1"), ("admission_clips", "1")):
        text, n_changed = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        if n_changed != 1:
            raise SystemExit(f"study.toml of a new study has {n_changed} lines '{name} = ...', expected one")
    config.write_text(text, encoding="utf-8")
    return StudyFolder(study.root)


@dataclass(frozen=True)
class Scene:
    """One picture.

    Parameters
    ----------
    name : str
    act : callable
        Brings the window to what the picture shows.
    task : {'fer', 'er'}
    study : {'plain', 'trained'}
    size : tuple of int
    text_size : int
        Per cent.
    looks : tuple of str
        Languages of `LOOKS` in which it is taken.
    """

    name: str
    act: Callable[[Any], None]
    task: str = "fer"
    study: str = "plain"
    size: tuple[int, int] = SIZE
    text_size: int = 100
    looks: tuple[str, ...] = ("en", "zh")


# ---------------------------------------------------------------- what happens in a scene


def _half_labelled(window: Any) -> None:
    _at(window, 0.55)
    desk = window.desk
    for digit in (1, 8, 6):
        desk.perform(f"digit.{digit}")
    desk.mark("apex")


def _er(window: Any) -> None:
    _half_labelled(window)


def _committed(window: Any) -> None:
    _label(window, "surprise", 0.25, 0.5, 2.0)


def _training_done(window: Any) -> None:
    _committed(window)
    window.desk.acknowledge()
    _label(window, "surprise", 0.25, 0.5, 2.0)


def _all_done(window: Any) -> None:
    for _ in range(len(window.desk.items)):
        _label(window, "neutral", 0.0, -0.25, 0.0)


def _label(window: Any, emotion: str, valence: float, arousal: float, intensity: float) -> None:
    desk = window.desk
    said: dict[str, str | float] = {"emotion": emotion, "valence": valence, "arousal": arousal, "intensity": intensity}
    for field, value in said.items():
        if field in desk.fields:
            desk.set(field, value)
    desk.commit()


def _tour(step: int) -> Callable[[Any], None]:
    def act(window: Any) -> None:
        _at(window, 0.4)
        window.show_tour()
        for _ in range(step):
            window.tour.next()

    return act


def _over(action: str) -> Callable[[Any], None]:
    def act(window: Any) -> None:
        _at(window, 0.4)
        window.do(action)

    return act


def _part(name: str) -> Callable[[Any], None]:
    def act(window: Any) -> None:
        _half_labelled(window)
        window.clip.er_panel.toggle("velocity")

    return act


SCENES: tuple[Scene, ...] = (
    Scene("fer", _half_labelled),
    Scene("er", _er, task="er"),
    Scene("er-laptop-130", _part("velocity"), task="er", size=LAPTOP, text_size=130, looks=("en",)),
    Scene("fer-laptop-150", _half_labelled, size=LAPTOP, text_size=150, looks=("en",)),
    Scene("tour", _tour(2), task="er"),
    Scene("skip", _over("skip")),
    Scene("keys", _over("keys")),
    Scene("settings", _over("settings")),
    Scene("help", _over("help")),
    Scene("feedback", _committed, study="trained"),
    Scene("admission", _training_done, study="trained"),
    Scene("break", lambda window: window.desk.take_break()),
    Scene("finished", _all_done),
)


# ---------------------------------------------------------------- the window


def _spin(application: Any, until: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not until():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{what} did not come within {PATIENCE_S:.0f} s")
        application.processEvents()
        time.sleep(0.005)


def _at(window: Any, share: float) -> None:
    """Show the frame at a share of the clip, with all that belongs to it."""
    from qtpy.QtWidgets import QApplication

    player = window.desk.player
    index = round(share * (len(player.frames) - 1))
    window.desk.play_action(lambda one: one.seek(index))
    panel = window.clip.er_panel
    there = lambda: player.index == index and (panel is None or panel.scene.picture_is_due)  # noqa: E731
    _spin(QApplication.instance(), there, f"frame {index}")


def take(application: Any, study: StudyFolder, scene: Scene, look: tuple[str, str, str], out: Path) -> Path:
    """Open the window, let the scene happen, save its picture."""
    from annotation.desk.desk import Desk
    from annotation.settings import SettingsFile
    from annotation.sources.study import StudySource
    from annotation.texts import Texts
    from annotation.views.window import AnnotateWindow

    language, theme, ending = look
    settings = study.root / f"settings-{scene.name}-{ending}.json"
    settings.write_text(
        json.dumps({"theme": theme, "language": language, "text_size": scene.text_size, "tour_seen": True}),
        encoding="utf-8",
    )
    # Each scene begins with nothing said.
    shutil.rmtree(study.labels_dir, ignore_errors=True)
    desk = Desk(StudySource(study, scene.task, "a01"))
    window = AnnotateWindow(desk, Texts(language), SettingsFile(settings))
    window.setGeometry(0, 0, *scene.size)
    window.show()
    _spin(application, lambda: desk.player.image is not None, "the first frame")
    scene.act(window)
    # A window that just came has its last layout after a few rounds.
    for _ in range(20):
        application.processEvents()
        time.sleep(0.01)
    path = out / f"annotator-{scene.name}-{ending}.png"
    window.grab().save(str(path))
    window.close()
    window.deleteLater()
    application.processEvents()
    return path


def save_scenes(out: Path, names: tuple[str, ...] = ()) -> list[Path]:
    """Save the pictures of the named scenes, or of all; returns the files."""
    from annotation.app import make_application

    out.mkdir(parents=True, exist_ok=True)
    files = []
    with tempfile.TemporaryDirectory() as folder:
        studies = make_studies(Path(folder))
        application = make_application()
        for scene in SCENES:
            for look in LOOKS:
                if (not names or scene.name in names) and look[0] in scene.looks:
                    files.append(take(application, studies[scene.study], scene, look, out))
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Save pictures of the annotator's window.")
    parser.add_argument("out", type=Path)
    parser.add_argument("scenes", nargs="*", help=f"which: {', '.join(scene.name for scene in SCENES)}")
    given = parser.parse_args()
    for path in save_scenes(given.out, tuple(given.scenes)):
        print(path)
