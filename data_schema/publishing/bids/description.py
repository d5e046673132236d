"""What the dataset says of itself: description, README, CHANGES, LICENSE, the list of stimuli.

References
----------
BIDS Specification 1.11.1, "Dataset description". BIDS Extension Proposal 044 for ``stimuli/stimuli.tsv``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.publishing.bids.events import HED_VERSION
from data_schema.publishing.bids.run import SIMULATED_DATASET, RunFacts
from data_schema.publishing.bids.tsv import seconds, write_json, write_text, write_tsv
from data_schema.publishing.publication import Publication
from data_schema.publishing.tables.card import citation
from data_schema.session.creation import software_versions
from data_schema.session.layout import LUMINANCE, decode_text

BIDS_VERSION = "1.11.1"
SOFTWARE = "EMER toolkit"
NO_LICENCE = "No licence has been chosen yet: nobody may use this dataset until the study names one."
#: What goes where the standard recommends a field that a study does not know; the standard's own word.
UNKNOWN = "n/a"
_DOI = "doi.org/10."


def software_version() -> str:
    """Return the toolkit's version."""
    return software_versions().get("emer-toolkit", "")


def task_fields(publication: Publication) -> dict[str, Any]:
    """Return what all sidecars of the task say first."""
    return {
        "TaskName": publication.name,
        "TaskDescription": (
            "Participants watched clips that are meant to induce emotions while their eyes were tracked; after each clip they "
            "said how they had felt."
        ),
        "Instructions": "Watch the clip; then say how you felt while you watched it.",
        "CogAtlasID": UNKNOWN,
        "CogPOID": UNKNOWN,
        "InstitutionName": UNKNOWN,
        "InstitutionAddress": UNKNOWN,
        "InstitutionalDepartmentName": UNKNOWN,
    }


def _generated_by() -> dict[str, Any]:
    made = {"Name": SOFTWARE, "Description": "emer export bids"}
    version = software_version()
    return made | ({"Version": version} if version else {})


def dataset_description(publication: Publication, kind: str = "raw", part: str = "", what: str = "") -> dict[str, Any]:
    """Return ``dataset_description.json``.

    Parameters
    ----------
    publication : Publication
    kind : str
        ``raw`` or ``derivative``.
    part : str
        Name of a derivative.
    what : str
        What a derivative holds.
    """
    settings = publication.settings
    name = f"{publication.name}: {part}" if part else publication.name
    if publication.simulated:
        name = f"SIMULATED - {name}"
    source: dict[str, Any] = {"Version": publication.version}
    if settings.url.startswith(("http://", "https://")):
        source["URL"] = settings.url
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "HEDVersion": HED_VERSION,
        "License": settings.licence or "none chosen: all rights reserved",
        "Authors": list(settings.authors) or None,
        "Funding": list(settings.funding) or None,
        "EthicsApprovals": [settings.ethics_approval] if settings.ethics_approval else None,
        "ReferencesAndLinks": list(settings.references) or None,
        "HowToAcknowledge": f"Please cite: {citation(publication)}",
        "DatasetDOI": settings.url if _DOI in settings.url and not part else None,
        "Description": what or settings.description or None,
        "DatasetVersion": publication.version,
        "GeneratedBy": [_generated_by()],
        "SourceDatasets": [source] if part else [],
        "Simulated": publication.simulated or None,
    }


def write_stimuli(root: Path, publication: Publication) -> None:
    """Write the list of stimuli: names, hashes and licence notes; the files are others' works and stay where they are."""
    items = publication.stimuli
    write_tsv(
        root / "stimuli" / "stimuli.tsv",
        {
            "stim_id": [item.id for item in items],
            "file": [item.file for item in items],
            "target_emotion": [item.target_emotion for item in items],
            "duration": [f"{item.duration_s:.6f}" if math.isfinite(item.duration_s) else None for item in items],
            "licence": [item.licence for item in items],
            "sha256": [item.sha256 for item in items],
        },
    )
    write_json(
        root / "stimuli" / "stimuli.json",
        {
            "Description": "Stimuli of the study. The files are others' works and not part of the dataset.",
            "stim_id": {"Description": "Identifier, as in the column stim_id of events."},
            "file": {"Description": "Name of the file in the study."},
            "target_emotion": {"Description": "Emotion that it is meant to induce."},
            "duration": {"Description": "Length of the file.", "Units": "s"},
            "licence": {"Description": "Licence or source, as the study notes it."},
            "sha256": {"Description": "SHA-256 of the file, to tell whether another copy is the same; n/a if unknown."},
        },
    )


