"""A tiny training export, written to the letter of the format, with a planted answer.

The face shows the shown emotion, the eyes follow the felt one, and on a known share
of the clips (masked) the two differ. Tests depend on the file format through it, not
on the exporter.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from data_schema.vocabularies import EMOTIONS

POLARITY = {
    "happiness": "positive",
    "sadness": "negative",
    "fear": "negative",
    "surprise": "positive",
    "disgust": "negative",
    "anger": "negative",
    "neutral": "neutral",
}
VALENCE = dict(zip(EMOTIONS, (0.8, -0.7, -0.6, 0.3, -0.6, -0.7, 0.0), strict=True))
AROUSAL = dict(zip(EMOTIONS, (0.6, -0.4, 0.7, 0.8, 0.3, 0.6, -0.2), strict=True))
FRAMES, CHUNKS, FIXATIONS = 8, 32, 32


def write_export(
    root: Path,
    *,
    participants: int = 6,
    clips: int = 7,
    emotions: tuple[str, ...] = EMOTIONS,
    masking_share: float = 0.386,
    eye_features: int = 6,
    n_folds: int = 3,
    face_px: int = 112,
    frames: int = FRAMES,
    noise: float = 0.6,
    subject_effect: float = 0.5,
    simulated: bool = True,
    seed: int = 0,
) -> Path:
    """Write an export of a planted world and return its folder."""
    rng = np.random.default_rng(seed)
    (root / "shards").mkdir(parents=True)
    codes = [f"P{i + 1:03d}" for i in range(participants)]
    patterns = rng.integers(40, 216, (len(emotions), 7, 7, 3))
    directions = rng.normal(size=(len(emotions), eye_features))
    clip_rows, target_rows, label_rows, quality_rows = [], [], [], []
    for code in codes:
        shard = f"shards/sub-{code}_ses-01.h5"
        gaze_offset = subject_effect * rng.normal(size=eye_features)
        brightness = 12 * rng.normal()
        felt = np.resize(rng.permutation(len(emotions)), clips)
        shown = felt.copy()
        masked = rng.random(clips) < masking_share
        shown[masked] = (felt[masked] + rng.integers(1, len(emotions), masked.sum())) % len(emotions)
        faces = np.empty((clips, frames, face_px, face_px, 3), dtype=np.uint8)
        eye = np.empty((clips, CHUNKS, eye_features), dtype=np.float32)
        scale = -(-face_px // 7)
        for i in range(clips):
            image = patterns[shown[i]].repeat(scale, axis=0).repeat(scale, axis=1)[:face_px, :face_px]
            for j in range(frames):
                faces[i, j] = np.clip(image + brightness + 20 * rng.normal(size=(*image.shape[:2], 1)), 0, 255)
            eye[i] = directions[felt[i]] + gaze_offset + noise * rng.normal(size=(CHUNKS, eye_features))
        eye_mask = rng.random(eye.shape) > 0.1
        face_mask = rng.random((clips, frames)) > 0.05
        n_fixations = rng.integers(5, FIXATIONS, clips)
        fixation_mask = np.arange(FIXATIONS)[None, :] < n_fixations[:, None]
        fixations = np.stack(
            [
                rng.random((clips, FIXATIONS)),
                rng.random((clips, FIXATIONS)),
                np.sort(4 * rng.random((clips, FIXATIONS)), axis=1),
                0.1 + 0.3 * rng.random((clips, FIXATIONS)),
            ],
            axis=2,
        )
        fixation_map = rng.random((clips, 32, 32))
        gaze_points = rng.random((clips, CHUNKS, 2))
        arrays = {
            "faces": faces * face_mask[:, :, None, None, None],
            "face_mask": face_mask,
            "eye": np.where(eye_mask, eye, 0).astype(np.float32),
            "eye_mask": eye_mask,
            "fixations": (fixations * fixation_mask[:, :, None]).astype(np.float32),
            "fixation_mask": fixation_mask,
            "fixation_map": (fixation_map / fixation_map.sum(axis=(1, 2), keepdims=True)).astype(np.float32),
            "gaze_points": gaze_points.astype(np.float32),
            "gaze_points_mask": np.ones((clips, CHUNKS), dtype=bool),
        }
        with h5py.File(root / shard, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]))
        for i in range(clips):
            clip_id = f"sub-{code}_ses-01_trial-{i + 1:03d}"
            er, fer = emotions[felt[i]], emotions[shown[i]]
            clip_rows.append(
                dict(clip_id=clip_id, participant=code, session="01", trial_id=i + 1, stimulus_id=f"s{felt[i]}",
                     shard=shard, row=i, session_sha256=f"{i:02d}" * 32, duration_s=4.0, n_faces=int(face_mask[i].sum()), simulated=simulated)
            )  # fmt: skip
            target_rows.append(
                dict(clip_id=clip_id,
                     er_emotion=er, er_polarity=POLARITY[er], er_valence=VALENCE[er], er_arousal=AROUSAL[er],
                     fer_emotion=fer, fer_polarity=POLARITY[fer], fer_valence=VALENCE[fer], fer_arousal=AROUSAL[fer],
                     fer_intensity=float(rng.uniform(0, 3)), er_n_raters=3, fer_n_raters=3)
            )  # fmt: skip
            for task, emotion in (("er", er), ("fer", fer)):
                label_rows.append(
                    dict(clip_id=clip_id, task=task, view="face" if task == "fer" else "full", source="annotator",
                         annotator_id="sim-01", annotator_kind="simulated", emotion=emotion,
                         polarity=POLARITY[emotion], valence=VALENCE[emotion], arousal=AROUSAL[emotion],
                         intensity=1.0 if task == "fer" else np.nan, confidence=1.0, skip_reason=None)
                )  # fmt: skip
        quality_rows.append(
            dict(participant=code, session="01", duration_s=60.0, gaze_rate_hz=600.0, gaze_loss_left=0.05,
                 gaze_loss_right=0.06, gaze_loss_both=0.03, frame_rate_hz=30.0, frames_missed=2,
                 face_found_share=0.97, clock_drift_ppm=12.0, clock_residual_us=8.0, n_trials=clips,
                 n_included=clips, tracker="simulated", camera="simulated", simulated=simulated,
                 replayed=code == codes[0])
        )  # fmt: skip
    pd.DataFrame(clip_rows).to_parquet(root / "clips.parquet")
    pd.DataFrame(target_rows).to_parquet(root / "targets.parquet")
    pd.DataFrame(label_rows).to_parquet(root / "labels.parquet")
    pd.DataFrame(quality_rows).to_parquet(root / "quality.parquet")
    folds = {"seed": seed, "n_folds": n_folds, "assignment": {code: i % n_folds for i, code in enumerate(codes)}}
    (root / "folds.json").write_text(json.dumps(folds), encoding="utf-8")
    (root / "data_card.md").write_text("# Planted test world\n", encoding="utf-8")
    features = [{"name": f"eye_{i}", "unit": "1", "definition": "planted"} for i in range(eye_features)]
    manifest = {
        "format": "emer-training-export",
        "format_version": "1.0",
        "created_utc": "2026-01-01T00:00:00Z",
        "toolkit_version": "0.0.0",
        "study_title": "Planted test world",
        "simulated": simulated,
        "settings": {"face_frames": frames, "eye_chunks": CHUNKS, "max_fixations": FIXATIONS, "face_size_px": face_px},
        "counts": {"clips": len(clip_rows), "participants": participants, "sessions": participants},
        "eye_features": features,
        "fixation_features": [
            {"name": "x_norm", "unit": "screen width", "definition": "centre"},
            {"name": "y_norm", "unit": "screen height", "definition": "centre"},
            {"name": "onset_s", "unit": "s", "definition": "after clip onset"},
            {"name": "duration_s", "unit": "s", "definition": "length"},
        ],
    }
    write_manifest(root, manifest)
    return root


def write_manifest(root: Path, manifest: dict | None = None) -> None:
    """Write the manifest anew, with the hashes of the files as they are."""
    path = root / "manifest.json"
    manifest = manifest or json.loads(path.read_text(encoding="utf-8"))
    files = {}
    for file in sorted(p for p in root.rglob("*") if p.is_file() and p != path):
        content = file.read_bytes()
        files[file.relative_to(root).as_posix()] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    manifest["files"] = files
    path.write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def change_targets(root: Path, change) -> None:
    """Rewrite targets.parquet with ``change(frame) -> frame`` and the manifest with it."""
    path = root / "targets.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    write_manifest(root)


def change_shard(root: Path, name: str, change) -> None:
    """Rewrite one array of the first shard in place with ``change(array) -> array`` and the manifest with it."""
    shard = sorted((root / "shards").glob("*.h5"))[0]
    with h5py.File(shard, "r+") as file:
        file[name][...] = change(file[name][...])
    write_manifest(root)
