"""The file of a session's derived data: read what is fresh, add what was computed.

What is computed goes into a file of the writer's own; to commit is to add to it, under a lock, what the file of the
session holds besides, and to give it that file's name. A killed process leaves the old file; two at once waste time and
harm nothing. A damaged file is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import h5py

from data_schema.atomic import partial_path, replace_durably
from data_schema.careful_hdf5 import CarefulHdf5
from data_schema.errors import ExportError
from data_schema.files import disk_problem
from data_schema.locks import sole_writer

_log = logging.getLogger(__name__)

FORMAT_NAME = "emer-derived"
FORMAT_VERSION = "1.0"
#: What lies in the group of a clip.
PARTS: dict[str, str] = {
    "eye": "Gaze, eye movements, blinks, pupil and openness of the clip and half a second around it; one row a sample.",
    "faces": "One row a camera frame that was looked at: whether there is a face, its five points, its quality.",
    "features": "Summary features of the clip: one value each, and whether it was measured.",
}
#: Computing is committed this often: a killed process loses no more. Our choice; a commit copies the file.
_COMMIT_S = 60.0
#: Another process commits in seconds.
_LOCK_S = 120.0
#: A file of a writer that nobody wrote to for so long is that of a killed one. Our choice; no clip takes a day.
_ABANDONED_S = 86_400.0

Content = TypeVar("Content")


def derived_path(folder: Path, session_path: Path) -> Path:
    """Return where the derived data of a session file lie, in the study's folder of derived data."""
    return folder / f"{session_path.stem}.h5"


def part_key(part: str, session_sha256: str, span: dict[str, Any], parameters: dict[str, Any], version: int) -> str:
    """Return the hash of all that a part of a clip's derived data depends on."""
    content = {
        "part": part,
        "format": FORMAT_VERSION,
        "session": session_sha256,
        "span": span,
        "parameters": parameters,
        "version": version,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


class DerivedStore:
    """The derived data of one session. Close it, or use it in a ``with`` block; leaving one commits.

    Parameters
    ----------
    path : Path
        The session's file of derived data; need not exist.
    session_sha256 : str
        The session file's hash: data of another version of the recording are passed over.
    """

    def __init__(self, path: Path, session_sha256: str) -> None:
        self.path = path
        self.session_sha256 = session_sha256
        self._old: h5py.File | None = None
        self._new: CarefulHdf5 | None = None
        self._partial: Path | None = None
        self._since = 0.0
        self._failed = False

    def __enter__(self) -> DerivedStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # What was computed before an error is whole: the next run need not do it again.
            if not self._failed:
                self.commit()
        except ExportError:
            # The first error is the one to tell.
            if kind is None:
                raise
        finally:
            self.close()

    def close(self) -> None:
        """Close the files; what was not committed is lost."""
        self._close_old()
        if self._new is not None:
            # It is deleted anyway.
            with contextlib.suppress(OSError):
                self._new.close()
            self._new = None
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
            self._partial = None

    def is_fresh(self, clip_id: str, part: str, key: str) -> bool:
        """Tell whether a part of a clip is there, made by what is asked for."""
        return self._find(clip_id, part, key) is not None

    def read(self, clip_id: str, part: str, key: str, read: Callable[[h5py.Group], Content]) -> Content | None:
        """Read a part of a clip with `read`, or return None if it is not there, out of date or damaged."""
        group = self._find(clip_id, part, key)
        if group is None:
            return None
        try:
            return read(group)
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            _log.warning("%s: %s of %s is damaged and is computed again: %s", self.path.name, part, clip_id, error)
            return None

    def write(
        self,
        clip_id: str,
        part: str,
        key: str,
        parameters: dict[str, Any],
        version: int,
        fill: Callable[[h5py.Group], None],
    ) -> None:
        """Store a part of a clip.

        Raises
        ------
        ExportError
            If it cannot be written, such as on a full disk.
        """
        try:
            new = self._writable()
            clip = new.file.require_group(clip_id)
            if part in clip:
                del clip[part]
            group = clip.create_group(part)
            fill(group)
            group.attrs["meaning"] = PARTS[part]
            group.attrs["parameters_json"] = json.dumps(parameters, sort_keys=True)
            group.attrs["code_version"] = version
            # Last: without a key it is not there.
            group.attrs["key"] = key
            new.check()
        except OSError as error:
            self._failed = True
            raise disk_problem(error, self.path) from error

    def commit_now_and_then(self) -> None:
        """Commit if the last time is a while ago; to be called between clips."""
        if self._new is not None and time.monotonic() - self._since > _COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Put what was written into the session's file; without any, the file is not touched.

        Raises
        ------
        ExportError
            If it cannot be written; the old file is then as it was.
        """
        if self._new is None or self._partial is None:
            return
        self._close_old()
        partial, new = self._partial, self._new
        try:
            with sole_writer(self.path, "another process is writing derived data. Wait, and run it again.", _LOCK_S):
                self._take_over(new.file)
                new.close()
                self._new = None
                replace_durably(partial, self.path)
                self._partial = None
        except OSError as error:
            self._failed = True
            raise disk_problem(error, self.path) from error

    def _take_over(self, new: h5py.File) -> None:
        """Copy what the session's file holds and `new` lacks; without unpacking it."""
        old = _opened(self.path, self.session_sha256)
        if old is None:
            return
        with old:
            for clip_id, clip in old.items():
                target = new.require_group(clip_id)
                for part in set(clip) - set(target):
                    try:
                        old.copy(clip[part], target, part)
                    except (OSError, RuntimeError) as error:
                        _log.warning("%s: %s of %s is damaged: %s", self.path.name, part, clip_id, error)
                        if part in target:
                            del target[part]

    def _find(self, clip_id: str, part: str, key: str) -> h5py.Group | None:
        if self._old is None:
            self._old = _opened(self.path, self.session_sha256)
        for file in (self._new.file if self._new else None, self._old):
            try:
                if file is not None and f"{clip_id}/{part}" in file:
                    group = file[f"{clip_id}/{part}"]
                    if str(group.attrs.get("key", "")) == key:
                        return group
            except (OSError, KeyError, RuntimeError):
                continue
        return None

    def _writable(self) -> CarefulHdf5:
        if self._new is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self.path)
            self._partial = partial_path(self.path)
            self._new = CarefulHdf5(self._partial)
            self._new.file.attrs["format"] = FORMAT_NAME
            self._new.file.attrs["format_version"] = FORMAT_VERSION
            self._new.file.attrs["session_sha256"] = self.session_sha256
            self._since = time.monotonic()
        return self._new

    def _close_old(self) -> None:
        if self._old is not None:
            self._old.close()
            self._old = None


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes left beside a session's file; it may be large, and holds a participant's data."""
    for left in path.parent.glob(f".{path.name}.*.partial"):
        # Another process may have removed it, or still hold it open (Windows).
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()


def _opened(path: Path, session_sha256: str) -> h5py.File | None:
    """Open a session's file if it is there, whole, and of this version of the recording."""
    if not path.is_file():
        return None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        _log.warning("%s: is damaged and is made anew: %s", path.name, error)
        return None
    if (str(file.attrs.get("format", "")), str(file.attrs.get("session_sha256", ""))) == (FORMAT_NAME, session_sha256):
        return file
    file.close()
    return None
