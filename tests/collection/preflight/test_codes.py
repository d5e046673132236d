"""Codes: a free one, and one that was used before."""

from __future__ import annotations

import pytest

from collection.preflight import new_participant, new_session_path, used_sessions
from data_schema.errors import RecordingError
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study.folder import StudyFolder


def test_a_code_that_was_used_before_gets_a_way_out(study: StudyFolder) -> None:
    make_synthetic_session(study.session_path("P001", "01"), n_trials=1, trial_s=0.2)
    make_synthetic_session(study.session_path("P001", "01", 2), n_trials=1, trial_s=0.2, continues_run=1, first_trial=2)
    assert used_sessions(study) == {"P001": ["01"]}
    assert new_session_path(study, "P001", "02").name == "sub-P001_ses-02.h5"
    for code in ("P001", "p001"):
        with pytest.raises(RecordingError, match="already.*--session 02.*leave --participant out.*record resume"):
            new_session_path(study, code, "01")


def test_a_new_code_is_random_free_and_no_name(study: StudyFolder) -> None:
    codes = {new_participant(study) for _ in range(50)}
    assert len(codes) > 40
    assert all(code.startswith("P") and len(code) == 5 and code[-1].isdigit() for code in codes)
