"""Read the arrays of one clip out of an open shard, without more work than the disk asks for.

The arrays of a clip are one uncompressed chunk each, so a chunk is the array: it is read as it lies in the file, past
HDF5's selections and conversions, which take ten times as long. Faces that were packed as JPEG are unpacked.
"""

from __future__ import annotations

from typing import Any

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
        self._jpeg = _JpegFaces(file) if FACES_JPEG.name in file else None

    def __contains__(self, name: str) -> bool:
        return name in self._file or (name == "faces" and self._jpeg is not None)

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
        if name == "faces" and self._jpeg is not None:
            return self._jpeg.read(row)
        if name not in self._datasets:
            self._datasets[name] = _Chunked(self._file[name])
        return self._datasets[name].read(row)


class _JpegFaces:
    """Face crops that are packed as JPEG. What every clip needs is looked up once: it costs as much as unpacking a face."""

    def __init__(self, file: h5py.File) -> None:
        self._packed = file[FACES_JPEG.name]
        self._ends: npt.NDArray[np.int64] = file[FACES_JPEG_ENDS.name][:]
        # An attribute, so that a clip without any face has its shape.
        self._side = int(self._packed.attrs["size_px"])

    def read(self, row: int) -> npt.NDArray[np.uint8]:
        """Return the crops of a clip, RGB."""
        import cv2  # 25 MB, which a reader of features, or of crops as they are, does not need

        if not 0 <= row < len(self._ends):
            raise IndexError(f"there are {len(self._ends)} rows")
        begin = int(self._ends[row - 1, -1]) if row else 0
        ends = self._ends[row].tolist()
        faces = np.zeros((len(ends), self._side, self._side, 3), dtype=np.uint8)
        packed: npt.NDArray[np.uint8] = self._packed[begin : ends[-1]]
        place = 0
        for i, end in enumerate(ends):
            picture = packed[place : end - begin]
            place = end - begin
            if len(picture):
                # RGB at once: to turn BGR around costs as much as to unpack.
                unpacked = cv2.imdecode(picture, cv2.IMREAD_COLOR_RGB)
                if unpacked is None or unpacked.shape != faces.shape[1:]:
                    raise ValueError("a JPEG of a face is damaged")
                faces[i] = unpacked
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
