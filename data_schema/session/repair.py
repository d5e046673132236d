"""Bring an interrupted session file back into good order.

The damaged file is read as far as it can be read, and what is sound is written
to a new file, which is checked before it takes the old one's place. The old file
is kept beside it. Nothing is changed in place: a second interruption costs nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from data_schema.errors import SessionFileError
from data_schema.session import markers
from data_schema.session.layout import (
    BLOB_BY_PATH,
    CALIBRATION_DATA,
    FRAMES,
    MARKERS,
    PACKETS,
    SECOND_FRAMES,
    SECOND_PACKETS,
    TABLES,
    Blob,
    Growth,
    Table,
    encode_text,
    make_row,
)
from data_schema.session.lock import acquire_lock, lock_path, release_lock
from data_schema.session.reader import Session, TableView, open_session
from data_schema.session.salvage import BLOCK_ROWS, filled_rows, have_bytes, n_decodable, readable_ranges
from data_schema.session.validate import Finding, check_session
from data_schema.session.video import SessionVideo, VideoStream
from data_schema.session.writer import SessionWriter

#: Bytes and frames that are copied at a time, so that memory stays bounded.
_BLOCK_BYTES = 4 << 20
_BLOCK_FRAMES = 64

#: Number of the camera and its packets, by the table of its frames.
_CAMERAS = {FRAMES.path: (1, PACKETS), SECOND_FRAMES.path: (2, SECOND_PACKETS)}

#: What `emer repair` appends to the name of the damaged file.
BACKUP_SUFFIX = ".before-repair"


@dataclass
class RepairResult:
    """What a repair did."""

    path: Path
    #: False if the file was in good order and was left alone.
    repaired: bool
    #: The damaged file, kept.
    backup: Path | None = None
    #: Rows that were saved, by table path.
    rows: dict[str, int] = field(default_factory=dict)
    #: One sentence for each thing that was left out.
    losses: list[str] = field(default_factory=list)
    #: What `emer check` has to say of the repaired file.
    findings: list[Finding] = field(default_factory=list)


def repair_session(path: Path | str) -> RepairResult:
    """Repair a session file.

    Parameters
    ----------
    path : Path
        The session file. It must not be recording.

    Returns
    -------
    RepairResult
        `repaired` is False if there was nothing to do.

    Raises
    ------
    SessionFileError
        If the file is being recorded, is no session file, or cannot be read at all.
    """
    path = Path(path)
    if not path.is_file():
        raise SessionFileError(path, f"there is no such file ({path}). Check the name.")
    lock = acquire_lock(path)
    try:
        return _repair_locked(path)
    finally:
        release_lock(path, lock)


def _repair_locked(path: Path) -> RepairResult:
    with open_session(path, salvage=True) as session:
        if _is_sound(path, session):
            return RepairResult(path, repaired=False)
        partial = path.with_name(path.name + ".repairing")
        partial.unlink(missing_ok=True)
        lock_path(partial).unlink(missing_ok=True)
        try:
            result = _copy_sound_part(session, partial)
        except BaseException:
            partial.unlink(missing_ok=True)
            lock_path(partial).unlink(missing_ok=True)
            raise
    findings = check_session(partial)
    problems = [finding for finding in findings if _needs_repair(finding)]
    if problems:
        partial.unlink(missing_ok=True)
        raise SessionFileError(path, f"the repaired copy is not sound ({problems[0]}); the file was left as it was")
    backup = _keep(path)
    partial.replace(path)
    warnings = [finding for finding in findings if markers.REPAIRED not in finding.message]
    return RepairResult(path, True, backup, result.rows, result.losses, warnings)


def _is_sound(path: Path, session: Session) -> bool:
    """Tell whether the file was closed in good order and `emer check` finds no error."""
    try:
        with h5py.File(path, "r"):
            closed = markers.RECORDING_CLOSED in set(session.table(MARKERS.path).column("kind"))
        return closed and not any(_needs_repair(finding) for finding in check_session(path))
    except (OSError, SessionFileError):
        return False


def _needs_repair(finding: Finding) -> bool:
    return finding.level == "error" and finding.repairable


def _keep(path: Path) -> Path:
    """Give the damaged file a second name, so that one atomic step can put the new one in its place."""
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    number = 2
    while backup.exists():
        if backup.samefile(path):
            # A repair was interrupted just before it was done.
            return backup
        backup = path.with_name(f"{path.name}{BACKUP_SUFFIX}-{number}")
        number += 1
    try:
        os.link(path, backup)
    except OSError:
        # No hard links here (FAT, some network drives): a copy, complete before it has the name.
        copying = path.with_name(path.name + ".copying")
        shutil.copy2(path, copying)
        copying.replace(backup)
    return backup


def _copy_sound_part(session: Session, target: Path) -> RepairResult:
    result = RepairResult(target, repaired=True)
    writer = SessionWriter.create(
        target,
        participant=session.participant,
        session=session.session,
        config_json=session.config_json,
        devices=session.devices,
        seeds=session.seeds,
        video=_stream(session, PACKETS),
        second_video=_stream(session, SECOND_PACKETS),
        rates_hz=_chunk_rates(session),
        simulated=session.simulated,
        created_utc=session.created_utc,
        versions=session.versions,
    )
    try:
        for table in TABLES:
            if table in (FRAMES, SECOND_FRAMES):
                _copy_video(session, table, writer, result)
            else:
                _copy_table(session, table, writer, result)
        _copy_blob(session, CALIBRATION_DATA.path, writer, result)
        last_us = _last_time_us(session)
        lost = "; ".join(result.losses) or "nothing that had been written was lost"
        text = encode_text(f"recording was interrupted; {lost}", 250).decode("utf-8")
        _mark_open_trial(session, writer, last_us)
        writer.append(MARKERS.path, make_row(MARKERS, t_system_us=last_us, kind=markers.REPAIRED, message=text))
        writer.flush(force=True)
        writer.finish(t_system_us=last_us)
    except BaseException:
        writer.abandon()
        raise
    if result.losses and not any(result.rows.values()):
        raise SessionFileError(
            session.path,
            "nothing in it can be read any more; it was left as it was. Copy it again from the recording PC.",
        )
    return result


def _mark_open_trial(session: Session, writer: SessionWriter, last_us: int) -> None:
    """Mark the trial that the interruption cut off, as the engine would have done."""
    try:
        cut = session.cut_trials()
        marked = session.table(MARKERS)[:]
    except SessionFileError:
        return
    known = (markers.TRIAL_INTERRUPTED.encode(), markers.TRIAL_SKIPPED.encode())
    for number in set(cut) - set(marked["trial_id"][np.isin(marked["kind"], known)].tolist()):
        text = "the recording was interrupted in it"
        row = make_row(
            MARKERS, t_system_us=last_us, trial_id=number, kind=markers.TRIAL_INTERRUPTED, value=np.nan, message=text
        )
        writer.append(MARKERS.path, row)


def _stream(session: Session, blob: Blob) -> VideoStream | None:
    """Return what a decoder of the packets must know, or None if there is no such video."""
    packets = _dataset(session, blob.path)
    return VideoStream.from_attributes(packets) if packets is not None else None


def _chunk_rates(session: Session) -> dict[str, float]:
    """Rates that give the new file the chunks of the old one."""
    rates: dict[str, float] = {}
    for device in session.devices:
        for path, rate in dict(device.get("rates_hz", {})).items():
            rates[str(path)] = float(rate)
    return rates


def _stored_ranges(session: Session, view: TableView, result: RepairResult) -> list[tuple[int, int]]:
    """Return the stretches of rows that can be read, without those at the end that were never stored.

    On a full disk HDF5 has made the table longer already when the write fails, and
    the rows that were never stored read as zeros. No row of any table is all zeros.
    """
    ranges = readable_ranges(view, _dataset(session, view.table.path))
    lost = len(view) - sum(stop - start for start, stop in ranges)
    never = 0
    while ranges:
        first, stop = ranges.pop()
        start = max(first, stop - BLOCK_ROWS)
        filled = np.flatnonzero(filled_rows(view[start:stop]))
        end = start + int(filled[-1]) + 1 if len(filled) else start
        never += stop - end
        if end > first:
            ranges.append((first, end))
        if len(filled):
            break
    if never:
        result.losses.append(f"{never} rows at the end of {view.table.path} were never stored")
    if lost:
        result.losses.append(f"{lost} rows of {view.table.path} could not be read")
    return ranges


def _dataset(session: Session, hdf5_path: str) -> h5py.Dataset | None:
    """Return a dataset, or None where it is missing or its header cannot be read."""
    try:
        found = session.file.get(hdf5_path)
    except (OSError, RuntimeError, KeyError):
        return None
    return found if isinstance(found, h5py.Dataset) else None


def _copy_table(session: Session, table: Table, writer: SessionWriter, result: RepairResult) -> None:
    try:
        view = session.table(table.path)
    except SessionFileError as error:
        result.losses.append(f"{table.path} is lost ({error})")
        return
    n_blank = n_copied = 0
    for start, stop in _blocks(_stored_ranges(session, view, result), BLOCK_ROWS):
        rows = view[start:stop]
        filled = filled_rows(rows)
        n_blank += int(len(rows) - filled.sum())
        rows = rows[filled]
        n_copied += len(rows)
        if table is MARKERS:
            rows = rows[rows["kind"] != markers.RECORDING_CLOSED.encode()]
        writer.append(table.path, rows)
        writer.flush(force=table.growth is Growth.SLOW)
    result.rows[table.path] = n_copied
    if n_blank:
        result.losses.append(f"{n_blank} rows within {table.path} have lost their data")


def _blocks(ranges: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges in pieces of at most `size` rows."""
    for first, end in ranges:
        for start in range(first, end, size):
            yield start, min(end, start + size)


