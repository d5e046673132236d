"""Find identifiers in bytes, however they are written: UTF-8, UTF-16, escaped for JSON, HTML or an address, in base64.

Two kinds of alarm are told apart. A long identifier is found anywhere. A short one, such as the code P1, is found where it
stands as a word of its own; in bytes that are no text (compressed video, numbers) chance makes such words, so there it counts
only within a run of printable characters. What is stored in known containers is taken out of them first, and is text then
(:mod:`data_schema.publishing.containers`).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from data_schema.publishing.identifiers import Identifier
from data_schema.publishing.runs_of_bytes import PRINTABLE, base64_runs, runs, wide_runs, words
from data_schema.vocabularies import EMOTIONS, POLARITIES, TASKS

#: Identifiers of fewer bytes are short: eight random bytes are equal to one of a hundred such once in 2^57.
_SHORT = 8
#: A run of printable characters of this length within random bytes comes once in a million: (95/256)^14.
_CONTEXT = 14
_RUN = 6
#: A text in UTF-16 has at least so many characters: the shortest codes have two.
_WIDE = 2
_WORD = re.compile(rb"[a-z0-9]+")
#: What follows the date in ISO 8601.
_TIME_OF_DAY = re.compile(rb"t[0-9]{2}")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-f]{4})|(.))", re.DOTALL)
_PERCENT = re.compile(rb"%[0-9a-f]{2}")
#: The shortest run of base64 that is looked into: four letters of a code are six of base64.
_BASE64 = 6
_TEXT_ONLY = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*")
#: Up to so many words are sought one by one, which is faster than to take the text apart.
_FEW = 32
#: What numbers and the space between them are made of.
_NO_LETTERS = b"0123456789.+- \t\r\n"
_BEGIN = 7
#: Words that stand in every dataset, and that somebody may have been called by.
_ORDINARY = frozenset(
    {
        *(word.lower() for word in (*EMOTIONS, *POLARITIES, *TASKS)), "face", "gaze", "stimulus", "video", "human", "simulated",
        "model", "self", "annotator", "rater", "expert", "participant", "subject", "lab", "test", "train", "validation", "left",
        "right", "none", "pilot", "demo",
    }
)  # fmt: skip
#: JSON in JSON in JSON.
_MAX_NESTING = 3

#: Looks into what base64 was decoded to, where it is a container.
Opener = Callable[[bytes], Iterator[tuple[str, Identifier]]]


@dataclass(frozen=True)
class _Needle:
    identifier: Identifier
    raw: bytes
    anchor: bytes
    pattern: re.Pattern[bytes]

    @property
    def short(self) -> bool:
        return len(self.raw) < _SHORT

    def stands_in(self, lower: bytes) -> bool:
        """Tell whether the identifier stands in a text in small letters, as words of its own."""
        # Far faster than any pattern, and most often all that is needed.
        if self.literal and self.raw not in lower:
            return False
        return any(self._alone(lower, *match.span()) for match in self.pattern.finditer(lower))

    @property
    def literal(self) -> bool:
        return not any(space in self.raw for space in b" \t\r\n")

    def _alone(self, lower: bytes, start: int, end: int) -> bool:
        before, after = lower[start - 1 : start] if start else b"", lower[end : end + 1]
        if self.identifier.kind == "date" and _TIME_OF_DAY.match(lower, end):
            after = b""
        joined = self.raw[:1].isalnum() and _WORD.match(before)
        return not joined and not (self.raw[-1:].isalnum() and _WORD.match(after))


class Needles:
    """Identifiers, ready to be searched for.

    Parameters
    ----------
    identifiers : iterable of Identifier
    """

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self.identifiers = tuple(identifiers)
        self._by_anchor: dict[bytes, list[_Needle]] = {}
        #: Without any Latin letter or digit: found byte by byte.
        self._direct: list[tuple[Identifier, tuple[bytes, ...]]] = []
        #: A code of digits alone is a number, and "expert" a word, anywhere else than after "sub-" or alone in a cell of the
        #: right column.
        self._ordinary: dict[str, Identifier] = {}
        for item in self.identifiers:
            text = item.text.strip()
            if item.kind in ("participant", "annotator") and (
                item.common or text.isdigit() or text.lower() in _ORDINARY
            ):
                self._ordinary[text] = item
                self._add(item, f"sub-{text}")
            elif text:
                self._add(item, text)
        anchors = (anchor.translate(None, _NO_LETTERS) for anchor in self._by_anchor)
        self._letters = tuple(sorted({part for part in anchors if part}, key=len))
        self._digits = tuple(anchor for anchor in self._by_anchor if anchor.isdigit())
        # Of both byte orders the same but for the first or the last byte.
        self._wide = {anchor: b"\0".join(anchor[i : i + 1] for i in range(len(anchor))) for anchor in self._by_anchor}

    def _add(self, identifier: Identifier, text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass").lower()
        found = _WORD.findall(raw)
        if not found:
            wide = tuple(text.encode(kind, "surrogatepass") for kind in ("utf-8", "utf-16-le", "utf-16-be"))
            self._direct.append((identifier, wide))
            return
        # Line breaks and indentation change when a text is set: any white space counts as any other.
        body = rb"\s+".join(re.escape(part) for part in raw.split())
        needle = _Needle(identifier, raw, max(found, key=len), re.compile(body))
        self._by_anchor.setdefault(needle.anchor, []).append(needle)

    def search(self, data: bytes, *, text: bool, opener: Opener | None = None) -> Iterator[tuple[str, Identifier]]:
        """Search bytes.

        Parameters
        ----------
        data : bytes
        text : bool
            True if the bytes are text or come out of a container as text.
        opener : callable, optional
            Looks into containers that stand in the text as base64.

        Yields
        ------
        how : str
            Such as 'UTF-16' or 'base64'; empty for plain text.
        identifier : Identifier
        """
        for identifier, spellings in self._direct:
            if any(spelling in data for spelling in spellings):
                yield "", identifier
        if not text and self._surely_absent(data):
            return
        # UTF-16 in text files makes them look like no text, and is text all the same.
        wide = b"\n".join(wide_runs(data, _WIDE))
        yield from (("UTF-16", item) for item in self._spelled(wide, wide))
        if text:
            yield from self._text(data, opener)
            return
        printable = runs(data, PRINTABLE, _RUN)
        context = b"\n".join(run for run in printable if len(run) >= _CONTEXT)
        yield from (("", item) for item in self._spelled(b"\n".join(printable), context))

    def _surely_absent(self, data: bytes) -> bool:
        """Tell cheaply that bytes hold none of a few identifiers, neither in UTF-8 nor in UTF-16."""
        if len(self._by_anchor) > _FEW:
            return False
        lower = data.lower()
        return not any(anchor in lower or wide in lower for anchor, wide in self._wide.items())

    def search_cell(self, column: str, value: str) -> Iterator[Identifier]:
        """Search one cell of a table for codes that are numbers or words, and codes only where they name somebody."""
        if value in self._ordinary and names_people(column):
            yield self._ordinary[value]

    @property
    def in_cells(self) -> bool:
        """True if codes are sought that count in cells alone."""
        return bool(self._ordinary)

    def _text(self, data: bytes, opener: Opener | None) -> Iterator[tuple[str, Identifier]]:
        yield from (("", item) for item in self._spelled(data, data))
        plain = data.lower()
        unescaped = plain
        for _ in range(_MAX_NESTING):
            if b"\\" not in unescaped:
                break
            unescaped = _ESCAPE.sub(_unescape, unescaped)
            yield from (("escaped as in JSON", item) for item in self._spelled(unescaped, unescaped))
        if b"&" in data and b";" in data:
            entities = html.unescape(data.decode("utf-8", "replace")).encode("utf-8", "replace")
            yield from (("escaped as in HTML", item) for item in self._spelled(entities, entities))
        if b"%" in plain and _PERCENT.search(plain):
            decoded = unquote_to_bytes(plain)
            yield from (("percent-encoded", item) for item in self._spelled(decoded, decoded))
        yield from self._base64(data, opener)

    def _base64(self, data: bytes, opener: Opener | None) -> Iterator[tuple[str, Identifier]]:
        texts = []
        if not data.translate(None, _NO_LETTERS):
            return
        for run in base64_runs(data, _BASE64):
            letters = run.replace(b"-", b"+").replace(b"_", b"/")
            letters = letters[: len(letters) - (len(letters) % 4 == 1)]
            try:
                decoded = base64.b64decode(letters + b"=" * (-len(letters) % 4))
            except binascii.Error:
                continue
            if _TEXT_ONLY.fullmatch(decoded):
                texts.append(decoded)
            else:
                texts += runs(decoded, PRINTABLE, _CONTEXT)
                if opener is not None and len(decoded) > _CONTEXT:
                    yield from opener(decoded)
        joined = b"\n".join(texts)
        yield from (("base64", item) for item in self._spelled(joined, joined))

    def _spelled(self, data: bytes, for_short: bytes) -> Iterator[Identifier]:
        """Yield the identifiers in plain bytes; short ones are looked for in `for_short`."""
        if not data:
            return
        lower = data.lower()
        lower_short = lower if for_short is data else for_short.lower()
        if len(self._by_anchor) <= _FEW:
            present = [anchor for anchor in self._by_anchor if anchor in lower]
        else:
            # Tables of numbers hold few letters: most often this alone says that there is no code.
            letters = lower.translate(None, _NO_LETTERS)
            wanted = any(part in letters for part in self._letters)
            present = [*self._by_anchor.keys() & words(lower)] if wanted else []
            present += [anchor for anchor in self._digits if anchor in lower]
        begins: dict[bytes, bool] = {}
        for anchor in sorted(present):
            for needle in self._by_anchor[anchor]:
                # Dates of one month, paths of one folder: what all begin with is looked for once.
                begin = needle.raw[:_BEGIN]
                if needle.literal and not (
                    begins[begin] if begin in begins else begins.setdefault(begin, begin in lower)
                ):
                    continue
                if needle.stands_in(lower_short if needle.short else lower):
                    yield needle.identifier


def names_people(column: str) -> bool:
    """Tell whether a column of a table lists people, by its name."""
    return any(word in column.lower() for word in ("participant", "subject", "annotator", "rater"))


def _unescape(match: re.Match[bytes]) -> bytes:
    code, letter = match.groups()
    if code is not None:
        return chr(int(code, 16)).encode("utf-8", "replace")
    return b" " if letter in b"nrtbf" else bytes(letter)
