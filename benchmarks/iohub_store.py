"""psychopy ioHub's own store, and an imitation of it where psychopy is not installed.

ioHub's datastore (`psychopy/iohub/datastore/__init__.py`) turns each event into an array of one row (`_handleEvent`)
or a list of events into one array (`_handleEvents`), appends it to an uncompressed PyTables table, and flushes the
file once more than `flush_interval` (32) events have come. Its classes run without ioHub's server; the server itself
calls `_handleEvent`.
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Default of ioHub's datastore: events between two flushes.
FLUSH_EVENTS = 32


def is_installed() -> bool:
    """Tell whether psychopy's ioHub can be imported here."""
    return importlib.util.find_spec("psychopy") is not None


def name() -> str:
    """Return what the baseline of this environment is."""
    if not is_installed():
        return "PyTables used as ioHub does (psychopy is not installed here), our columns"
    from importlib import metadata

    return f"psychopy {metadata.version('psychopy')} ioHub's datastore"


def measure(folder: Path, rows: np.ndarray, events_a_call: int) -> tuple[float, float]:
    """Return rows a second until they are on the disk, and bytes a row.

    Parameters
    ----------
    folder : Path
        For the file.
    rows : structured ndarray, shape (n,)
        Gaze; the events hold the same values.
    events_a_call : int
        1 for the way of the server (`_handleEvent`), more for lists (`_handleEvents`).
    """
    path = folder / f"iohub-{events_a_call}-{time.monotonic_ns()}.hdf5"
    return (
        _measure_iohub(path, rows, events_a_call) if is_installed() else _measure_imitation(path, rows, events_a_call)
    )


def _measure_iohub(path: Path, rows: np.ndarray, events_a_call: int) -> tuple[float, float]:
    from psychopy.iohub.constants import EventConstants
    from psychopy.iohub.datastore import DataStoreFile
    from psychopy.iohub.devices.eyetracker.eye_events import BinocularEyeSampleEvent

    classes = {"BinocularEyeSampleEvent": BinocularEyeSampleEvent}
    EventConstants.addClassMappings([BinocularEyeSampleEvent.EVENT_TYPE_ID], classes)
    store = DataStoreFile(
        path.name, str(path.parent), "w", {"multiple_sessions": False, "flush_interval": FLUSH_EVENTS}
    )
    try:
        store.updateDataStoreStructure(object(), classes)
        store.createOrUpdateExperimentEntry([0, "bench", "", "", "1"])
        store.createExperimentSessionEntry({"code": "s", "name": "", "comments": "", "user_variables": ""})
        store.flush()
        events = _events(rows, BinocularEyeSampleEvent)
        empty = path.stat().st_size
        started = time.perf_counter()
        if events_a_call == 1:
            for event in events:
                store._handleEvent(event)
        else:
            for first in range(0, len(events), events_a_call):
                store._handleEvents(events[first : first + events_a_call])
        store.flush()
        _sync(path)
        elapsed_s = time.perf_counter() - started
        n_stored = len(store.TABLES[BinocularEyeSampleEvent.IOHUB_DATA_TABLE])
    finally:
        store.close()
    if n_stored != len(rows):
        raise RuntimeError(f"ioHub stored {n_stored} of {len(rows)} events")
    return len(rows) / elapsed_s, (path.stat().st_size - empty) / len(rows)


def _events(rows: np.ndarray, event_class: Any) -> list[list[Any]]:
    """Return ioHub's lists of values, as its drivers hand them to the store."""
    values: dict[str, Any] = {
        "type": event_class.EVENT_TYPE_ID,
        "device_time": (rows["t_device_us"] / 1e6).tolist(),
        "logged_time": (rows["t_received_us"] / 1e6).tolist(),
        "time": (rows["t_system_us"] / 1e6).tolist(),
        "event_id": list(range(len(rows))),
    }
    for eye in ("left", "right"):
        for axis, letter in enumerate("xy"):
            values[f"{eye}_gaze_{letter}"] = rows[f"{eye}_gaze_norm"][:, axis].tolist()
        for axis, letter in enumerate("xyz"):
            values[f"{eye}_eye_cam_{letter}"] = rows[f"{eye}_origin_user_mm"][:, axis].tolist()
        values[f"{eye}_pupil_measure1"] = rows[f"{eye}_pupil_mm"].tolist()
    n = len(rows)
    columns = [
        value if isinstance(value, list) else [value] * n
        for value in (values.get(column, 0) for column in event_class.CLASS_ATTRIBUTE_NAMES)
    ]
    return [list(event) for event in zip(*columns, strict=True)]


def _measure_imitation(path: Path, rows: np.ndarray, events_a_call: int) -> tuple[float, float]:
    import tables

    # An ioHub event is a list of plain values.
    events = [tuple(event) for event in rows.tolist()]
    with tables.open_file(str(path), "w") as file:
        table = file.create_table("/", "gaze", description=rows.dtype, filters=tables.Filters(complevel=0))
        file.flush()
        empty = path.stat().st_size
        waiting = 0
        started = time.perf_counter()
        for first in range(0, len(events), events_a_call):
            block = events[first : first + events_a_call]
            table.append(np.array(block, dtype=rows.dtype))
            if waiting >= FLUSH_EVENTS:
                file.flush()
                waiting = 0
            else:
                waiting += len(block)
        file.flush()
        _sync(path)
        elapsed_s = time.perf_counter() - started
    return len(rows) / elapsed_s, (path.stat().st_size - empty) / len(rows)


def _sync(path: Path) -> None:
    # Windows can only flush a handle that may write.
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
