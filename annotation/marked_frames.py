"""Write the frames that annotators marked as pictures, with a table that says whose mark each is."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from annotation.playback.frames import RgbImage
from annotation.playback.session_clip import SessionClipFrames
from annotation.sources.session_checks import SessionChecks
from data_schema.atomic import partial_path, sync_folder, write_atomically
from data_schema.clips.table import load_trial_index
from data_schema.errors import EmerError, ExportError, MediaError
from data_schema.labels.tables import current_marks, read_log
from data_schema.study.folder import StudyFolder

#: Columns of ``frames.csv`` and what they mean, in order.
FRAME_COLUMNS: dict[str, str] = {
    "image": "The picture, relative to the table; empty if it was not written.",
    "annotator_id": "Whose mark it is.",
    "annotator_kind": "human, simulated or model.",
    "task": "The pass.",
    "clip_id": "The clip.",
    "repetition": "0 for the first showing, 1 and up for repeats.",
    "kind": "apex, onset or offset.",
    "frame_index": "Camera frame, counted from 0 in the session's video.",
    "frame_pts": "Its presentation time stamp in the session's video stream.",
    "time_us": "When it was captured, microseconds from the clip's onset.",
    "session_file": "The session, relative to the study folder.",
    "session_sha256": "The recording that was judged.",
    "comment": "Of the mark.",
    "created_utc": "When it was marked.",
    "row_id": "The row of the log.",
    "problem": "Why there is no picture; empty if there is one.",
}

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class WrittenFrames:
    """What `write_marked_frames` did."""

    n_images: int
    problems: list[str]


def write_marked_frames(
    study: StudyFolder,
    places: Iterable[Path | str],
    out: Path,
    *,
    task: str | None = None,
    kinds: Iterable[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> WrittenFrames:
    """Write each marked frame as PNG into ``OUT/images``, and ``OUT/frames.csv``.

    A frame that cannot be written (its session changed since, does not decode, is gone) is in the
    table with the reason; the others are written all the same.

    Parameters
    ----------
    study : StudyFolder
    places : iterable of Path or str
        Label files, or a database.
    out : Path
        A new folder; it appears when it is complete.
    task, kinds
        Only these marks; all by default.
    overwrite : bool
        Replace `out`, if it is such a folder.
    progress : callable, optional
        Called with marks done, marks in all, and the next clip.

    Raises
    ------
    ExportError
        If `out` is there already, or no frame is marked.
    LabelError
        If a label file cannot be read.
    """
    if out.exists() and not (overwrite and _is_ours(out)):
        step = "Name another folder." if overwrite else "Name another folder, or replace it with --force."
        raise ExportError(f"{out}: there is something already, expected a new folder. {step}")
    marks = current_marks(read_log(places, "marks"), task, kinds).sort_values(["clip_id", "frame_index", "row_id"])
    if not len(marks):
        raise ExportError(
            f"{study.root}: no frame is marked{f' in the {task.upper()} pass' if task else ''}. Annotators mark the apex "
            f"with M; labels that are still on their way are brought home with `emer annotate merge`."
        )
    clips = load_trial_index(study.clip_index_path).set_index("clip_id")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(out)
    (partial / "images").mkdir(parents=True)
    try:
        rows = _write_images(study, marks, clips, partial, progress)
        write_atomically(partial / "frames.csv", _as_csv(rows))
        if out.exists():
            shutil.rmtree(out)
        partial.replace(out)
        sync_folder(out.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    problems = [
        f"{row['clip_id']}, {row['kind']} of {row['annotator_id']}: {row['problem']}" for row in rows if row["problem"]
    ]
    return WrittenFrames(len({row["image"] for row in rows} - {""}), problems)


def _is_ours(out: Path) -> bool:
    """Only a folder that this wrote is replaced: --force must not delete somebody's photographs."""
    return out.is_dir() and {path.name for path in out.iterdir()} <= {"frames.csv", "images"}


def _write_images(
    study: StudyFolder, marks: pd.DataFrame, clips: pd.DataFrame, folder: Path, progress: Progress | None
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # The clip table tells of the file as it was: a session may have been recorded anew since.
    checks = SessionChecks(study)
    for name, of_clip in marks.groupby("clip_id", sort=True):
        if progress is not None:
            progress(len(rows), len(marks), str(name))
        frames: SessionClipFrames | None = None
        problem = ""
        try:
            clip = clips.loc[name] if name in clips.index else None
            if clip is None:
                problem = "the study has no such clip (any more); build the clip table again with `emer clips`"
            else:
                path = checks.check(str(clip["session_file"]), str(clip["session_sha256"]))
                frames = SessionClipFrames(path, int(clip["t_start_us"]), int(clip["t_end_us"]))
        except EmerError as error:
            problem = str(error)
        try:
            rows += [_write_one(mark, clip, frames, problem, folder) for mark in of_clip.to_dict("records")]
        finally:
            if frames is not None:
                frames.close()
    if progress is not None:
        progress(len(rows), len(marks), "")
    return rows


def _write_one(
    mark: dict[str, Any], clip: Any, frames: SessionClipFrames | None, problem: str, folder: Path
) -> dict[str, Any]:
    number, pts = int(mark["frame_index"]), mark["frame_pts"]
    row: dict[str, Any] = {name: mark.get(name, "") for name in FRAME_COLUMNS}
    row |= {"image": "", "frame_index": number, "frame_pts": "" if pd.isna(pts) else int(pts), "time_us": ""}
    row |= {"session_sha256": mark["clip_sha256"], "session_file": "" if clip is None else clip["session_file"]}
    image: RgbImage | None = None
    if frames is not None and not problem:
        try:
            image, row["time_us"] = _marked_image(mark, clip, frames, number)
        except MediaError as error:
            problem = str(error)
    if image is not None:
        repeat = f"_rep{mark['repetition']}" if mark["repetition"] else ""
        row["image"] = (
            f"images/{mark['clip_id']}_{mark['task']}{repeat}_{mark['annotator_id']}_{mark['kind']}_{number:06d}.png"
        )
        (folder / row["image"]).write_bytes(_as_png(image))
    return row | {"problem": problem}


def _marked_image(mark: dict[str, Any], clip: Any, frames: SessionClipFrames, number: int) -> tuple[RgbImage, int]:
    if mark["clip_sha256"] != clip["session_sha256"]:
        raise MediaError("the recording changed since the frame was marked; the clip has to be looked at again")
    index = number - frames.identity(0).frame_index
    if not 0 <= index < len(frames):
        raise MediaError(
            f"frame {number} is not in the clip, which has {frames.identity(0).frame_index} to "
            f"{frames.identity(len(frames) - 1).frame_index}; the mark was altered outside the toolkit"
        )
    meant = frames.identity(index)
    if not pd.isna(mark["frame_pts"]) and int(mark["frame_pts"]) != meant.frame_pts:
        raise MediaError(
            f"frame {number} has pts {meant.frame_pts}, but the mark says {int(mark['frame_pts'])}; the mark is of "
            f"another recording"
        )
    return frames.frame(index), int(frames.times_us[index])


def _as_png(image: RgbImage) -> bytes:
    # Importing cv2 disturbs PyQt5: only the command line comes here, never the window.
    import cv2

    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise MediaError("a picture cannot be written as PNG; check that opencv-python is installed whole")
    return bytes(data)


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(FRAME_COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")
