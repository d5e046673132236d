"""Plan an import: which recordings become which session files, and everything that stands against it.

Planning reads the files once and writes nothing. An import that begins has codes, stimuli, a screen and free names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_schema.errors import DataImportError, UsageError
from data_schema.importers.codes import Codes
from data_schema.importers.dialects import OPENNESS, PROLAB, SDK, STUDIO, STUDIO_RAW, Dialect, normalised
from data_schema.importers.face_video import FaceVideo, inspect_video
from data_schema.importers.samples import Screen
from data_schema.importers.survey import Progress, RecordingSurvey, ShownName, Survey, is_no_stimulus, survey_table
from data_schema.importers.text import TextTable
from data_schema.importers.trials import ImportedTrial, StimulusNames, read_events, read_messages
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING

#: What `emer import KIND` reads.
KINDS = ("prolab", "studio", "csv")
#: A trial may lie this far outside the samples: streams do not begin and end at once.
_OUTSIDE_US = 2_000_000
_GAZE_NAMES, _OPENNESS_NAMES = ("gaze.csv.gz", "gaze.csv"), ("eye_openness.csv.gz", "eye_openness.csv")


@dataclass(frozen=True)
class ImportOptions:
    """What the operator says about an import.

    Parameters
    ----------
    codes : Codes
        Participant and session codes.
    stimuli : mapping of str to str
        Name in the file to id in the study; an empty id for what is no stimulus.
    skip_unmapped : bool
        Pass over names that are no stimuli of the study.
    events : Path, optional
        Table of what was shown; wins over what the recording says.
    face_video : Path, optional
        Video of the face, for a single recording.
    video_offset_ms : float
        When the video's first frame was taken: milliseconds after the recording's time 0 (Pro Lab, Studio) or after its
        first sample (CSV).
    consent : tuple of str, optional
        Scopes that the participant agreed to on paper; None records nothing.
    openness, messages : Path, optional
        Further tables of an SDK recording.
    skip_existing : bool
        Pass over recordings that are imported already.
    tracker : str
        Model of the eye tracker, which exports do not name; for reports.
    """

    codes: Codes = field(default_factory=Codes)
    stimuli: Mapping[str, str] = field(default_factory=dict)
    skip_unmapped: bool = False
    events: Path | None = None
    face_video: Path | None = None
    video_offset_ms: float = 0.0
    consent: tuple[str, ...] | None = None
    openness: Path | None = None
    messages: Path | None = None
    skip_existing: bool = False
    tracker: str = ""


@dataclass(frozen=True)
class PlannedSession:
    """One session file to be written. Times of trials and video are host microseconds."""

    survey: Survey
    recording: RecordingSurvey
    participant: str
    session: str
    target: Path
    screen: Screen
    trials: tuple[ImportedTrial, ...]
    #: Names in the file that were passed over.
    passed_over: tuple[str, ...]
    face_video: FaceVideo | None = None
    t_video_us: int = 0
    openness: Survey | None = None


@dataclass(frozen=True)
class _Source:
    gaze: Path
    openness: Path | None
    messages: Path | None


def survey_files(kind: str, files: Sequence[Path], progress: Progress | None = None) -> list[Survey]:
    """Look through the files of an import and write nothing.

    Raises
    ------
    DataImportError
        If a file cannot be imported.
    """
    return [
        survey_table(source.gaze, _dialect(kind, source.gaze), progress) for source in _sources(files, ImportOptions())
    ]


def plan_import(
    study: StudyFolder, kind: str, files: Sequence[Path], options: ImportOptions, progress: Progress | None = None
) -> list[PlannedSession]:
    """Read the files and decide what becomes which session file.

    Parameters
    ----------
    study : StudyFolder
    kind : {"prolab", "studio", "csv"}
    files : sequence of Path
        Exported tables; for ``csv`` also folders that hold ``gaze.csv`` and, where they are there, ``eye_openness.csv`` and
        ``messages.csv``.
    options : ImportOptions
    progress : callable, optional

    Returns
    -------
    list of PlannedSession

    Raises
    ------
    DataImportError, UsageError, MediaError
        If something stands against the import; nothing was written.
    """
    if not files:
        raise UsageError("name at least one exported file")
    check_consent(options)
    names = StimulusNames(study.config, options.stimuli, options.skip_unmapped)
    sources = _sources(files, options)
    surveys = [(source, survey_table(source.gaze, _dialect(kind, source.gaze), progress)) for source in sources]
    n_recordings = sum(len(survey.recordings) for _, survey in surveys)
    single = {"--face-video": options.face_video, "--openness": options.openness, "--messages": options.messages}
    for option, path in single.items():
        if path is not None and n_recordings > 1:
            raise UsageError(
                f"{option} belongs to one recording, but the files hold {n_recordings}. Import them one by one."
            )
    video = inspect_video(options.face_video) if options.face_video is not None else None
    events = read_events(options.events, "us" if kind == "csv" else "ms") if options.events is not None else None
    planned = []
    for source, survey in surveys:
        for recording in survey.recordings:
            participant, session = options.codes.of(source.gaze, recording, n_recordings)
            target = study.session_path(participant, session)
            if target.exists():
                if options.skip_existing:
                    continue
                raise DataImportError(
                    f"{target.name} exists already, and a recording is never overwritten. Choose another session, or take up "
                    "what is missing alone with --skip-existing."
                )
            shown = _shown(recording, source, events, n_recordings)
            trials = names.trials(shown, source.gaze.name)
            t_video_us = _zero_us(survey, recording) + round(options.video_offset_ms * 1000.0)
            if video is not None:
                span = (t_video_us, t_video_us + video.duration_us)
                _check_overlap(survey, recording, span, video.path, "Check --video-offset-ms, and whose video it is.")
            planned.append(
                PlannedSession(
                    survey=survey,
                    recording=recording,
                    participant=participant,
                    session=session,
                    target=target,
                    screen=_screen(study, survey, recording),
                    trials=tuple(_on_host_clock(trials, recording, survey)),
                    passed_over=tuple(dict.fromkeys(one.name for one in shown if names.stimulus(one.name) is None)),
                    face_video=video,
                    t_video_us=t_video_us,
                    openness=_openness(source.openness, survey, recording) if source.openness is not None else None,
                )
            )
    _check_distinct(planned)
    return planned


def check_consent(options: ImportOptions) -> None:
    """Check what is said about consent.

    Raises
    ------
    UsageError
        If a scope is not known, or does not cover what is imported.
    """
    if options.consent is None:
        return
    known = (*CONSENT_SCOPES, FACE_SHARING)
    for scope in options.consent:
        if scope not in known:
            raise UsageError(f"--consent has no scope '{scope}'. Known: {', '.join(known)}.")
    if "gaze" not in options.consent:
        raise UsageError("--consent does not name 'gaze': without consent to eye movements nothing is imported.")
    if options.face_video is not None and "video" not in options.consent:
        raise UsageError(
            "--consent does not name 'video': leave --face-video out, or name 'video' if the participant agreed."
        )


def _sources(files: Sequence[Path], options: ImportOptions) -> list[_Source]:
    sources = []
    for path in files:
        if path.is_dir():
            gaze = _first_of(path, _GAZE_NAMES)
            if gaze is None:
                raise DataImportError(
                    f"{path}: the folder holds no gaze.csv or gaze.csv.gz. Name the exported file itself."
                )
            messages = path / "messages.csv"
            sources.append(
                _Source(
                    gaze,
                    options.openness or _first_of(path, _OPENNESS_NAMES),
                    options.messages or (messages if messages.is_file() else None),
                )
            )
        else:
            sources.append(_Source(path, options.openness, options.messages))
    return sources


def _first_of(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _dialect(kind: str, path: Path) -> Dialect:
    """Return the dialect of a file: Studio and the trackers' raw text files share a verb."""
    if kind == "studio":
        header = {normalised(name) for name in TextTable(path).header}
        raw = {"lgazepos2dx", "rgazepos2dx"} & header
        return STUDIO_RAW if raw else STUDIO
    return {"prolab": PROLAB, "csv": SDK}[kind]


