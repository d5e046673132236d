"""Say what is in a session file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_schema.session.layout import ANCHORS, BLOBS, MARKERS, TABLES
from data_schema.session.reader import Session, open_session
from data_schema.session.video import SessionVideo


def describe_session(path: Path | str) -> dict[str, Any]:
    """Return a summary of a session file that can be printed or stored as JSON.

    Raises
    ------
    SessionFileError
        If the file cannot be opened.
    """
    with open_session(path) as session:
        streams = [_describe_table(session, table.path) for table in TABLES]
        start_us, stop_us = _span_us(session)
        return {
            "file": str(path),
            "bytes": Path(path).stat().st_size,
            "format_version": ".".join(str(part) for part in session.format_version),
            "participant": session.participant,
            "session": session.session,
            "run": session.run,
            "continues_run": session.continues_run,
            "created_utc": session.created_utc,
            "status": session.status,
            "simulated": session.simulated,
            "duration_s": (stop_us - start_us) / 1e6,
            "devices": session.devices,
            "versions": session.versions,
            "seeds": session.seeds,
            "streams": streams,
            "blobs": [{"path": blob.path, "bytes": _blob_size(session, blob.path)} for blob in BLOBS],
            "video": _describe_video(session.video),
            "second_video": _describe_video(session.second_video),
            "trials": [vars(trial) for trial in session.trials()],
            "cut_trials": {str(number): reason for number, reason in session.cut_trials().items()},
            "held_trials": {str(number): seconds for number, seconds in session.held_trials().items()},
            "markers": _count_markers(session),
        }


def _blob_size(session: Session, path: str) -> int:
    """Return the bytes of a blob; 0 for one that an older file does not have."""
    dataset = session.file.get(path)
    return int(dataset.shape[0]) if isinstance(dataset, h5py.Dataset) else 0


def _describe_video(video: SessionVideo | None) -> dict[str, Any] | None:
    if video is None:
        return None
    return {
        "codec": video.stream.codec,
        "width_px": video.stream.width_px,
        "height_px": video.stream.height_px,
        "n_frames": len(video),
        "frames_missed": int(video.frames["missed_before"].sum()),
    }


def _describe_table(session: Session, table_path: str) -> dict[str, Any]:
    view = session.table(table_path)
    item: dict[str, Any] = {"path": table_path, "rows": len(view), "rate_hz": None, "start_us": None, "stop_us": None}
    name = view.table.time_column
    if name and len(view) and view.table is not ANCHORS:
        item["start_us"], item["stop_us"] = int(view[0][name]), int(view[-1][name])
        span_s = (item["stop_us"] - item["start_us"]) / 1e6
        if span_s > 0 and len(view) > 2 and view.table.growth.value == "fast":
            item["rate_hz"] = round((len(view) - 1) / span_s, 3)
    return item


def _count_markers(session: Session) -> dict[str, int]:
    kinds = session.table(MARKERS.path).column("kind")
    return {kind: int((kinds == kind).sum()) for kind in sorted(set(kinds))}


def _span_us(session: Session) -> tuple[int, int]:
    times = session.table(MARKERS.path)[:]["t_system_us"]
    return (int(np.min(times)), int(np.max(times))) if len(times) else (0, 0)


def as_text(item: dict[str, Any]) -> str:
    """Return a description as lines for people."""
    lines = [
        f"{item['file']}",
        f"  participant {item['participant']}, session {item['session']}"
        + (f", run {item['run']} (goes on after run {item['continues_run']})" if item["run"] > 1 else "")
        + f", {item['status']}"
        + (", SIMULATED" if item["simulated"] else ""),
        f"  recorded {item['created_utc']}, {item['duration_s']:.1f} s, {item['bytes'] / 1e6:.1f} MB",
        f"  format {item['format_version']}",
    ]
    for device in item["devices"]:
        replayed = f", replays {device['replayed_from']}" if device.get("replayed_from") else ""
        software = str(device.get("details", {}).get("software", ""))
        source = f", exported by {software}" if device.get("kind") == "imported" and software else ""
        named = " ".join(part for part in (device.get("kind", ""), device.get("model", "")) if part)
        lines.append(f"  {device.get('role', 'device')}: {named}{replayed}{source}")
    for key, name in (("video", "video"), ("second_video", "second video")):
        video = item.get(key)
        if video:
            lines.append(
                f"  {name}: {video['codec']} {video['width_px']}x{video['height_px']}, {video['n_frames']} frames, "
                f"{video['frames_missed']} missed"
            )
    lines.append(f"  {'stream':<28}{'rows':>10}{'rate Hz':>10}")
    for stream in item["streams"]:
        rate = "" if stream["rate_hz"] is None else f"{stream['rate_hz']:.1f}"
        lines.append(f"  {stream['path']:<28}{stream['rows']:>10}{rate:>10}")
    completed = sum(1 for trial in item["trials"] if trial["completed"])
    lines.append(f"  trials: {len(item['trials'])}, of which {completed} completed")
    lines += [f"  trial {number} was cut off: {reason}" for number, reason in item["cut_trials"].items()]
    lines += [
        f"  trial {number}: its clip stood still for {held:.1f} s" for number, held in item["held_trials"].items()
    ]
    counts = ", ".join(f"{count} {kind}" for kind, count in item["markers"].items())
    lines.append(f"  markers: {counts}")
    return "\n".join(lines)
