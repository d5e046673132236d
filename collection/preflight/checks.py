"""A check is data: what was looked at, how it stands, a number, a sentence, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.session.layout import PREFLIGHT, encode_text, make_row

GOOD, NOTE, WARNING, ERROR = "good", "note", "warning", "error"
#: The mildest first.
LEVELS = (GOOD, NOTE, WARNING, ERROR)


@dataclass(frozen=True)
class Check:
    """One finding.

    Parameters
    ----------
    name : str
        Stable name, such as 'disk' or 'gaze_rate'.
    level : str
        good; note (not measured, or an option that is not there); warning (go on, but know it);
        error (a session does not start).
    message : str
        One sentence for people.
    remedy : str
        What to do; empty if nothing is to be done.
    value : float
        A number that belongs to it; NaN if there is none.
    """

    name: str
    level: str
    message: str
    remedy: str = ""
    value: float = math.nan

    def as_text(self) -> str:
        """Return one line for people."""
        return f"{self.level:<8}{self.name}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """Message and remedy together."""
        return f"{self.message}. {self.remedy}" if self.remedy else self.message

    def as_dict(self) -> dict[str, Any]:
        """Return the check for JSON and for the console."""
        value = self.value if math.isfinite(self.value) else None
        return {
            "check": self.name, "level": self.level, "message": self.message, "remedy": self.remedy, "value": value,
        }  # fmt: skip


@dataclass(frozen=True)
class PreflightReport:
    """All checks of one pre-flight, and why it was overridden if it was."""

    checks: tuple[Check, ...] = ()
    override_reason: str = ""

    @property
    def errors(self) -> tuple[Check, ...]:
        """Checks that refuse a start."""
        return tuple(check for check in self.checks if check.level == ERROR)

    @property
    def refused(self) -> bool:
        """True if there is an error and nobody gave a reason to go on."""
        return bool(self.errors) and not self.override_reason

    def with_checks(self, more: Iterable[Check]) -> PreflightReport:
        """Return the report with further checks; one of the same name takes the place of the earlier one."""
        added = {check.name: check for check in more}
        kept = [added.pop(check.name, check) for check in self.checks]
        return PreflightReport((*kept, *added.values()), self.override_reason)

    def overridden(self, reason: str) -> PreflightReport:
        """Return the report with the operator's reason."""
        return PreflightReport(self.checks, reason.strip())

    def refusal(self) -> str:
        """Return what is said when a session does not start: each error with its remedy."""
        lines = [f"{check.name}: {check.sentence}" for check in self.errors]
        return "\n".join(
            [*lines, 'To record all the same, give a reason that is stored: --override-preflight "REASON"']
        )

    def rows(self, t_system_us: int) -> npt.NDArray[np.void]:
        """Return the rows of ``/preflight/checks``; a reason stands at each error that it overrides."""
        rows = [
            make_row(
                PREFLIGHT,
                t_system_us=t_system_us,
                check=check.name,
                level=check.level,
                value=check.value,
                message=_fitting(check.message, "message"),
                override_reason=_fitting(self.override_reason, "override_reason") if check.level == ERROR else "",
            )
            for check in self.checks
        ]
        return np.concatenate(rows) if rows else PREFLIGHT.empty(0)


def _fitting(text: str, column: str) -> str:
    return encode_text(text, PREFLIGHT.dtype[column].itemsize).decode("utf-8")


def said_bytes(n_bytes: float) -> str:
    """Return a size in the unit that suits it: "812 MB", "4.2 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"
