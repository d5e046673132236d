"""``emer doctor``: is this machine ready, and is everything there for the next session of a study?"""

from __future__ import annotations

import json
from pathlib import Path

import typer


def doctor(
    study: Path | None = typer.Argument(
        None, help="Study folder whose needs are checked too: the checks that come before each session."
    ),
    devices: bool = typer.Option(
        True, "--devices/--no-devices", help="Try the study's tracker and camera, and make the test recording."
    ),
    eye_tracker: str = typer.Option("", "--eye-tracker", help="Try this one; the study's by default."),
    camera: str = typer.Option("", "--camera", help="Try this one; the study's by default."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Tell whether this machine is ready: Python, extras, clock, memory, disk; with a study its stimuli and devices."""
    from data_schema.study.doctor import examine

    findings = [(item.level, item.what, item.message, "") for item in examine(study)]
    # Without its stimuli a session has no length, and nothing further can be checked.
    if study is not None and not any(
        level == "error" and what in ("study", "stimulus") for level, what, _, _ in findings
    ):
        findings = [item for item in findings if item[1] not in ("clock", "disk")]
        findings += _before_a_session(study, devices, eye_tracker, camera, quiet=as_json)
    if as_json:
        names = ("level", "check", "message", "remedy")
        typer.echo(json.dumps([dict(zip(names, item, strict=True)) for item in findings], indent=2, ensure_ascii=False))
    else:
        for level, what, message, remedy in findings:
            typer.echo(f"{level:<8}{what}: {message}" + (f". {remedy}" if remedy else ""))
        typer.echo(_closing([what for level, what, *_ in findings if level == "error"], of_study=study is not None))
    if any(level == "error" for level, *_ in findings):
        raise typer.Exit(1)


#: Checks of what a rehearsal does without: it simulates devices, and may be silent.
_OF_PEOPLE_ALONE = {
    "sound", "eye_tracker", "camera", "gaze_rate", "frame_rate", "second_frame_rate", "rate_setting", "test_recording",
}  # fmt: skip


def _closing(errors: list[str], *, of_study: bool) -> str:
    """Say whether a recording may start, and whether a rehearsal may."""
    if not errors:
        return "A recording may start (emer record run)." if of_study else "This machine is ready."
    names = ", ".join(dict.fromkeys(errors))
    if not of_study:
        return f"This machine is not ready: {names}."
    if set(errors) <= _OF_PEOPLE_ALONE:
        return (
            f"A recording must not start before this is mended: {names} (emer record run would ask for a reason). "
            "A rehearsal with simulated devices may start (emer record rehearse): for it this is no error."
        )
    return f"Neither a recording nor a rehearsal may start before this is mended: {names}."


def _before_a_session(
    study: Path, devices: bool, eye_tracker: str, camera: str, *, quiet: bool
) -> list[tuple[str, str, str, str]]:
    """Make the checks of a pre-flight."""
    from rich.console import Console

    from collection.preflight import Preflight, stimulus_durations
    from collection.protocol.plan import make_plan
    from collection.recorder import RecorderSettings
    from data_schema.study.folder import find_study

    folder = find_study(study)
    config = folder.config
    plan = make_plan(folder, "P000", "01", stimulus_durations(folder))
    settings = RecorderSettings(
        path=folder.session_path("P000", "01"),
        participant="P000",
        session="01",
        config=config,
        eye_tracker=eye_tracker or config.eye_tracker.kind,
        camera=camera or config.camera.source,
        second_camera=config.camera.second_source,
        planned_s=plan.planned_s,
    )
    settings.make_devices()

    # On a terminal one line that changes; elsewhere nothing.
    with Console(stderr=True, quiet=quiet).status("looking at the machine") as line:
        report = Preflight(folder, settings, progress=line.update).run(devices=devices)
    return [(check.level, check.name, check.message, check.remedy) for check in report.checks]
