"""The fields of a label: what each offers, which digit gives what, and what a change of one does to the draft."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any

from annotation.desk.state import FIELDS, Draft, Option
from annotation.items import Item
from data_schema.labels import Label, LabelRecord, LabelValueError
from data_schema.study.sections import LabelsSection
from data_schema.vocabularies import SAM_POINTS, SCALES, SUGGESTED_POLARITY, sam_to_unit

#: How far one press of an arrow key moves a scale. For valence and arousal a fifth of a SAM point, fine enough for
#: a hand and on the grid on which agreement is computed; the others by what an annotator can tell apart.
STEP: dict[str, float] = {"valence": 0.05, "arousal": 0.05, "intensity": 0.5, "confidence": 0.25}
#: Valence and arousal are kept on this grid wherever they come from.
GRID = 0.05
_SCALES = {scale.name: scale for scale in SCALES}


def fields_of(task: str) -> tuple[str, ...]:
    """Return the fields of a pass in the order in which the focus moves."""
    return FIELDS if task == "fer" else tuple(name for name in FIELDS if name != "intensity")


def options(field: str, labels: LabelsSection) -> tuple[Option, ...]:
    """Return what a field offers and the digit of each answer."""
    if field == "emotion":
        return tuple(Option(word, number) for number, word in enumerate(labels.emotions, start=1))
    if field == "polarity":
        return tuple(Option(word, number) for number, word in enumerate(labels.polarities, start=1))
    if field in ("valence", "arousal"):
        return tuple(Option(sam_to_unit(point), point) for point in range(1, SAM_POINTS + 1))
    if field == "intensity":
        return tuple(Option(float(number), number) for number in range(4))
    if field == "confidence":
        return tuple(Option((number - 1) / 4, number) for number in range(1, 6))
    raise LabelValueError("field", field, f"one of {', '.join(FIELDS)}")


def check(field: str, value: object, labels: LabelsSection) -> str | float | None:
    """Return the value as the field keeps it; None empties the field.

    Raises
    ------
    LabelValueError
        If the study does not offer the word, or the number is not on the scale.
    """
    if value is None:
        return None
    if field in ("emotion", "polarity"):
        words = labels.emotions if field == "emotion" else labels.polarities
        if value not in words:
            raise LabelValueError(field, value, f"one of {', '.join(words)}")
        return str(value)
    scale = _SCALES.get(field)
    if scale is None:
        raise LabelValueError("field", field, f"one of {', '.join(FIELDS)}")
    expected = f"a number from {scale.low:g} to {scale.high:g} ({scale.meaning}), or nothing"
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)) or not scale.contains(float(value)):
        raise LabelValueError(field, value, expected)
    return _on_grid(float(value)) if field in ("valence", "arousal") else float(value)


def changed(draft: Draft, field: str, value: str | float | None, labels: LabelsSection) -> Draft:
    """Return the draft with one field changed, and with the polarity that a new emotion suggests.

    A person's own polarity is never overwritten: only one that was suggested, or none, makes room.
    """
    said: dict[str, Any] = {field: value, "skip_reason": None}
    if field == "polarity":
        said["polarity_suggested"] = False
    if field == "emotion" and (draft.polarity is None or draft.polarity_suggested):
        suggested = SUGGESTED_POLARITY.get(str(value)) if value is not None else None
        said["polarity"] = suggested if suggested in labels.polarities else None
        said["polarity_suggested"] = said["polarity"] is not None
    return replace(draft, **said)


def nudged(draft: Draft, field: str, direction: int, labels: LabelsSection) -> str | float | None:
    """Return what an arrow key makes of a field: a step along the scale, or the next answer of a list."""
    held = getattr(draft, field)
    if field in _SCALES:
        scale = _SCALES[field]
        start = held if held is not None else (0.0 if scale.low < 0 else scale.low - STEP[field] * (direction > 0))
        moved = start + direction * STEP[field]
        return round(min(max(moved, scale.low), scale.high) + 0.0, 4)
    words = [str(option.value) for option in options(field, labels)]
    if held is None:
        return words[0] if direction < 0 else words[-1]
    # Up is towards the first of the list, as on the screen.
    return words[min(max(words.index(held) - direction, 0), len(words) - 1)]


def after(field: str, draft: Draft, task: str) -> str:
    """Return the field that the focus moves to once `field` is said; the last one keeps it."""
    order = fields_of(task)
    place = min(order.index(field) + 1, len(order) - 1)
    if order[place] == "polarity" and draft.polarity is not None:
        place += 1
    return order[place]


def first_open(draft: Draft, task: str) -> str:
    """Return the first field that is not said; the first of all if none is open or the clip was skipped."""
    order = fields_of(task)
    if draft.skip_reason is not None:
        return order[0]
    return next((name for name in order if getattr(draft, name) is None), order[0])


def lacking(draft: Draft, required: Iterable[str], task: str) -> tuple[str, ...]:
    """Return the fields that the study asks for and the draft lacks, in the focus' order."""
    asked = set(required) | {"emotion"}  # without an emotion there is no label to store
    return tuple(name for name in fields_of(task) if name in asked and getattr(draft, name) is None)


def check_comment(text: str, item: Item) -> None:
    """Raise `LabelValueError` if no label takes the comment."""
    Label(item.clip_id, item.clip_sha256, item.task, skip_reason="cannot_decide", comment=text)


def says_the_same(draft: Draft, record: LabelRecord | None) -> bool:
    """Say whether a label holds exactly what the draft says."""
    return record is not None and replace(draft, polarity_suggested=False) == draft_of(record)


def draft_of(record: LabelRecord | None) -> Draft:
    """Return the draft that says what a label says."""
    if record is None:
        return Draft()
    names = {field.name for field in fields(Draft)} - {"polarity_suggested"}
    return Draft(**{name: getattr(record, name) for name in names})


def to_plain(draft: Draft) -> dict[str, Any]:
    """Return what is said, for JSON; what is not said is left out."""
    # By identity: a valence of 0.0 equals False, and is something that was said.
    return {
        name: value for name, value in asdict(draft).items() if value is not None and value is not False and value != ""
    }


def from_plain(plain: dict[str, Any]) -> Draft:
    """Return the draft of `to_plain`; what a newer toolkit may have added is ignored."""
    known = {field.name for field in fields(Draft)}
    return Draft(**{name: value for name, value in plain.items() if name in known})


def _on_grid(value: float) -> float:
    return round(round(value / GRID) * GRID, 4) + 0.0
