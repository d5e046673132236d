"""The procedure with the real recorder in its own process, and the simulated tracker that can really be calibrated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.calibration import CalibrationProcedure
from collection.presenter.headless import HeadlessCalibrationScreen
from collection.recorder import Recorder, RecorderSettings
from data_schema.clocks import ScaledClock
from data_schema.session import markers, open_session
from data_schema.session.layout import CALIBRATION_ATTEMPTS, CALIBRATION_DATA, MARKERS
from data_schema.session.stored_validation import recompute_validation, stored_validation
from data_schema.session.validate import check_session
from data_schema.study.config import StudyConfig

from .calibration_lab import GEOMETRY, LabOperator, study

SPEED = 6.0


@contextmanager
def procedure(
    path: Path, config: StudyConfig, tracker: str, operator: LabOperator, speed: float = SPEED
) -> Iterator[tuple[CalibrationProcedure, Recorder]]:
    clock = ScaledClock.starting_now(speed)
    settings = RecorderSettings(
        path, "P001", "01", config, eye_tracker=tracker, camera="", clock=clock, participant_seed=4
    )
    with Recorder(settings) as recorder:
        recorder.start()
        yield (
            CalibrationProcedure(
                recorder,
                HeadlessCalibrationScreen(clock),
                operator,
                recorder,
                clock,
                config,
                GEOMETRY,
                should_stop=lambda: False,
                participant="P001",
                positioning_limit_s=10.0,
            ),
            recorder,
        )
        assert recorder.stop().problems == ()


def quiet_study(**calibration: Any) -> StudyConfig:
    config = study(**calibration)
    recording = config.recording.model_copy(update={"min_free_gb": 0.0})
    return config.model_copy(update={"recording": recording})


@pytest.mark.timeout(180)
def test_a_calibration_makes_gaze_right_and_the_file_says_how(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    config = quiet_study(points=9, validation_points=4)
    operator = LabOperator()
    with procedure(path, config, "simulated", operator) as (calibration, recorder):
        position = calibration.run_positioning()
        assert position.ended_by in ("participant", "time")
        assert position.distance_mm == pytest.approx(675.0, abs=30.0)
        result = calibration.run()
        assert (result.gate, result.stopped) == ("passed", False), operator.questions[-1].text
        drift = calibration.recheck()
        assert drift.drift_deg < 0.5 and not drift.advised
        # The recorder sends no more rows than are asked for.
        assert recorder.request("calibration_data") == result.attempts[0].blob
    assert [finding for finding in check_session(path) if finding.level == "error"] == []
    with open_session(path) as session:
        for attempt_id in (2, 3):
            stored, again = stored_validation(session, attempt_id), recompute_validation(session, attempt_id)
            assert stored
            for one, other in zip(stored, again, strict=True):
                assert one.n_samples == other.n_samples > 100
                for name in ("accuracy_deg", "precision_rms_s2s_deg", "precision_sd_deg", "bcea_deg2", "data_loss"):
                    assert np.float32(getattr(one, name)) == np.float32(getattr(other, name)), name
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["kind"]) == ["calibration", "validation", "recheck"]
        offset, size = int(attempts["blob_offset"][0]), int(attempts["blob_size"][0])
        blob = session.file[CALIBRATION_DATA.path][offset : offset + size].tobytes()
        assert blob == result.attempts[0].blob and len(blob) > 100
        kinds = session.table(MARKERS).frame()["kind"].tolist()
        assert kinds.count(markers.CALIBRATION_CHOSEN) == 1
        assert kinds.count(markers.DRIFT_CHECKED) == 1


@pytest.mark.timeout(180)
def test_a_tracker_that_loses_an_eye_goes_on_with_the_other(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    operator = LabOperator()
    config = quiet_study(points=5, validation_points=4)
    with procedure(path, config, "faulty:one_eye:simulated", operator) as (calibration, _):
        result = calibration.run()
        assert (result.eyes, result.gate) == ("left", "passed"), operator.questions[-1].text
        assert operator.questions[0].choices[0][0] == "left_only"
    with open_session(path) as session:
        first = {point.eye: point for point in stored_validation(session, 2)}
        assert math.isnan(first["right"].accuracy_deg) and first["right"].data_loss == 1.0
        assert {point.eye for point in stored_validation(session, 4)} == {"left"}


@pytest.mark.timeout(180)
def test_a_replayed_recording_is_validated_without_calibration(tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    operator = LabOperator(("override", "a replay looks elsewhere"))
    config = quiet_study(points=9, validation_points=1, target_s=0.3)
    replay = f"replay:{shared_data / 'tobii_spectrum_600hz'}"
    # In real time: the recording has ten seconds, and starting takes some.
    with procedure(path, config, replay, operator, speed=1.0) as (calibration, _):
        assert calibration.run_positioning().ended_by == "skipped"
        result = calibration.run()
        assert (result.chosen, result.gate) == (None, "overridden")
    with open_session(path) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["kind"]) == ["validation"]
        assert list(attempts["note"]) == ["a replay looks elsewhere"]


@pytest.mark.timeout(180)
def test_a_cable_pulled_in_the_middle_gives_a_sentence_and_a_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    config = quiet_study(points=5, validation_points=4)

    class PlugsInAgain(LabOperator):
        def decide(self, question: Any, should_stop: Any) -> Any:
            if question.data["failure"]:
                lost_until.append(question.text)
                clock = recorder.settings.clock
                clock.sleep_until(clock.now_us() + 24_000_000)
            return super().decide(question, should_stop)

    lost_until: list[str] = []
    operator = PlugsInAgain()
    with procedure(path, config, "faulty:disconnect@8+24:simulated", operator) as (calibration, recorder):
        result = calibration.run()
        assert (result.gate, result.stopped) == ("passed", False), operator.questions[-1].text
    assert lost_until and ("not connected" in lost_until[0] or "sent no gaze" in lost_until[0])
    assert [finding for finding in check_session(path) if finding.level == "error"] == []
    with open_session(path) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["gate"])[-1] == "passed"
        assert "failed" in set(attempts["status"])
