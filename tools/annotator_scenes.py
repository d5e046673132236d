"""Screens of the annotator's window from a simulated session: for the documentation's pictures.

    python -m tools.annotator_scenes OUT [SCENE ...]     one PNG a scene, English light and Chinese dark

A study is made and a session of a simulated participant is recorded into it; the face is
that of `collection`'s simulated camera. The windows are the real ones, on real label files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_schema.study import StudyFolder
from tools.annotator_studies import make_bundle, make_studies

SIZE = (1600, 920)
LAPTOP = (1366, 768)
#: Longest that the window may take to show a frame.
PATIENCE_S = 20.0
#: What an adjudicator says, in the language of the window.
REASONS = {"en": "The lip corners fall before the brows move", "zh": "嘴角先下垂，眉毛后动"}
#: Language, theme and what the file's name ends with.
LOOKS = (("en", "light", "en"), ("zh", "dark", "zh"))


@dataclass(frozen=True)
class Scene:
    """One picture.

    Parameters
    ----------
    name : str
    act : callable
        Brings the window to what the picture shows.
    task : {'fer', 'er'}
    study : {'plain', 'trained', 'guessed', 'judged', 'bundle'}
        ``judged`` is opened in the adjudicator's window.
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


def _waits_for_code(window: Any) -> None:
    from annotation.desk.state import Page

    _training_done(window)
    # The folder is another one each time; the picture names what is in it.
    named, folder = window.messages[Page.ADMISSION].file, window.desk.source.label_path.parents[2]
    named.setText(named.text().replace(f"{folder}/", ""))


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


def _guess(window: Any) -> None:
    """Watch a clip whose guess is offered to its end: only then it is shown."""
    from qtpy.QtWidgets import QApplication

    desk = window.desk
    offered = (place for place, item in enumerate(desk.items) if (guess := desk.source.guess(item)) and guess.offered)
    desk.goto(next(offered))
    _spin(QApplication.instance(), lambda: desk.player.image is not None, "the clip with a guess")
    for action in ("faster", "faster", "replay"):
        desk.perform(action)
    _spin(QApplication.instance(), lambda: desk.guess is not None and desk.player.at_end, "the guess")


def _adjudicated(window: Any) -> None:
    desk = window.desk
    _at(window, 0.55)
    desk.set("emotion", desk.case.said[0].emotion or "neutral")
    desk.set_reason(REASONS[window.language])


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
    Scene("code", _waits_for_code, study="bundle"),
    Scene("guess", _guess, study="guessed"),
    Scene("adjudicate", _adjudicated, study="judged", task="er"),
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
    player.seek(index)
    panel = _er_panel(window)
    there = lambda: player.index == index and (panel is None or panel.scene.picture_is_due)  # noqa: E731
    _spin(QApplication.instance(), there, f"frame {index}")


def _er_panel(window: Any) -> Any:
    return window.clip.er_panel if hasattr(window, "clip") else window.er_panel


def _annotate_window(source: Any, scene: Scene, look: tuple[str, str, str], folder: Path) -> Any:
    from annotation.desk.desk import Desk
    from annotation.texts import Texts
    from annotation.views.window import AnnotateWindow

    return AnnotateWindow(Desk(source), Texts(look[0]), _settings(scene, look, folder))


def _settings(scene: Scene, look: tuple[str, str, str], folder: Path) -> Any:
    """Write the settings with which a scene is looked at."""
    from annotation.settings import SettingsFile

    language, theme, ending = look
    path = folder / f"settings-{scene.name}-{ending}.json"
    path.write_text(
        json.dumps({"theme": theme, "language": language, "text_size": scene.text_size, "tour_seen": True}),
        encoding="utf-8",
    )
    return SettingsFile(path)


def _adjudicate_window(study: StudyFolder, scene: Scene, look: tuple[str, str, str]) -> Any:
    from annotation.adjudication.desk import AdjudicationDesk
    from annotation.adjudication.source import case_source, study_cases
    from annotation.texts import Texts
    from annotation.views.adjudication.window import AdjudicationWindow

    cases = study_cases(study, scene.task)
    desk = AdjudicationDesk(case_source(study, scene.task, "e01", cases), cases)
    window = AdjudicationWindow(desk, Texts(look[0]), _settings(scene, look, study.root))
    window.language = look[0]
    return window


def _open(study: StudyFolder, scene: Scene, look: tuple[str, str, str]) -> Any:
    """Open a scene's window, with nothing said yet."""
    from annotation.bundle.source import BundleSource
    from annotation.sources.study import StudySource

    if scene.study == "judged":
        for path in study.labels_dir.glob("e01*"):
            path.unlink()
        return _adjudicate_window(study, scene, look)
    if scene.study == "bundle":
        home = study.root.parent / look[2]
        home.mkdir()
        return _annotate_window(BundleSource(make_bundle(study, home / "fer-a01")), scene, look, study.root)
    shutil.rmtree(study.labels_dir, ignore_errors=True)
    return _annotate_window(StudySource(study, scene.task, "a01"), scene, look, study.root)


def take(application: Any, study: StudyFolder, scene: Scene, look: tuple[str, str, str], out: Path) -> Path:
    """Open the window, let the scene happen, save its picture."""
    window = _open(study, scene, look)
    window.setGeometry(0, 0, *scene.size)
    window.show()
    _spin(application, lambda: window.desk.player.image is not None, "the first frame")
    scene.act(window)
    # A window that just came has its last layout after a few rounds.
    for _ in range(20):
        application.processEvents()
        time.sleep(0.01)
    path = out / f"annotator-{scene.name}-{look[2]}.png"
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
        studies["bundle"] = studies["trained"]
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
