"""Dataclasses of arrays as groups of HDF5, and back: a field is a dataset, a dataclass within is a group."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import h5py
import numpy as np

Kind = TypeVar("Kind")

#: Smaller arrays are stored as they are: a compressed chunk of their own would cost more than it saves.
_COMPRESS_BYTES = 4096
#: Rows of a compressed chunk: a minute at 600 Hz, so that a clip is one chunk or a few.
_CHUNK_ROWS = 36_000


def write_array(group: h5py.Group, name: str, values: np.typing.NDArray[Any]) -> None:
    """Store an array; a long one compressed (fast: level 1 after shuffling)."""
    if values.nbytes < _COMPRESS_BYTES:
        group.create_dataset(name, data=values)
        return
    chunks = (min(len(values), _CHUNK_ROWS), *values.shape[1:])
    group.create_dataset(name, data=values, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True)


def write_fields(group: h5py.Group, content: Any, given: tuple[type, ...] = ()) -> None:
    """Store the arrays of a dataclass; of the types in `given` nothing, since the reader has them."""
    for item in fields(content):
        value = getattr(content, item.name)
        if value is None or isinstance(value, given):
            continue
        if is_dataclass(value):
            write_fields(group.create_group(item.name), value, given)
        else:
            write_array(group, item.name, np.asarray(value))


def read_fields(group: h5py.Group, kind: type[Kind], given: Mapping[type, Any]) -> Kind:
    """Read a dataclass back.

    Raises
    ------
    KeyError
        If a field is missing.
    OSError
        If the file is damaged.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for item in fields(typing.cast("Any", kind)):
        hint = hints[item.name]
        options = typing.get_args(hint) if _is_union(hint) else (hint,)
        known = [given[option] for option in options if option in given]
        if known:
            values[item.name] = known[0]
        elif item.name not in group and type(None) in options:
            values[item.name] = None
        elif isinstance(group[item.name], h5py.Group):
            inner = next(option for option in options if is_dataclass(option))
            values[item.name] = read_fields(group[item.name], typing.cast("type[Any]", inner), given)
        else:
            values[item.name] = group[item.name][...]
    return kind(**values)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)
