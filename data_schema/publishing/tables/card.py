"""The dataset card of a Parquet export: what the Hugging Face hub reads, and what people read first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from data_schema import __version__
from data_schema.publishing.front_matter import front_matter
from data_schema.publishing.numbers import Numbers
from data_schema.publishing.tables.declarations import PublishedTable
from data_schema.vocabularies import EMOTIONS
from data_schema.wording import counted

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication

#: Licences that the hub knows by name; another one is called "other" there and named beside.
HUB_LICENCES = frozenset(
    {
        "apache-2.0", "mit", "openrail", "afl-3.0", "agpl-3.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "cc",
        "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
        "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "gpl-3.0",
        "lgpl-3.0", "odbl", "odc-by", "pddl", "etalab-2.0", "other", "unknown",
    }
)  # fmt: skip
#: Upper ends of the hub's classes of size, counted in clips.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
NO_LICENCE = "No licence yet: nobody may use the dataset."
_GATE = (
    "The dataset shows how people looked and what they felt. By asking for access you agree not to try to find out who took "
    "part, not to pass the data on, and to delete them when you are told that a participant has withdrawn."
)


def size_class(n: int) -> str:
    """Return the hub's class of size for `n` clips."""
    return next((name for limit, name in _SIZES if n < limit), "1M<n<10M")


def licence_fields(licence: str) -> dict[str, Any]:
    """Return the licence fields of the front matter."""
    known = licence.strip().lower()
    if known in HUB_LICENCES:
        return {"license": known}
    if not known:
        return {"license": "other", "license_name": "none-yet", "license_link": "README.md"}
    link = licence if licence.startswith(("http://", "https://")) else "README.md"
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", known).strip("-"), "license_link": link}


def dataset_card(publication: Publication, numbers: Numbers, tables: list[PublishedTable]) -> str:
    """Write the card.

    Parameters
    ----------
    publication : Publication
    numbers : Numbers
    tables : list of PublishedTable
        The tables of the export, in order; the first is the one that is loaded by default.

    Returns
    -------
    str
        Markdown with a YAML head.
    """
    parts = [
        f"# {publication.name}",
        simulated_note(numbers, publication.simulated),
        publication.settings.description or "*The study has not described the dataset yet: `[publish] description`.*",
        _contents(numbers),
        _load(tables[0]),
        _tables(tables, numbers),
        _folds(publication),
        _labels(numbers),
        _withheld(publication),
        _use(publication),
    ]
    return (
        front_matter(_fields(publication, numbers, tables)) + "\n" + "\n\n".join(part for part in parts if part) + "\n"
    )


def _fields(publication: Publication, numbers: Numbers, tables: list[PublishedTable]) -> dict[str, Any]:
    settings = publication.settings
    kinds = set(numbers.annotators)
    creators = (["other"] if "human" in kinds else []) + (
        ["machine-generated"] if kinds & {"model", "simulated"} else []
    )
    tags = [
        "eye-tracking",
        "gaze",
        "pupillometry",
        "emotion-recognition",
        "facial-expression-recognition",
        "affective-computing",
    ]
    fields: dict[str, Any] = {
        "pretty_name": publication.name,
        **licence_fields(settings.licence),
        "task_categories": ["tabular-classification", "tabular-regression"],
        "size_categories": [size_class(numbers.clips)],
        "annotations_creators": creators or ["no-annotation"],
        "source_datasets": ["original"],
        "tags": tags + (["simulated"] if publication.simulated else []),
        "configs": [
            {
                "config_name": table.name,
                **({"default": True} if table is tables[0] else {}),
                "data_files": [{"split": "train", "path": f"data/{table.name}/train-*.parquet"}],
            }
            for table in tables
        ],
    }
    if settings.gated:
        fields["extra_gated_heading"] = "Access on request"
        fields["extra_gated_prompt"] = _GATE
        fields["extra_gated_fields"] = {
            "Name": "text",
            "Institution": "text",
            "Country": "country",
            "What I want the data for": "text",
            "I keep to what is said above": "checkbox",
        }
        fields["extra_gated_button_content"] = "Ask for access"
    return fields


def simulated_note(numbers: Numbers, simulated: bool) -> str:
    """Return the warning that data are simulated; empty for real ones."""
    if not simulated:
        return ""
    return (
        f"> **SIMULATED DATA.** {numbers.simulated_clips} of {counted(numbers.clips, 'clip')} come from simulated or replayed "
        "devices. What participants felt and showed was planted by a program; nothing here says anything about people."
    )


def markdown_table(header: list[str], rows: list[list[Any]]) -> str:
    """Return a Markdown table; bars in cells are escaped."""
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(' --- ' for _ in header)}|"]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])


