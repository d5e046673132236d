"""The Tobii SDK's stand-in, with one tracker, in place of the SDK."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from ..tobii_stand_in import EyeTracker, stand_in_sdk, stand_in_tracker


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = stand_in_sdk(stand_in_tracker())
    monkeypatch.setitem(sys.modules, "tobii_research", module)
    return module


@pytest.fixture
def tracker(module: ModuleType) -> EyeTracker:
    return module.found[0]  # type: ignore[no-any-return]
