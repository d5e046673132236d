"""A BIDS dataset becomes a study: its configuration, its sessions, its labels. All of it, or nothing."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.atomic import partial_path
from data_schema.clips.index import build_clip_index
from data_schema.errors import DataImportError
from data_schema.exports.folds import Folds
from data_schema.files import disk_problem, write_json
from data_schema.importers.bids.gaze import screen_of
from data_schema.importers.bids.labels import import_labels
from data_schema.importers.bids.reading import BidsDataset, BidsRun, read_json, records
from data_schema.importers.bids.sessions import (
    ImportedRun,
    RunSettings,
    shown_stimuli,
    stimulus_id,
    write_run_session,
)
from data_schema.publishing.bids.description import SETTINGS_PATH
from data_schema.publishing.bids.participants import FOLD
from data_schema.publishing.bids.video import RECORDING
from data_schema.publishing.folder import MARKER_NAME
from data_schema.publishing.withheld import Withheld, from_json, keep_withheld
from data_schema.session.layout import LUMINANCE, make_row
from data_schema.study.config import StudyConfig, parse_config
from data_schema.study.folder import CONFIG_NAME, StudyFolder
from data_schema.study.scaffold import config_to_toml
from data_schema.vocabularies import EMOTIONS

Progress = Callable[[int, int, str], None]
Rows = npt.NDArray[Any]
_OLDEST, _OLDEST_BIN = 89.0, "90"


@dataclass(frozen=True)
class ImportedStudy:
    """What became of a dataset.

    Parameters
    ----------
    root : Path
        The study.
    runs : tuple of ImportedRun
    n_labels, n_marks : int
    notes : tuple of str
        What a person should know; each once.
    """

    root: Path
    runs: tuple[ImportedRun, ...]
    n_labels: int
    n_marks: int
    notes: tuple[str, ...]


def import_bids(
    dataset_root: Path, study_root: Path, *, task: str = "", progress: Progress | None = None
) -> ImportedStudy:
    """Make a study of a BIDS dataset with eye tracking.

    Parameters
    ----------
    dataset_root : Path
    study_root : Path
        The new study; must not exist.
    task : str
        Label of the task, where the dataset has several.
    progress : callable, optional
        Called with runs done, runs in all and a name.

    Raises
    ------
    DataImportError
        If it is no such dataset, or a file of it is damaged; nothing is left behind.
    """
    if study_root.exists():
        raise DataImportError(f"{study_root}: exists already. A dataset becomes a study of its own; name a new folder.")
    dataset = BidsDataset(dataset_root)
    if task:
        dataset.keep_task(task)
    partial = partial_path(study_root)
    try:
        partial.mkdir(parents=True)
        result = _import(dataset, partial, progress)
        partial.rename(study_root)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise disk_problem(error, study_root) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    runs = tuple(
        ImportedRun(study_root / run.path.relative_to(partial), run.n_samples, run.n_trials, run.n_frames, run.notes)
        for run in result.runs
    )
    return ImportedStudy(study_root, runs, result.n_labels, result.n_marks, result.notes)


def _import(dataset: BidsDataset, root: Path, progress: Progress | None) -> ImportedStudy:
    runs = dataset.runs
    config, sha256 = study_config(dataset)
    for name in ("stimuli", "sessions", "labels"):
        (root / name).mkdir()
    (root / CONFIG_NAME).write_text(config_to_toml(config), encoding="utf-8", newline="\n")
    study = StudyFolder(root)
    keep_withheld(study, _withheld(dataset.root))
    _keep_folds(study, dataset, config)
    facts, luminance = _facts(dataset, config), _luminance(dataset)
    answers = _answers(dataset)
    trials: dict[tuple[str, str], int] = {}
    imported = []
    for done, run in enumerate(runs):
        if progress is not None:
            progress(done, len(runs), run.stem)
        who = (run.participant, run.session)
        settings = RunSettings(
            config=config,
            simulated=_simulated(dataset, run),
            sha256=sha256,
            luminance=luminance,
            facts=facts.get(run.participant, {}) if run.run == 1 else {},
            answers=tuple(answers.get(who, ())) if who not in trials else (),
            face_may_leave=_face_may_leave(dataset, run.participant),
            first_trial=trials.get(who, 1),
        )
        one = write_run_session(dataset, run, study.session_path(run.participant, run.session, run.run), settings)
        trials[who] = trials.get(who, 1) + one.n_trials
        imported.append(one)
    if progress is not None:
        progress(len(runs), len(runs), "clips")
    n_labels = n_marks = 0
    notes = [note for one in imported for note in one.notes]
    if any(one.n_trials for one in imported):
        index = build_clip_index(study)
        n_labels, n_marks = import_labels(dataset, study, index, notes)
    else:
        notes.append("no event is a stimulus (stim_id or stim_file), so there are no clips")
    return ImportedStudy(root, tuple(imported), n_labels, n_marks, tuple(dict.fromkeys(notes)))


def _simulated(dataset: BidsDataset, run: BidsRun) -> bool:
    """Return whether a run is simulated. Our own exports say it of each run: real ones lie beside simulated ones."""
    events = run.file("events", ".tsv") if (dataset.root / SETTINGS_PATH).is_file() else None
    about = dataset.description if events is None else dataset.sidecar(events)
    return bool(about.get("Simulated", False))


def _withheld(root: Path) -> tuple[Withheld, ...]:
    """Return what our own export says that it held back; others do not say it."""
    marker = root / MARKER_NAME
    return from_json(read_json(marker).get("withheld", []), marker) if marker.is_file() else ()


def _keep_folds(study: StudyFolder, dataset: BidsDataset, config: StudyConfig) -> None:
    """Freeze the participants' folds of our own export; what others call a fold is a fact like any other."""
    path = dataset.root / "participants.tsv"
    if not path.is_file() or not (dataset.root / SETTINGS_PATH).is_file():
        return
    named = {
        str(row["participant_id"]).removeprefix("sub-"): row[FOLD]
        for row in dataset.rows(path)
        if row.get(FOLD) is not None
    }
    wrong = [code for code, fold in named.items() if not str(fold).isdecimal() or int(fold) >= config.folds.n]
    if wrong:
        raise DataImportError(
            f"{path}: the fold of {wrong[0]} is {named[wrong[0]]!r}, expected a number from 0 to {config.folds.n - 1} ([folds] n "
            f"in {SETTINGS_PATH}). Take the file from the published dataset again."
        )
    if named:
        folds = Folds(config.study.seed, config.folds.n, {code: int(fold) for code, fold in named.items()})
        write_json(study.folds_path, folds.as_json())


