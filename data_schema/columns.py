"""How a column of a table is declared: once, with name, type, unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
    dtype : str
        Type of a cell as pandas names it; ``text`` for strings, None where missing.
    unit : str
        Empty for words, names and counts.
    meaning : str
        One sentence; says when a cell may be missing.
    """

    name: str
    dtype: str
    unit: str
    meaning: str


def meanings(columns: tuple[Column, ...]) -> dict[str, str]:
    """Return the meaning of each column by its name, in order."""
    return {column.name: column.meaning for column in columns}


def dtypes(columns: tuple[Column, ...]) -> dict[str, str]:
    """Return the type of each column that is no text, for ``DataFrame.astype``."""
    return {column.name: column.dtype for column in columns if column.dtype != "text"}
