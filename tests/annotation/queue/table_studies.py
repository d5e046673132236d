"""Studies that have a clip table and no recordings: all that handing out clips needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.files import write_table
from data_schema.study import StudyFolder
from data_schema.vocabularies import EMOTIONS

TOML = """\
[study]
title = "Table only"
seed = 5
[annotation]
repeats_distance = 4
{rules}
"""


def clip_name(number: int) -> str:
    return f"sub-P{number // 10:03d}_ses-01_trial-{number % 10:03d}"


def write_clips(study: StudyFolder, n: int, excluded: tuple[int, ...] = ()) -> None:
    numbers = np.arange(n)
    table = pd.DataFrame(
        {
            "clip_id": [clip_name(number) for number in numbers],
            "participant": [f"P{number // 10:03d}" for number in numbers],
            "session": "01",
            "trial_id": (numbers % 10).astype("int32"),
            "stimulus_id": "s00",
            "target_emotion": [EMOTIONS[number % 7] for number in numbers],
            "session_file": [f"sessions/P{number // 10:03d}.h5" for number in numbers],
            "session_sha256": "ab" * 32,
            "t_start_us": numbers * 1000,
            "t_end_us": numbers * 1000 + 900,
            "n_face_frames": np.int32(30),
            "gaze_valid_share": 1.0,
            "included": ~np.isin(numbers, excluded),
            "exclusion_reason": ["blurred" if number in excluded else "" for number in numbers],
            "simulated": True,
        }
    )
    write_table(study.clip_index_path, table)


def write_rules(root: Path, rules: str) -> StudyFolder:
    """Write study.toml anew; the folder object keeps what it read, so a new one comes back."""
    root.mkdir(exist_ok=True)
    (root / "study.toml").write_text(TOML.format(rules=rules), encoding="utf-8")
    return StudyFolder(root)


def table_study(root: Path, n: int, rules: str = "") -> StudyFolder:
    study = write_rules(root, rules)
    write_clips(study, n)
    return study


def write_gold_rows(study: StudyFolder, numbers: range, task: str = "fer", name: str = "gold.csv") -> None:
    rows = [f"{clip_name(number)},{task},{EMOTIONS[number % 7]}" for number in numbers]
    (study.root / name).write_text("clip_id,task,emotion\n" + "\n".join(rows) + "\n", encoding="utf-8")