def write_luminance(root: Path, publication: Publication) -> None:
    """Write the luminance of the stimuli over time, where the recordings carry it: pupils follow light."""
    found: dict[str, npt.NDArray[Any]] = {}
    wanted = {item.id for item in publication.stimuli}
    for recording in publication.recordings:
        if wanted <= set(found):
            break
        with recording.open() as session:
            for rows in session.rows(LUMINANCE):
                names = np.array(decode_text(rows["stimulus_id"]))
                for name in sorted((set(names) & wanted) - set(found)):
                    found[name] = rows[names == name]
    if not found:
        return
    rows = np.concatenate([found[name] for name in sorted(found)])
    write_tsv(
        root / "stimuli" / "luminance.tsv",
        {
            "stim_id": decode_text(rows["stimulus_id"]),
            "clip_time": seconds(rows["clip_time_us"]),
            "luminance": rows["luminance"],
        },
    )
    write_json(
        root / "stimuli" / "luminance.json",
        {
            "Description": "Light of the stimuli, frame by frame, computed from their files: pupils follow light.",
            "stim_id": {"Description": "Identifier of the stimulus."},
            "clip_time": {"Description": "Time inside the clip.", "Units": "s"},
            "luminance": {
                "Description": "Mean relative luminance of the frame, 0 to 1 (linear light, BT.709 weights)."
            },
        },
    )


#: Sections of study.toml that decide what was computed, and how; the rest stays in the study.
SETTINGS_SECTIONS: tuple[str, ...] = (
    "screen", "clips", "quality", "eye_movements", "blinks", "pupil", "folds", "publish"
)  # fmt: skip
SETTINGS_PATH = "code/study_settings.json"


def write_settings(root: Path, publication: Publication) -> None:
    """Write the settings that the tables of the dataset were computed with."""
    config = publication.study.config
    content: dict[str, Any] = {"study": {"title": config.study.title}}
    for name in SETTINGS_SECTIONS:
        content[name] = getattr(config, name).model_dump(mode="json")
    content["folds"]["n"] = publication.n_folds or config.folds.n
    content["publish"] = publication.settings.model_dump(mode="json")
    content["labels"] = {"er_source": config.labels.er_source, "consensus": config.labels.consensus}
    write_json(root / SETTINGS_PATH, content)


def write_pages(root: Path, publication: Publication, runs: Sequence[RunFacts], derivatives: Sequence[str]) -> None:
    """Write description, README, CHANGES and LICENSE."""
    write_json(root / "dataset_description.json", dataset_description(publication))
    write_text(root / "README.md", readme(publication, runs, derivatives))
    first = publication.settings.date or "undated"
    write_text(root / "CHANGES", f"{publication.version} {first}\n  - This version.\n")
    licence = publication.settings.licence
    write_text(
        root / "LICENSE",
        (f"This dataset is licensed under {licence}.\n" if licence else NO_LICENCE + "\n")
        + "Stimuli are not part of the dataset and keep their own licences: see stimuli/stimuli.tsv.\n",
    )


def readme(publication: Publication, runs: Sequence[RunFacts], derivatives: Sequence[str]) -> str:
    """Return the README, with the dataset's own numbers."""
    settings = publication.settings
    parts = [f"# {publication.name}\n"]
    if publication.simulated:
        parts.append(SIMULATED_DATASET + "\n")
    if settings.description:
        parts.append(settings.description + "\n")
    parts += [
        "## What is in it\n",
        _numbers(publication, runs),
        _where(derivatives),
        _open_it(runs),
        _read_it(publication),
        _held_back(publication),
    ]
    said = (
        ("Purpose", settings.purpose), ("Who took part", settings.population), ("Recruitment", settings.recruitment),
        ("Annotators", settings.annotators), ("Known biases", settings.known_biases),
        ("Intended uses", settings.intended_uses), ("Unsuitable uses", settings.unsuitable_uses),
        ("Ethics", settings.ethics_approval), ("Maintenance", settings.maintenance), ("Contact", settings.contact),
    )  # fmt: skip
    parts += [f"## {title}\n\n{text}\n" for title, text in said if text]
    licence = settings.licence or NO_LICENCE
    parts.append(f"## Licence\n\n{licence}\n")
    parts.append(f"## How to cite\n\n{citation(publication)}\n")
    return "\n".join(parts)


def _numbers(publication: Publication, runs: Sequence[RunFacts]) -> str:
    clips = publication.clips
    gaze = [run for run in runs if run.gaze is not None]
    minutes = sum((run.gaze.last_us - run.gaze.first_us) / 6e7 for run in gaze if run.gaze is not None)
    samples = sum(run.gaze.n_samples for run in gaze if run.gaze is not None)
    rates = sorted({round(run.rate_hz) for run in gaze if math.isfinite(run.rate_hz)})
    trackers = sorted({run.tracker for run in gaze if run.tracker})
    video_s = sum(run.video_s for run in runs)
    sessions = {(run.name.subject, run.name.session) for run in runs}
    labels = publication.labels
    rows = [
        ("Participants", str(len(publication.participants))),
        ("Sessions, runs", f"{len(sessions)}, {len(runs)}"),
        ("Clips shown, of these within the study's quality rule", f"{len(clips)}, {int(clips['included'].sum())}"),
        (
            "Gaze",
            f"{samples:,} samples in {minutes:.1f} min" + (f" at {', '.join(map(str, rates))} Hz" if rates else ""),
        ),
        ("Runs without gaze", str(len(runs) - len(gaze))),
        ("Eye tracker", ", ".join(trackers) or "not known"),
        ("Fixations, saccades and blinks in clips", f"{sum(run.n_movements for run in runs):,}"),
        ("Face video", f"{video_s / 60:.1f} min of {sum(run.video_s > 0 for run in runs)} runs"),
        ("ER labels, FER labels", f"{(labels['task'] == 'er').sum()}, {(labels['task'] == 'fer').sum()}"),
        ("Stimuli", str(len(publication.stimuli))),
    ]
    return "".join(["| | |\n|---|---|\n", *(f"| {name} | {value} |\n" for name, value in rows)])


