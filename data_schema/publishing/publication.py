"""The de-identified view of a study: what publishers read, and all that they read.

Publishers (BIDS, Parquet, Croissant, CSV, ELAN) never open the study's own files. What participants did not agree to, what
identifies people, machines or days, and what people wrote in their own words is not in the view, so that a publisher cannot
let it out by mistake. The finished export is searched once more (:mod:`data_schema.publishing.folder`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from data_schema.clips.table import load_current_clip_index
from data_schema.errors import ExportError
from data_schema.exports.folds import load_folds
from data_schema.publishing.dates import shifted
from data_schema.publishing.facts import binned_age, withhold_rare
from data_schema.publishing.findings import StudyFindings, read_findings
from data_schema.publishing.identifiers import Identifier, collect_identifiers
from data_schema.publishing.pseudonyms import Pseudonyms, frozen_pseudonyms
from data_schema.publishing.sessions import PublishedRecording, PublishedSession, Rows
from data_schema.publishing.withheld import Withheld, together, withheld_before
from data_schema.session.reader import file_sha256
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import PublishSection
from data_schema.wording import quoted

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Identifier",
    "Publication",
    "PublishedRecording",
    "PublishedSession",
    "PublishedStimulus",
    "Withheld",
    "open_publication",
]

_log = logging.getLogger(__name__)
_AGE = "age_years"


@dataclass(frozen=True)
class PublishedStimulus:
    """One stimulus. The files themselves are not published: they are others' works.

    Parameters
    ----------
    id, file, target_emotion, licence : str
        As in ``study.toml``.
    sha256 : str
        Of the file that lies in the study or, if none does, of the one that was shown; empty if unknown.
    duration_s : float
        As the recordings say; NaN if it was never shown.
    """

    id: str
    file: str
    target_emotion: str
    licence: str
    sha256: str
    duration_s: float


class ClipName(NamedTuple):
    """A clip under its published name."""

    clip_id: str
    participant: str
    session: str
    run: int


@dataclass(frozen=True)
class Publication:
    """A study as others may see it. Tables are computed when they are asked for, and then kept.

    Parameters
    ----------
    study : StudyFolder
        For this view alone; publishers do not read it.
    settings : PublishSection
    findings : StudyFindings
        What the session files say, of all participants.
    pseudonyms : Pseudonyms
    index : DataFrame
        The study's own clip index.
    clip_names : mapping of str to ClipName
        Published names of the clips, by the study's.
    participants : DataFrame
        ``participant`` and the facts that may be published (text, None where withheld or unknown; ``age_years`` as the first
        year of the bin), sorted by code.
    recordings : tuple of PublishedRecording
        Sorted by published name.
    withheld : tuple of Withheld
    accept_changed : bool
        Whether labels count that were given to another version of a recording.
    """

    study: StudyFolder
    settings: PublishSection
    findings: StudyFindings
    pseudonyms: Pseudonyms
    index: pd.DataFrame
    clip_names: Mapping[str, ClipName]
    participants: pd.DataFrame
    recordings: tuple[PublishedRecording, ...]
    _withheld: tuple[Withheld, ...]
    accept_changed: bool = False

    @property
    def title(self) -> str:
        """Title of the study."""
        return self.study.config.study.title

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.settings.name or self.title

    @property
    def version(self) -> str:
        """Version of the dataset."""
        return self.settings.version

    @property
    def simulated(self) -> bool:
        """True if a device of any published recording was simulated or replayed."""
        return any(recording.simulated for recording in self.recordings)

    @cached_property
    def stimuli(self) -> tuple[PublishedStimulus, ...]:
        """The stimuli of the trials, in the order of ``study.toml``."""
        from data_schema.publishing.views import published_stimuli

        return published_stimuli(self)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """Answers of the participants: participant, session, run, trial_id, scale, value, questionnaire, occasion, t_s.

        ``t_s`` counts from the recording's origin. With ``free_text = "include"`` there is a column ``text``, and free texts
        are rows too; practice trials are left out.
        """
        from data_schema.publishing.views import published_responses

        return published_responses(self)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """All clips, included or not; see ``data_schema.publishing.views.CLIP_COLUMNS``."""
        from data_schema.publishing.views import published_clips

        return published_clips(self)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Current labels, decisions and self-reports; columns of ``EXPORTED_LABELS``, and ``comment`` if texts are included."""
        from data_schema.publishing.views import published_labels

        return published_labels(self)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """What is to be predicted of each included clip; columns of ``EXPORTED_TARGETS``."""
        from data_schema.publishing.views import published_targets

        return published_targets(self)

    @cached_property
    def marks(self) -> pd.DataFrame:
        """Frames and clips that annotators marked: clip_id, task, annotator_id, kind, t_s (since the recording's origin)."""
        from data_schema.publishing.views import published_marks

        return published_marks(self)

    @cached_property
    def features(self) -> pd.DataFrame:
        """One row an included clip: clip_id and a summary of its eye behaviour (NaN where it could not be measured)."""
        from data_schema.publishing.derived_views import published_features

        return published_features(self)

    @cached_property
    def folds(self) -> dict[str, int] | None:
        """Fold of each published participant that has one; None if the study has drawn none."""
        if not self.study.folds_path.is_file():
            return None
        assignment = load_folds(self.study.folds_path).assignment
        codes = self.participant_codes
        return {
            code: assignment[name]
            for name, code in sorted(codes.items(), key=lambda item: item[1])
            if name in assignment
        }

    @property
    def n_folds(self) -> int:
        """Number of folds that the study has drawn, with or without published participants; 0 if it has drawn none."""
        return load_folds(self.study.folds_path).n_folds if self.study.folds_path.is_file() else 0

    @property
    def participant_codes(self) -> dict[str, str]:
        """Published code of each published participant, by the study's own."""
        published = set(self.participants["participant"])
        return {name: code for name, code in self.pseudonyms.participants.items() if code in published}

    @cached_property
    def withheld(self) -> tuple[Withheld, ...]:
        """All that was held back, and why."""
        from data_schema.publishing.views import withheld_texts

        return together((*self._withheld, *withheld_texts(self)), withheld_before(self.study))

    @cached_property
    def identifiers(self) -> tuple[Identifier, ...]:
        """What must not occur anywhere in a finished export."""
        return collect_identifiers(self.study, self.settings, self.findings, self.pseudonyms)


