"""What of a damaged session file can still be read, and decoded."""

from __future__ import annotations

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.errors import SessionFileError
from data_schema.session.reader import TableView
from data_schema.session.video import SessionVideo

#: Rows that are read at a time, so that memory stays bounded.
BLOCK_ROWS = 65_536


def readable_ranges(view: TableView, dataset: h5py.Dataset | None) -> list[tuple[int, int]]:
    """Return first and end of each stretch of rows that can be read; what lies between has lost its bytes.

    Rows are stored in chunks, each with a checksum: one that is damaged takes its own rows with it and no others.
    """
    chunk = int(dataset.chunks[0]) if dataset is not None and dataset.chunks else 1
    found: list[tuple[int, int]] = []
    # Latest first, so that the earliest is taken from the end.
    step = max(1, BLOCK_ROWS // chunk) * chunk
    waiting = [(start, min(len(view), start + step)) for start in range(0, len(view), step)][::-1]
    while waiting:
        start, stop = waiting.pop()
        try:
            view[start:stop]
        except SessionFileError:
            if stop - start > chunk:
                middle = start + max(1, (stop - start) // chunk // 2) * chunk
                waiting += [(middle, stop), (start, middle)]
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def filled_rows(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Tell which rows hold anything but zeros; shape (n_rows,)."""
    return np.asarray(rows.view((np.uint8, rows.dtype.itemsize)).any(axis=1), dtype=np.bool_)


def have_bytes(rows: npt.NDArray[np.void], size: int) -> npt.NDArray[np.bool_]:
    """Tell which frames lie within the `size` bytes of packets; shape (n_frames,)."""
    ends = rows["packet_offset"].astype(np.int64) + rows["packet_size"]
    return np.asarray((ends <= size) & (rows["packet_size"] > 0) & (rows["packet_offset"] >= 0), dtype=np.bool_)


def n_decodable(video: SessionVideo) -> int:
    """Return the number of frames up to the last one that decodes."""
    keyframes = np.flatnonzero(video.frames["keyframe"])
    end = len(video)
    while end and not _decodes(video, end - 1):
        before = keyframes[keyframes < end]
        key = int(before[-1]) if len(before) else 0
        if not key or _decodes(video, key - 1):
            # The last good one lies in this group of pictures, or ends the one before.
            return next((number + 1 for number in range(end - 2, key - 1, -1) if _decodes(video, number)), key)
        end = key
    return end


def _decodes(video: SessionVideo, number: int) -> bool:
    try:
        video.decode(number)
    except (SessionFileError, OSError, RuntimeError):
        return False
    return True
