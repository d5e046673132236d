"""Take a participant out of a training export, so that what is left is a whole and valid export."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

from data_schema.clips.index import load_clip_index
from data_schema.errors import ExportError
from data_schema.exports.data_card import data_card
from data_schema.exports.manifest import (
    FACE_FEATURES_FOLDER,
    MANIFEST_NAME,
    make_manifest,
    read_manifest,
    verify_files,
)
from data_schema.exports.shards import ShardSummary, read_summary
from data_schema.exports.sources import excluded_clips, export_sources, faces_seen
from data_schema.files import write_bytes, write_json
from data_schema.locks import sole_writer
from data_schema.study.folder import StudyFolder
from data_schema.withdrawal.documents import clean_json, clean_parquet
from data_schema.withdrawal.traces import Traces

#: The tables of an export.
_TABLES = ("clips", "labels", "targets", "quality")


def clean_export(study: StudyFolder, folder: Path, traces: Traces) -> int:
    """Remove the participant's shards, rows and fold; write data card and manifest anew. Return how many clips went.

    Other participants' shards are not touched; features of faces that training kept there go. An export of nobody else,
    or of an older toolkit, is removed.

    Raises
    ------
    ExportError
        If another process writes the export, or it cannot be written.
    """
    if not folder.is_dir():
        return 0
    with sole_writer(folder, "another export is writing there. Wait until it has ended, and withdraw again."):
        if not (folder / MANIFEST_NAME).is_file():
            # An earlier call was cut off while it removed the export.
            shutil.rmtree(folder)
            return 0
        manifest = read_manifest(folder)
        n_removed = 0
        # One array over all participants; the next training computes it again.
        if (folder / FACE_FEATURES_FOLDER).is_dir():
            shutil.rmtree(folder / FACE_FEATURES_FOLDER)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and traces.mentioned(path.relative_to(folder).as_posix()):
                path.unlink()
        for name in _TABLES:
            path = folder / f"{name}.parquet"
            if path.is_file():
                rows = clean_parquet(path, traces)
                n_removed += rows if name == "clips" else 0
        for path in sorted(folder.glob("*.json")):
            if path.name != MANIFEST_NAME:
                clean_json(path, traces)
        # An export of an older toolkit cannot be described anew: it is computed again in one command.
        if "face_detector" not in manifest or not len(pd.read_parquet(folder / "clips.parquet", columns=["clip_id"])):
            shutil.rmtree(folder)
            return n_removed
        _describe_anew(study, folder, manifest)
    return n_removed


def _describe_anew(study: StudyFolder, folder: Path, manifest: dict[str, Any]) -> None:
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES}
    clips, targets = tables["clips"], tables["targets"]
    counts = {
        **manifest["counts"],
        "clips": len(clips),
        "participants": int(clips["participant"].nunique()),
        "sessions": int(clips["shard"].nunique()),
        "stimuli": int(clips["stimulus_id"].nunique()),
        "labels": len(tables["labels"]),
        "clips_with_er_emotion": int(targets["er_emotion"].notna().sum()),
        "clips_with_fer_emotion": int(targets["fer_emotion"].notna().sum()),
        "clips_without_face": int((clips["n_faces"] == 0).sum()),
    }
    about: dict[str, Any] = {
        name: manifest[name] for name in ("sources", "excluded", "faces", "face_detector") if name in manifest
    }
    with contextlib.suppress(ExportError):
        index = load_clip_index(study)
        about |= {"sources": export_sources(study, index), "excluded": excluded_clips(index)}
    shards = sorted(set(clips["shard"]))
    found = {name: _summary(folder / name) for name in shards}
    about["faces"] = faces_seen({name: summary for name, summary in found.items() if summary is not None})
    simulated, settings = bool(clips["simulated"].any()), manifest["settings"]
    title = str(manifest["study_title"])
    card = data_card(folder, title=title, simulated=simulated, counts=counts, settings=settings, about=about)
    write_bytes(folder / "data_card.md", card.encode("utf-8"))
    content = make_manifest(
        folder, study_title=title, simulated=simulated, settings=settings, counts=counts, about=about
    )
    write_json(folder / MANIFEST_NAME, content)
    verify_files(folder, content, hashes=False)


def _summary(shard: Path) -> ShardSummary | None:
    with h5py.File(shard, "r") as file:
        key = str(file.attrs.get("key", ""))
    return read_summary(shard, key)
