"""Hashes of the stimulus files, taken before a session so that none is read during it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from data_schema.errors import StudyError
from data_schema.study.folder import StudyFolder

_BLOCK_BYTES = 1 << 20


def stimulus_hashes(study: StudyFolder) -> dict[str, str]:
    """Return the SHA-256 (hexadecimal) of every stimulus, by its identifier.

    Raises
    ------
    StudyError
        If a file is missing or cannot be read.
    """
    return {stimulus.id: _sha256(study.stimulus_path(stimulus)) for stimulus in study.config.stimuli}


def _sha256(path: Path) -> str:
    state = path.stat()
    return _hash(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash(path: Path, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror or error}. Give yourself the right to.") from error
    return digest.hexdigest()
