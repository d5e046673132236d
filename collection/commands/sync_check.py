"""Measure the camera's delay and drift against the screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from data_schema.errors import UsageError

if TYPE_CHECKING:
    from data_schema.study.folder import StudyFolder


def check_sync(study: StudyFolder, camera_spec: str, seconds: float, *, as_json: bool) -> None:
    """Flash the screen, film it, say the delay, and keep the report in the study's ``reports/``.

    Raises
    ------
    MissingExtraError
        If no window can be shown.
    DeviceError, ClockError
        If the camera is missing, silent, or does not see the screen.
    """
    from collection.devices.registry import create_camera
    from collection.runner.presenters import make_presenter, require_window
    from collection.runner.signals import stop_signals
    from collection.sync_check import run_sync_check
    from data_schema.clocks import SystemClock

    require_window(rehearsal=False)
    config, clock = study.config, SystemClock()
    spec = camera_spec or config.camera.source
    if spec == "simulated":
        raise UsageError(
            "the simulated camera does not see the screen. Point a real camera at the screen, or at a mirror, and name "
            "it: --camera 0"
        )
    camera = create_camera(spec, config=config, clock=clock, seed=config.study.seed)
    presenter = make_presenter(study, clock, headless=False, script=None)
    stopped: list[str] = []
    presenter.open()
    try:
        typer.echo(f"flashing for {seconds:.0f} s; the camera has to see the screen", err=True)
        with stop_signals(stopped.append, lambda text: typer.echo(text, err=True)):
            report = run_sync_check(
                presenter,  # type: ignore[arg-type]
                camera,
                seconds=seconds,
                seed=config.study.seed,
                should_stop=lambda: bool(stopped),
            )
    finally:
        presenter.close()
    path = report.write(study.reports_dir)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        for sentence in report.sentences():
            typer.echo(sentence)
    typer.echo(str(path), err=as_json)
