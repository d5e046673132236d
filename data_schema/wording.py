"""Counts and paths in messages."""

from __future__ import annotations

from pathlib import Path


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 participant", "2 participants"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def quoted(path: Path | str) -> str:
    """Return a path as it can be typed, in a command that a message proposes: in quotation marks if it holds a space.

    Double ones, which shells and the Windows command prompt read alike.
    """
    text = str(path)
    return f'"{text}"' if any(character in " \t()&;'" for character in text) else text
