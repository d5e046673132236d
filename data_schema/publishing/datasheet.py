"""The datasheet of a published dataset, filled with numbers that were counted and answers that people gave.

References
----------
Gebru et al. (2021), "Datasheets for Datasets", Communications of the ACM 64(12): the sections and what each asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from data_schema import __version__
from data_schema.publishing.numbers import Numbers, count
from data_schema.publishing.tables.build import recordings_table
from data_schema.publishing.tables.card import (
    NO_LICENCE,
    annotations_per_clip,
    citation,
    markdown_table,
    simulated_note,
)
from data_schema.vocabularies import EMOTIONS
from data_schema.wording import counted

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication
    from data_schema.study.config import StudyConfig

DATASHEET_NAME = "datasheet.md"
_FACES = {
    "video": "face videos",
    "blurred": "face videos in which the face is blurred",
    "landmarks": "landmarks of the face, no picture",
    "features": "numbers computed from the face, no picture",
    "none": "nothing of the face",
}


def not_said(key: str) -> str:
    """Return the sentence that stands where people must answer."""
    return f"*The study has not said this yet: `[publish] {key}` in study.toml.*"


def unanswered(publication: Publication) -> list[str]:
    """Return the keys of ``[publish]`` that only people can fill and nobody has."""
    keys = (
        "description", "licence", "authors", "contact", "ethics_approval", "funding", "purpose", "population", "recruitment",
        "annotators", "known_biases", "intended_uses", "unsuitable_uses", "maintenance", "date", "url",
    )  # fmt: skip
    return [key for key in keys if not getattr(publication.settings, key)]


def datasheet_of(publication: Publication, *, gaze: bool) -> str:
    """Write the datasheet of a publication that is no set of tables.

    Parameters
    ----------
    publication : Publication
    gaze : bool
        True if every gaze sample is in it.
    """
    numbers = replace(count(publication, [recordings_table(publication)]), rows={"gaze": 0} if gaze else {})
    return datasheet(publication, numbers)


def datasheet(publication: Publication, numbers: Numbers) -> str:
    """Write the datasheet.

    Parameters
    ----------
    publication : Publication
    numbers : Numbers

    Returns
    -------
    str
        Markdown; the same for the same publication.
    """
    text = (
        resources.files("data_schema.publishing")
        .joinpath("templates")
        .joinpath("datasheet.md")
        .read_text(encoding="utf-8")
    )
    filled = Template(text).substitute(
        {**_people(publication), **_composition(publication, numbers), **_making(publication, numbers)}
    )
    # Long answers may hold several lines; blank ones are never more than one.
    lines: list[str] = []
    for line in filled.splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).rstrip() + "\n"


def _people(publication: Publication) -> Mapping[str, str]:
    settings = publication.settings
    said = {
        key: getattr(settings, key) or not_said(key)
        for key in (
            "purpose", "description", "population", "recruitment", "annotators", "intended_uses", "unsuitable_uses",
            "maintenance", "contact",
        )
    }  # fmt: skip
    return said | {
        "name": publication.name,
        "version": publication.version,
        "funding": "; ".join(settings.funding) or not_said("funding"),
        "ethics": settings.ethics_approval or not_said("ethics_approval"),
        "biases": settings.known_biases or not_said("known_biases"),
        "licence": settings.licence or f"{NO_LICENCE} {not_said('licence')}",
        "citation": citation(publication),
        "references": "; ".join(settings.references) or "None named.",
        "pseudonyms": "drawn anew for the publication; only the lab can trace them back"
        if settings.pseudonyms == "new"
        else "taken over from the study",
        "dates": "were dropped"
        if settings.dates == "drop"
        else "were moved by a random number of days for each participant",
        "min_group": str(settings.min_group),
        "distribution": "On request (gated)." if settings.gated else "Without asking for access.",
    }


def _composition(publication: Publication, numbers: Numbers) -> Mapping[str, str]:
    low, median, high = numbers.clip_s
    counts = (
        f"{counted(numbers.clips, 'clip')} of {counted(numbers.participants, 'participant')} in "
        f"{counted(numbers.sessions, 'session')} and {counted(numbers.recordings, 'recording')}; {numbers.included} keep the "
        f"study's quality rule. {numbers.stimuli} stimuli. A clip lasts {low:.1f} to {high:.1f} s (median {median:.1f} s), "
        f"{numbers.minutes:.1f} minutes in all; {numbers.per_participant[0]} to {numbers.per_participant[1]} clips per "
        "participant."
    )
    rows = [[f"`{name}`", n] for name, n in numbers.rows.items() if n]
    reasons = publication.clips["exclusion_reason"].fillna("").astype(str)
    excluded = reasons[~publication.clips["included"].astype(bool)].value_counts().sort_index()
    why = "; ".join(f"{counted(int(n), 'clip')}: {reason or 'not stated'}" for reason, n in excluded.items())
    lost = ""
    if numbers.loss:
        middle, least, most = numbers.loss
        lost = f" Of gaze samples, {middle:.1%} have no eye (median of the recordings; {least:.1%} to {most:.1%})."
    return {
        "simulated": simulated_note(numbers, publication.simulated).removeprefix("> "),
        "counts": counts,
        "tables": markdown_table(["table", "rows"], rows) if rows else "",
        "holds": "See the tables; each column has its type, unit and meaning in the schema, the card or the codebook.",
        "labels": _labels(numbers),
        "emotions": _emotions(numbers),
        "missing": (f"{why} (kept, with `included` false)." if why else "No clip breaks the quality rule.") + lost,
        "splits": _splits(publication),
        "quality": _quality(numbers),
        "faces": _faces(publication),
        "groups": _groups(publication),
    }


def _has_targets(numbers: Numbers) -> bool:
    return any(n for words in numbers.emotions.values() for word, n in words.items() if word != "missing")


def _labels(numbers: Numbers) -> str:
    if not _has_targets(numbers):
        return "No: there are no labels in this version."
    gap = f" They differ in {numbers.gap:.1%} of the clips that have both." if numbers.gap is not None else ""
    return (
        f"Both, by clip: ER and FER, each as one of seven emotions, a polarity, valence and arousal; FER with intensity. A tie, "
        f"a skip or a missing answer is a missing target.{gap} {counted(numbers.self_reports, 'clip')} with a self-report."
    )


def _emotions(numbers: Numbers) -> str:
    if not _has_targets(numbers):
        return ""
    rows = [[w, numbers.emotions["er"].get(w, 0), numbers.emotions["fer"].get(w, 0)] for w in (*EMOTIONS, "missing")]
    return markdown_table(["emotion", "ER clips", "FER clips"], rows)


def _splits(publication: Publication) -> str:
    if not publication.folds:
        return "Not yet: the study has frozen no folds. Split by participant, never by clip."
    return (
        f"Yes: {publication.n_folds} folds, no participant in two, frozen before models were trained. The number of "
        f"a participant's fold is called `fold`: fold k tests, fold k + 1 (of {publication.n_folds}, counted from 0) validates, "
        "the others train."
    )


def _quality(numbers: Numbers) -> str:
    parts = []
    if numbers.accuracy_deg:
        median, low, high = numbers.accuracy_deg
        parts.append(f"Accuracy at validation: median {median:.2f}° over recordings ({low:.2f}° to {high:.2f}°).")
    parts.append("Each clip states the share of its gaze samples with an eye; each recording its losses.")
    return " ".join(parts)


def _faces(publication: Publication) -> str:
    levels = [recording.faces for recording in publication.recordings]
    said = "; ".join(
        f"{counted(levels.count(level), 'recording')}: {meaning}"
        for level, meaning in _FACES.items()
        if level in levels
    )
    return f"What may leave of the face, by consent: {said}. The stimuli were chosen to stir emotions, also unpleasant ones."


def _groups(publication: Publication) -> str:
    table = publication.participants
    parts = []
    for name in table.columns:
        cells = table[name].dropna()
        cells = cells[cells.astype(str) != ""]
        if name == "participant" or not len(cells):
            continue
        counts = cells.astype(str).value_counts().sort_index()
        parts.append(f"{name}: " + ", ".join(f"{value} ({n})" for value, n in counts.items()))
    return "; ".join(parts) + "." if parts else "No facts about participants are published."


def _parameters(config: StudyConfig) -> str:
    """Say with which settings eye movements and targets were made: nobody can repeat them without."""
    eye, blinks, labels = config.eye_movements, config.blinks, config.labels
    noise = "none"
    if eye.noise_reduction != "none":
        noise = f"{eye.noise_reduction.replace('_', ' ')} of {eye.noise_window_samples} samples"
    merged = (
        f"fixations at most {eye.merge_max_time_ms:g} ms and {eye.merge_max_angle_deg:g}° apart joined"
        if eye.merge_fixations
        else "no fixations joined"
    )
    who = "the participants' own reports" if labels.er_source == "self_report" else "annotators"
    return (
        f"I-VT: eye {eye.eye}, losses up to {eye.max_gap_ms:g} ms bridged, noise reduction {noise}, velocity over "
        f"{eye.velocity_window_ms:g} ms, threshold {eye.velocity_threshold_deg_s:g}°/s, {merged}, those under "
        f"{eye.min_fixation_ms:g} ms discarded. Blinks: openness below {blinks.closed_share:.0%} of the eye's median for "
        f"{blinks.min_ms:g} to {blinks.max_ms:g} ms. Targets: ER by {who}, consensus by {labels.consensus}; valence, arousal and "
        "intensity are means."
    )


def _making(publication: Publication, numbers: Numbers) -> Mapping[str, str]:
    rates = ", ".join(map(str, numbers.rates_hz))
    with_gaze = "gaze" in numbers.rows
    who = ", ".join(f"{n} {kind}" for kind, n in numbers.annotators.items())
    rows = [[item.what, item.why, item.count] for item in publication.withheld]
    return {
        "acquisition": (
            f"In a lab, in front of a screen, with an eye tracker ({', '.join(numbers.trackers) or 'model not stated'}"
            f"{f', {rates} Hz' if rates else ''}) and a camera on the face, while stimuli were shown that were chosen to induce "
            "emotions; after each, participants said how they felt."
        ),
        "time_frame": "Dates do not leave the study."
        if publication.settings.dates == "drop"
        else "Dates were moved; the distances between a participant's sessions are true.",
        "withheld": markdown_table(["what", "why", "count"], rows) if rows else "Nothing.",
        "processing": (
            "Fixations and saccades by velocity threshold (I-VT), blinks, cleaned pupil and summary features were computed from "
            f"the gaze. {_parameters(publication.study.config)} Raw samples were not altered; their times count from the start "
            "of their recording."
        ),
        "raw": "Gaze: yes, every sample."
        if with_gaze
        else "Gaze samples are not in this form of the dataset; summaries are.",
        "annotator_counts": f"({who}.) {annotations_per_clip(numbers)}"
        if who
        else "There are no annotators in this version.",
        "toolkit": __version__,
    }
