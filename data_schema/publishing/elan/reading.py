"""Read ELAN annotation files, ours and those that ELAN saved, and check them against the rules of format 3.0."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from data_schema.errors import LabelError
from data_schema.publishing.elan.document import ASSOCIATION, Annotation, Document, Media, Tier, TierType, Vocabulary

#: Elements of a document in the order that the schema prescribes.
_ORDER = (
    "LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT",
    "CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF",
)  # fmt: skip
#: Attributes that the schema requires.
_REQUIRED = {
    "ANNOTATION_DOCUMENT": ("DATE", "AUTHOR", "VERSION"),
    "MEDIA_DESCRIPTOR": ("MEDIA_URL", "MIME_TYPE"),
    "LINKED_FILE_DESCRIPTOR": ("LINK_URL", "MIME_TYPE"),
    "TIME_SLOT": ("TIME_SLOT_ID",),
    "TIER": ("TIER_ID", "LINGUISTIC_TYPE_REF"),
    "ALIGNABLE_ANNOTATION": ("ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"),
    "REF_ANNOTATION": ("ANNOTATION_ID", "ANNOTATION_REF"),
    "LINGUISTIC_TYPE": ("LINGUISTIC_TYPE_ID",),
    "LANGUAGE": ("LANG_ID",),
    "CONSTRAINT": ("STEREOTYPE",),
    "CONTROLLED_VOCABULARY": ("CV_ID",),
    "CV_ENTRY_ML": ("CVE_ID",),
    "CVE_VALUE": ("LANG_REF",),
}
#: Attributes that elements may have besides.
_OPTIONAL = {
    "ANNOTATION_DOCUMENT": ("FORMAT",),
    "LICENSE": ("LICENSE_URL",),
    "HEADER": ("MEDIA_FILE", "TIME_UNITS"),
    "MEDIA_DESCRIPTOR": ("RELATIVE_MEDIA_URL", "TIME_ORIGIN", "EXTRACTED_FROM"),
    "LINKED_FILE_DESCRIPTOR": ("RELATIVE_LINK_URL", "TIME_ORIGIN", "ASSOCIATED_WITH"),
    "PROPERTY": ("NAME",),
    "TIME_ORDER": (),
    "TIME_SLOT": ("TIME_VALUE",),
    "TIER": ("PARTICIPANT", "ANNOTATOR", "DEFAULT_LOCALE", "PARENT_REF", "EXT_REF", "LANG_REF"),
    "ANNOTATION": (),
    "ALIGNABLE_ANNOTATION": ("EXT_REF", "LANG_REF", "CVE_REF", "SVG_REF"),
    "REF_ANNOTATION": ("EXT_REF", "LANG_REF", "CVE_REF", "PREVIOUS_ANNOTATION"),
    "ANNOTATION_VALUE": (),
    "LINGUISTIC_TYPE": (
        "TIME_ALIGNABLE", "CONSTRAINTS", "GRAPHIC_REFERENCES", "CONTROLLED_VOCABULARY_REF", "EXT_REF", "LEXICON_REF",
    ),
    "LANGUAGE": ("LANG_DEF", "LANG_LABEL"),
    "CONSTRAINT": ("DESCRIPTION",),
    "CONTROLLED_VOCABULARY": ("EXT_REF",),
    "DESCRIPTION": ("LANG_REF",),
    "CV_ENTRY_ML": ("EXT_REF",),
    "CVE_VALUE": ("DESCRIPTION",),
}  # fmt: skip
#: Attributes that name a thing once in a document.
_IDS = ("TIME_SLOT_ID", "ANNOTATION_ID", "TIER_ID", "LINGUISTIC_TYPE_ID", "CV_ID", "CVE_ID", "LANG_ID", "STEREOTYPE")


def read_eaf(path: Path) -> Document:
    """Read an .eaf file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    LabelError
        If it cannot be read, or breaks the format's rules.
    """
    try:
        root = ET.fromstring(path.read_bytes())
    except FileNotFoundError:
        raise LabelError(f"{path}: there is no such file. Check the name.") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except ET.ParseError as error:
        raise LabelError(f"{path}: is no ELAN file ({error}). Save it again in ELAN as .eaf.") from None
    problems = check_eaf(root, strict=False)
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:10])
        raise LabelError(f"{path}: breaks the rules of ELAN's format. Open and save it in ELAN again.\n{shown}")
    return _document(root)


def check_eaf(root: ET.Element, *, strict: bool = True) -> list[str]:
    """Return what is wrong with an annotation document, one sentence each; empty if nothing is.

    Checked are names, order and required attributes of the elements, identifiers, references, times (start before end, no
    overlap in a tier, slots in order) and words of controlled vocabularies.

    Parameters
    ----------
    root : Element
        The element ANNOTATION_DOCUMENT.
    strict : bool
        False passes over what older versions of ELAN write otherwise: further elements and attributes, other vocabularies.
    """
    if root.tag != "ANNOTATION_DOCUMENT":
        return [f"the document is a {root.tag}, expected ANNOTATION_DOCUMENT"]
    problems = _names_and_order(root) if strict else []
    problems += [
        f"{element.tag} lacks {name}"
        for element in root.iter()
        for name in _REQUIRED.get(element.tag, ())
        if name not in element.attrib
    ]
    problems += [
        f"{element.tag} has an attribute {name}, which the format does not know"
        for element in root.iter()
        if strict and element.tag in _OPTIONAL
        for name in element.attrib
        if not name.startswith("{") and name not in (*_REQUIRED.get(element.tag, ()), *_OPTIONAL[element.tag])
    ]
    # What follows looks these attributes up.
    types = _types(root) if strict else []
    return problems or [*_identifiers(root), *types, *_times(root), *_references(root)]


def _names_and_order(root: ET.Element) -> list[str]:
    tags = [child.tag for child in root]
    unknown = sorted(set(tags) - set(_ORDER))
    if unknown:
        return [f"the document holds {', '.join(unknown)}, which the format does not know"]
    problems = [
        f"{name} is there {tags.count(name)} times, expected once"
        for name in ("HEADER", "TIME_ORDER")
        if tags.count(name) != 1
    ]
    places = [_ORDER.index(tag) for tag in tags]
    return problems + (["the elements are not in the schema's order"] if places != sorted(places) else [])


def _identifiers(root: ET.Element) -> list[str]:
    problems = []
    for name in _IDS:
        # Entries of different vocabularies may share an identifier.
        owners = root.iter("CONTROLLED_VOCABULARY") if name == "CVE_ID" else (root,)
        for owner in owners:
            seen = [element.get(name, "") for element in owner.iter() if name in element.attrib]
            problems += (
                [f"{name} '{item}' is there twice" for item in sorted({x for x in seen if seen.count(x) > 1})]
                if len(seen) != len(set(seen))
                else []
            )
    return problems


def _types(root: ET.Element) -> list[str]:
    types = {kind.get("LINGUISTIC_TYPE_ID"): kind for kind in root.iter("LINGUISTIC_TYPE")}
    vocabularies = {item.get("CV_ID"): _words(item) for item in root.iter("CONTROLLED_VOCABULARY")}
    problems = []
    for tier in root.iter("TIER"):
        name, kind = tier.get("TIER_ID"), types.get(tier.get("LINGUISTIC_TYPE_REF"))
        if kind is None:
            problems.append(f"tier {name}: there is no type '{tier.get('LINGUISTIC_TYPE_REF')}'")
            continue
        if (kind.get("CONSTRAINTS") is None) != (tier.get("PARENT_REF") is None):
            problems.append(f"tier {name}: a type with constraints needs a parent tier, and one without has none")
        vocabulary = kind.get("CONTROLLED_VOCABULARY_REF")
        if vocabulary is None:
            continue
        if vocabulary not in vocabularies:
            problems.append(f"type {kind.get('LINGUISTIC_TYPE_ID')}: there is no vocabulary '{vocabulary}'")
            continue
        said = {value.text or "" for value in tier.iter("ANNOTATION_VALUE")} - {""}
        problems += [
            f"tier {name}: '{word}' is not in its vocabulary" for word in sorted(said - set(vocabularies[vocabulary]))
        ]
    return problems


def _words(vocabulary: ET.Element) -> dict[str, str]:
    values = [*vocabulary.iter("CVE_VALUE"), *vocabulary.iter("CV_ENTRY")]
    return {value.text or "": value.get("DESCRIPTION", "") for value in values}


def _slot_times(root: ET.Element) -> dict[str, int | None]:
    slots = {}
    for slot in root.iter("TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        slots[slot.get("TIME_SLOT_ID", "")] = int(value) if value is not None and value.isdigit() else None
    return slots


def _times(root: ET.Element) -> list[str]:
    slots = _slot_times(root)
    known = [time for time in slots.values() if time is not None]
    problems = [] if known == sorted(known) else ["the time slots are not in the order of time"]
    for tier in root.iter("TIER"):
        spans = []
        for item in tier.iter("ALIGNABLE_ANNOTATION"):
            ends = (item.get("TIME_SLOT_REF1", ""), item.get("TIME_SLOT_REF2", ""))
            missing = [slot for slot in ends if slot not in slots]
            if missing:
                problems.append(f"{item.get('ANNOTATION_ID')}: there is no time slot {missing[0]}")
                continue
            start, end = slots[ends[0]], slots[ends[1]]
            if start is not None and end is not None:
                spans.append((start, end, item.get("ANNOTATION_ID")))
        problems += [
            f"{name}: ends at {end} ms, not after its start at {start} ms" for start, end, name in spans if end <= start
        ]
        spans.sort()
        problems += [
            f"tier {tier.get('TIER_ID')}: {first[2]} and {second[2]} overlap"
            for first, second in zip(spans, spans[1:], strict=False)
            if second[0] < first[1]
        ]
    return problems


def _references(root: ET.Element) -> list[str]:
    owner = {
        item.get("ANNOTATION_ID"): tier.get("TIER_ID")
        for tier in root.iter("TIER")
        for kind in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
        for item in tier.iter(kind)
    }
    problems = []
    for tier in root.iter("TIER"):
        parent = tier.get("PARENT_REF")
        if parent is not None and parent not in set(owner.values()) | {
            other.get("TIER_ID") for other in root.iter("TIER")
        }:
            problems.append(f"tier {tier.get('TIER_ID')}: there is no parent tier '{parent}'")
        for item in tier.iter("REF_ANNOTATION"):
            if owner.get(item.get("ANNOTATION_REF")) != parent:
                problems.append(f"{item.get('ANNOTATION_ID')}: refers to no annotation of tier '{parent}'")
    return problems


def _document(root: ET.Element) -> Document:
    header = root.find("HEADER")
    media = () if header is None else tuple(_media(item) for item in header.iter("MEDIA_DESCRIPTOR"))
    properties = {} if header is None else {item.get("NAME", ""): item.text or "" for item in header.iter("PROPERTY")}
    types = tuple(
        TierType(
            item.get("LINGUISTIC_TYPE_ID", ""),
            item.get("CONTROLLED_VOCABULARY_REF", ""),
            item.get("CONSTRAINTS", "") == ASSOCIATION,
        )
        for item in root.iter("LINGUISTIC_TYPE")
    )
    vocabularies = tuple(
        Vocabulary(item.get("CV_ID", ""), item.findtext("DESCRIPTION") or "", _words(item))
        for item in root.iter("CONTROLLED_VOCABULARY")
    )
    properties.pop("lastUsedAnnotationId", None)
    return Document(
        _tiers(root), types, vocabularies, media, properties, root.findtext("LICENSE") or "", root.get("DATE", "")
    )


def _media(item: ET.Element) -> Media:
    path = item.get("RELATIVE_MEDIA_URL", item.get("MEDIA_URL", "")).removeprefix("./")
    return Media(path, item.get("MIME_TYPE", ""), int(item.get("TIME_ORIGIN", 0)))


def _tiers(root: ET.Element) -> tuple[Tier, ...]:
    """Return the tiers in their order; annotations without a time of their own take the parent's."""
    slots = _slot_times(root)
    waiting = {tier.get("TIER_ID", ""): tier for tier in root.iter("TIER")}
    done: dict[str, Tier] = {}
    places: dict[str, tuple[int, Annotation]] = {}
    while waiting:
        ready = [
            name for name, tier in waiting.items() if tier.get("PARENT_REF") is None or tier.get("PARENT_REF") in done
        ]
        # Parents that form a ring can never be ready.
        for name in ready or list(waiting):
            element = waiting.pop(name)
            done[name] = _read_tier(element, slots, places)
    return tuple(done[tier.get("TIER_ID", "")] for tier in root.iter("TIER"))


