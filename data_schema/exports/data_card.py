"""The data card: what is in an export, in words and real numbers, for whoever opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema import __version__
from data_schema.exports.arrays import FACE_QUALITY
from data_schema.exports.protocols import PROTOCOLS, protocol_clips
from data_schema.signals.features import EYE_FEATURES, FIXATION_FEATURES
from data_schema.vocabularies import EMOTIONS, POLARITIES
from data_schema.wording import counted


def data_card(
    folder: Path,
    *,
    title: str,
    simulated: bool,
    counts: dict[str, int],
    settings: dict[str, Any],
    about: dict[str, Any],
) -> str:
    """Describe the tables of an export.

    Parameters
    ----------
    folder : Path
        Where the tables and ``folds.json`` lie.
    title : str
        Title of the study.
    simulated : bool
        Whether any clip was simulated.
    counts, settings, about : dict
        As in the manifest.

    Returns
    -------
    str
        Markdown.
    """
    clips = pd.read_parquet(folder / "clips.parquet")
    targets = pd.read_parquet(folder / "targets.parquet")
    labels = pd.read_parquet(folder / "labels.parquet")
    quality = pd.read_parquet(folder / "quality.parquet")
    folds = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    parts = [
        f"# {title}: training export",
        _simulated(clips, quality, labels) if simulated else "",
        _contents(counts, clips, settings),
        _excluded(about["excluded"], len(clips)),
        _labels(labels, targets, settings),
        _protocols(targets, clips),
        _quality(quality, clips, settings),
        _faces(about, settings),
        _signals(settings),
        _folds(folds, clips),
        _arrays(settings),
        _features(),
        _limits(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join('---' for _ in header)}|"]
    return "\n".join(lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows])


def _simulated(clips: pd.DataFrame, quality: pd.DataFrame, labels: pd.DataFrame) -> str:
    annotators = labels.loc[labels["source"] == "annotator", "annotator_kind"]
    lines = [
        (
            "> **SIMULATED DATA.** "
            f"{int(clips['simulated'].sum())} of {len(clips)} clips come from simulated or replayed devices, and what "
            "the participants felt and showed was planted by a program. Nothing here says anything about people."
        )
    ]
    if quality["replayed"].any():
        lines.append(
            f"> {int(quality['replayed'].sum())} of {len(quality)} sessions replay a recording made elsewhere; "
            "its gaze and face have nothing to do with the labels."
        )
    if (annotators == "simulated").any():
        lines.append(
            f"> {(annotators == 'simulated').mean():.0%} of the annotators' labels are by simulated annotators."
        )
    return "\n>\n".join(lines)


def _clip_rule(rule: dict[str, Any]) -> str:
    """Say in words which part of a trial a clip is."""
    words = {
        "whole": "A clip is one whole stimulus",
        "last": f"A clip is the last {rule['last_s']:g} s of a stimulus",
        "apex": (
            f"A clip is the time from {rule['apex_before_s']:g} s before to {rule['apex_after_s']:g} s after the apex that "
            "annotators marked"
        ),
    }
    return words[str(rule["rule"])]


def _excluded(excluded: dict[str, int], n_clips: int) -> str:
    n = sum(excluded.values())
    lines = ["## Left out", "", f"{n} of {n + n_clips} clips of the study are not in here."]
    if n:
        rows = [[reason, count] for reason, count in sorted(excluded.items(), key=lambda item: (-item[1], item[0]))]
        lines += ["", _table(["reason (N stands for a number)", "clips"], rows)]
    return "\n".join(lines)


def _faces(about: dict[str, Any], settings: dict[str, Any]) -> str:
    """Say how faces were found, and how well they were seen."""
    seen, detector = about["faces"], about["face_detector"]
    n = seen["n_frames"]

    def text(name: str, form: str) -> str:
        return "unknown" if seen[name] is None else format(seen[name], form)

    rows = [
        ["frames that were looked at", n],
        ["with the face", f"{seen['n_found']} ({seen['n_found'] / n:.1%})" if n else 0],
        ["found by the detector itself, the others by following", seen["n_detected"]],
        ["not decodable", seen["n_undecoded"]],
        ["longest loss in a clip, s (median)", text("longest_loss_s", ".2f")],
        ["distance of the eyes, px (median of clips)", text("size_px", ".0f")],
        ["yaw, pitch, roll, deg", ", ".join(text(f"{axis}_deg", ".1f") for axis in ("yaw", "pitch", "roll"))],
        ["sharpness, grey levels squared", text("sharpness", ".0f")],
        ["brightness and contrast, 0 to 1", f"{text('brightness', '.2f')} and {text('contrast', '.2f')}"],
    ]
    return "\n".join(
        [
            "## Faces",
            "",
            (
                f"Detector {detector['name']} {detector['version']} (code {detector['licence']}; model "
                f"{detector['model_licence']}), at {settings['faces_rate_hz']:g} frames a second, followed in between by "
                "optical flow."
            ),
            "",
            _table(["", ""], rows),
        ]
    )


def _signals(settings: dict[str, Any]) -> str:
    """List the parameters of all signals, as study.toml names them."""
    signals = settings["signals"]
    titles = {"fixations": "eye_movements", "blinks": "blinks", "pupil": "pupil"}
    rows = [
        [f"`[{title}]`", ", ".join(f"{key} = {value}" for key, value in signals[part].items())]
        for part, title in titles.items()
    ]
    rows.append(["pupil's baseline", f"median of {settings['pupil_baseline_s']:g} s before each stimulus"])
    rows.append(["stimulus' light", settings["luminance"]])
    rows.append(["`[faces]`", ", ".join(f"{key} = {value}" for key, value in settings["tracking"].items())])
    rows.append(["light of the crops", settings["light"]])
    return "\n".join(["## Parameters of the signals", "", _table(["section", "values"], rows)])


def _contents(counts: dict[str, int], clips: pd.DataFrame, settings: dict[str, Any]) -> str:
    duration = clips["duration_s"]
    return "\n".join(
        [
            "## Contents",
            "",
            (
                f"{counted(counts['clips'], 'clip')} of {counted(counts['participants'], 'participant')} in "
                f"{counted(counts['sessions'], 'session')}; stimuli: {counts['stimuli']}. "
                f"{_clip_rule(settings['clip_rule'])} and lasts {duration.min():.1f} to "
                f"{duration.max():.1f} s (median {duration.median():.1f} s), {duration.sum() / 60:.1f} minutes in all. "
                f"Clips per participant: {clips['participant'].value_counts().min()} to "
                f"{clips['participant'].value_counts().max()}."
            ),
            "",
            f"Made by emer-toolkit {__version__}.",
        ]
    )


def _labels(labels: pd.DataFrame, targets: pd.DataFrame, settings: dict[str, Any]) -> str:
    found = "Dawid-Skene" if settings["consensus"] == "dawid-skene" else "majority"
    lines = [
        "## Labels",
        "",
        (
            "ER is what the participant felt, FER what the face showed. A tie between annotators, a skip or a missing "
            f"answer is a missing target. Annotators' classes are found by {found}, scales by the mean."
        ),
        "",
        _table(
            ["emotion", "ER clips", "FER clips"],
            [
                [word, int((targets["er_emotion"] == word).sum()), int((targets["fer_emotion"] == word).sum())]
                for word in EMOTIONS
            ]
            + [["missing", int(targets["er_emotion"].isna().sum()), int(targets["fer_emotion"].isna().sum())]],
        ),
        "",
        _table(
            ["polarity", "ER clips", "FER clips"],
            [
                [word, int((targets["er_polarity"] == word).sum()), int((targets["fer_polarity"] == word).sum())]
                for word in POLARITIES
            ]
            + [["missing", int(targets["er_polarity"].isna().sum()), int(targets["fer_polarity"].isna().sum())]],
        ),
        "",
    ]
    both = targets[targets["er_emotion"].notna() & targets["fer_emotion"].notna()]
    if len(both):
        gap = float((both["er_emotion"] != both["fer_emotion"]).mean())
        lines.append(f"ER and FER differ in {gap:.1%} of the {len(both)} clips that have both.")
    who = labels.groupby(["task", "source", "annotator_kind"]).agg(
        raters=("annotator_id", "nunique"), n=("task", "size")
    )
    rows = who.reset_index().astype(object).to_numpy().tolist()
    lines += ["", _table(["task", "source", "kind", "raters", "labels"], rows)]
    return "\n".join(lines)


def _protocols(targets: pd.DataFrame, clips: pd.DataFrame) -> str:
    simulated = dict(zip(clips["clip_id"].astype(str), clips["simulated"].astype(bool), strict=True))
    rows, problems = [], []
    for protocol in PROTOCOLS.values():
        found = protocol_clips(protocol, targets, simulated)
        left_out = "; ".join(f"{n} {reason}" for reason, n in found.left_out.items()) or "none"
        rows.append(
            [f"`{protocol.name}`", protocol.meaning, len(found.clip_ids), left_out, ", ".join(protocol.metrics)]
        )
        problems += [f"- {problem}" for problem in found.problems if found.clip_ids]
    text = "## Protocols\n\n" + _table(["protocol", "predicts", "clips", "left out", "metrics"], rows)
    return text + ("\n\n" + "\n".join(problems) if problems else "")


def _quality(quality: pd.DataFrame, clips: pd.DataFrame, settings: dict[str, Any]) -> str:
    def spread(name: str, form: str) -> str:
        values = quality[name].dropna().to_numpy(dtype=np.float64)
        if not len(values):
            return "unknown"
        return f"{np.median(values):{form}} (from {values.min():{form}} to {values.max():{form}})"

    rows = [
        ["gaze rate, Hz", spread("gaze_rate_hz", ".1f")],
        ["samples of the session without any eye", spread("gaze_loss_both", ".1%")],
        ["precision RMS-S2S, deg", spread("gaze_rms_s2s_deg", ".3f")],
        ["camera frames per second", spread("frame_rate_hz", ".2f")],
        ["frames of the session that are not there", spread("frame_loss", ".1%")],
        ["frames missed", spread("frames_missed", ".0f")],
        ["exported frames with a face", spread("face_found_share", ".1%")],
        ["tracker clock drift, ppm", spread("clock_drift_ppm", ".1f")],
    ]
    trackers = ", ".join(sorted(set(quality["tracker"])))
    cameras = ", ".join(sorted(set(quality["camera"])))
    without = int((clips["n_faces"] == 0).sum())
    return "\n".join(
        [
            "## Quality",
            "",
            f"Trackers: {trackers}. Cameras: {cameras}. Medians over {len(quality)} sessions:",
            "",
            _table(["", "median"], rows),
            "",
            (
                f"Sessions with warnings: {int((quality['warnings'] != '').sum())}; `quality.parquet` says which. Rates "
                "of frames and losses are of the whole session: time in which a device was silent counts as lost."
            ),
            f"Quality rule: {json.dumps(settings['quality_rule'], sort_keys=True)}. Clips without any face: {without}.",
        ]
    )


def _folds(folds: dict[str, Any], clips: pd.DataFrame) -> str:
    fold = clips["participant"].map(folds["assignment"])
    rows = [
        [k, int(clips.loc[fold == k, "participant"].nunique()), int((fold == k).sum())] for k in range(folds["n_folds"])
    ]
    return "\n".join(
        [
            "## Folds",
            "",
            (
                f"{folds['n_folds']} subject-independent folds, seed {folds['seed']}. Fold k tests, "
                "fold k + 1 validates, the rest train."
            ),
            "",
            _table(["fold", "participants", "clips"], rows),
        ]
    )


def _arrays(settings: dict[str, Any]) -> str:
    frames, chunks, fixations = settings["face_frames"], settings["eye_chunks"], settings["max_fixations"]
    side = settings["face_size_px"]
    stored = "as arrays" if settings["faces"] == "arrays" else f"as JPEG of quality {settings['jpeg_quality']}"
    return "\n".join(
        [
            "## Arrays of a clip",
            "",
            (
                "In `shards/*.h5`, one file a session, row as in `clips.parquet`. A mask is true where a value was "
                "measured; what is masked is 0."
            ),
            "",
            (
                f"- `faces` uint8 ({frames}, {side}, {side}, 3), RGB, at equally spaced times (to the nearest "
                f"frame that was looked at, see time_s), stored {stored}; aligned to "
                f"the ArcFace template; `face_mask` ({frames})"
            ),
            (
                f"- `face_quality` float32 ({frames}, {len(FACE_QUALITY)}): "
                f"{', '.join(f'{item.name} ({item.unit})' for item in FACE_QUALITY)} of each face"
            ),
            (
                f"- `eye` float32 ({chunks}, {len(EYE_FEATURES)}): the features below over {chunks} equal chunks of "
                "time; `eye_mask`"
            ),
            (
                f"- `fixations` float32 ({fixations}, {len(FIXATION_FEATURES)}): the first {fixations} fixations; "
                "`fixation_mask`"
            ),
            (
                "- `fixation_map` float32 (32, 32): duration-weighted, Gaussian of "
                f"{settings['map_sigma_deg']:g} degree; sums to 1, or all 0 without fixations"
            ),
            f"- `gaze_points` float32 ({chunks}, 2): mean gaze per chunk; `gaze_points_mask`",
        ]
    )


def _features() -> str:
    rows = [[f"`{item.name}`", item.unit, item.definition] for item in (*EYE_FEATURES, *FIXATION_FEATURES)]
    return "## Features\n\n" + _table(["name", "unit", "definition"], rows)


def _limits() -> str:
    return "\n".join(
        [
            "## Not in here",
            "",
            (
                "No raw video, no raw gaze, no planted truth, and no column with the emotion that a stimulus was meant "
                "to induce. `stimulus_id` in `clips.parquet` is the study's own name for the stimulus and may name that "
                "emotion (such as anger-1): it is there to group clips by and must not be an input. No array holds it. "
                "Face crops show people: share the export only as far as their consent goes."
            ),
        ]
    )