def _contents(numbers: Numbers) -> str:
    low, median, high = numbers.clip_s
    rates = ", ".join(map(str, numbers.rates_hz))
    lines = [
        "## Contents",
        "",
        (
            f"{counted(numbers.clips, 'clip')} of {counted(numbers.participants, 'participant')} in "
            f"{counted(numbers.sessions, 'session')}; {numbers.included} keep the study's quality rule (column `included`). "
            f"Clips last {low:.1f} to {high:.1f} s (median {median:.1f} s), {numbers.minutes:.1f} minutes in all; "
            f"{numbers.per_participant[0]} to {numbers.per_participant[1]} per participant; "
            f"{counted(numbers.stimuli, 'stimulus') if numbers.stimuli == 1 else f'{numbers.stimuli} stimuli'}."
        ),
        "",
        f"Eye tracker: {', '.join(numbers.trackers) or 'not stated'}{f', {rates} Hz' if rates else ''}.",
    ]
    if numbers.loss:
        lines[-1] += (
            f" Gaze samples without any eye: median {numbers.loss[0]:.1%} of a recording, at most {numbers.loss[2]:.1%}."
        )
    if numbers.accuracy_deg:
        lines[-1] += (
            f" Accuracy at validation: median {numbers.accuracy_deg[0]:.2f}°, worst {numbers.accuracy_deg[2]:.2f}°."
        )
    return "\n".join(lines)


def _load(default: PublishedTable) -> str:
    return "\n".join(
        [
            "## Load it",
            "",
            "```python",
            "from datasets import load_dataset",
            "",
            f'{default.name} = load_dataset("path/to/this/folder", "{default.name}", split="train")',
            "```",
            "",
            (
                "or `pandas.read_parquet` on any file under `data/`. Units and meanings of the columns stand in the schema of "
                "each file: `pyarrow.parquet.read_schema(file).field(name).metadata`."
            ),
        ]
    )


def _tables(tables: list[PublishedTable], numbers: Numbers) -> str:
    lines = ["## Tables", ""]
    rows = [[f"`{table.name}`", table.row, numbers.rows.get(table.name, "")] for table in tables]
    lines.append(markdown_table(["configuration", "one row is", "rows"], rows))
    for table in tables:
        rows = [[f"`{c.name}`", c.dtype, c.unit, c.meaning] for c in table.columns]
        lines += ["", f"### `{table.name}`", "", markdown_table(["column", "type", "unit", "meaning"], rows)]
    return "\n".join(lines)


def _folds(publication: Publication) -> str:
    lines = [
        "## Splits",
        "",
        (
            "All rows are in one split, which the hub calls `train`: it is no training set. A random split would put one "
            "participant on both sides, and what is learnt of a person would pass for what is learnt of emotion."
        ),
    ]
    if publication.folds:
        n = publication.n_folds
        lines.append(
            f"Use the column `fold` ({n} folds, no participant in two): fold k tests, fold k + 1 (of {n}) validates, the others "
            "train."
        )
    else:
        lines.append("The study has frozen no folds yet. Split by the column `participant`.")
    return "\n".join([*lines[:2], " ".join(lines[2:])])


def _labels(numbers: Numbers) -> str:
    if not numbers.rows.get("targets") and not numbers.rows.get("labels"):
        return "## Labels\n\nThere are no labels in this version."
    lines = ["## Labels", "", "ER is what the participant felt, FER what the face showed; they are judged apart.", ""]
    words = [*EMOTIONS, "missing"]
    rows = [[word, numbers.emotions["er"].get(word, 0), numbers.emotions["fer"].get(word, 0)] for word in words]
    lines.append(markdown_table(["emotion", "ER clips", "FER clips"], rows))
    if numbers.gap is not None:
        lines += ["", f"ER and FER differ in {numbers.gap:.1%} of the clips that have both."]
    who = ", ".join(f"{n} {kind}" for kind, n in numbers.annotators.items())
    if who:
        lines += ["", f"Annotators: {who}. {annotations_per_clip(numbers)}"]
    return "\n".join(lines)


def annotations_per_clip(numbers: Numbers) -> str:
    """Say how many annotators judged a clip, by task; empty without annotators."""
    return " ".join(
        f"{task.upper()}: {low} to {high} annotators a clip, median {median:g}." if low != high else
        f"{task.upper()}: {counted(low, 'annotator')} a clip."
        for task, (low, median, high) in numbers.labels_per_clip.items()
    )  # fmt: skip


def _withheld(publication: Publication) -> str:
    if not publication.withheld:
        return "## Held back\n\nNothing."
    rows = [[item.what, item.why, item.count] for item in publication.withheld]
    return "## Held back\n\n" + markdown_table(["what", "why", "count"], rows)


def _use(publication: Publication) -> str:
    settings = publication.settings
    licence = settings.licence or f"{NO_LICENCE} (`[publish] licence`)"
    lines = ["## Use", "", f"Licence: {licence}", ""]
    lines.append(f"Cite: {citation(publication)}")
    if settings.contact:
        lines += ["", f"Contact: {settings.contact}"]
    if settings.references:
        lines += ["", "References:", "", *(f"- {reference}" for reference in settings.references)]
    lines += [
        "",
        f"How it was made, and what it should not be used for: `datasheet.md`. Made by emer-toolkit {__version__}.",
    ]
    return "\n".join(lines)


def citation(publication: Publication) -> str:
    """Return how to cite the dataset, of what the study has said."""
    settings = publication.settings
    authors = ", ".join(settings.authors) or "The authors (not named yet)"
    year = f" ({settings.date[:4]})" if settings.date else ""
    where = f" {settings.url}" if settings.url else ""
    return f"{authors}{year}. {publication.name}, version {publication.version} [Data set].{where}"
