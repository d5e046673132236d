"""A model under test."""

from __future__ import annotations

import pytest

from .console_lab import ConsoleLab


@pytest.fixture
def lab() -> ConsoleLab:
    return ConsoleLab()
