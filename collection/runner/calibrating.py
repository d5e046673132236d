"""The calibration procedure of a session, put together from recorder, screen and engine."""

from __future__ import annotations

from collection.presenter.base import Presenter
from collection.protocol.engine import ProtocolEngine
from collection.protocol.plan import SessionPlan
from collection.recorder import Recorder
from data_schema.clocks import HostClock
from data_schema.session.screen import screen_geometry
from data_schema.study.config import StudyConfig

#: Seconds after which positioning ends by itself where a script answers: nobody presses a key then.
SCRIPTED_POSITIONING_S = 2.0


def add_calibration(
    engine: ProtocolEngine,
    recorder: Recorder,
    presenter: Presenter,
    clock: HostClock,
    config: StudyConfig,
    plan: SessionPlan,
    *,
    scripted: bool,
) -> None:
    """Give the engine what positions and calibrates; nothing where the study wants none.

    Parameters
    ----------
    engine : ProtocolEngine
        Its desk passes on the operator's commands.
    recorder : Recorder
        Asks the tracker, and delivers gaze while targets are shown.
    presenter : Presenter
        Open; its calibration screen is drawn on.
    clock : HostClock
    config : StudyConfig
    plan : SessionPlan
    scripted : bool
        True if nobody sits in front of the screen.
    """
    if not (config.calibration.points or config.calibration.validation_points):
        return
    from collection.calibration import CalibrationProcedure

    engine.calibration = CalibrationProcedure(
        recorder,
        presenter.calibration_screen,
        engine.desk,
        recorder,
        clock,
        config,
        screen_geometry(config.screen),
        should_stop=engine.should_stop,
        texts=plan.texts,
        participant=plan.participant,
        positioning_limit_s=SCRIPTED_POSITIONING_S if scripted else None,
    )
