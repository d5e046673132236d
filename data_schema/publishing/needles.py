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

#: Identifiers of fewer bytes are short: eight random bytes are equal to one of a hundred such once in 2^57.
_SHORT = 8
#: A run of printable characters of this length within random bytes comes once in a million: (95/256)^14.
_CONTEXT = 14
_RUN = 6
_PRINTABLE = re.compile(rb"[\x20-\x7e]{%d,}" % _RUN)
_UTF16 = re.compile(rb"(?:[\x20-\x7e]\x00){3,}")
_UTF16_BIG = re.compile(rb"(?:\x00[\x20-\x7e]){3,}")
_WORD = re.compile(rb"[a-z0-9]+")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-f]{4})|(.))", re.DOTALL)
_PERCENT = re.compile(rb"%[0-9a-f]{2}")
#: Base64 of a text begins with a letter: its first byte is below 0x80. Of fewer letters there is no identifier in it.
_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/_-])[A-Za-z][A-Za-z0-9+/_-]{5,}={0,2}")
_TEXT_ONLY = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*")
#: Up to so many words are sought one by one, which is faster than to take the text apart.
_FEW = 32
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
        #: A code of digits alone is a number anywhere else than after "sub-" or alone in a cell of the right column.
        self._numbers: dict[str, Identifier] = {}
        for item in self.identifiers:
            text = item.text.strip()
            if text.isdigit() and item.kind in ("participant", "annotator"):
                self._numbers[text] = item
                self._add(item, f"sub-{text}")
            elif text:
                self._add(item, text)

    def _add(self, identifier: Identifier, text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass").lower()
        words = _WORD.findall(raw)
        if not words:
            wide = tuple(text.encode(kind, "surrogatepass") for kind in ("utf-8", "utf-16-le", "utf-16-be"))
            self._direct.append((identifier, wide))
            return
        # Line breaks and indentation change when a text is set: any white space counts as any other.
        body = rb"\s+".join(re.escape(part) for part in raw.split())
        before = rb"(?<![a-z0-9])" if raw[:1].isalnum() else b""
        after = rb"(?![a-z0-9])" if raw[-1:].isalnum() else b""
        needle = _Needle(identifier, raw, max(words, key=len), re.compile(before + body + after))
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
        # UTF-16 in text files makes them look like no text, and is text all the same.
        for pattern, start in ((_UTF16, 0), (_UTF16_BIG, 1)):
            if b"\x00" in data:
                wide = b"\n".join(run[start::2] for run in pattern.findall(data))
                yield from (("UTF-16", item) for item in self._spelled(wide, wide))
        if text:
            yield from self._text(data, opener)
            return
        runs = _PRINTABLE.findall(data)
        some = b"\n".join(runs)
        yield from (("", item) for item in self._spelled(some, b"\n".join(run for run in runs if len(run) >= _CONTEXT)))

    def search_cell(self, column: str, value: str) -> Iterator[Identifier]:
        """Search one cell of a table for codes of digits alone, which are codes only where they name somebody."""
        if value in self._numbers and any(word in column.lower() for word in ("participant", "subject", "annotator", "rater")):
            yield self._numbers[value]

    @property
    def numbers(self) -> bool:
        """True if a code of digits alone is sought."""
        return bool(self._numbers)

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
        if _PERCENT.search(plain):
            decoded = unquote_to_bytes(plain)
            yield from (("percent-encoded", item) for item in self._spelled(decoded, decoded))
        yield from self._base64(data, opener)

    def _base64(self, data: bytes, opener: Opener | None) -> Iterator[tuple[str, Identifier]]:
        texts = []
        for run in set(_BASE64.findall(data)):
            letters = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
            letters = letters[: len(letters) - (len(letters) % 4 == 1)]
            try:
                decoded = base64.b64decode(letters + b"=" * (-len(letters) % 4))
            except binascii.Error:
                continue
            if _TEXT_ONLY.fullmatch(decoded):
                texts.append(decoded)
            else:
                texts += [part for part in _PRINTABLE.findall(decoded) if len(part) >= _CONTEXT]
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
            present = [*self._by_anchor.keys() & set(_WORD.findall(lower))]
        for anchor in sorted(present):
            for needle in self._by_anchor[anchor]:
                if needle.pattern.search(lower_short if needle.short else lower):
                    yield needle.identifier


def _unescape(match: re.Match[bytes]) -> bytes:
    code, letter = match.groups()
    if code is not None:
        return chr(int(code, 16)).encode("utf-8", "replace")
    return b" " if letter in b"nrtbf" else bytes(letter)
