"""Exports of other systems, written as their software writes them, and the study that they go into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.importers import Codes, ImportedSession, ImportOptions, plan_import, write_sessions
from data_schema.study.folder import StudyFolder

STUDY_TOML = """\
[study]
title = "Imported"
[camera]
keyframe_every = 10
[quality]
min_frames_share = 0.0
[[stimuli]]
id = "joy-1"
file = "joy 1.mp4"
target_emotion = "happiness"
[[stimuli]]
id = "fear-1"
file = "fear-1.mp4"
target_emotion = "fear"
[[stimuli]]
id = "try"
file = "try.mp4"
target_emotion = "neutral"
practice = true
"""
EYES = ("left", "right")
P001 = ImportOptions(codes=Codes("P001", "01"))


def make_study(folder: Path, more: str = "") -> StudyFolder:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(STUDY_TOML + more, encoding="utf-8")
    return StudyFolder(folder)


def run_import(study: StudyFolder, kind: str, *files: Path, options: ImportOptions = P001) -> list[ImportedSession]:
    return write_sessions(study, plan_import(study, kind, files, options), options)


def write_text(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    encoding: str = "utf-8",
    delimiter: str = "\t",
    end: str = "\r\n",
) -> Path:
    """Write a table; encodings with a byte order mark are utf-8-sig and utf-16 and utf-16-be-mark."""
    lines = [delimiter.join(header), *(delimiter.join(row) for row in rows)]
    text = end.join(lines) + end
    marked = encoding == "utf-16-be-mark"
    data = text.encode("utf-16-be" if marked else encoding)
    path.write_bytes((b"\xfe\xff" if marked else b"") + data)
    return path


def prolab_header(style: str = "new", time_unit: str = "μs") -> list[str]:
    """Return Pro Lab's columns: `new` has units in square brackets, `old` in round ones or none."""
    px, mm = ("[DACS px]", "[DACS mm]") if style == "new" else ("", "(DACSmm)")
    time = f" [{time_unit}]" if style == "new" else ""
    unit = " [mm]" if style == "new" else ""
    names = [f"Recording timestamp{time}", f"Computer timestamp{time}", "Sensor", "Participant name", "Recording name"]
    names += ["Recording date", f"Recording resolution height{' [px]' if style == 'new' else ''}"]
    names += [f"Recording resolution width{' [px]' if style == 'new' else ''}"]
    names += [f"Eyetracker timestamp{' [μs]' if style == 'new' else ''}", "Event", "Event value"]
    for eye in EYES:
        names += [f"Gaze point {eye} {axis} {px}".strip() for axis in "XY"]
    for eye in EYES:
        names += [f"Pupil diameter {eye}{unit}", f"Eye openness {eye}{unit}", f"Validity {eye}"]
        names += [f"Eye position {eye} {axis} {mm}" for axis in "XYZ"]
        names += [f"Gaze point {eye} {axis} {mm}" for axis in "XY"]
        names += [f"Gaze point {eye} {axis} {'[MCS norm]' if style == 'new' else '(MCSnorm)'}" for axis in "XY"]
    return [*names, "Presented Stimulus name", "Presented Media name", "Eye movement type"]


def prolab_rows(
    n: int = 120,
    *,
    rate_hz: float = 60.0,
    decimal: str = ",",
    time_unit: str = "μs",
    participant: str = "Anna Svensson",
    recording: str = "Recording 7",
    shown: Sequence[tuple[str, int, int]] = (),
    events: bool = False,
    mouse_every: int = 10,
    seed: int = 0,
) -> list[list[str]]:
    """Return rows of a Pro Lab export; `shown` are names with first and last sample (excluded)."""
    rng = np.random.default_rng(seed)
    divisor = 1 if time_unit == "μs" else 1000
    rows: list[list[str]] = []

    def number(value: float, digits: int) -> str:
        return f"{value:.{digits}f}".replace(".", decimal)

    def start(t_us: int, sensor: str) -> list[str]:
        times = [str(t_us // divisor), str((t_us + 5_000_000_000) // divisor)]
        return [*times, sensor, participant, recording, "24.12.2025", "1080", "1920"]

    rows.append([*start(0, ""), "", "RecordingStart", "", *[""] * 27])
    for sample in range(n):
        t_us = 10_000 + round(sample * 1e6 / rate_hz)
        name = next((name for name, first, last in shown if first <= sample < last), "")
        if events:
            rows += [
                [*start(t_us, ""), "", f"VideoStimulus{kind}", who, *[""] * 27] for kind, who in _edges(shown, sample)
            ]
        cells = [*start(t_us, "Eye Tracker"), str(t_us + 777_000_000), "", ""]
        lost = sample % 17 == 3
        cells += [""] * 4 if lost else [str(int(v)) for v in rng.uniform(100, 900, 4)]
        for _ in EYES:
            if lost:
                cells += ["", number(rng.uniform(0, 2), 3), "Invalid", *[""] * 7]
            else:
                cells += [number(rng.uniform(2, 5), 3), number(rng.uniform(7, 10), 3), "Valid"]
                cells += [number(v, 1) for v in rng.uniform(200, 600, 3)] + [
                    number(v, 1) for v in rng.uniform(0, 500, 2)
                ]
                cells += [number(v, 4) for v in rng.uniform(0, 1, 2)]
        rows.append([*cells, name, f"{name}.mp4" if name else "", "Fixation"])
        if mouse_every and sample % mouse_every == 0:
            rows.append([*start(t_us, "Mouse"), *[""] * 30])
    return rows


def _edges(shown: Sequence[tuple[str, int, int]], sample: int) -> list[tuple[str, str]]:
    ends = [("End", name) for name, _, last in shown if last == sample]
    return ends + [("Start", name) for name, first, _ in shown if first == sample]


def sdk_samples(n: int = 90, rate_hz: float = 60.0, seed: int = 0) -> list[dict[str, Any]]:
    """Return gaze dictionaries of the Tobii Pro SDK."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(n):
        t_us = 2_129_184_509_241 + round(number * 1e6 / rate_hz)
        sample: dict[str, Any] = {"device_time_stamp": t_us - 10**12, "system_time_stamp": t_us}
        for eye in EYES:
            there = number % 11 != 4
            sample[f"{eye}_gaze_point_on_display_area"] = (
                tuple(rng.uniform(0, 1, 2).tolist()) if there else (np.nan, np.nan)
            )
            sample[f"{eye}_gaze_point_in_user_coordinate_system"] = tuple(rng.uniform(-200, 200, 3).tolist())
            sample[f"{eye}_gaze_point_validity"] = int(there)
            sample[f"{eye}_pupil_diameter"] = float(rng.uniform(2, 5)) if there else np.nan
            sample[f"{eye}_pupil_validity"] = int(there)
            sample[f"{eye}_gaze_origin_in_user_coordinate_system"] = tuple(rng.uniform(-50, 650, 3).tolist())
            sample[f"{eye}_gaze_origin_validity"] = int(there)
        samples.append(sample)
    return samples
