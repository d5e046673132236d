"""Attributes of a session file: numbers, bytes and fixed-length text.

Variable-length text would live in HDF5's global heap, apart from the object that it
describes: one more thing that a kill or a cut can damage, and that the library
cannot always get past.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np


def write_attribute(target: h5py.Group | h5py.Dataset, name: str, value: Any) -> None:
    """Write an attribute; text becomes fixed-length UTF-8 inside the object's own header."""
    if isinstance(value, str):
        raw = value.encode("utf-8") or b"\0"
        target.attrs.create(name, np.array(raw, dtype=h5py.string_dtype("utf-8", len(raw))))
    else:
        target.attrs[name] = value


def read_text(target: h5py.Group | h5py.Dataset, name: str, default: str | None = None) -> str:
    """Read an attribute as text.

    Raises
    ------
    KeyError
        If there is none and no default is given.
    """
    if default is not None and name not in target.attrs:
        return default
    value = target.attrs[name]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