def _where(derivatives: Sequence[str]) -> str:
    rows = [
        (
            "`sub-*/ses-*/beh/*_recording-eye1_physio.tsv.gz`",
            "gaze of the left eye, `eye2` of the right; columns in the `.json`",
        ),
        ("`..._physioevents.tsv.gz`", "fixations, saccades and blinks of that eye during clips; messages"),
        ("`..._events.tsv`", "clips shown and everything else that happened"),
        ("`..._recording-screen_stim.tsv.gz`", "refreshes of the screen: which moment of the clip was on it"),
        ("`..._beh.tsv`", "what the participant answered after each clip"),
        ("`..._recording-face_video.mp4`", "the face, where it may be shown (proposal BEP047, `.bidsignore`d)"),
        ("`phenotype/`", "questionnaires"),
        ("`stimuli/stimuli.tsv`", "names, hashes and licences of the stimuli; not the files"),
        ("`stimuli/luminance.tsv`", "how bright each stimulus is over time"),
        (f"`{SETTINGS_PATH}`", "the settings that tables were computed with"),
        *((f"`derivatives/{name}/`", _DERIVATIVES[name]) for name in derivatives),
    ]
    return "\n| File | Holds |\n|---|---|\n" + "".join(f"| {file} | {what} |\n" for file, what in rows)


#: What each derivative holds.
_DERIVATIVES: dict[str, str] = {
    "eyemovements": "eye movements with the study's choice of eye; quality and summary features of each clip",
    "annotations-er": "what raters say the participant felt (ER), and the participant's own report: labels, consensus, marks",
    "annotations-fer": "what raters say the face shows (FER): labels, consensus, marks",
    "faces": "landmarks and quality of the face, frame by frame",
}


def derivative_text(name: str) -> str:
    """Return what a derivative holds, as a sentence."""
    text = _DERIVATIVES[name]
    return text[0].upper() + text[1:] + "."


def _open_it(runs: Sequence[RunFacts]) -> str:
    first = next((run for run in runs if run.gaze is not None), None)
    if first is None:
        return ""
    path = first.name.path("physio", ".tsv.gz", recording="eye1")
    return (
        "\n## How to open it\n\n"
        "One clock a run: `timestamp` of the gaze, `onset` of events and eye movements, and `StartTime` of the video are seconds "
        "since the same moment, the run's first sample.\n\n"
        "```python\nimport json, pandas as pd\n"
        f'name = "{path.as_posix().removesuffix(".tsv.gz")}"\n'
        'about = json.load(open(name + ".json"))\n'
        'gaze = pd.read_csv(name + ".tsv.gz", sep="\\t", names=about["Columns"], na_values="n/a")\n```\n'
    )


def _read_it(publication: Publication) -> str:
    rows = [
        "gaze counts pixels from the screen's upper left corner, x to the right, y downwards; pupils are diameters in mm",
        "`n/a`: the tracker gave no valid gaze (blinks, looks away), an answer was not given, raters tie, or a fact is withheld",
        "ER is what the participant felt, FER what the face showed; raters judge them apart, so they may differ",
        "a session that was interrupted has several runs: each has a clock of its own, trial numbers go on",
        "clips that break the study's quality rule have `included` 0 and the reason in `derivatives/eyemovements`, no features",
    ]
    if publication.folds:
        rows.append(
            f"`fold` in `participants.tsv` is frozen: fold k tests, fold k + 1 (of {publication.n_folds}, counted from 0) "
            "validates, the others train; no participant is in two"
        )
    else:
        rows.append("to train models, split by participant, never by clip; the study has frozen no folds")
    return "\n## How to read it\n\n" + "".join(f"- {row}\n" for row in rows)


def _held_back(publication: Publication) -> str:
    rows = [f"- {item.what} ({item.count}): {item.why}\n" for item in publication.withheld]
    dates = "No date is published." if publication.settings.dates == "drop" else "Dates are shifted, before 1925."
    return "\n## What is held back\n\n" + "".join(rows) + f"- dates: {dates}\n- serial numbers and names of machines\n"
