"""An ELAN annotation document as values: tiers of annotations, their types and vocabularies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The stereotype of a tier whose annotations each stand for one of the parent's, with the parent's time.
ASSOCIATION = "Symbolic_Association"


@dataclass(frozen=True)
class Annotation:
    """One annotation.

    Parameters
    ----------
    value : str
    start_ms, end_ms : int
        Time since the document's zero, end after start; of a tier with a parent those of the parent's annotation.
    parent : int
        Place of the annotation's parent in the parent tier, from 0; -1 in tiers without one.
    """

    value: str
    start_ms: int
    end_ms: int
    parent: int = -1


@dataclass(frozen=True)
class Tier:
    """One tier.

    Parameters
    ----------
    name : str
    type : str
        Name of its :class:`TierType`.
    annotations : tuple of Annotation
        In the order of time.
    parent : str
        Name of the parent tier; empty for none.
    annotator, participant : str
    """

    name: str
    type: str
    annotations: tuple[Annotation, ...]
    parent: str = ""
    annotator: str = ""
    participant: str = ""


@dataclass(frozen=True)
class TierType:
    """A type of tiers, which ELAN calls linguistic: a vocabulary, or none; times of their own, or the parent's.

    Parameters
    ----------
    name : str
    vocabulary : str
        Empty for free text.
    associated : bool
        True if annotations stand for those of the parent tier.
    """

    name: str
    vocabulary: str = ""
    associated: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """What annotations of some tiers may say.

    Parameters
    ----------
    name, meaning : str
    words : mapping of str to str
        With their meaning.
    """

    name: str
    meaning: str
    words: Mapping[str, str]


@dataclass(frozen=True)
class Media:
    """A media file that the document belongs to.

    Parameters
    ----------
    path : str
        Relative to the document, with forward slashes.
    mime : str
    origin_ms : int
        Time in the media at the document's zero.
    """

    path: str
    mime: str
    origin_ms: int = 0


@dataclass(frozen=True)
class Document:
    """One annotation document.

    Parameters
    ----------
    tiers : tuple of Tier
        A parent before its children.
    types : tuple of TierType
    vocabularies : tuple of Vocabulary
    media : tuple of Media
    properties : mapping of str to str
    licence : str
    date : str
        ISO 8601 with time zone; a fixed one where no date may leave.
    """

    tiers: tuple[Tier, ...]
    types: tuple[TierType, ...] = ()
    vocabularies: tuple[Vocabulary, ...] = ()
    media: tuple[Media, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    date: str = "1970-01-01T00:00:00+00:00"

    def tier(self, name: str) -> Tier | None:
        """Return a tier by its name, or None."""
        return next((tier for tier in self.tiers if tier.name == name), None)

    def children(self, name: str) -> list[Tier]:
        """Return the tiers that hang on a tier."""
        return [tier for tier in self.tiers if tier.parent == name]