def open_publication(
    study: StudyFolder,
    settings: PublishSection | None = None,
    *,
    force_faces: str | None = None,
    accept_changed: bool = False,
) -> Publication:
    """Open the de-identified view of a study.

    Parameters
    ----------
    study : StudyFolder
    settings : PublishSection, optional
        ``[publish]`` of ``study.toml`` by default.
    force_faces : str, optional
        The most that is published of faces, instead of the setting. Consent still bounds it.
    accept_changed : bool
        Take labels that were given to another version of a recording.

    Returns
    -------
    Publication

    Raises
    ------
    ExportError
        If the clip index is missing or not of these recordings, nobody may be published, or the list of published codes is
        damaged.
    """
    settings = settings or study.config.publish
    if force_faces is not None:
        settings = settings.model_copy(update={"faces": force_faces})
    index = load_current_clip_index(study)
    if not len(index):
        raise ExportError(
            f"{study.clip_index_path.name} lists no clip. Record sessions, then run: emer clips {quoted(study.root)}"
        )
    findings = read_findings(study, settings)
    _check_index(study, index)
    published = [name for name, person in findings.people.items() if person.permission.published]
    if not published:
        raise ExportError(_nobody(findings))
    pseudonyms = _codes(study, settings, findings)
    participants, withheld_facts = _participants(findings, published, pseudonyms, settings)
    recordings, clip_names = _recordings(study, index, findings, pseudonyms, settings)
    withheld = (*_withheld_people(findings), *withheld_facts, *_withheld_faces(findings, recordings))
    return Publication(
        study, settings, findings, pseudonyms, index, clip_names, participants, recordings, withheld, accept_changed
    )  # fmt: skip


def _check_index(study: StudyFolder, index: pd.DataFrame) -> None:
    for name, group in index.groupby("session_file", sort=True):
        path, said = study.root / str(name), str(group["session_sha256"].iloc[0])
        if not path.is_file():
            raise ExportError(
                f"{name}: is listed in {study.clip_index_path.name} and is not there. Run: emer clips {quoted(study.root)}"
            )
        if file_sha256(path) != said:
            raise ExportError(
                f"{name}: has changed since {study.clip_index_path.name} was built (its SHA-256 differs). Run: emer clips "
                f"{study.root}"
            )


def _nobody(findings: StudyFindings) -> str:
    reasons = Counter(person.permission.why_not for person in findings.people.values())
    why = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    step = (
        "If consent to sharing was given on paper and is kept elsewhere, say so in study.toml: [publish] consent = "
        '"elsewhere".'
        if any("no consent" in reason for reason in reasons)
        else "Nothing of this study can be published."
    )
    return f"no participant can be published: {why}. {step}"


