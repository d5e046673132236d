"""What a file holds before the first step: consent, facts, checks, the stimuli's luminance, the earlier run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collection.preflight import PreflightReport
from collection.protocol.facts import fact_rows
from collection.recorder import Recorder
from collection.runner.consent import Agreement
from collection.runner.resume import Resumption
from data_schema.clocks import HostClock
from data_schema.errors import EmerError
from data_schema.session import markers
from data_schema.session.layout import CONSENT, FACTS, LUMINANCE, PREFLIGHT
from data_schema.study.folder import StudyFolder


def luminance_of(study: StudyFolder) -> tuple[npt.NDArray[np.void], str]:
    """Return the stimuli's luminance and an empty text, or no rows and why; without it a session goes on."""
    from collection.stimuli import luminance_rows

    try:
        return luminance_rows(study), ""
    except EmerError as error:
        return LUMINANCE.empty(0), f"the luminance of the stimuli is not stored: {error}"


def write_preamble(
    recorder: Recorder,
    clock: HostClock,
    agreement: Agreement,
    facts: Mapping[str, str],
    report: PreflightReport,
    luminance: npt.NDArray[np.void],
    resume: Resumption | None,
) -> None:
    """Write what was decided before the first step."""
    now_us = clock.now_us()
    if resume is not None:
        recorder.marker(markers.CONTINUES_RUN, resume.message, float(resume.run - 1))
        # Stamped anew: the earlier run's clock may have been another boot's.
        taken = resume.facts.copy()
        taken["t_system_us"] = now_us
        _write(recorder, FACTS.path, taken)
    _write(recorder, CONSENT.path, agreement.rows())
    _write(recorder, FACTS.path, fact_rows(facts, now_us))
    _write(recorder, PREFLIGHT.path, report.rows(now_us))
    _write(recorder, LUMINANCE.path, luminance)
    if report.override_reason:
        recorder.marker(markers.PREFLIGHT_OVERRIDDEN, report.override_reason, float(len(report.overrides)))


def _write(recorder: Recorder, table: str, rows: npt.NDArray[np.void]) -> None:
    if len(rows):
        recorder.rows(table, rows)