def _zero_us(survey: Survey, recording: RecordingSurvey) -> int:
    """Return the host time of the recording's time 0."""
    if survey.dialect.name in ("prolab", "studio"):
        return recording.computer_offset_us
    return round(recording.t_first * recording.unit_us)


def _shown(
    recording: RecordingSurvey, source: _Source, events: dict[str, list[ShownName]] | None, n_recordings: int
) -> list[ShownName]:
    if events is None:
        return read_messages(source.messages) if source.messages is not None else recording.shown
    named = [name for name in events if name]
    if not named:
        if n_recordings > 1:
            raise UsageError(
                "--events has no column 'recording', but the files hold several. Add it, or import them one by one."
            )
        return events[""]
    own = {recording.recording_name, recording.participant_name, source.gaze.name, source.gaze.stem} - {""}
    return [one for name in named if name in own for one in events[name] if not is_no_stimulus(one.name)]


def _openness(path: Path, survey: Survey, recording: RecordingSurvey) -> Survey:
    """Look through a table of eye openness that belongs to a recording."""
    openness = survey_table(path, OPENNESS)
    own = openness.recordings[0]
    span = (round(own.t_first * own.unit_us), round(own.t_last * own.unit_us))
    _check_overlap(survey, recording, span, path, "Name the openness of the same recording, on the same clock.")
    return openness


