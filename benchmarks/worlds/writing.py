"""Write a world as a training export, through the arrays that the format declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from benchmarks.worlds.faces import face_pictures
from benchmarks.worlds.world import World
from data_schema.exports.arrays import ARRAYS, FACE_QUALITY
from data_schema.exports.columns import EXPORTED_CLIPS, EXPORTED_LABELS, EXPORTED_TARGETS, SESSION_QUALITY, dtypes
from data_schema.exports.manifest import MANIFEST_NAME, make_manifest
from data_schema.files import write_json, write_table

#: Side of the maps of fixations, as exports have by default.
_MAP = 32


def write_world(world: World, folder: Path, *, face_px: int = 32, n_folds: int = 5) -> Path:
    """Write a world as a training export of today's format.

    Faces become small pictures that are linear in the features, so what a frozen backbone finds in them is up to the backbone.

    Parameters
    ----------
    world : World
    folder : Path
        Must not exist.
    face_px : int
        Side of the pictures.
    n_folds : int
        Of participants.

    Returns
    -------
    Path
        The folder.
    """
    (folder / "shards").mkdir(parents=True)
    people = np.unique(world.participants)
    pictures = face_pictures(world.arrays["face_features"], world.arrays["face_mask"], face_px)
    clips: list[dict[str, Any]] = []
    for person in people:
        own = np.flatnonzero(world.participants == person)
        shard = f"shards/sub-{person}_ses-01.h5"
        _write_shard(folder / shard, world, own, pictures[own])
        clips += [_clip_row(world, int(clip), str(person), shard, row) for row, clip in enumerate(own)]
    table = pd.DataFrame(clips)
    write_table(folder / "clips.parquet", table.astype(dtypes(EXPORTED_CLIPS)))
    targets = _targets(world, table["clip_id"])
    write_table(folder / "targets.parquet", targets)
    write_table(folder / "labels.parquet", _labels(targets))
    write_table(folder / "quality.parquet", _quality(table))
    order = np.random.default_rng(world.seed).permutation(len(people))
    folds = {
        "seed": world.seed,
        "n_folds": n_folds,
        "assignment": {str(people[j]): i % n_folds for i, j in enumerate(order)},
    }
    write_json(folder / "folds.json", folds)
    (folder / "data_card.md").write_text(
        f"# Planted world '{world.name}'\n\nSimulated: {world.settings.meaning}.\n", encoding="utf-8"
    )
    counts = {"clips": len(world), "participants": len(people), "sessions": len(people)}
    settings = {"face_frames": 8, "eye_chunks": 32, "max_fixations": 32, "face_size_px": face_px}
    title = f"Planted world '{world.name}', seed {world.seed}"
    manifest = make_manifest(folder, study_title=title, simulated=True, settings=settings, counts=counts, about={})
    write_json(folder / MANIFEST_NAME, manifest)
    return folder


def _write_shard(path: Path, world: World, own: np.ndarray, pictures: np.ndarray) -> None:
    """Write the arrays of one person's clips, one uncompressed chunk a clip."""
    arrays = {name: values[own] for name, values in world.arrays.items()} | {"faces": pictures}
    arrays["fixation_map"] = _maps(arrays["fixations"], arrays["fixation_mask"])
    quality = np.zeros((*arrays["face_mask"].shape, len(FACE_QUALITY)), dtype=np.float32)
    quality[arrays["face_mask"], 1] = 0.9
    arrays["face_quality"] = quality
    with h5py.File(path, "w") as file:
        file.create_dataset("clip_id", data=[_clip_id(world, int(clip)).encode("ascii") for clip in own])
        for declared in ARRAYS:
            values = arrays[declared.name].astype(declared.dtype)
            dataset = file.create_dataset(declared.name, data=values, chunks=(1, *values.shape[1:]))
            dataset.attrs.update(declared.attributes())


def _maps(fixations: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw fixation maps, shape (n, 32, 32): sums of Gaussians weighted by duration."""
    centres = (np.arange(_MAP) + 0.5) / _MAP
    weight = np.where(mask, fixations[:, :, 3], 0.0)
    across = np.exp(-0.5 * ((fixations[:, :, 0, None] - centres) / 0.05) ** 2)
    down = np.exp(-0.5 * ((fixations[:, :, 1, None] - centres) / 0.05) ** 2)
    drawn = np.einsum("nm,nmy,nmx->nyx", weight, down, across)
    total = drawn.sum(axis=(1, 2), keepdims=True)
    return np.where(total > 0, drawn / np.maximum(total, 1e-9), 0.0)


def _clip_id(world: World, clip: int) -> str:
    person = world.participants[clip]
    trial = clip - int(np.flatnonzero(world.participants == person)[0]) + 1
    return f"sub-{person}_ses-01_trial-{trial:03d}"


def _clip_row(world: World, clip: int, person: str, shard: str, row: int) -> dict[str, Any]:
    return {
        "clip_id": _clip_id(world, clip),
        "participant": person,
        "session": "01",
        "trial_id": row + 1,
        "stimulus_id": f"film-{clip % 20:02d}",
        "shard": shard,
        "row": row,
        "session_sha256": f"{clip:064x}",
        "duration_s": float(world.duration_s[clip]),
        "n_faces": int(world.arrays["face_mask"][clip].sum()),
        "simulated": True,
    }


def _targets(world: World, clip_ids: pd.Series) -> pd.DataFrame:
    table = pd.DataFrame({"clip_id": clip_ids, **world.labels})
    for task in ("er", "fer"):
        table[f"{task}_n_raters"] = table[f"{task}_emotion"].notna().astype("int32") * 3
        table[f"{task}_decided_by"] = None
    return table[[column.name for column in EXPORTED_TARGETS]].astype(dtypes(EXPORTED_TARGETS))


def _labels(targets: pd.DataFrame) -> pd.DataFrame:
    """Turn targets into the labels of one simulated annotator."""
    tables = []
    for task in ("er", "fer"):
        there = targets[targets[f"{task}_emotion"].notna()]
        columns = {
            name: there.get(f"{task}_{name}") for name in ("emotion", "polarity", "valence", "arousal", "intensity")
        }
        tables.append(
            pd.DataFrame(
                {"clip_id": there["clip_id"], "task": task, "view": "face" if task == "fer" else "full", **columns}
            )
        )
    table = pd.concat(tables, ignore_index=True)
    table["source"], table["annotator_id"], table["annotator_kind"] = "annotator", "sim-01", "simulated"
    table["repetition"], table["confidence"], table["skip_reason"] = 0, 1.0, None
    return table[[column.name for column in EXPORTED_LABELS]].astype(dtypes(EXPORTED_LABELS))


def _quality(clips: pd.DataFrame) -> pd.DataFrame:
    """Make the quality table: what nobody measured is missing."""
    rows = clips.groupby("participant", as_index=False).agg(
        n_included=("clip_id", "size"), session=("session", "first")
    )
    kinds = dtypes(SESSION_QUALITY)
    plain = {"float64": float("nan"), "int64": 0, "int32": 0, "bool": False}
    for name, kind in kinds.items():
        if name not in rows:
            rows[name] = plain.get(str(kind), "simulated")
    rows["simulated"], rows["run"], rows["n_trials"] = True, 1, rows["n_included"]
    return rows[list(kinds)].astype(kinds)
