"""How long the steps take that wait for somebody: estimates, so that a plan's total minutes are honest.

They are used for the plan, the disk guard and the time that a console shows as left, for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collection.protocol.self_report import planned_answer_s
from collection.protocol.steps import Item
from data_schema.study.sections import CalibrationSection

#: Silent reading of English takes 238 words a minute (Brysbaert 2019, J. Mem. Lang. 109). Instructions on
#: a strange screen are read with care: we take two thirds of that, six characters (with the space) a word in
#: English and one and a half in Chinese; these three are our own estimates.
_CHARACTERS_PER_S = 238 / 60 * 6 * 2 / 3
_CHINESE_PER_S = 238 / 60 * 1.5 * 2 / 3
_PAGE_TURN_S = 2.0
#: A page in a session that nobody attends.
_UNATTENDED_S = 0.5
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Estimates:
    """Estimate the length of steps, seconds; `attended` False if nobody reads and answers."""

    attended: bool

    def reading_s(self, text: str) -> float:
        """Return the time for a page of text."""
        if not self.attended:
            return _UNATTENDED_S
        n_chinese = len(_CHINESE.findall(text))
        seconds = n_chinese / _CHINESE_PER_S + (0 if n_chinese else len(text)) / _CHARACTERS_PER_S
        return round(_PAGE_TURN_S + seconds, 1)

    def answers_s(self, items: Sequence[Item]) -> float:
        """Return the time for a page of questions."""
        return planned_answer_s(items) if self.attended else _UNATTENDED_S

    @property
    def break_s(self) -> float:
        """Return the time for a break that the participant ends."""
        return 60.0 if self.attended else _UNATTENDED_S

    def positioning_s(self, text: str) -> float:
        """Return the time until the head is where it should be."""
        return self.reading_s(text) + (15.0 if self.attended else 0.0)

    def calibration_s(self, section: CalibrationSection) -> float:
        """Return the time for one calibration with its validation, and for looking at the result."""
        return self._targets_s(section, section.points + section.validation_points) + (20.0 if self.attended else 2.0)

    def recheck_s(self, section: CalibrationSection) -> float:
        """Return the time for a quick re-check."""
        return self._targets_s(section, max(1, section.validation_points)) + (5.0 if self.attended else 1.0)

    @staticmethod
    def _targets_s(section: CalibrationSection, n_targets: int) -> float:
        # A second for the target's way and for the eyes to settle on it.
        return n_targets * (section.target_s + 1.0)