def _copy_video(session: Session, table: Table, writer: SessionWriter, result: RepairResult) -> None:
    """Copy the frames whose bytes are there; after a hole video goes on with the next key frame."""
    camera, blob = _CAMERAS[table.path]
    try:
        view = session.table(table.path)
    except SessionFileError as error:
        result.losses.append(f"{table.path} is lost ({error})")
        return
    packets, stream = _dataset(session, blob.path), _stream(session, blob)
    if packets is None or stream is None:
        if not len(view):
            # A file of format 1.0 has no second camera, another session no camera at all.
            return
        result.losses.append(f"{blob.path} is lost, and with it {len(view)} frames")
        return
    ranges = readable_ranges(view, _dataset(session, table.path))
    numbers = np.concatenate([np.zeros(0, np.int64), *(np.arange(start, stop) for start, stop in ranges)])
    rows = np.concatenate([table.empty(0), *(view[start:stop] for start, stop in ranges)])
    whole = have_bytes(rows, int(packets.shape[0]))
    numbers, rows = numbers[whole], rows[whole]
    # What a power cut leaves of the last packets may be zeros, at which every check of the file would fail.
    end = n_decodable(SessionVideo(session.path, packets, rows, stream, table.path, blob.path))
    copied, last = 0, -1
    for number, row in zip(numbers[:end].tolist(), rows[:end], strict=True):
        if not row["keyframe"] and (not copied or number != last + 1):
            continue
        offset = int(row["packet_offset"])
        try:
            payload = packets[offset : offset + int(row["packet_size"])].tobytes()
        except (OSError, RuntimeError):
            continue
        frame = np.array([row], dtype=table.dtype)
        frame["missed_before"] += number - last - 1
        writer.append_packet(payload, frame, camera)
        copied, last = copied + 1, number
        if copied % _BLOCK_FRAMES == 0:
            writer.flush()
    result.rows[table.path] = copied
    if copied < len(view):
        lost = len(view) - copied
        result.losses.append(f"{lost} frames of {table.path} have lost their bytes or do not decode")


def _copy_blob(session: Session, blob_path: str, writer: SessionWriter, result: RepairResult) -> None:
    dataset = _dataset(session, BLOB_BY_PATH[blob_path].path)
    if dataset is None:
        return
    for start in range(0, int(dataset.shape[0]), _BLOCK_BYTES):
        try:
            writer.append_blob(blob_path, dataset[start : start + _BLOCK_BYTES].tobytes())
        except (OSError, RuntimeError):
            result.losses.append(f"{blob_path} from byte {start} on could not be read")
            return


def _last_time_us(session: Session) -> int:
    """Return the newest host time in the file, so that the repair's marker does not come before it."""
    newest = 0
    for table in TABLES:
        try:
            view = session.table(table.path)
            if table.time_column and len(view):
                newest = max(newest, int(view[-1][table.time_column]))
        except SessionFileError:
            continue
    return newest
