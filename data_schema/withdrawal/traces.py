"""What stands for a participant in a study's files, and how it is told from other words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from data_schema.publishing.identifiers import Identifier
from data_schema.publishing.needles import names_people

#: What stands where words of others named the participant.
GONE = "[withdrawn]"
#: Columns and keys that say what a row or an entry is about. Elsewhere a name is only mentioned.
ABOUT = frozenset(
    {
        "participant", "participant_id", "subject", "clip_id", "clip", "session_file", "session_path", "file", "path", "shard",
        "item_id", "item", "name", "recording", "stem", "annotator_id", "trace_id", "code",
    }
)  # fmt: skip
#: Keys of objects that map participants to something.
_MAPS = frozenset({"assignment", "participants", "shifts_days"})


@dataclass(frozen=True)
class Traces:
    """A participant's code, and the opaque names that stand for their clips.

    Parameters
    ----------
    code : str
        The study's own code.
    published : str
        The published code; empty if there is none.
    opaque : tuple of str
        Names of clips in bundles and of places in queues: random, so that they are found anywhere without mistaking.
    common : bool
        True if stimuli or features are called like the code.
    """

    code: str
    published: str = ""
    opaque: tuple[str, ...] = field(default=())
    common: bool = False

    @property
    def is_word(self) -> bool:
        """True if the code may be an ordinary word or number: it is then looked for in certain places only."""
        return (
            self.common
            or len(self.code) < 3
            or not (any(c.isdigit() for c in self.code) and any(c.isalpha() for c in self.code))
        )

    @cached_property
    def _names(self) -> str:
        code = f"sub-{self.code}" if self.is_word else self.code
        return "|".join(re.escape(text) for text in (code, self.published, *self.opaque) if text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![A-Za-z0-9])(?:{self._names})(?![A-Za-z0-9])", re.IGNORECASE)

    @property
    def postgres_pattern(self) -> str:
        """The same for PostgreSQL, with what stands before and after a name as groups 1 and 2."""
        # re.escape writes hyphens as "\\-", which PostgreSQL reads as a hyphen, too.
        return rf"(^|[^A-Za-z0-9])(?:{self._names})([^A-Za-z0-9]|$)"

    def mentioned(self, text: str) -> bool:
        """Tell whether a text names the participant."""
        return self._pattern.search(text) is not None

    def means(self, key: str, text: str) -> bool:
        """Tell whether a cell, in the column `key`, says that its row is about the participant."""
        return (key.lower() in ABOUT or names_people(key)) and (text == self.code or self.mentioned(text))

    def names(self, within: str, key: str) -> bool:
        """Tell whether a key of the object `within` stands for the participant."""
        return self.mentioned(key) or (key == self.code and (within in _MAPS or not self.is_word))

    def without(self, text: str) -> str:
        """Return a text that names the participant no more."""
        return self._pattern.sub(GONE, text)

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """What must not be found in the study folder afterwards."""
        own = Identifier("participant", self.code, self.is_word)
        others: Iterable[str] = (self.published, *self.opaque)
        return (own, *(Identifier("participant", text) for text in others if text))
