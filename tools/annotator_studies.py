"""The studies behind the pictures of the annotator's window: one simulated session, copied and furnished."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

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
SIMULATED_ANNOTATORS = 4


def make_studies(folder: Path) -> dict[str, StudyFolder]:
    """Make a study with one session, and copies of it.

    Returns
    -------
    dict of str to StudyFolder
        ``plain``; ``trained`` with a training block and an admission test; ``guessed`` with a model's guesses; ``judged``
        with labels of simulated annotators.
    """
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
    copies = {}
    for name in ("trained", "guessed", "judged"):
        shutil.copytree(study.root, folder / name)
        copies[name] = StudyFolder(folder / name)
    _emer("annotate", "simulate", str(copies["judged"].root), "--annotators", str(SIMULATED_ANNOTATORS))
    _write_guesses(copies["guessed"])
    return {"plain": study, **copies, "trained": _with_training(copies["trained"])}


def make_bundle(study: StudyFolder, out: Path) -> Path:
    """Make the bundle of an annotator who takes the FER pass at another place."""
    _emer("annotate", "bundle", str(study.root), "--task", "fer", "--annotator", "a01", "--out", str(out))
    return out


def _emer(*arguments: str) -> None:
    done = subprocess.run([*EMER, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"emer {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


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


def _write_guesses(study: StudyFolder) -> None:
    """Let a model be sure that every face is surprised."""
    import pandas as pd

    from data_schema.labels.guess_table import PROBABILITY, guess_table_path, write_guesses
    from data_schema.vocabularies import EMOTIONS

    clips = pd.read_parquet(study.clip_index_path)
    sure = 0.91
    other = (1 - sure) / (len(EMOTIONS) - 1)
    rows = [
        {
            "clip_id": clip.clip_id, "clip_sha256": clip.session_sha256, "task": "fer", "model_sha256": "ab" * 32,
            "n_models": 1, "emotion": "surprise", "confidence": sure, "valence": 0.25, "arousal": 0.5, "intensity": 2.0,
            **{PROBABILITY + word: sure if word == "surprise" else other for word in EMOTIONS},
        }
        for clip in clips.itertuples()
    ]  # fmt: skip
    write_guesses(guess_table_path(study.annotation_dir, "fer"), pd.DataFrame(rows))
