"""Write annotation documents as ELAN's XML, format 3.0; the same document gives the same bytes.

References
----------
Max Planck Institute for Psycholinguistics, "EAF annotation format 3.0", schema EAFv3.0.xsd: names, order and attributes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from data_schema.publishing.elan.document import ASSOCIATION, Annotation, Document, Tier, Vocabulary

FORMAT = "3.0"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_LANGUAGE = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")
_CONSTRAINTS = {
    "Time_Subdivision": "Parts of the parent's time, without gaps",
    "Symbolic_Subdivision": "Parts of the parent in their order, without times",
    ASSOCIATION: "One annotation for one of the parent's",
    "Included_In": "Within the parent's time, gaps allowed",
}
#: Characters that XML 1.0 cannot hold at all.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_eaf(document: Document) -> bytes:
    """Return a document as the bytes of an .eaf file.

    Parameters
    ----------
    document : Document
    """
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": document.date,
            "FORMAT": FORMAT,
            "VERSION": FORMAT,
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    if document.licence:
        ET.SubElement(root, "LICENSE", {"LICENSE_URL": ""}).text = _text(document.licence)
    _header(root, document)
    slots = _Slots(document)
    order = ET.SubElement(root, "TIME_ORDER")
    for name, time_ms in slots.ordered:
        ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": str(time_ms)})
    codes = {v.name: {word: f"cve_{v.name}_{n}" for n, word in enumerate(v.words)} for v in document.vocabularies}
    of_type = {kind.name: codes.get(kind.vocabulary, {}) for kind in document.types}
    for number, tier in enumerate(document.tiers):
        _tier(root, tier, number, slots, of_type.get(tier.type, {}))
    for kind in document.types:
        said = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": kind.name}
        said["TIME_ALIGNABLE"] = "false" if kind.associated else "true"
        if kind.associated:
            said["CONSTRAINTS"] = ASSOCIATION
        if kind.vocabulary:
            said["CONTROLLED_VOCABULARY_REF"] = kind.vocabulary
        ET.SubElement(root, "LINGUISTIC_TYPE", dict(sorted(said.items())))
    language, definition, label = _LANGUAGE
    ET.SubElement(root, "LANGUAGE", {"LANG_DEF": definition, "LANG_ID": language, "LANG_LABEL": label})
    for stereotype, meaning in _CONSTRAINTS.items():
        ET.SubElement(root, "CONSTRAINT", {"DESCRIPTION": meaning, "STEREOTYPE": stereotype})
    for vocabulary in document.vocabularies:
        _vocabulary(root, vocabulary, codes[vocabulary.name])
    ET.register_namespace("xsi", _XSI)
    ET.indent(root, "    ")
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _header(root: ET.Element, document: Document) -> None:
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    for media in document.media:
        said = {"MEDIA_URL": f"./{media.path}", "MIME_TYPE": media.mime, "RELATIVE_MEDIA_URL": f"./{media.path}"}
        if media.origin_ms:
            said["TIME_ORIGIN"] = str(media.origin_ms)
        ET.SubElement(header, "MEDIA_DESCRIPTOR", said)
    count = sum(len(tier.annotations) for tier in document.tiers)
    for name, value in {**document.properties, "lastUsedAnnotationId": str(count)}.items():
        ET.SubElement(header, "PROPERTY", {"NAME": name}).text = _text(value)


class _Slots:
    """Time slots of all annotations with times of their own, numbered in the order of time."""

    def __init__(self, document: Document) -> None:
        wanted: list[tuple[int, int, int, int]] = []
        self.annotations: dict[tuple[int, int], str] = {}
        for tier_number, tier in enumerate(document.tiers):
            for place, annotation in enumerate(tier.annotations):
                self.annotations[tier_number, place] = f"a{len(self.annotations) + 1}"
                if not tier.parent:
                    wanted.append((annotation.start_ms, tier_number, place, 0))
                    wanted.append((annotation.end_ms, tier_number, place, 1))
        wanted.sort()
        self._names = {(t, place, end): f"ts{n}" for n, (_, t, place, end) in enumerate(wanted, 1)}
        self.ordered = [(f"ts{n}", time_ms) for n, (time_ms, *_) in enumerate(wanted, 1)]
        self.tiers = {tier.name: number for number, tier in enumerate(document.tiers)}

    def slot(self, tier: int, place: int, end: int) -> str:
        return self._names[tier, place, end]


def _tier(root: ET.Element, tier: Tier, number: int, slots: _Slots, codes: dict[str, str]) -> None:
    said = {"LINGUISTIC_TYPE_REF": tier.type, "TIER_ID": tier.name}
    said |= {"ANNOTATOR": tier.annotator} if tier.annotator else {}
    said |= {"PARENT_REF": tier.parent} if tier.parent else {}
    said |= {"PARTICIPANT": tier.participant} if tier.participant else {}
    element = ET.SubElement(root, "TIER", dict(sorted(said.items())))
    for place, annotation in enumerate(tier.annotations):
        inner = ET.SubElement(element, "ANNOTATION")
        told = {"ANNOTATION_ID": slots.annotations[number, place]}
        told |= {"CVE_REF": codes[annotation.value]} if annotation.value in codes else {}
        if tier.parent:
            told["ANNOTATION_REF"] = slots.annotations[slots.tiers[tier.parent], annotation.parent]
            kind = "REF_ANNOTATION"
        else:
            told["TIME_SLOT_REF1"], told["TIME_SLOT_REF2"] = slots.slot(number, place, 0), slots.slot(number, place, 1)
            kind = "ALIGNABLE_ANNOTATION"
        value = ET.SubElement(ET.SubElement(inner, kind, dict(sorted(told.items()))), "ANNOTATION_VALUE")
        value.text = _text(annotation.value)


def _vocabulary(root: ET.Element, vocabulary: Vocabulary, codes: dict[str, str]) -> None:
    element = ET.SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": vocabulary.name})
    ET.SubElement(element, "DESCRIPTION", {"LANG_REF": _LANGUAGE[0]}).text = _text(vocabulary.meaning)
    for word, meaning in vocabulary.words.items():
        entry = ET.SubElement(element, "CV_ENTRY_ML", {"CVE_ID": codes[word]})
        ET.SubElement(entry, "CVE_VALUE", {"DESCRIPTION": _text(meaning), "LANG_REF": _LANGUAGE[0]}).text = _text(word)


def apart(annotations: list[Annotation]) -> tuple[Annotation, ...]:
    """Return annotations of one tier so that each lasts at least 1 ms and none overlaps the next, as ELAN demands.

    What begins before its predecessor ends is cut to begin there; what is left of nothing is dropped.
    """
    kept: list[Annotation] = []
    free_ms = 0
    for item in sorted(annotations, key=lambda item: (item.start_ms, item.end_ms, item.value)):
        start = max(item.start_ms, free_ms)
        end = max(item.end_ms, start + 1) if item.end_ms == item.start_ms else item.end_ms
        if end > start:
            kept.append(Annotation(item.value, start, end))
            free_ms = end
    return tuple(kept)
