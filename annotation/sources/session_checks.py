"""Whether a session file still is what the clip table was built from."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

from data_schema.atomic import write_atomically
from data_schema.errors import MediaError
from data_schema.session.reader import file_sha256
from data_schema.study.folder import StudyFolder

CHECKS_NAME = "session_checks.json"


class SessionChecks:
    """Compare session files with the hashes of the clip table.

    A session of an hour takes seconds to hash, too long before each clip. What was hashed once is noted with
    the file's size and time of change in ``annotation/session_checks.json``, and hashed again when
    one of the two differs. Somebody who puts both back on purpose is not found out here, but by ``emer check``.

    Parameters
    ----------
    study : StudyFolder
    """

    def __init__(self, study: StudyFolder) -> None:
        self._study = study
        self._path = study.annotation_dir / CHECKS_NAME
        self._lock = threading.Lock()
        self._known: dict[str, list[object]] | None = None

    def check(self, session_file: str, expected_sha256: str) -> Path:
        """Return the path of a session file that has not changed.

        Raises
        ------
        MediaError
            If the file is missing, cannot be read, or changed since the clip table was built.
        """
        path = self._study.root / Path(session_file)
        try:
            sha256 = self._sha256(path, session_file)
        except FileNotFoundError:
            raise MediaError(
                f"{path}: the session file is not there. Connect the drive that it lies on, or put it back; the other "
                "clips can be judged meanwhile."
            ) from None
        except OSError as error:
            raise MediaError(f"{path}: cannot be read: {error.strerror or error}. Check drive and rights.") from error
        if sha256 != expected_sha256:
            raise MediaError(
                f"{path.name}: changed since {self._study.clip_index_path.name} was built, so its clips may be cut "
                f"elsewhere now. Build the table again with `emer clips {self._study.root}`, then open the tool again."
            )
        return path

    def _sha256(self, path: Path, name: str) -> str:
        stat = path.stat()
        stamp: list[object] = [stat.st_size, stat.st_mtime_ns]
        # One at a time: two threads would read the disk twice for the same answer.
        with self._lock:
            known = self._load()
            found = known.get(name)
            if found is not None and found[:2] == stamp:
                return str(found[2])
            sha256 = file_sha256(path)
            after = path.stat()
            if [after.st_size, after.st_mtime_ns] == stamp:
                known[name] = [*stamp, sha256]
                self._save(known)
            return sha256

    def _load(self) -> dict[str, list[object]]:
        if self._known is None:
            self._known = {}
            # A note that cannot be read costs time, nothing else.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                content = json.loads(self._path.read_text(encoding="utf-8"))
                self._known = {k: v for k, v in content.items() if isinstance(v, list) and len(v) == 3}
        return self._known

    def _save(self, known: dict[str, list[object]]) -> None:
        # A study on a drive that cannot be written is hashed once a start.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            write_atomically(self._path, json.dumps(known, indent=1, sort_keys=True).encode("utf-8"))
