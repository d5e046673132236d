"""Write planned sessions: streaming, whole or not at all, never over another file."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from data_schema.atomic import partial_path, replace_durably
from data_schema.errors import DataImportError, RecordingError
from data_schema.importers.dialects import Columns
from data_schema.importers.face_video import FaceVideoEncoder
from data_schema.importers.plan import ImportOptions, PlannedSession
from data_schema.importers.samples import SampleConverter, Screen, openness_rows, sample_roles
from data_schema.importers.survey import Progress, Survey
from data_schema.importers.text import Block
from data_schema.importers.trials import ImportedTrial
from data_schema.session import markers
from data_schema.session.layout import CONSENT, FRAMES, GAZE, OPENNESS, PRESENTATIONS, make_row
from data_schema.session.lock import acquire_lock, is_locked, lock_path, release_lock
from data_schema.session.reader import file_sha256
from data_schema.session.validate import Finding, check_session
from data_schema.session.writer import SessionWriter
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import Stimulus
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING

Rows = npt.NDArray[np.void]

#: Rates that trackers are sold with; a measured rate within 1 % of one is called that.
_USUAL_RATES_HZ = (30.0, 33.0, 40.0, 50.0, 60.0, 90.0, 120.0, 150.0, 250.0, 300.0, 500.0, 600.0, 1000.0, 1200.0)
#: A stimulus that was shown for this much less than its file lasts did not play to its end. Other systems log whole
#: frames and screen changes, and a copy of a file may differ by some frames.
_EARLY_S = 0.5


@dataclass(frozen=True)
class ImportedSession:
    """What became of one recording.

    Parameters
    ----------
    path : Path
        The session file.
    n_samples, n_trials, n_frames : int
    rate_hz, duration_s : float
    notes : tuple of str
        What a person should know: columns that were absent, samples left out, names passed over.
    findings : tuple of Finding
        What `emer check` says; no errors.
    """

    path: Path
    n_samples: int
    n_trials: int
    n_frames: int
    rate_hz: float
    duration_s: float
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def write_sessions(
    study: StudyFolder, planned: Sequence[PlannedSession], options: ImportOptions, progress: Progress | None = None
) -> list[ImportedSession]:
    """Write all planned sessions, file by file.

    The sessions of one exported file appear together, once all are written and checked; if one fails, none is there.

    Parameters
    ----------
    study : StudyFolder
    planned : sequence of PlannedSession
    options : ImportOptions
    progress : callable, optional

    Returns
    -------
    list of ImportedSession

    Raises
    ------
    DataImportError, MediaError, RecordingError
        If a file broke meanwhile or the disk is full; nothing of that file is left behind.
    """
    done: list[ImportedSession] = []
    by_file: dict[int, list[PlannedSession]] = {}
    for one in planned:
        by_file.setdefault(id(one.survey), []).append(one)
    for group in by_file.values():
        sha256 = file_sha256(group[0].survey.table.path)
        with contextlib.ExitStack() as stack:
            growing = [stack.enter_context(_GrowingSession(study, one, options, sha256)) for one in group]
            try:
                _stream_samples(group[0].survey, growing, progress)
                for session in growing:
                    session.complete(progress)
            except RecordingError as error:
                raise DataImportError(
                    f"{group[0].target.name}: writing failed: {_disk_reason(error)}. Nothing of it was left behind. Free some "
                    "disk, or choose another one, and import again."
                ) from error
            done += [session.publish() for session in growing]
    return done


def _disk_reason(error: BaseException) -> str:
    """Return what the system said of a failed write; closing the file afterwards fails, too, and says less."""
    first = error
    while isinstance(first.__context__, RecordingError):
        first = first.__context__
    said = str(first)
    found = re.search(r"error message = '([^']*)'", said)
    return found[1] if found else said.partition(": writing failed: ")[2].partition(". What was written")[0] or said


def _stream_samples(survey: Survey, growing: Sequence[_GrowingSession], progress: Progress | None) -> None:
    """Read the table once and hand each stretch of rows to its session."""
    roles = sample_roles(survey.columns)
    numbers, texts = survey.columns.numbers_and_texts(roles)
    for block in survey.table.blocks(tuple(numbers.values()), tuple(texts.values())):
        end = block.first_row + block.n_rows
        for session in growing:
            for start, stop in session.planned.recording.ranges:
                first, last = max(start, block.first_row), min(stop, end)
                if last > first:
                    session.append(block, first - block.first_row, last - block.first_row)
        if progress:
            progress(block.done_bytes, survey.table.size_bytes, "writing")


class _GrowingSession:
    """A session file that is being written under another name; gone if the block is left before :meth:`publish`."""

    def __init__(self, study: StudyFolder, planned: PlannedSession, options: ImportOptions, file_sha256: str) -> None:
        self.planned = planned
        self._study = study
        self._options = options
        self._sha256 = file_sha256
        self._converter = SampleConverter(
            planned.survey.columns, planned.recording, planned.screen, planned.survey.table
        )
        self._span: tuple[int, int] | None = None
        self._n_samples = self._n_frames = 0
        self._findings: list[Finding] = []
        self._published = False
        self._has_3d = False

    def __enter__(self) -> _GrowingSession:
        target = self.planned.target
        self._made_folders = [folder for folder in (target.parent.parent, target.parent) if not folder.exists()]
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(
                f"{target.parent}: cannot create the folder: {error}. Check name and rights."
            ) from error
        self._lock = acquire_lock(target)
        self._partial = partial_path(target)
        try:
            self._remove_left_over(target)
            camera = self._study.config.camera
            video = self.planned.face_video
            self._encoder = FaceVideoEncoder(video, camera) if video is not None else None
            self._rate_hz = _usual_rate(self.planned.recording.rate_hz)
            rates = {GAZE.path: self._rate_hz, OPENNESS.path: self._rate_hz}
            if video is not None:
                rates[FRAMES.path] = video.rate_hz
            self._writer = SessionWriter.create(
                self._partial,
                participant=self.planned.participant,
                session=self.planned.session,
                config_json=self._study.config.to_json(),
                devices=self._devices(rates),
                video=self._encoder.stream if self._encoder is not None else None,
                rates_hz={path: rate if np.isfinite(rate) else 60.0 for path, rate in rates.items()},
                simulated=False,
            )
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._published:
            self._writer.discard()
        self._clean_up()

    def _clean_up(self) -> None:
        if not self._published:
            self._partial.unlink(missing_ok=True)
        release_lock(self.planned.target, self._lock)
        for folder in reversed(self._made_folders) if not self._published else ():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _remove_left_over(self, target: Path) -> None:
        """Remove what a killed import left beside the target."""
        for path in target.parent.glob(f".{target.name}.*.partial"):
            if not is_locked(path):
                path.unlink(missing_ok=True)
                lock_path(path).unlink(missing_ok=True)

    # ------------------------------------------------------------------ content

    def append(self, block: Block, start: int, stop: int) -> None:
        """Write the samples between two rows of a block."""
        gaze, openness = self._converter.rows(block, start, stop)
        self._write(GAZE.path, gaze)
        self._write(OPENNESS.path, openness)
        self._n_samples += len(gaze)
        self._has_3d = self._has_3d or bool(
            np.isfinite(gaze["left_gaze_user_mm"]).any() or np.isfinite(gaze["right_gaze_user_mm"]).any()
        )

    def _write(self, path: str, rows: Rows) -> None:
        if len(rows):
            self._cover(int(rows["t_system_us"][0]), int(rows["t_system_us"][-1]))
            self._writer.append(path, rows)
            self._writer.flush()

    def _cover(self, first_us: int, last_us: int) -> None:
        low, high = self._span or (first_us, last_us)
        self._span = (min(low, first_us), max(high, last_us))

    def complete(self, progress: Progress | None) -> None:
        """Write everything that comes after the samples, close the file and check it."""
        planned = self.planned
        self._check_screen()
        if planned.openness is not None:
            for rows in _separate_openness(planned.openness):
                self._write(OPENNESS.path, rows)
        if self._encoder is not None and planned.face_video is not None:
            self._n_frames = self._encoder.write(self._writer, planned.t_video_us, progress)
            self._cover(planned.t_video_us, planned.t_video_us + planned.face_video.duration_us)
        for trial in planned.trials:
            self._cover(trial.t_onset_us, max(trial.t_onset_us, trial.t_offset_us))
        start, end = self._span or (0, 0)
        said = f"imported from {planned.survey.dialect.software}"
        self._writer.marker(markers.RECORDING_STARTED, said, t_system_us=start)
        self._write_consent(start)
        self._write_trials()
        self._writer.finish(t_system_us=end)
        self._findings = check_session(self._partial)
        errors = [finding for finding in self._findings if finding.level == "error"]
        if errors:
            raise DataImportError(f"{planned.survey.table.path.name}: the session file would not be sound: {errors[0]}")

    def _check_screen(self) -> None:
        screen, name = self.planned.screen, self.planned.survey.table.path.name
        if self._converter.measured.is_off_screen:
            raise DataImportError(
                f"{name}: most gaze points lie far outside the screen of {screen.width_px}x{screen.height_px} px. They are not "
                "in the unit that the columns say, such as pixels where a share of the screen is expected. Export them again."
            )
        found = self._converter.measured.contradiction(screen.width_mm, screen.height_mm)
        if found:
            raise DataImportError(
                f"{name}: gaze in millimetres and on the display area tell of a screen of {found}, but study.toml says "
                f"{screen.width_px}x{screen.height_px} px and {screen.width_mm:g}x{screen.height_mm:g} mm. Mend [screen] in "
                "study.toml: all angles hang on it, and all sessions share it."
            )

    def _write_consent(self, t_us: int) -> None:
        granted = self._options.consent
        if granted is None:
            return
        scopes = (*CONSENT_SCOPES, *((FACE_SHARING,) if FACE_SHARING in granted else ()))
        for scope in scopes:
            row = make_row(
                CONSENT, t_system_us=t_us, scope=scope, granted=int(scope in granted), way="paper",
                language=self._study.config.protocol.language,
            )  # fmt: skip
            self._writer.append(CONSENT.path, row)

    def _write_trials(self) -> None:
        number, practice = 0, 0
        for trial in self.planned.trials:
            if trial.stimulus.practice:
                practice -= 1
            else:
                number += 1
            self._write_trial(trial, practice if trial.stimulus.practice else number)

    def _write_trial(self, trial: ImportedTrial, trial_id: int) -> None:
        mark = self._writer.marker
        name = trial.stimulus.id
        mark(markers.TRIAL_STARTED, name, t_system_us=trial.t_onset_us, trial_id=trial_id)
        mark(markers.STIMULUS_ONSET, name, t_system_us=trial.t_onset_us, trial_id=trial_id)
        if trial.t_offset_us < 0:
            mark(
                markers.TRIAL_INTERRUPTED,
                "its end is not in the recording",
                t_system_us=trial.t_onset_us,
                trial_id=trial_id,
            )
            return
        shown_s = (trial.t_offset_us - trial.t_onset_us) / 1e6
        file_s = _file_duration_s(self._study, trial.stimulus)
        completed = not np.isfinite(file_s) or shown_s >= file_s - _EARLY_S
        mark(markers.STIMULUS_OFFSET, name, t_system_us=trial.t_offset_us, trial_id=trial_id)
        row = make_row(
            PRESENTATIONS, trial_id=trial_id, stimulus_id=name, target_emotion=trial.stimulus.target_emotion,
            t_onset_us=trial.t_onset_us, t_offset_us=trial.t_offset_us,
            duration_expected_s=file_s if np.isfinite(file_s) else shown_s, duration_actual_s=shown_s,
            completed=int(completed), ended_early=int(not completed),
        )  # fmt: skip
        self._writer.append(PRESENTATIONS.path, row)
        mark(markers.TRIAL_ENDED, name, t_system_us=trial.t_offset_us, trial_id=trial_id)

    # ------------------------------------------------------------------ description

    def _devices(self, rates: dict[str, float]) -> list[dict[str, Any]]:
        planned, survey, recording = self.planned, self.planned.survey, self.planned.recording
        coordinates = survey.dialect.coordinates if _has_mm(survey.columns) else ""
        tracker = {
            "role": "eye_tracker",
            "kind": "imported",
            "model": self._options.tracker,
            "serial_number": "",
            "firmware": "",
            "simulated": False,
            "replayed_from": "",
            "rates_hz": {path: rate for path, rate in rates.items() if path != FRAMES.path and np.isfinite(rate)},
            "details": {
                "imported": True,
                "software": survey.dialect.software,
                "software_version": recording.software_version,
                "file_sha256": self._sha256,
                "file_bytes": survey.table.size_bytes,
                "absent_columns": list(survey.columns.absent),
                "coordinates": coordinates,
                "clock": _clock_note(survey, planned),
                "samples_left_out": recording.n_duplicates,
                "last_line_cut_off": survey.table.truncated,
            },
        }
        devices: list[dict[str, Any]] = [json.loads(json.dumps(tracker))]
        if planned.face_video is not None:
            video = planned.face_video
            devices.append(
                {
                    "role": "camera", "kind": "imported", "model": "", "serial_number": "", "firmware": "",
                    "simulated": False, "replayed_from": "", "rates_hz": {FRAMES.path: round(video.rate_hz, 3)},
                    "width_px": video.width_px, "height_px": video.height_px,
                    "details": {
                        "imported": True, "file_sha256": file_sha256(video.path), "encoded_anew": True,
                        "video_offset_ms": self._options.video_offset_ms,
                    },
                }
            )  # fmt: skip
        return devices

    def publish(self) -> ImportedSession:
        """Give the finished file its name."""
        target = self.planned.target
        if target.exists():
            raise DataImportError(
                f"{target.name} came into being meanwhile, and a recording is never overwritten. Look at it first."
            )
        try:
            replace_durably(self._partial, target)
        except OSError as error:
            raise DataImportError(
                f"{target}: cannot be written: {error}. Check the folder's rights and the disk."
            ) from error
        self._published = True
        recording = self.planned.recording
        n_trials = sum(1 for trial in self.planned.trials if trial.t_offset_us >= 0)
        return ImportedSession(
            target, self._n_samples, n_trials, self._n_frames, self._rate_hz,
            recording.duration_s, tuple(self._notes()), tuple(self._findings),
        )  # fmt: skip

    def _notes(self) -> list[str]:
        survey, planned = self.planned.survey, self.planned
        notes = []
        if not self._has_3d:
            notes.append(
                "no gaze in millimetres in the file: angles will be computed for an eye at the usual distance of study.toml. "
                "Export the columns 'Gaze point left/right [DACS mm]' and 'Eye position left/right [DACS mm]' for exact ones."
            )
        if not any(survey.columns.has(f"{eye}_pupil") for eye in ("left", "right")):
            notes.append("no pupil diameter in the file")
        if self._converter.n_duplicates:
            notes.append(f"{self._converter.n_duplicates} samples left out: the tracker's time stamp came twice")
        if self._converter.n_invalid_with_gaze:
            notes.append(
                f"{self._converter.n_invalid_with_gaze} gaze points of one eye are marked as invalid in the file and left out"
            )
        if survey.table.truncated:
            notes.append("the last line of the file is cut off and was left out: was the export complete?")
        if planned.passed_over:
            notes.append(f"passed over, since they are no stimuli of the study: {', '.join(planned.passed_over)}")
        boxes = planned.recording.media_boxes
        odd = [box for box in boxes if not _fills(box, planned.screen)]
        if planned.trials and odd:
            notes.append(
                f"{len(odd)} of {len(boxes)} media did not fill the screen, such as {odd[0][2]}x{odd[0][3]} px at "
                f"({odd[0][0]}, {odd[0][1]}): maps and the ER pass place gaze as if the stimulus filled it"
            )
        if not planned.trials:
            notes.append("no stimulus was shown, so there will be no clips; name what was shown with --events FILE.csv")
        if self._options.consent is None:
            notes.append(
                "no consent recorded: say with --consent gaze,video,sharing what the participant agreed to on paper"
            )
        return notes


def _fills(box: tuple[int, int, int, int], screen: Screen) -> bool:
    """Tell whether a picture stands where ours would: as large as the screen allows, in its middle (to two pixels)."""
    x, y, width, height = box
    large = abs(width - screen.width_px) <= 2 or abs(height - screen.height_px) <= 2
    return large and abs(2 * x + width - screen.width_px) <= 4 and abs(2 * y + height - screen.height_px) <= 4


def _has_mm(columns: Columns) -> bool:
    return any(
        columns.has(f"{eye}_{role}") for eye in ("left", "right") for role in ("mm_x", "eye_x", "mm_tuple", "eye_tuple")
    )


def _clock_note(survey: Survey, planned: PlannedSession) -> str:
    recording = planned.recording
    host = "computer timestamp" if survey.columns.has("computer_time") else "recording timestamp"
    if survey.dialect.name == "sdk":
        host = "system_time_stamp"
    if not recording.has_device_time:
        return f"host times are the file's {host}; it has no stamps of the tracker's own clock, so t_device_us repeats them"
    if recording.unit_us > 1:
        return f"host times are the file's {host}, refined within its rounding by the tracker's own clock"
    return f"host times are the file's {host}"


def _separate_openness(survey: Survey) -> Sequence[Rows] | Any:
    """Yield rows of ``/eye/openness`` from a table of its own."""
    roles = tuple(survey.columns.number)
    numbers, _ = survey.columns.numbers_and_texts(roles)
    for block in survey.table.blocks(tuple(numbers.values()), ()):
        values = {role: block.numbers[number] for role, number in numbers.items()}
        rows = openness_rows(values, block.n_rows)
        rows["t_system_us"] = values["time"].astype(np.int64)
        device = values.get("device_time", values["time"])
        rows["t_device_us"] = np.where(np.isfinite(device), device, values["time"]).astype(np.int64)
        yield rows


def _usual_rate(rate_hz: float) -> float:
    near = next((usual for usual in _USUAL_RATES_HZ if abs(rate_hz - usual) <= 0.01 * usual), None)
    return near if near is not None else round(rate_hz, 3)


def _file_duration_s(study: StudyFolder, stimulus: Stimulus) -> float:
    """Return how long a stimulus' file lasts; NaN if it is not there or is a picture."""
    path = study.stimuli_dir / stimulus.file
    if not path.is_file():
        return float("nan")
    try:
        with av.open(str(path)) as container:
            duration = container.duration
    except (av.error.FFmpegError, OSError):
        return float("nan")
    # A picture opens as a video of one frame.
    return duration / 1e6 if duration and duration > 200_000 else float("nan")