def _face_may_leave(dataset: BidsDataset, participant: str) -> bool:
    videos = [run.file("video", ".mp4", RECORDING) for run in dataset.runs if run.participant == participant]
    found = [path for path in videos if path is not None]
    return bool(found) and not any(dataset.sidecar(path).get("FaceBlurred") for path in found)


def study_config(dataset: BidsDataset) -> tuple[StudyConfig, dict[str, str]]:
    """Return the study's configuration, and the hashes of its stimuli.

    Our own export carries the settings that its tables were computed with; of other datasets the screen, the names and the
    stimuli are taken.
    """
    stored = dataset.root / SETTINGS_PATH
    content: dict[str, Any] = read_json(stored) if stored.is_file() else {}
    known = {name: content[name] for name in StudyConfig.model_fields if name in content}
    if not known:
        known = _foreign(dataset)
    publish = dict(known.get("publish", {}))
    # The codes in the dataset are what was published: there are no others.
    publish["pseudonyms"] = "keep"
    known["publish"] = publish
    stimuli, sha256 = _stimuli(dataset)
    known["stimuli"] = stimuli
    return parse_config(json.loads(json.dumps(known)), str(stored if content else dataset.root)), sha256


def _foreign(dataset: BidsDataset) -> dict[str, Any]:
    about = dataset.description
    name = " ".join(str(about.get("Name") or dataset.root.name).split())[:200]
    publish: dict[str, Any] = {"licence": str(about.get("License", "")), "authors": _texts(about.get("Authors"))}
    publish |= {"references": _texts(about.get("ReferencesAndLinks")), "funding": _texts(about.get("Funding"))}
    sections: dict[str, Any] = {"study": {"title": name}, "publish": publish}
    for run in dataset.runs:
        path = run.file("events", ".tsv")
        screen = screen_of(dataset.sidecar(path)) if path is not None else {}
        if {"width_px", "width_mm"} <= set(screen):
            sections["screen"] = screen
            break
    return sections