def _check_overlap(
    survey: Survey, recording: RecordingSurvey, span_us: tuple[int, int], other: Path, step: str
) -> None:
    """Refuse what was taken at another time than the samples: less than half of the shorter of the two lies in the other."""
    first, last = (
        round(t * recording.unit_us) + recording.computer_offset_us for t in (recording.t_first, recording.t_last)
    )
    common = min(last, span_us[1]) - max(first, span_us[0])
    if 2 * common < min(last - first, span_us[1] - span_us[0]):
        raise DataImportError(
            f"{other.name}: goes from {(span_us[0] - first) / 1e6:.3f} to {(span_us[1] - first) / 1e6:.3f} s after the first "
            f"sample of {survey.table.path.name}, which lasts {(last - first) / 1e6:.3f} s. {step}"
        )


def _on_host_clock(trials: Sequence[ImportedTrial], recording: RecordingSurvey, survey: Survey) -> list[ImportedTrial]:
    """Move trials from the recording's clock to the host's, and check that they lie in the recording."""
    first, last = (round(t * recording.unit_us) for t in (recording.t_first, recording.t_last))
    shift = recording.computer_offset_us
    for trial in trials:
        if not first - _OUTSIDE_US <= trial.t_onset_us <= last + _OUTSIDE_US:
            raise DataImportError(
                f"{survey.table.path.name}: the stimulus '{trial.stimulus.id}' begins at {trial.t_onset_us / 1e6:.3f} s of the "
                f"recording's clock, but the samples lie between {first / 1e6:.3f} and {last / 1e6:.3f} s. Check the clock and "
                "the unit of the events: the columns onset_us, onset_ms or onset_s say it."
            )
    return [
        ImportedTrial(t.stimulus, t.t_onset_us + shift, t.t_offset_us + shift if t.t_offset_us >= 0 else -1)
        for t in trials
    ]


def _screen(study: StudyFolder, survey: Survey, recording: RecordingSurvey) -> Screen:
    """Return the screen of a recording: what the file says must be what the study says."""
    own = study.config.screen
    size = recording.screen_px
    if size is not None and size != (own.width_px, own.height_px):
        raise DataImportError(
            f"{survey.table.path.name}: {recording.label} was recorded on a screen of {size[0]}x{size[1]} px, but study.toml "
            f"says {own.width_px}x{own.height_px}. Mend [screen] in study.toml, its millimetres, too: all sessions share it."
        )
    return Screen(own.width_px, own.height_px, own.width_mm, own.height_mm)


def _check_distinct(planned: Sequence[PlannedSession]) -> None:
    seen: dict[Path, PlannedSession] = {}
    for one in planned:
        other = seen.setdefault(one.target, one)
        if other is not one:
            raise UsageError(
                f"two recordings would both become {one.target.name}: {other.recording.label} and {one.recording.label}. Give "
                "each its own participant or session code."
            )