def _read_tier(element: ET.Element, slots: dict[str, int | None], places: dict[str, tuple[int, Annotation]]) -> Tier:
    found: list[tuple[str, Annotation]] = []
    last = 0
    for item in element.iter():
        if item.tag == "ALIGNABLE_ANNOTATION":
            start, end = slots.get(item.get("TIME_SLOT_REF1", "")), slots.get(item.get("TIME_SLOT_REF2", ""))
            # A slot without a time lies between its neighbours; the start is what matters to us.
            begin = last if start is None else start
            last = begin + 1 if end is None else end
            found.append(
                (item.get("ANNOTATION_ID", ""), Annotation(item.findtext("ANNOTATION_VALUE") or "", begin, last))
            )
        elif item.tag == "REF_ANNOTATION" and item.get("ANNOTATION_REF") in places:
            place, parent = places[item.get("ANNOTATION_REF", "")]
            value = item.findtext("ANNOTATION_VALUE") or ""
            found.append((item.get("ANNOTATION_ID", ""), Annotation(value, parent.start_ms, parent.end_ms, place)))
    found.sort(key=lambda pair: (pair[1].start_ms, pair[1].parent))
    places.update({name: (place, annotation) for place, (name, annotation) in enumerate(found)})
    return Tier(
        element.get("TIER_ID", ""),
        element.get("LINGUISTIC_TYPE_REF", ""),
        tuple(annotation for _, annotation in found),
        element.get("PARENT_REF", ""),
        element.get("ANNOTATOR", ""),
        element.get("PARTICIPANT", ""),
    )
