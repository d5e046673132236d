"""Write a new HDF5 file so that a full disk is one error, not a flood of them.

HDF5 keeps what it could not write and tries again when datasets and the file are closed, and once more when the process ends,
which then crashes (HDF5 1.14, tried with a limit on the size of files). Here the file behind HDF5 takes everything, writes what
it can, remembers the first error, and the writer asks for it.
"""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py


class _Sink(io.FileIO):
    """A file that remembers its first error instead of raising it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+b")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`; nothing after an error."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.error is None and done < len(view):
                # A disk that fills up takes a part first, and refuses the rest only when asked again.
                done += super().write(view[done:])
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Give the file a size, if it can have it."""
        try:
            if self.error is None:
                return super().truncate(size)
        except OSError as error:
            self.error = error
        return size or 0


class CarefulHdf5:
    """A new HDF5 file. Close it, or use it in a ``with`` block.

    Parameters
    ----------
    path : Path
        Must not exist.

    Attributes
    ----------
    file : h5py.File

    Raises
    ------
    OSError
        If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._sink = _Sink(path)
        try:
            self.file = h5py.File(self._sink, "w")
        except BaseException:
            self._sink.close()
            raise

    def __enter__(self) -> CarefulHdf5:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except OSError:
            # What HDF5 says after a failed write is no help: this is the reason.
            if kind is None or isinstance(error, OSError | RuntimeError | KeyError | ValueError):
                raise

    def check(self) -> None:
        """Raise the error that a write met; to be called now and then, so that no work is done for nothing.

        Raises
        ------
        OSError
        """
        if self._sink.error is not None:
            raise self._sink.error

    def close(self) -> None:
        """Close the file in good order.

        Raises
        ------
        OSError
            If anything could not be written.
        """
        if self._sink.closed:
            return
        try:
            self.file.close()
        finally:
            self._sink.close()
        self.check()
