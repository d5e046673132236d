"""A test recording: the real recorder and the real devices for some seconds, checked and thrown away."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from collection.devices.base import CAMERA, DeviceInfo
from collection.preflight.checks import ERROR, GOOD, WARNING, Check
from collection.preflight.devices import FRAME_PATHS, answered, rate_check
from collection.recorder import COMPLETE, Recorder, RecorderSettings, RecordingSummary
from data_schema.errors import EmerError
from data_schema.exports.session_quality import measure_session
from data_schema.session.layout import FRAMES, GAZE, PRESENTATIONS
from data_schema.session.lock import is_locked
from data_schema.session.reader import Session, open_session
from data_schema.session.validate import check_session

#: A clock model whose residuals spread wider than this says that stamps are not to be trusted to a
#: millisecond; the real Spectrum recording at 600 Hz has 0.23 ms.
MAX_CLOCK_RESIDUAL_US = 2000.0
#: Share of the time between frames that encoding may take.
MAX_ENCODING_SHARE = 0.8
#: Share of it that is aimed at where something must be lowered; chosen by us, a session costs more than a test.
AIMED_SHARE = 0.6
#: Streams of frames as the recorder counts them, by the check of their rate.
_STREAM_OF = {"frame_rate": "frames", "second_frame_rate": "frames_2"}
_LOOK_S = 0.1
_PREFIX, _NAME = ".preflight-", "sub-TEST_ses-00.h5"
#: Seconds for which the folder of a test recording may be without its file.
_FRESH_S = 120.0

logger = logging.getLogger(__name__)

Progress = Callable[[str], None]


def check_recording(settings: RecorderSettings, seconds: float, progress: Progress | None = None) -> list[Check]:
    """Record for some seconds beside the study's sessions, check the file, and delete it.

    Parameters
    ----------
    settings : RecorderSettings
        Those of the session.
    seconds : float
        Of the settings' clock.
    progress : callable, optional
        Told how far it is.
    """
    sessions = _folder_of_sessions(settings.path)
    while not sessions.exists():
        sessions = sessions.parent
    try:
        # On the disk that will hold the session: a fast temporary disk would prove nothing.
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=sessions) as folder:
            path = Path(folder) / _NAME
            return _record_and_check(
                replace(settings, path=path, participant="TEST", session="00", planned_s=seconds, throwaway=True),
                seconds,
                progress,
            )
    except OSError as error:
        return [Check("test_recording", ERROR, f"the test recording failed: {error}", "Check the study's disk.")]


def remove_left_behind(session_path: Path) -> int:
    """Delete test recordings that a kill or a power cut has left beside the sessions; returns how many.

    They may show a participant who has agreed to nothing yet. One that is being made is left alone.

    Parameters
    ----------
    session_path : Path
        Where a session of the study will lie.
    """
    sessions, removed = _folder_of_sessions(session_path), 0
    for folder in (*sessions.glob(f"{_PREFIX}*"), *sessions.parent.glob(f"{_PREFIX}*")):
        try:
            fresh = time.time() - folder.stat().st_mtime < _FRESH_S
        except OSError:
            continue
        # It is not locked yet while its devices start.
        if not fresh and not is_locked(folder / _NAME):
            shutil.rmtree(folder, ignore_errors=True)
            removed += not folder.exists()
    if removed:
        logger.warning("%d test recordings that an earlier kill had left behind were deleted", removed)
    return removed


def _folder_of_sessions(session_path: Path) -> Path:
    """Return the folder that holds all sessions: in one place a later check finds what was left behind."""
    return next((folder for folder in session_path.parents if folder.name == "sessions"), session_path.parent)


def _record_and_check(settings: RecorderSettings, seconds: float, progress: Progress | None) -> list[Check]:
    try:
        with Recorder(settings) as recorder:
            started = recorder.start()
            _wait(recorder, seconds, progress)
            summary = recorder.stop(COMPLETE)
    except EmerError as error:
        return [Check("test_recording", ERROR, str(error).replace("\n", "; "))]
    if progress is not None:
        progress("checking the test recording")
    checks = [check for info in started.devices for check in answered(info.role, info, settings.config)]
    try:
        with open_session(settings.path) as session:
            found = _check_file(session, started.devices, settings, seconds)
            checks += [_by_the_counters(check, summary, started.devices, settings) for check in found]
    except EmerError as error:
        return [*checks, Check("test_recording", ERROR, f"the test recording cannot be read: {error}")]
    lighter = _lighter(summary, started.devices, settings)
    return [*checks, _verdict(settings.path, summary, seconds, lighter), *_encoding(summary, settings, lighter)]


def _wait(recorder: Recorder, seconds: float, progress: Progress | None) -> None:
    clock = recorder.settings.clock
    end_us = clock.now_us() + round(seconds * 1e6)
    while clock.now_us() < end_us:
        recorder.status()
        left_s = (end_us - clock.now_us()) / 1e6
        if progress is not None:
            progress(f"test recording, {left_s:.0f} s left")
        time.sleep(min(_LOOK_S, max(0.0, left_s / clock.speed)))


def _check_file(
    session: Session, devices: tuple[DeviceInfo, ...], settings: RecorderSettings, seconds: float
) -> list[Check]:
    checks: list[Check] = []
    n_cameras = 0
    for info in devices:
        table = GAZE.path
        if info.role == CAMERA:
            table, n_cameras = FRAME_PATHS[min(n_cameras, 1)], n_cameras + 1
        view = session.table(table)
        if info.rates_hz.get(table, info.rates_hz.get(FRAMES.path, 0.0)) > 0:
            times = view[:][view.table.time_column].astype(np.int64)
            window_s = max(0.5, seconds - 0.5)
            checks.append(rate_check(table, times, window_s, info, settings.config))
    measured = measure_session(session)
    n_gaps = measured.gaze.n_gaps + measured.frames.n_gaps
    if n_gaps:
        checks.append(
            Check(
                "gaps", WARNING, f"{n_gaps} holes of more than 0.1 s in {seconds:.0f} s",
                "Use another USB port, and close other programs.", float(n_gaps),
            )
        )  # fmt: skip
    else:
        checks.append(Check("gaps", GOOD, f"no hole of more than 0.1 s in {seconds:.0f} s", value=0.0))
    residual = measured.clock_residual_us
    if np.isfinite(residual):
        said = f"device and host clock agree to {residual:.0f} us (SD of the residuals)"
        bad = residual > MAX_CLOCK_RESIDUAL_US
        remedy = "Plug the tracker into another USB port." if bad else ""
        checks.append(Check("clock_residual", WARNING if bad else GOOD, said, remedy, residual))
    return [*checks, *_decode(session)]


def _decode(session: Session) -> list[Check]:
    """Decode every frame of the test recording."""
    video = session.video
    if video is None:
        return []
    decoded = sum(1 for _ in video.decode_many(range(len(video))))
    if decoded < len(video) or not len(video):
        said = f"{decoded} of {len(video)} camera frames can be decoded"
        return [Check("frames", ERROR, said, "Install av and opencv-python again.", float(decoded))]
    return [Check("frames", GOOD, f"all {decoded} camera frames can be decoded", value=float(decoded))]


def _by_the_counters(
    check: Check, summary: RecordingSummary, devices: tuple[DeviceInfo, ...], settings: RecorderSettings
) -> Check:
    """Name the encoder as the cause of missing frames, where frames came and found its queue full."""
    counted = summary.status.stream(_STREAM_OF.get(check.name, ""))
    if check.level != ERROR or not counted.dropped:
        return check
    said = (
        f"{check.message}: the camera delivered {counted.received} frames, and {counted.dropped} of them were dropped "
        "because the encoder did not keep up"
    )
    median_ms = summary.status.encode_ms[0]
    if np.isfinite(median_ms):
        said += f" ({median_ms:.0f} ms a frame)"
    return replace(check, message=said, remedy=_lighter(summary, devices, settings))


def _lighter(summary: RecordingSummary, devices: tuple[DeviceInfo, ...], settings: RecorderSettings) -> str:
    """Return what to lower, and how far, from what a frame took to encode in this recording."""
    camera, p95_ms = settings.config.camera, summary.status.encode_ms[1]
    adapt = "" if camera.adapt else ", or switch [camera] adapt on"
    info = next((info for info in devices if info.role == CAMERA), None)
    if info is None or not np.isfinite(p95_ms) or p95_ms <= 0:
        return f"Lower [camera] width_px and height_px, or fps{adapt}, and close other programs."
    encoded = info.details.get("encoding") or {}
    width, height = encoded.get("width", info.width_px), encoded.get("height", info.height_px)
    room_ms = AIMED_SHARE * 1000 / camera.fps
    # The time grows with the number of pixels.
    scale = min(1.0, (room_ms / p95_ms) ** 0.5)
    width, height = (max(2, int(side * scale) // 16 * 16) for side in (width, height))
    fps = max(1, int(AIMED_SHARE * 1000 / p95_ms))
    return (
        f"Close other programs; if that does not help, lower [camera] width_px and height_px to about {width} and "
        f"{height}, or fps to {min(fps, int(camera.fps))}{adapt}."
    )


def _verdict(path: Path, summary: RecordingSummary, seconds: float, lighter: str) -> Check:
    # Nothing was shown, on purpose.
    findings = [finding for finding in check_session(path) if finding.hdf5_path != PRESENTATIONS.path]
    worst = [finding for finding in findings if finding.level == "error"] or findings
    dropped = summary.status.dropped
    of_cameras = sum(summary.status.stream(name).dropped for name in _STREAM_OF.values())
    if worst:
        level = ERROR if worst[0].level == "error" else WARNING
        said = f"{seconds:.0f} s recorded: {worst[0].message.rstrip('.')}"
        return Check("test_recording", level, said, lighter if of_cameras else "", dropped or math.nan)
    if dropped:
        remedy = lighter if of_cameras else "This machine is too slow: close other programs."
        return Check(
            "test_recording", ERROR, f"{dropped} rows or frames were dropped in {seconds:.0f} s", remedy, dropped
        )
    return Check("test_recording", GOOD, f"{seconds:.0f} s recorded, checked and deleted", value=seconds)


def _encoding(summary: RecordingSummary, settings: RecorderSettings, lighter: str) -> list[Check]:
    p95_ms = summary.status.encode_ms[1]
    if not np.isfinite(p95_ms) or settings.clock.speed != 1.0:
        return []
    share = p95_ms * settings.config.camera.fps / 1000
    said = f"a frame takes {p95_ms:.1f} ms to encode (95 %), {share:.0%} of the time between frames"
    if share > MAX_ENCODING_SHARE:
        return [Check("encoding", WARNING, said, lighter, p95_ms)]
    return [Check("encoding", GOOD, said, value=p95_ms)]
