"""The arrays of recordings that are in no export, computed as the exporter computes them.

They lie in a folder of their own, laid out like a training export without labels and
folds, which the caller gives back when done: predicting leaves nothing behind.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_schema.clips.columns import CLIP_COLUMNS
from data_schema.clips.index import session_clips
from data_schema.derived import clip_spans, derived_settings
from data_schema.derived.store import derived_path
from data_schema.errors import EmerError, ExportError, SessionFileError, StudyError, TrainingError
from data_schema.exports.label_tables import target_table
from data_schema.exports.manifest import MANIFEST_NAME, make_manifest
from data_schema.exports.reading import EXPORTED_CLIP_COLUMNS
from data_schema.exports.shards import ShardSettings, ShardSummary, ShardTask, compute_shard
from data_schema.files import write_json, write_table
from data_schema.labels.tables import label_frame
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import QualitySection
from data_schema.work import run_tasks

_log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Recordings:
    """Recordings brought into the form of an export.

    Parameters
    ----------
    path : Path
        The export; without labels and folds.
    notes : tuple of str
        What was left out, and why.
    excluded : dict of str to str
        Clips that cannot be judged, such as those that were cut off, with the reason.
    weak : dict of str to str
        Clips that are judged although an export would leave them out, with the reason: little gaze, few frames.
    """

    path: Path
    notes: tuple[str, ...]
    excluded: dict[str, str]
    weak: dict[str, str]


def compute_recordings(
    paths: Sequence[Path],
    settings: ShardSettings,
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Recordings:
    """Compute the arrays of the clips of some session files.

    Which part of a trial is a clip is decided by the study that a file lies in, or else by the study's configuration
    inside the file. Clips with little gaze or few camera frames are computed, too: what is missing is masked. What a
    study has derived already is read; what it lacks is completed there as `emer signals` does, if it would be computed
    by the same settings.

    Parameters
    ----------
    paths : sequence of Path
        Session files.
    settings : ShardSettings
        Those of the export that the model learned from.
    folder : Path
        An empty folder; given back by the caller.
    workers : int
        Processes; 0 for one a core.
    progress : callable, optional
        Told clips done, of how many, and the session.

    Raises
    ------
    TrainingError
        If no clip is left; says why.
    """
    notes: list[str] = []
    tables, tasks = [], {}
    for path in paths:
        try:
            table = _clips_of(path)
        except (SessionFileError, ExportError, StudyError) as error:
            notes.append(str(error))
            continue
        if not len(table):
            notes.append(f"{path.name}: no stimulus was shown, so there is no clip in it")
            continue
        tables.append(table)
        included = table[table["included"] & (table["t_end_us"] > table["t_start_us"])]
        if len(included):
            shard = f"shards/{len(tasks):05d}_{path.stem}.h5"
            tasks[shard] = _task(path, included, settings, folder, shard)
    if len(paths) == 1 and not tables:
        raise TrainingError(notes[0])
    clips = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*CLIP_COLUMNS, "weakness"])
    _refuse_repeated(clips)
    excluded = dict(clips.loc[~clips["included"].astype(bool), ["clip_id", "exclusion_reason"]].astype(str).to_numpy())
    kept = clips[clips["included"].astype(bool) & (clips["weakness"] != "")]
    weak = dict(kept[["clip_id", "weakness"]].astype(str).to_numpy())
    summaries: dict[str, ShardSummary] = {}
    done, total = 0, sum(len(task.clips) for task in tasks.values())
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for shard, result in run_tasks(compute_shard, tasks, workers=workers, keep_going=True):
        if isinstance(result, EmerError):
            notes.append(str(result))
            continue
        summaries[shard] = result
        done += len(tasks[shard].clips)
        if progress is not None:
            progress(done, total, Path(shard).stem)
    if not summaries:
        why = "; ".join([*notes[:3], *(f"{name}: {reason}" for name, reason in list(excluded.items())[:3])])
        raise TrainingError(f"no clip to predict in {len(paths)} session file(s): {why or 'there is none'}.")
    notes += _said(excluded, "cannot be judged and are left out")
    notes += _said(weak, "are judged although an export would leave them out")
    _write(folder, clips, tasks, summaries, settings)
    return Recordings(folder, tuple(notes), excluded, weak)


def study_of(path: Path) -> StudyFolder | None:
    """Return the study that a file or folder lies in; None if it lies in none."""
    place = path.resolve()
    for folder in (place, *place.parents):
        if (folder / "study.toml").is_file():
            return StudyFolder(folder)
    return None


def _clips_of(path: Path) -> pd.DataFrame:
    """Cut a session into clips by its study's rule, or by that inside the file."""
    study = study_of(path)
    with open_session(path) as session:
        if session.status in ("recording", "interrupted"):
            step = "wait until it is closed" if session.status == "recording" else f"run `emer repair {path}`"
            raise SessionFileError(path, f"the recording is not closed ({session.status}); {step}")
        config = session.config() if study is None else study.config
        marks = None
        if config.clips.rule == "apex":
            if study is None:
                raise ExportError(
                    f"{path.name}: its clips are cut around apexes that annotators marked, which lie in its study's folder. "
                    "Predict the file where it lies in its study."
                )
            from data_schema.clips.apexes import marks_by_clip, read_apex_marks

            marks = marks_by_clip(read_apex_marks(study))
        sha256 = session.sha256
        strict, lenient = (
            session_clips(session, quality, str(path), rule=config.clips, sha256=sha256, apex_marks=marks)
            for quality in (config.quality, QualitySection(max_gaze_loss=1.0, min_frames_share=0.0))
        )
    table = pd.DataFrame(lenient, columns=list(CLIP_COLUMNS))
    return table.assign(weakness=[str(row["exclusion_reason"]) for row in strict])


