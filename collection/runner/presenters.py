"""Which presenter shows a session."""

from __future__ import annotations

import importlib.util

from collection.presenter.base import Presenter
from collection.presenter.headless import HeadlessPresenter
from collection.presenter.scripted import ScriptedParticipant
from collection.texts import load_texts
from data_schema.clocks import HostClock
from data_schema.errors import MissingExtraError
from data_schema.study.folder import StudyFolder


def require_window(rehearsal: bool) -> None:
    """Check that clips can be shown in a window.

    Raises
    ------
    MissingExtraError
        If PsychoPy is not installed.
    """
    if importlib.util.find_spec("psychopy") is None:
        way_out = "leave it out with: --headless" if rehearsal else "try without one: emer record rehearse --headless"
        raise MissingExtraError("lab", "psychopy", f"Showing clips in a window ({way_out})")


def make_presenter(
    study: StudyFolder,
    clock: HostClock,
    *,
    headless: bool,
    script: ScriptedParticipant | None,
) -> Presenter:
    """Make the presenter of a session; no window is opened yet.

    Parameters
    ----------
    study : StudyFolder
        Its screen, its texts.
    clock : HostClock
        Shared with the recorder.
    headless : bool
    script : ScriptedParticipant or None
        Who answers; None leaves it to the person in front of the window.
    """
    config = study.config
    if headless:
        if script is None:
            raise ValueError("without a window somebody scripted has to answer")
        return HeadlessPresenter(clock, config.screen.refresh_hz, script)
    from collection.presenter.psychopy import PsychopyPresenter

    presenter: Presenter = PsychopyPresenter(
        config.screen,
        language=config.protocol.language,
        clock=clock,
        fullscreen=config.screen.fullscreen,
        screen_index=config.screen.number,
        script=script,
        texts=load_texts(config.protocol.language, study),
    )
    return presenter
