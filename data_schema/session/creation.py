"""Create an empty session file: all groups, datasets and attributes, before the first row.

Nothing can be created once the file is in single-writer multiple-reader mode (SWMR).
"""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

import h5py
import numpy as np

from data_schema import __version__
from data_schema.session.attributes import write_attribute
from data_schema.session.chunks import FILTERS
from data_schema.session.layout import BLOBS, PACKETS, SECOND_PACKETS, TABLES, Growth
from data_schema.session.video import VideoStream

#: Bounds of the format: MATLAB and other readers on HDF5 1.10 open what we write.
LIBVER = ("v110", "v110")

#: Rows of a chunk of a SLOW table, and bytes of a chunk of a blob. Chosen by us:
#: small tables stay small, and one flush of video rewrites at most one chunk.
SLOW_CHUNK_ROWS = 64
BLOB_CHUNK_BYTES = 128 * 1024

#: Share of the flush interval that one chunk of a FAST table holds. Below 1, so
#: that a chunk fills before its oldest row must be written.
_CHUNK_SHARE = 0.8

#: Rows per second assumed for FAST tables whose rate is not given.
_DEFAULT_RATE_HZ = 60.0


def write_attributes(file: h5py.File, root: dict[str, Any], study: dict[str, str]) -> None:
    """Write the attributes of the root and of the group ``/study``."""
    for name, value in root.items():
        write_attribute(file, name, value)
    group = file.create_group("study")
    for name, text in study.items():
        write_attribute(group, name, text)


def create_datasets(
    file: h5py.File,
    video: VideoStream | None,
    rates_hz: dict[str, float],
    flush_interval_s: float,
    second_video: VideoStream | None = None,
) -> None:
    """Create every declared table and blob, empty, with chunks that suit the rate of each."""
    for table in TABLES:
        if table.growth is Growth.FAST:
            rate = rates_hz.get(table.path, _DEFAULT_RATE_HZ)
            chunk = max(8, round(rate * flush_interval_s * _CHUNK_SHARE))
            filters = FILTERS
        else:
            chunk, filters = SLOW_CHUNK_ROWS, {}
        dataset = file.create_dataset(
            table.path, shape=(0,), maxshape=(None,), dtype=table.dtype, chunks=(chunk,), **filters
        )
        write_attribute(dataset, "meaning", table.meaning)
        columns = [
            {"name": c.name, "unit": c.unit, "meaning": c.meaning, "sdk_field": c.sdk_field} for c in table.columns
        ]
        write_attribute(dataset, "columns_json", json.dumps(columns))
    for blob in BLOBS:
        dataset = file.create_dataset(
            blob.path, shape=(0,), maxshape=(None,), dtype=np.uint8, chunks=(BLOB_CHUNK_BYTES,)
        )
        write_attribute(dataset, "meaning", blob.meaning)
    if video is not None:
        video.write_attributes(file[PACKETS.path])
    if second_video is not None:
        second_video.write_attributes(file[SECOND_PACKETS.path])


def software_versions() -> dict[str, str]:
    """Return the versions of Python, the system, the toolkit and the libraries that shape a recording."""
    versions = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "emer-toolkit": __version__,
        "hdf5": h5py.version.hdf5_version,
    }
    for name in ("h5py", "numpy", "av", "opencv-python", "psychopy", "tobii-research"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