def _task(path: Path, clips: pd.DataFrame, settings: ShardSettings, folder: Path, shard: str) -> ShardTask:
    return ShardTask(
        str(path.resolve()),
        str(clips["session_sha256"].iloc[0]),
        clip_spans(clips),
        settings,
        str((folder / shard).resolve()),
        str(_derived_of(path, settings, folder)),
    )


def _derived_of(path: Path, settings: ShardSettings, folder: Path) -> Path:
    """Return where the signals of a session are read and completed: in its study if they are the same there."""
    own = folder / "derived"
    study = study_of(path)
    if study is None:
        return derived_path(own, path)
    place = study.derived_dir if study.derived_dir.is_dir() else study.root
    try:
        same = derived_settings(study.config) == settings.derived
    except EmerError:
        same = False
    return derived_path(study.derived_dir.resolve() if same and os.access(place, os.W_OK) else own, path)


def _refuse_repeated(clips: pd.DataFrame) -> None:
    repeated = clips.loc[clips["clip_id"].duplicated(), "clip_id"]
    if len(repeated):
        files = clips.loc[clips["clip_id"] == repeated.iloc[0], "session_file"].tolist()
        raise TrainingError(
            f"clip {repeated.iloc[0]} is in {' and in '.join(map(str, files[:2]))}. Two recordings of one name cannot be told "
            "apart: predict them one after the other."
        )


def _said(clips: dict[str, str], what: str) -> list[str]:
    if not clips:
        return []
    name, reason = next(iter(clips.items()))
    return [f"{len(clips)} clip(s) {what}, such as {name}: {reason}"]


def _write(
    folder: Path,
    clips: pd.DataFrame,
    tasks: dict[str, ShardTask],
    summaries: dict[str, ShardSummary],
    settings: ShardSettings,
) -> None:
    """Write the clip table and the manifest."""
    places = [
        {"clip_id": clip.clip_id, "shard": shard, "row": row, "n_faces": summary.n_faces[row]}
        for shard, summary in summaries.items()
        for row, clip in enumerate(tasks[shard].clips)
    ]
    table = clips.merge(pd.DataFrame(places), on="clip_id", validate="one_to_one")
    table["duration_s"] = (table["t_end_us"] - table["t_start_us"]) / 1e6
    table = table.sort_values("clip_id", ignore_index=True)
    write_table(folder / "clips.parquet", table[list(EXPORTED_CLIP_COLUMNS)])
    # Nobody labelled them; readers of an export ask for the table all the same.
    write_table(folder / "targets.parquet", target_table(label_frame([]), [], table["clip_id"].tolist(), "annotators"))
    manifest = make_manifest(
        folder,
        study_title="",
        simulated=bool(table["simulated"].any()),
        settings=settings.as_json(),
        counts={"clips": len(table), "participants": int(table["participant"].nunique()), "sessions": len(tasks)},
        about={},
    )
    write_json(folder / MANIFEST_NAME, manifest)
