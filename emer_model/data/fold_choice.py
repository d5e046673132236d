"""Which folds to train."""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.errors import UsageError


def parse_folds(text: str, known: Sequence[int]) -> list[int]:
    """Read ``all`` or a list such as ``0,2``.

    Parameters
    ----------
    text : str
    known : sequence of int
        Folds of the export that can be tested.

    Raises
    ------
    UsageError
        If a number is none or no fold that can be tested.
    """
    if text.strip().lower() == "all":
        return list(known)
    folds = []
    for part in text.split(","):
        if not part.strip().isdigit() or int(part) not in known:
            raise UsageError(
                f"--folds {text}: '{part.strip()}' is no fold of this export. Expected 'all' or, with commas between, of: "
                f"{', '.join(str(fold) for fold in known)}."
            )
        folds.append(int(part))
    return sorted(set(folds))
