"""Session files of every released format version stay readable for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from data_schema.session import open_session
from data_schema.session.layout import FORMAT_VERSION, FRAMES, GAZE, MARKERS, RESPONSES
from data_schema.session.validate import check_session

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
FILES = sorted(GOLDEN.glob("v*/sub-*.h5"))


def test_the_current_version_has_its_golden_file() -> None:
    assert GOLDEN / f"v{FORMAT_VERSION[0]}.{FORMAT_VERSION[1]}" / "sub-P001_ses-01.h5" in FILES


@pytest.mark.parametrize("path", FILES, ids=[path.parent.name for path in FILES])
def test_a_golden_file_is_sound(path: Path) -> None:
    assert check_session(path) == []


def test_version_1_0_reads_as_it_was_written() -> None:
    with open_session(GOLDEN / "v1.0" / "sub-P001_ses-01.h5") as session:
        assert session.format_version == (1, 0)
        assert (session.participant, session.session, session.status) == ("P001", "01", "complete")
        gaze = session.table(GAZE.path)[:]
        assert len(gaze) == 420
        assert hashlib.sha256(gaze.tobytes()).hexdigest() == GAZE_SHA256
        assert [trial.stimulus_id for trial in session.trials()] == ["s00", "s01"]
        assert session.table(RESPONSES.path).column("scale").tolist() == ["valence", "arousal"] * 2
        assert len(session.table(FRAMES.path)) == 52
        assert session.table(MARKERS.path).column("kind").tolist() == ["recording_started", "recording_closed"]
        video = session.video
        assert video is not None
        ramp = np.add.outer(np.arange(240), np.arange(320)) + 30 * 5
        assert np.abs(video.decode(30)[:, :, 0].astype(int) - ramp % 256)[60:70, 60:70].mean() < 12
        assert session.config().study.title == "Synthetic study"


#: Of the rows of /eye/gaze, as they were when version 1.0 was released.
GAZE_SHA256 = "0760a0a9d4cfc2a70d178ef349e5f6ea39be5d8328e82639bb06327c83ad4773"