def _codes(study: StudyFolder, settings: PublishSection, findings: StudyFindings) -> Pseudonyms:
    """Return published codes; the study's own where it keeps them. Shifts of dates are drawn and frozen either way."""
    people = sorted(findings.people)
    if settings.pseudonyms == "keep":
        shifts = frozen_pseudonyms(study, people, ()).shifts_days if settings.dates == "shift" else {}
        return Pseudonyms({name: name for name in people}, {name: name for name in findings.annotators}, shifts)
    return frozen_pseudonyms(study, people, findings.annotators)


def _participants(
    findings: StudyFindings, published: list[str], pseudonyms: Pseudonyms, settings: PublishSection
) -> tuple[pd.DataFrame, list[Withheld]]:
    import pandas as pd

    facts = {}
    for name in published:
        own = dict(findings.people[name].facts)
        if _AGE in own:
            own[_AGE] = binned_age(own[_AGE], settings.age_bin_years)
        facts[name] = own
    kept, rare = withhold_rare(facts, settings.facts, settings.min_group)
    rows = [{"participant": pseudonyms.participants[name], **kept[name]} for name in published]
    table = pd.DataFrame(rows, columns=["participant", *settings.facts], dtype=object)
    why = f"fewer than {settings.min_group} participants share the value, or the combination of facts"
    withheld = [Withheld(f"values of the fact {key}", why, count) for key, count in sorted(rare.items())]
    others = Counter(key for name in published for key in findings.people[name].facts if key not in settings.facts)
    withheld += [
        Withheld(f"values of the fact {key}", "not among [publish] facts", n) for key, n in sorted(others.items())
    ]
    return table.sort_values("participant", ignore_index=True), withheld


def _recordings(
    study: StudyFolder,
    index: pd.DataFrame,
    findings: StudyFindings,
    pseudonyms: Pseudonyms,
    settings: PublishSection,
) -> tuple[tuple[PublishedRecording, ...], dict[str, ClipName]]:
    stimuli = frozenset(stimulus.id for stimulus in study.config.stimuli)
    of_file = dict(iter(index.groupby("session_file", sort=False)))
    recordings, names = [], {}
    for file in findings.files:
        person = findings.people[file.participant]
        if not person.permission.published:
            continue
        code, session = pseudonyms.participants[file.participant], person.session_names[file.session]
        own = {}
        group = of_file.get(file.path.relative_to(study.root).as_posix())
        for clip, trial in zip(group["clip_id"], group["trial_id"], strict=True) if group is not None else ():
            name = ClipName(f"sub-{code}_ses-{session}_trial-{int(trial):03d}", code, session, file.run)
            names[str(clip)], own[name.clip_id] = name, str(clip)
        recordings.append(
            PublishedRecording(
                participant=code,
                session=session,
                run=file.run,
                faces=person.permission.faces if file.has_video else "none",
                acquired=_acquired(file.day, settings, pseudonyms, file.participant),
                simulated=file.simulated,
                _path=file.path,
                _stimuli=stimuli,
                _free_text=settings.free_text == "include",
                _faces=partial(_face_rows, study, group),
                clip_ids=own,
            )
        )
    ordered = sorted(recordings, key=lambda item: (item.participant, item.session, item.run))
    return tuple(ordered), names


def _face_rows(study: StudyFolder, clips: pd.DataFrame | None) -> dict[str, Rows]:
    from data_schema.publishing.derived_views import face_rows

    return {} if clips is None else face_rows(study, clips)


def _acquired(day: date | None, settings: PublishSection, pseudonyms: Pseudonyms, participant: str) -> date | None:
    if day is None or settings.dates == "drop":
        return None
    return shifted(day, pseudonyms.shifts_days[participant])


def _withheld_people(findings: StudyFindings) -> list[Withheld]:
    reasons = Counter(
        person.permission.why_not for person in findings.people.values() if not person.permission.published
    )
    for why, count in sorted(reasons.items()):
        _log.warning("%d participants are not published: %s", count, why)
    found = [Withheld("participants", why, count) for why, count in sorted(reasons.items())]
    if findings.unreadable:
        found.append(Withheld("session files", "they cannot be read or were not closed", len(findings.unreadable)))
    return found


def _withheld_faces(findings: StudyFindings, recordings: tuple[PublishedRecording, ...]) -> list[Withheld]:
    with_video = {file.path for file in findings.files if file.has_video}
    counts = Counter(item.faces for item in recordings if item._path in with_video and item.faces != "video")
    return [
        Withheld("face videos", f"consent and [publish] faces allow no more than: {level}", count)
        for level, count in sorted(counts.items())
    ]
