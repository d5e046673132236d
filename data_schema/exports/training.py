"""The training export: fixed arrays per clip, labels, folds, a manifest and a data card.

Everything is written into ``OUT.partial``, checked, and renamed when it is
complete, so that an interrupted export never looks finished. Shards that are
already there, in an earlier export or an interrupted one, are taken over if
their key says that nothing they depend on has changed. One process at a time
writes to OUT: it holds the lock beside it.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.atomic import replace_folder
from data_schema.clips.table import load_current_clip_index
from data_schema.errors import ExportError
from data_schema.exports.columns import SESSION_QUALITY, dtypes
from data_schema.exports.computing import Progress, clean, compute_shards, shard_settings, shard_tasks
from data_schema.exports.data_card import data_card
from data_schema.exports.folds import Folds, freeze_folds, frozen_folds, refuse_lost_folds
from data_schema.exports.label_tables import (
    annotator_labels,
    class_counts,
    held_decisions,
    label_table,
    self_reports,
    target_table,
)
from data_schema.exports.manifest import (
    MANIFEST_NAME,
    foreign_files,
    is_export,
    make_manifest,
    verify_files,
)
from data_schema.exports.reading import EXPORTED_CLIP_COLUMNS
from data_schema.exports.session_quality import QUALITY_COLUMNS, quality_row
from data_schema.exports.shards import ShardSettings, ShardSummary, ShardTask, bytes_per_clip, compute_shard
from data_schema.exports.sources import excluded_clips, export_settings, export_sources, faces_seen
from data_schema.files import disk_problem, write_bytes, write_json, write_table
from data_schema.labels.tables import label_frame, read_labels, read_log
from data_schema.locks import sole_writer
from data_schema.session.reader import open_session
from data_schema.signals.faces import describe_detector
from data_schema.study.folder import StudyFolder
from data_schema.wording import quoted

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportResult:
    """What an export did.

    Parameters
    ----------
    path : Path
        The finished folder.
    counts : dict
        As in the manifest.
    n_reused : int
        Sessions whose shard was taken over.
    seconds : float
    """

    path: Path
    counts: dict[str, int]
    n_reused: int
    seconds: float


def export_training(
    study: StudyFolder,
    out: Path | str,
    *,
    workers: int = 1,
    scheduler: str = "",
    force: bool = False,
    accept_changed: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Write a training export of all included clips.

    Parameters
    ----------
    study : StudyFolder
    out : Path
        Folder to make.
    workers : int
        Processes; 0 for one a core.
    scheduler : str
        Address of a Dask scheduler whose workers compute instead of processes here.
    force : bool
        Replace a finished export; its unchanged shards are taken over.
    accept_changed : bool
        Take labels that were given to another version of a recording.
    progress : callable, optional
        Called with clips done, clips in all, and the session just finished.

    Returns
    -------
    ExportResult

    Raises
    ------
    ExportError
        If there is nothing to export, something contradicts itself, OUT exists,
        another export writes to OUT, or the disk is full. OUT and the study's
        folds are then as they were.
    """
    out = Path(out)
    index = load_current_clip_index(study)
    clips = index[index["included"]].sort_values("clip_id", ignore_index=True)
    _refuse_nothing(study, index, clips)
    _check_target(out, force)
    with sole_writer(out, "another export is writing there. Wait until it has ended, or name another folder."):
        # Again: the other export may have ended since.
        _check_target(out, force)
        return _export(study, out, index, clips, workers, scheduler, accept_changed, progress)