def _texts(value: Any) -> list[str]:
    return [" ".join(str(item).split()) for item in value] if isinstance(value, list) else []


def _stimuli(dataset: BidsDataset) -> tuple[list[dict[str, Any]], dict[str, str]]:
    listed: dict[str, dict[str, Any]] = {}
    sha256: dict[str, str] = {}
    path = dataset.root / "stimuli" / "stimuli.tsv"
    if path.is_file():
        for row in dataset.rows(path):
            name = row.get("stim_id")
            if not name:
                continue
            name = stimulus_id(f"{name}.x")
            file = row.get("file") or name
            emotion = row.get("target_emotion")
            listed[name] = {
                "id": name, "file": file, "target_emotion": emotion if emotion in EMOTIONS else "neutral",
                "licence": row.get("licence") or "",
            }  # fmt: skip
            sha256[name] = row.get("sha256") or ""
    for run in dataset.runs:
        listed |= _unlisted(dataset, run, listed)
    return list(listed.values()), sha256


def _unlisted(dataset: BidsDataset, run: BidsRun, listed: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return stimuli that only the events know: those of practice trials, and those of other datasets."""
    path = run.file("events", ".tsv")
    events = dataset.table(path) if path is not None else pd.DataFrame()
    found: dict[str, dict[str, Any]] = {}
    for row, name in zip(records(events), shown_stimuli(events), strict=True):
        if name is None or name in listed or name in found:
            continue
        emotion, trial = row.get("target_emotion"), row.get("trial")
        found[name] = {
            "id": name, "file": row.get("stim_file") or f"{name}.mp4", "licence": "",
            "target_emotion": emotion if emotion in EMOTIONS else "neutral",
            "practice": trial is not None and float(trial) < 0,
        }  # fmt: skip
    return found


def _facts(dataset: BidsDataset, config: StudyConfig) -> dict[str, dict[str, str]]:
    path = dataset.root / "participants.tsv"
    if not path.is_file():
        return {}
    facts: dict[str, dict[str, str]] = {}
    for row in dataset.rows(path):
        own = {str(key): " ".join(str(value).split())[:200] for key, value in row.items() if value is not None}
        code = own.pop("participant_id", "").removeprefix("sub-")
        if (dataset.root / SETTINGS_PATH).is_file():
            own.pop(FOLD, None)
        if "age" in own:
            own["age_years"] = _age(own.pop("age"), config)
        facts[code] = {key[:32]: value for key, value in own.items() if value}
    return facts


def _age(text: str, config: StudyConfig) -> str:
    try:
        years = float(text.rstrip("+"))
    except ValueError:
        return ""
    if not math.isfinite(years):
        return ""
    # Ages are capped at 89 in BIDS, and from 90 on they are one group here.
    return _OLDEST_BIN if years >= _OLDEST and config.publish.age_bin_years > 1 else str(int(years))


def _luminance(dataset: BidsDataset) -> Rows:
    path = dataset.root / "stimuli" / "luminance.tsv"
    if not path.is_file():
        return LUMINANCE.empty(0)
    table = dataset.table(path)
    rows = [
        make_row(
            LUMINANCE,
            stimulus_id=row["stim_id"],
            clip_time_us=round(float(row["clip_time"]) * 1e6),
            luminance=float(row["luminance"]),
        )
        for row in records(table)
    ]
    return np.concatenate(rows) if rows else LUMINANCE.empty(0)


def _answers(dataset: BidsDataset) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the answers to questionnaires of our own export by participant and session."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in sorted((dataset.root / "phenotype").glob("*.tsv")):
        about = read_json(path.with_suffix(".json")) if path.with_suffix(".json").is_file() else {}
        table = dataset.table(path)
        for column in table.columns:
            note = about.get(column)
            if not isinstance(note, dict) or "Session" not in note:
                continue
            for code, value in zip(table["participant_id"], table[column], strict=True):
                if value is None:
                    continue
                answer = {
                    "questionnaire": str(about.get("Questionnaire", path.stem)), "occasion": str(note.get("Occasion", "")),
                    "scale": str(note.get("LongName", column)), "value": float(value),
                }  # fmt: skip
                found.setdefault((str(code).removeprefix("sub-"), str(note["Session"])), []).append(answer)
    return found
