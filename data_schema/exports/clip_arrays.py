"""Read the arrays of one clip out of an open shard, without more work than the disk asks for.

The arrays of a clip are one uncompressed chunk each, so a chunk is the array: it is read as it lies in the file, past
HDF5's selections and conversions, which take ten times as long. Faces that were packed as JPEG are unpacked.
"""

from __future__ import annotations

from typing import Any

import cv2
import h5py
import numpy as np
import numpy.typing as npt

from data_schema.exports.arrays import FACES_JPEG, FACES_JPEG_ENDS


class ShardArrays:
    """The arrays of an open shard. Closing it closes the file.

    Parameters
    ----------
    file : h5py.File
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._datasets: dict[str, _Chunked] = {}
        self._ends: npt.NDArray[np.int64] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._file or (name == "faces" and FACES_JPEG.name in self._file)

    def close(self) -> None:
        """Close the file."""
        self._datasets.clear()
        self._file.close()

    def read(self, name: str, row: int) -> npt.NDArray[Any]:
        """Return one array of one clip.

        Raises
        ------
        KeyError
            If there is no such array.
        OSError, RuntimeError, ValueError, IndexError
            If it cannot be read.
        """
        if name == "faces" and FACES_JPEG.name in self._file:
            return self._read_jpeg(row)
        if name not in self._datasets:
            self._datasets[name] = _Chunked(self._file[name])
        return self._datasets[name].read(row)

    def _read_jpeg(self, row: int) -> npt.NDArray[np.uint8]:
        if self._ends is None:
            self._ends = self._file[FACES_JPEG_ENDS.name][:]
        if not 0 <= row < len(self._ends):
            raise IndexError(f"there are {len(self._ends)} rows")
        ends = self._ends[row]
        begin = int(self._ends[row - 1, -1]) if row else 0
        packed: npt.NDArray[np.uint8] = self._file[FACES_JPEG.name][begin : int(ends[-1])]
        starts = np.concatenate(([begin], ends[:-1])) - begin
        pictures = [packed[a:b] for a, b in zip(starts.tolist(), (ends - begin).tolist(), strict=True)]
        # An attribute, so that a clip without any face has its shape.
        side = int(self._file[FACES_JPEG.name].attrs["size_px"])
        faces = np.zeros((len(ends), side, side, 3), dtype=np.uint8)
        for face, picture in zip(faces, pictures, strict=True):
            if len(picture):
                # RGB at once: to turn BGR around costs as much as to decode.
                unpacked = cv2.imdecode(picture, cv2.IMREAD_COLOR_RGB)
                if unpacked is None or unpacked.shape != face.shape:
                    raise ValueError("a JPEG of a face is damaged")
                face[:] = unpacked
        return faces


class _Chunked:
    """A dataset of which a row is one chunk."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._shape, self._kind = dataset.shape[1:], dataset.dtype
        self._rest = (0,) * len(self._shape)
        filters = dataset.id.get_create_plist().get_nfilters()
        self._direct = dataset.chunks == (1, *self._shape) and not filters

    def read(self, row: int) -> npt.NDArray[Any]:
        if not self._direct:
            return np.asarray(self._dataset[row])
        if not 0 <= row < self._dataset.shape[0]:
            raise IndexError(f"there are {self._dataset.shape[0]} rows")
        values = np.empty(self._shape, dtype=self._kind)
        self._dataset.id.read_direct_chunk((row, *self._rest), out=values.reshape(-1).view(np.uint8))
        return values