def _export(
    study: StudyFolder,
    out: Path,
    index: pd.DataFrame,
    clips: pd.DataFrame,
    workers: int,
    scheduler: str,
    accept_changed: bool,
    progress: Progress | None,
) -> ExportResult:
    """Write the export; the caller holds the lock of OUT."""
    started = time.monotonic()
    settings = shard_settings(study)
    partial = out.with_name(f"{out.name}.partial")

    holds = annotator_labels(_all_labels(study), index, accept_changed)
    reports = _reports(study, clips)
    names = clips["clip_id"].tolist()
    decisions = held_decisions(_all_decisions(study), index, accept_changed)
    targets = target_table(
        holds, reports, names, study.config.labels.er_source, decisions, study.config.labels.consensus
    )
    refuse_lost_folds(study.folds_path, _finished_exports(study, out))
    folds = frozen_folds(
        study.folds_path,
        clips["participant"],
        study.config.folds.n,
        study.config.study.seed,
        class_counts(clips, targets),
        dict(zip(clips["stimulus_id"], clips["target_emotion"], strict=True)),
    )
    present = folds.restricted(clips["participant"], clips["stimulus_id"])
    _check_folds(present, clips)
    tasks = shard_tasks(study, clips, settings, partial)
    # Before the work: what is labelled meanwhile is not in this export.
    sources = export_sources(study, index)
    _check_room(out, len(clips), settings)
    try:
        (partial / "shards").mkdir(parents=True, exist_ok=True)
        clean(partial, set(tasks))
        summaries = compute_shards(compute_shard, tasks, out, workers, scheduler, progress)
        clean(partial, set(tasks))
        _warn_of_empty(tasks, summaries)
        rates = {task.session_path: summaries[shard].quality["gaze_rate_hz"] for shard, task in tasks.items()}
        by_file = {name: rates[str(study.root.resolve() / name)] for name in clips["session_file"].unique()}
        _warn_of_short(clips, by_file, settings.eye_chunks)
        labels = label_table(holds, reports, names, decisions)
        counts = _write_tables(partial, clips, tasks, summaries, labels, targets)
        counts["labels_of_unknown_clips"] = _n_unknown(study, index)
        write_json(partial / "folds.json", present.as_json())
        about = {"sources": sources, "excluded": excluded_clips(index), "faces": faces_seen(summaries)}
        _finish(study, partial, settings, counts, about, simulated=bool(clips["simulated"].any()))
        with freeze_folds(study.folds_path, folds):
            if is_export(out):
                # Again: computing took its time.
                _refuse_foreign(out)
            replace_folder(partial, out)
    except OSError as error:
        raise disk_problem(error, partial) from error
    n_reused = sum(summary.reused for summary in summaries.values())
    return ExportResult(out, counts, n_reused, time.monotonic() - started)


def _refuse_nothing(study: StudyFolder, index: pd.DataFrame, clips: pd.DataFrame) -> None:
    if not len(index):
        raise ExportError(
            f"{study.clip_index_path.name} lists no clip. Record sessions, then run: emer clips {quoted(study.root)}"
        )
    if not len(clips):
        reasons = index["exclusion_reason"].value_counts()
        raise ExportError(
            f"none of the {len(index)} clips is included; most often: {reasons.index[0]} ({reasons.iloc[0]} clips). "
            "Loosen [quality] in study.toml and run `emer clips`, or record again."
        )
    repeated = clips.loc[clips["clip_id"].duplicated(), "clip_id"]
    if len(repeated):
        raise ExportError(f"{study.clip_index_path.name}: clip {repeated.iloc[0]} is listed twice. Run `emer clips`.")


def _check_target(out: Path, force: bool) -> None:
    if out.name in ("", ".."):
        raise ExportError(f"{out}: name the folder to make, such as exports/training.")
    if out.is_file():
        raise ExportError(f"{out}: is a file. Name a folder that does not exist.")
    if not out.exists() or not any(out.iterdir()):
        return
    if not is_export(out):
        raise ExportError(f"{out}: holds other files. An export never mixes with them; name another folder.")
    if not force:
        raise ExportError(
            f"{out}: there is an export already. Replace it with --force (unchanged sessions are not computed again), "
            "or name another folder."
        )
    _refuse_foreign(out)


def _refuse_foreign(out: Path) -> None:
    """Refuse to replace an export in whose folder somebody keeps files."""
    foreign = foreign_files(out)
    if foreign:
        shown = ", ".join(foreign[:10]) + (f" and {len(foreign) - 10} more" if len(foreign) > 10 else "")
        raise ExportError(
            f"{out}: holds files that no export wrote, and replacing it would delete them: {shown}. Move them "
            "elsewhere and run the command again, or name another folder."
        )


def _finished_exports(study: StudyFolder, out: Path) -> list[Path]:
    """Return the finished exports that may hold folds of this study."""
    beside = sorted(study.exports_dir.iterdir()) if study.exports_dir.is_dir() else []
    places = {path.resolve(): path for path in (*beside, out)}
    return [path for path in places.values() if path.suffix != ".partial" and is_export(path)]


def _check_room(out: Path, n_clips: int, settings: ShardSettings) -> None:
    """Refuse to start where the shards cannot fit."""
    # 64 MB more: tables, the manifest, and what else the file system wants.
    needed = n_clips * bytes_per_clip(settings) + 64_000_000
    folder = out.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ExportError(
            f"{out}: the export takes up to {needed / 1e9:.2f} GB, but {free / 1e9:.2f} GB are free. "
            "Free some space, or choose another disk."
        )


def _all_labels(study: StudyFolder) -> pd.DataFrame:
    places = study.label_places()
    if not places:
        _log.warning("the study has no label files: the export will have no annotators' targets")
        return label_frame([])
    return read_labels(places)


def _all_decisions(study: StudyFolder) -> pd.DataFrame:
    return read_log(study.label_places(), "decisions")


def _n_unknown(study: StudyFolder, index: pd.DataFrame) -> int:
    labels = read_labels(study.label_places())
    return int((~labels["clip_id"].isin(index["clip_id"])).sum())


