"""Labels out of ELAN files, into the log of a named annotator.

Files of ``emer export elan`` name clips as they are published; the study traces them back. A tier of somebody's own, with
times instead of a parent, is matched to the clips by time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_schema.errors import LabelError
from data_schema.labels.label import Label
from data_schema.labels.store import AddedRows, LabelStore
from data_schema.publishing.elan.document import Annotation, Document, Tier
from data_schema.publishing.elan.reading import read_eaf
from data_schema.publishing.elan.tiers import CLIPS_TIER, FIELDS, SKIP_PREFIX, field_tier, rater_tier

#: What the rows say that their annotator saw: ELAN shows all tiers of a file.
VIEW = "elan"
#: Share of an annotation that must lie in a clip to mean it. Our choice.
_MIN_OVERLAP = 0.5
#: Bad annotations that are named before the rest are only counted.
_MAX_REPORTED = 20


@dataclass(frozen=True)
class ElanSource:
    """What is looked for in the files.

    Parameters
    ----------
    task : {'er', 'fer'}
    raters : sequence of str
        Names under which the annotator's tiers may go: the study's code and the published one.
    tier : str
        Name of the tier with the emotions; empty to find it by task and rater.
    clips : mapping of str to str
        The study's name of each clip, by the names that files may use.
    hashes : mapping of str to str
        SHA-256 of the recording by the study's name of the clip.
    emotions : sequence of str
        Emotions that the study offers.
    """

    task: str
    raters: Sequence[str]
    tier: str
    clips: Mapping[str, str]
    hashes: Mapping[str, str]
    emotions: Sequence[str]


def read_elan_labels(paths: Sequence[Path], source: ElanSource) -> tuple[list[Label], list[Path]]:
    """Read and check the labels of ELAN files.

    Parameters
    ----------
    paths : sequence of Path
    source : ElanSource

    Returns
    -------
    labels : list of Label
    without : list of Path
        Files without the tier: the annotator has judged no clip of that recording.

    Raises
    ------
    LabelError
        If a file cannot be read, none has such a tier, or an annotation cannot be a label; each is named (up to 20).
    """
    labels: dict[tuple[str, str, int], tuple[Label, str]] = {}
    problems: list[str] = []
    without: dict[Path, LabelError] = {}
    for path in paths:
        document = read_eaf(path)
        try:
            tier = _tier(document, source, path)
        except LabelError as error:
            without[path] = error
            continue
        for place, annotation in enumerate(tier.annotations):
            where = f"{path.name}: tier {tier.name}, {annotation.start_ms / 1000:.3f} s"
            try:
                label = _label(document, tier, place, annotation, source)
            except LabelError as error:
                problems.append(f"{where}: {error}")
                continue
            if label is None:
                continue
            first = labels.setdefault(label.key, (label, where))
            if first[0] != label:
                problems.append(
                    f"{where}: the clip {label.clip_id} was judged otherwise at {first[1]}. Keep one of the two."
                )
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:_MAX_REPORTED])
        rest = f"\n  and {len(problems) - _MAX_REPORTED} more" if len(problems) > _MAX_REPORTED else ""
        raise LabelError(
            f"{len(problems)} annotations cannot be labels; nothing was imported. Mend them in ELAN and import "
            f"again.\n{listed}{rest}"
        )
    if without and len(without) == len(paths):
        # All of them: a name that is misspelt. The file with most tiers is of most help.
        raise max(without.values(), key=lambda error: len(str(error)))
    return [label for label, _ in labels.values()], list(without)


def import_elan_labels(labels: Sequence[Label], store: LabelStore) -> AddedRows:
    """Add labels to an annotator's log; those that hold already, with the same content, are counted and not added again.

    A comment that a file does not hold, since free text stayed in the study, is kept.

    Parameters
    ----------
    labels : sequence of Label
    store : LabelStore
    """
    holds = {record.key: record.label for record in store.current()}
    commented = [
        replace(label, comment=holds[label.key].comment) if not label.comment and label.key in holds else label
        for label in labels
    ]
    new = [label for label in commented if not _says_the_same(holds.get(label.key), label)]
    store.add_many(new)
    return AddedRows(len(new), len(labels) - len(new))


def _says_the_same(known: Label | None, label: Label) -> bool:
    said = ("emotion", "skip_reason", *FIELDS)
    return known is not None and all(getattr(known, name) == getattr(label, name) for name in said)


def _tier(document: Document, source: ElanSource, path: Path) -> Tier:
    names = [source.tier] if source.tier else [rater_tier(source.task, rater) for rater in source.raters]
    for name in names:
        tier = document.tier(name)
        if tier is not None:
            return tier
    own = ", ".join(f"'{tier.name}'" for tier in document.tiers if tier.annotations) or "none with annotations"
    raise LabelError(f"{path}: has no tier '{names[0]}'. Name one with --tier; the file has: {own}.")


def _label(document: Document, tier: Tier, place: int, annotation: Annotation, source: ElanSource) -> Label | None:
    value = annotation.value.strip()
    if not value:
        return None
    clip = clip_of(document, tier, annotation, source)
    cells: dict[str, Any] = {}
    if value.startswith(SKIP_PREFIX):
        cells["skip_reason"] = value.removeprefix(SKIP_PREFIX).strip()
    else:
        cells["emotion"] = value.lower()
    for child in document.children(tier.name):
        field = next((name for name in FIELDS if _is_field(child.name, name, source)), None)
        said = next((item.value.strip() for item in child.annotations if item.parent == place), "")
        if field is not None and said:
            cells[field] = _number(said, child.name) if FIELDS[field] == "number" else said
    label = Label(clip_id=clip, clip_sha256=source.hashes[clip], task=source.task, view=VIEW, **cells)
    label.check_emotions(source.emotions)
    return label


def _is_field(name: str, field: str, source: ElanSource) -> bool:
    # Copies of a tier, as ELAN makes them, keep the beginning of the name.
    return any(name == field_tier(source.task, field, rater) for rater in source.raters) or name.startswith(
        f"{source.task.upper()}-{field}"
    )


def _number(text: str, tier: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise LabelError(f"tier {tier} says '{text}', expected a number.") from None


def clip_of(document: Document, tier: Tier, annotation: Annotation, source: ElanSource) -> str:
    """Return the study's name of the clip that an annotation is about.

    Raises
    ------
    LabelError
        If there is none.
    """
    clips = document.tier(CLIPS_TIER)
    if clips is None:
        raise LabelError(f"the file has no tier '{CLIPS_TIER}' with the names of the clips.")
    if tier.parent == CLIPS_TIER:
        name = clips.annotations[annotation.parent].value
    else:
        name = _by_time(clips, annotation)
    known = source.clips.get(name)
    if known is None:
        raise LabelError(
            f"the study has no clip '{name}'. Was the file exported from another study, or before clips changed?"
        )
    return known


def _by_time(clips: Tier, annotation: Annotation) -> str:
    def overlap(clip: Annotation) -> int:
        return min(clip.end_ms, annotation.end_ms) - max(clip.start_ms, annotation.start_ms)

    best = max(clips.annotations, key=overlap, default=None)
    if best is None or overlap(best) < _MIN_OVERLAP * (annotation.end_ms - annotation.start_ms):
        raise LabelError("lies in no clip by half of its length. Move it over the clip that it is about.")
    return best.value
