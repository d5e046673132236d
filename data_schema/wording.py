"""Counts in messages."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 participant", "2 participants"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