def _reports(study: StudyFolder, clips: pd.DataFrame) -> list[dict[str, Any]]:
    """Read the participants' own answers for the clips that are exported."""
    reports: list[dict[str, Any]] = []
    for name, group in clips.groupby("session_file", sort=True):
        with open_session(study.root / str(name)) as session:
            wanted = {int(row["trial_id"]): str(row["clip_id"]) for _, row in group.iterrows()}
            reports += self_reports(session, wanted, session.simulated)
    return reports


def _warn_of_empty(tasks: dict[str, ShardTask], summaries: dict[str, ShardSummary]) -> None:
    """Say which recordings have no gaze or no face: they are masked, and nobody looks at a mask."""
    without = {
        "gaze": [shard for shard, summary in summaries.items() if summary.quality["gaze_loss_both"] in (None, 1.0)],
        "face": [shard for shard, summary in summaries.items() if not any(summary.n_faces)],
    }
    for what, shards in without.items():
        if shards:
            first = min(shards)
            others = f"; {len(shards) - 1} more sessions have none" if len(shards) > 1 else ""
            n_clips = len(tasks[first].clips)
            _log.warning("%s: no %s in any of its %d clips: masked%s", Path(first).stem, what, n_clips, others)


def _warn_of_short(clips: pd.DataFrame, quality: dict[str, float], n_chunks: int) -> None:
    """Say which clips have fewer samples than chunks: their eye features are masked."""
    rate_hz = clips["session_file"].map(quality).to_numpy(dtype=np.float64)
    short = clips[(clips["t_end_us"] - clips["t_start_us"]) / 1e6 * rate_hz < n_chunks]
    if len(short):
        _log.warning(
            "%d clips are too short for %d chunks of eye features, such as %s: masked. Set [export] eye_chunks lower, or leave "
            "short clips out with [clips] min_s",
            len(short),
            n_chunks,
            short["clip_id"].iloc[0],
        )


def _write_tables(
    partial: Path,
    clips: pd.DataFrame,
    tasks: dict[str, ShardTask],
    summaries: dict[str, ShardSummary],
    labels: pd.DataFrame,
    targets: pd.DataFrame,
) -> dict[str, int]:
    """Write clips, labels, targets and quality; return the counts of the manifest."""
    places = [
        {"clip_id": clip.clip_id, "shard": shard, "row": row, "n_faces": summaries[shard].n_faces[row]}
        for shard, task in tasks.items()
        for row, clip in enumerate(task.clips)
    ]
    table = clips.merge(pd.DataFrame(places), on="clip_id", validate="one_to_one")
    table["duration_s"] = (table["t_end_us"] - table["t_start_us"]) / 1e6
    write_table(partial / "clips.parquet", table[list(EXPORTED_CLIP_COLUMNS)])
    write_table(partial / "labels.parquet", labels)
    write_table(partial / "targets.parquet", targets)
    rows = []
    for shard, task in sorted(tasks.items()):
        summary = summaries[shard]
        rows.append(quality_row(summary.quality, sum(summary.n_faces), summary.n_frames, len(task.clips)))
    quality = pd.DataFrame(rows, columns=list(QUALITY_COLUMNS))
    write_table(partial / "quality.parquet", quality.astype(dtypes(SESSION_QUALITY)))
    return {
        "clips": len(table),
        "participants": int(table["participant"].nunique()),
        "sessions": len(tasks),
        "stimuli": int(table["stimulus_id"].nunique()),
        "labels": len(labels),
        "clips_with_er_emotion": int(targets["er_emotion"].notna().sum()),
        "clips_with_fer_emotion": int(targets["fer_emotion"].notna().sum()),
        "clips_without_face": int((table["n_faces"] == 0).sum()),
    }


def _check_folds(folds: Folds, clips: pd.DataFrame) -> None:
    """Refuse folds that leak or leave a set empty."""
    for fold in folds.used(clips["participant"]):
        folds.splits(fold, clips["participant"])


def _finish(
    study: StudyFolder,
    partial: Path,
    settings: ShardSettings,
    counts: dict[str, int],
    about: dict[str, Any],
    simulated: bool,
) -> None:
    """Write the data card and, last, the manifest."""
    title = study.config.study.title
    stored = export_settings(study, settings)
    about["face_detector"] = describe_detector(settings.derived.faces.detector, settings.derived.faces.model_file)
    card = data_card(partial, title=title, simulated=simulated, counts=counts, settings=stored, about=about)
    write_bytes(partial / "data_card.md", card.encode("utf-8"))
    manifest = make_manifest(
        partial, study_title=title, simulated=simulated, settings=stored, counts=counts, about=about
    )
    write_json(partial / MANIFEST_NAME, manifest)
    verify_files(partial, manifest, hashes=False)
