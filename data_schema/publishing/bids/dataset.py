"""A published study as a BIDS dataset.

Each run is a task of its own, so that runs are written side by side; tables of the whole dataset follow. What is written
depends on the publication alone: the same study gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from data_schema.derived import signal_parameters
from data_schema.errors import EmerError, ExportError
from data_schema.publishing.bids.behaviour import behaviour_sidecar, behaviour_table, write_phenotype
from data_schema.publishing.bids.derivatives import ANNOTATIONS, DerivativeWriter, derivative_readme
from data_schema.publishing.bids.description import (
    dataset_description,
    derivative_text,
    task_fields,
    write_luminance,
    write_pages,
    write_settings,
    write_stimuli,
)
from data_schema.publishing.bids.eye_movements import ClipSpan
from data_schema.publishing.bids.names import RunName, labels, task_label
from data_schema.publishing.bids.participants import write_dates, write_participants
from data_schema.publishing.bids.run import EYE_MOVEMENTS, FACES, SIMULATED, RunFacts, RunTask, write_run
from data_schema.publishing.bids.tsv import write_json, write_text, write_tsv
from data_schema.publishing.publication import Publication
from data_schema.work import run_tasks

Progress = Callable[[int, int, str], None]
_Key = tuple[str, str, int]


@dataclass(frozen=True)
class BidsSummary:
    """What was written.

    Parameters
    ----------
    participants, runs, runs_with_gaze, runs_with_video : int
    samples : int
        Gaze samples, both eyes of a sample counted once.
    derivatives : tuple of str
    unanswered : tuple of str
        Keys of ``[publish]`` that nobody has filled.
    folds : bool
        Whether the study has frozen folds.
    """

    participants: int
    runs: int
    runs_with_gaze: int
    runs_with_video: int
    samples: int
    derivatives: tuple[str, ...]
    unanswered: tuple[str, ...] = ()
    folds: bool = False


def write_bids(
    publication: Publication, root: Path, *, workers: int = 1, scheduler: str = "", progress: Progress | None = None
) -> BidsSummary:
    """Write a publication as a BIDS dataset into a folder.

    Parameters
    ----------
    publication : Publication
    root : Path
        The folder, empty or not there.
    workers : int
        Processes that write runs; 0 for one a core.
    scheduler : str
        Address of a Dask scheduler instead.
    progress : callable, optional
        Called with runs done, runs in all and a detail.

    Raises
    ------
    ExportError
        If two names would become one, or the disk is full.
    """
    names = run_names(publication)
    tasks = plan_runs(publication, names, root)
    facts = _write_runs(tasks, workers, scheduler, progress)
    subjects = labels(publication.participants["participant"], "participant")
    _write_behaviour(publication, names, root, subjects)
    people = publication.participants
    write_participants(root, people, subjects, publication.simulated, publication.folds, publication.n_folds)
    write_stimuli(root, publication)
    write_luminance(root, publication)
    write_settings(root, publication)
    derivatives = _write_derivatives(publication, names, root, any(run.n_landmarks for run in facts))
    days: dict[RunName, date | None] = {
        names[item.participant, item.session, item.run]: item.acquired for item in publication.recordings
    }
    write_dates(root, days, {run.name: run.files for run in facts})
    write_pages(root, publication, facts, derivatives)
    return BidsSummary(
        len(publication.participants),
        len(facts),
        sum(run.gaze is not None for run in facts),
        sum(run.video_s > 0 for run in facts),
        sum(run.gaze.n_samples for run in facts if run.gaze is not None),
        tuple(derivatives),
    )


def run_names(publication: Publication) -> dict[_Key, RunName]:
    """Return the BIDS name of each recording, by participant, session and run."""
    subjects = labels(publication.participants["participant"], "participant")
    sessions = labels((item.session for item in publication.recordings), "session")
    task = task_label(publication.name)
    return {
        (item.participant, item.session, item.run): RunName(
            subjects[item.participant], sessions[item.session], task, item.run
        )
        for item in publication.recordings
    }


def plan_runs(publication: Publication, names: Mapping[_Key, RunName], root: Path) -> dict[str, RunTask]:
    """Return one task a run, by the recording's published name.

    Raises
    ------
    ExportError
        If there is no recording.
    """
    parameters = signal_parameters(publication.study.config)
    spans: dict[_Key, list[ClipSpan]] = {}
    for clip in publication.clips.to_dict("records"):
        span = ClipSpan(int(clip["trial_id"]), round(clip["t_start_s"] * 1e6), round(clip["t_end_s"] * 1e6))
        spans.setdefault((clip["participant"], clip["session"], int(clip["run"])), []).append(span)
    tasks = {}
    for item in publication.recordings:
        key = (item.participant, item.session, item.run)
        about = task_fields(publication)
        tasks[item.name] = RunTask(item, names[key], root, about, parameters, tuple(spans.get(key, ())))
    if not tasks:
        raise ExportError("no recording can be published. `emer export bids` says above what was held back and why.")
    return tasks


def _write_runs(
    tasks: Mapping[str, RunTask], workers: int, scheduler: str, progress: Progress | None
) -> list[RunFacts]:
    facts: dict[str, RunFacts] = {}
    for done, (name, result) in enumerate(run_tasks(write_run, tasks, workers=workers, scheduler=scheduler), start=1):
        if isinstance(result, EmerError):
            raise result
        facts[name] = result
        if progress is not None:
            progress(done, len(tasks), name)
    return [facts[name] for name in tasks]


def _write_behaviour(
    publication: Publication, names: Mapping[_Key, RunName], root: Path, subjects: Mapping[str, str]
) -> None:
    responses = publication.responses
    sessions = {key[1]: name.session for key, name in names.items()}
    about = task_fields(publication)
    if publication.simulated:
        about["TaskDescription"] = SIMULATED + str(about["TaskDescription"])
        about["Simulated"] = True
    for (participant, session, run), name in names.items():
        mine = responses[
            (responses["participant"] == participant) & (responses["session"] == session) & (responses["run"] == run)
        ]
        table = behaviour_table(mine)
        if not len(table["scale"]):
            continue
        scales = {str(scale) for scale in np.unique(np.array(table["scale"], dtype=object))}
        write_tsv(name.file(root, "beh", ".tsv"), table)
        write_json(name.file(root, "beh", ".json"), behaviour_sidecar(about, scales, "text" in table))
    write_phenotype(root, responses, subjects, sessions, publication.simulated)


def _write_derivatives(
    publication: Publication, names: Mapping[_Key, RunName], root: Path, with_faces: bool
) -> list[str]:
    writer = DerivativeWriter(root, publication, names, str(task_fields(publication)["TaskName"]))
    written = [EYE_MOVEMENTS]
    writer.features()
    written += [folder for task, folder in ANNOTATIONS.items() if writer.annotations(task)]
    if with_faces:
        written.append(FACES)
    for part in written:
        folder = root / "derivatives" / part
        what = derivative_text(part)
        write_json(folder / "dataset_description.json", dataset_description(publication, "derivative", part, what))
        write_text(folder / "README.md", derivative_readme(part, what, publication.simulated))
    return written
