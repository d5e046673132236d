"""What a cell of a label file may hold: words, scales, counts, identifiers, text. Each check says what was expected."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Sequence

from data_schema.errors import LabelError
from data_schema.vocabularies import Scale

CLIP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
VIEW = re.compile(r"[A-Za-z0-9_.:+-]{0,64}\Z")
ANNOTATOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
ROW_ID = re.compile(r"[0-9a-f]{32}\Z")
CREATED_UTC = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{6}Z\Z")
#: Longest comment: about a page. Longer text is a pasted file, not a comment.
MAX_COMMENT_CHARACTERS = 2000
#: Largest integer that SQLite, PostgreSQL and Parquet hold exactly.
MAX_INTEGER = 2**63 - 1


class LabelValueError(LabelError):
    """A value that no label may have.

    Parameters
    ----------
    field : str
        Name of the field.
    got : object
        The value found.
    expected : str
        What the field takes.
    suggestion : str, optional
        The nearest value that would be right, or the next step.
    """

    def __init__(self, field: str, got: object, expected: str, suggestion: str = "") -> None:
        self.field = field
        self.got = got
        self.expected = expected
        self.suggestion = suggestion
        message = f"{field} is {got!r}, expected {expected}."
        super().__init__(f"{message} {suggestion}" if suggestion else message)


def check_word(field: str, value: object, words: Sequence[str]) -> str:
    """Return `value` as one of `words`, or say which word was probably meant."""
    text = getattr(value, "value", value)
    if isinstance(text, str) and text in words:
        return str(text)
    near = difflib.get_close_matches(text.strip().lower(), words, n=1, cutoff=0.6) if isinstance(text, str) else []
    raise LabelValueError(field, text, f"one of {', '.join(words)}", f"Did you mean '{near[0]}'?" if near else "")


def check_scale(scale: Scale, value: object) -> float | None:
    """Return `value` as a float on the scale, or None for no answer."""
    if value is None:
        return None
    expected = f"a number from {scale.low:g} to {scale.high:g} ({scale.meaning}), or nothing"
    if isinstance(value, (bool, str)):
        raise LabelValueError(scale.name, value, expected)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise LabelValueError(scale.name, value, expected) from None
    if not scale.contains(number):
        hint = "" if math.isnan(number) else f"The nearest is {min(max(number, scale.low), scale.high):g}."
        raise LabelValueError(scale.name, number, expected, hint)
    return number + 0.0  # turns -0.0 into 0.0, so that equal labels are equal as text


def check_count(field: str, value: object) -> int | None:
    """Return `value` as an integer of 0 or more, or None."""
    if value is None:
        return None
    expected = "an integer of 0 or more, or nothing"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise LabelValueError(field, value, expected)
    number = int(value.__index__())
    if not 0 <= number <= MAX_INTEGER:
        raise LabelValueError(field, number, expected)
    return number


def check_pattern(field: str, value: object, pattern: re.Pattern[str], expected: str) -> str:
    """Return `value` as text that the pattern matches."""
    if not isinstance(value, str) or not pattern.match(value):
        raise LabelValueError(field, value, expected)
    return value


def check_comment(value: object) -> str:
    """Return a comment with line ends as a single line feed."""
    if not isinstance(value, str):
        raise LabelValueError("comment", value, "text")
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_COMMENT_CHARACTERS:
        raise LabelValueError("comment", f"{len(text)} characters", f"at most {MAX_COMMENT_CHARACTERS} characters")
    for character in text:
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs"):
            raise LabelValueError("comment", text[:40], "text without control characters")
    return text


def check_annotator_id(annotator_id: object) -> str:
    """Return `annotator_id` if it can name an annotator and a file.

    Raises
    ------
    LabelValueError
        If it is not made of letters, digits, ``-`` and ``_``.
    """
    return check_pattern("annotator_id", annotator_id, ANNOTATOR_ID, "1 to 64 letters, digits, - or _, such as 'a01'")


def check_pts(value: object) -> int | None:
    """Return a presentation time stamp, which may be negative, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or abs(int(value.__index__())) > MAX_INTEGER:
        raise LabelValueError("frame_pts", value, "an integer, or nothing")
    return int(value.__index__())
