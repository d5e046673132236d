"""Change what synthetic sessions say, to test what leaves the study."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from data_schema.session.layout import CONSENT, FACTS, MARKERS, Table, make_row
from data_schema.session.synthetic import START_US


def replace_rows(path: Path, table: Table, rows: list[np.ndarray]) -> None:
    with h5py.File(path, "r+") as file:
        dataset = file[table.path]
        dataset.resize((len(rows),))
        if rows:
            dataset[:] = np.concatenate(rows)


def set_consent(path: Path, **scopes: bool) -> None:
    rows = [make_row(CONSENT, t_system_us=START_US, scope=k, granted=v, way="screen") for k, v in scopes.items()]
    replace_rows(path, CONSENT, rows)


def set_facts(path: Path, **facts: object) -> None:
    replace_rows(path, FACTS, [make_row(FACTS, t_system_us=START_US, key=k, value=str(v)) for k, v in facts.items()])


def add_marker(path: Path, kind: str, message: str) -> None:
    with h5py.File(path, "r+") as file:
        dataset = file[MARKERS.path]
        # Before the last one, which says that the file was closed.
        rows = dataset[:]
        added = make_row(MARKERS, t_system_us=START_US + 1_000_000, kind=kind, message=message, value=np.nan)
        dataset.resize((len(rows) + 1,))
        dataset[:] = np.concatenate([rows[:-1], added, rows[-1:]])
