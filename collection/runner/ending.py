"""After the recording: what `emer check` says, the quality page, the last word."""

from __future__ import annotations

import logging
from pathlib import Path

from collection.runner.request import SessionResult
from data_schema.errors import EmerError
from data_schema.session.validate import check_session
from data_schema.study.folder import StudyFolder

logger = logging.getLogger(__name__)


def check_warnings(path: Path) -> list[str]:
    """Return what `emer check` warns of in the new file, so that the operator hears it before the participant leaves."""
    try:
        return [str(finding) for finding in check_session(path) if finding.level == "warning"]
    except EmerError as error:
        return [str(error)]


def write_quality_page(path: Path, study: StudyFolder) -> tuple[Path | None, str]:
    """Write the session's quality page; returns its path, or None and why there is none.

    The recording is safe by now: whatever goes wrong here must not look like a recording that failed.
    """
    again = f"The recording itself is safe; make the page with: emer quality {study.root}"
    try:
        from collection.quality import make_session_page

        pages = make_session_page(path, study)
    except ModuleNotFoundError as error:
        return None, f'no quality page: the module {error.name} is missing (pip install "emer-toolkit[pages]"). {again}'
    except EmerError as error:
        return None, f"no quality page: {error}. {again}"
    except Exception as error:
        logger.exception("the quality page failed")
        return None, f"no quality page ({type(error).__name__}: {error}). {again}"
    return Path(pages.html), ""


def summary_line(result: SessionResult) -> str:
    """Return how a session ended, in one line."""
    summary, plan = result.summary, result.plan
    if summary is None or plan is None:
        return f"{result.reason}: {result.message}" if result.message else result.reason
    gaze, frames = summary.status.stream("/eye/gaze"), summary.status.stream("frames")
    n_done = result.outcome.n_trials_completed if result.outcome is not None else 0
    n_planned = plan.n_trials - plan.first_trial + 1
    line = (
        f"{result.reason}: {n_done} of {n_planned} trials, {summary.duration_s:.1f} s; "
        f"gaze {gaze.written} rows ({summary.rate_hz('/eye/gaze'):.1f} Hz), "
        f"frames {frames.written} ({summary.rate_hz('frames'):.1f} Hz), dropped {summary.status.dropped}; "
        f"peak memory {summary.status.memory_peak_bytes / 1e6:.0f} MB"
    )
    return f"{line} ({result.message})" if result.message else line


def next_step(result: SessionResult, study: StudyFolder) -> str:
    """Return what the operator does next."""
    if result.path is None:
        return ""
    if result.reason == "complete":
        return f"emer status {study.root}"
    return f"emer record resume {study.root} --participant {result.participant} --session {result.session}"
