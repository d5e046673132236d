from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotation.desk.desk import Desk

from .desk_source import Clock, ListSource, queue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_desk(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Desk]]:
    """Open a desk on three clips, or what the test names; the label file is the same at each call."""
    desks: list[Desk] = []

    def make(items: object = None, **options: object) -> Desk:
        task = str(options.get("task", "fer"))
        source = ListSource(tmp_path / "a01.sqlite", items or queue(task, main=3), **options)
        desks.append(Desk(source, clock=clock))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()
