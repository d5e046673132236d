"""A check is data: what was looked at, how it stands, a number, a sentence, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """All checks of one pre-flight, and why errors were overridden: each by the reason that was given for it.

    Parameters
    ----------
    checks : tuple of Check
    reasons : mapping of str to str
        By the name of a check the operator's reason to go on in spite of it.
    """

    checks: tuple[Check, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Check, ...]:
        """Checks that refuse a start."""
        return tuple(check for check in self.checks if check.level == ERROR)

    @property
    def undecided(self) -> tuple[Check, ...]:
        """Errors for which nobody gave a reason to go on."""
        return tuple(check for check in self.errors if not self.reasons.get(check.name))

    @property
    def overrides(self) -> tuple[Check, ...]:
        """Errors for which somebody gave a reason to go on."""
        return tuple(check for check in self.errors if self.reasons.get(check.name))

    @property
    def override_reason(self) -> str:
        """The reasons that were given, each once; empty if there was none."""
        return "; ".join(dict.fromkeys(self.reasons[check.name] for check in self.overrides))

    @property
    def refused(self) -> bool:
        """True if there is an error for which nobody gave a reason to go on."""
        return bool(self.undecided)

    def with_checks(self, more: Iterable[Check]) -> PreflightReport:
        """Return the report with further checks; one of the same name takes the earlier one's place, and needs its own reason."""
        added = {check.name: check for check in more}
        reasons = {name: reason for name, reason in self.reasons.items() if name not in added}
        kept = [added.pop(check.name, check) for check in self.checks]
        return PreflightReport((*kept, *added.values()), reasons)

    def overridden(self, reason: str) -> PreflightReport:
        """Return the report with the operator's reason for the errors that had none yet."""
        given = {check.name: reason.strip() for check in self.undecided}
        return PreflightReport(self.checks, {**self.reasons, **given})

    def refusal(self) -> str:
        """Return what is said when a session does not start: each error with its remedy."""
        lines = [f"{check.name}: {check.sentence}" for check in self.undecided]
        return "\n".join(
            [*lines, 'To record all the same, give a reason that is stored: --override-preflight "REASON"']
        )

    def rows(self, t_system_us: int) -> npt.NDArray[np.void]:
        """Return the rows of ``/preflight/checks``; at each error stands the reason that was given for it."""
        rows = [
            make_row(
                PREFLIGHT,
                t_system_us=t_system_us,
                check=check.name,
                level=check.level,
                value=check.value,
                message=_fitting(check.message, "message"),
                override_reason=_fitting(self._reason(check), "override_reason"),
            )
            for check in self.checks
        ]
        return np.concatenate(rows) if rows else PREFLIGHT.empty(0)

    def _reason(self, check: Check) -> str:
        return self.reasons.get(check.name, "") if check.level == ERROR else ""


def _fitting(text: str, column: str) -> str:
    return encode_text(text, PREFLIGHT.dtype[column].itemsize).decode("utf-8")


def said_bytes(n_bytes: float) -> str:
    """Return a size in the unit that suits it: "812 MB", "4.2 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"
