"""A recorded session that several tests replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from .device_lab import write_session


@pytest.fixture(scope="session")
def session_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_session(tmp_path_factory.mktemp("session") / "sub-P009_ses-01.h5")
