"""Which folds to train."""

from __future__ import annotations

from data_schema.errors import UsageError


def parse_folds(text: str, n_folds: int) -> list[int]:
    """Read ``all`` or a list such as ``0,2``.

    Raises
    ------
    UsageError
        If a number is none or lies outside the folds.
    """
    if text.strip().lower() == "all":
        return list(range(n_folds))
    folds = []
    for part in text.split(","):
        if not part.strip().isdigit() or int(part) >= n_folds:
            raise UsageError(
                f"--folds {text}: '{part.strip()}' is no fold of this export. Expected 'all' or numbers from 0 to "
                f"{n_folds - 1} with commas between."
            )
        folds.append(int(part))
    return sorted(set(folds))
