"""The verbs of ``emer record``. Light at import: everything heavy is imported when a verb runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_schema.errors import UsageError

if TYPE_CHECKING:
    from collection.runner import SessionRequest

app = typer.Typer(
    name="record",
    help="Record a session: print its plan, rehearse it without hardware, run it, go on with one that was cut off.",
    no_args_is_help=True,
    add_completion=False,
)

Study = Annotated[Path | None, typer.Argument(help="The study folder; the current one by default.", show_default=False)]
Participant = Annotated[
    str,
    typer.Option(
        "--participant", "-p", help="Pseudonym, letters and digits; asked on the console or drawn by default."
    ),
]
SessionCode = Annotated[str, typer.Option("--session", "-s", help="Code of the session.")]
EyeTracker = Annotated[
    str,
    typer.Option(
        "--eye-tracker",
        help="tobii, tobii:SERIAL_OR_ADDRESS, simulated, replay:FILE_OR_FOLDER, or one that misbehaves: "
        "faulty:FAULT@SECONDS+LASTING:DEVICE; the study's by default.",
    ),
]
Camera = Annotated[
    str,
    typer.Option(
        "--camera", help="A camera's index, an address, a video file, simulated, or faulty:...; the study's by default."
    ),
]
SecondCamera = Annotated[str, typer.Option("--second-camera", help="As --camera; the study's by default, often none.")]
Paper = Annotated[
    str,
    typer.Option(
        "--consent",
        metavar="SCOPES",
        help="What the participant agreed to on paper, of gaze,video,sharing,face_sharing (or none); asked on the screen by "
        "default.",
    ),
]
Facts = Annotated[
    list[str] | None,
    typer.Option("--fact", metavar="KEY=VALUE", help="A fact such as age_years=24 or vision_aid=glasses; repeatable."),
]
Override = Annotated[
    str,
    typer.Option(
        "--override-preflight", metavar="REASON", help="Start in spite of failed checks; the reason is stored."
    ),
]
WithConsole = Annotated[bool, typer.Option("--console/--no-console", help="Open the operator's console.")]
TestRecording = Annotated[
    bool,
    typer.Option(
        "--preflight-test/--skip-preflight-test",
        help="Make the test recording of the pre-flight; without it rates are measured for 1.5 s.",
    ),
]
Headless = Annotated[
    bool, typer.Option("--headless/--windows", help="Without any window; a scripted participant answers.")
]
Auto = Annotated[bool, typer.Option("--auto", help="A scripted participant answers in the window.")]
Pace = Annotated[float, typer.Option("--pace", help="With --auto: times as fast as a person who reads and answers.")]
Speed = Annotated[float, typer.Option("--speed", help="Times real time; simulated devices and --headless only.")]
QualityPage = Annotated[
    bool, typer.Option("--quality-page/--no-quality-page", help="Write the session's quality page.")
]


@app.command()
def plan(study: Study = None, participant: Participant = "P001", session: SessionCode = "01") -> None:
    """Print what a session would do, step by step, with its total minutes. Touches no hardware."""
    from collection.commands.plan import print_plan
    from collection.preflight import stimulus_durations
    from collection.protocol.plan import make_plan
    from data_schema.study.folder import check_code, find_study

    folder = find_study(study)
    check_code(participant, "participant")
    check_code(session, "session")
    print_plan(make_plan(folder, participant, session, stimulus_durations(folder)))


@app.command()
def run(
    study: Study = None,
    participant: Participant = "",
    session: SessionCode = "01",
    eye_tracker: EyeTracker = "",
    camera: Camera = "",
    second_camera: SecondCamera = "",
    console: WithConsole = True,
    consent: Paper = "",
    fact: Facts = None,
    override_preflight: Override = "",
    preflight_test: TestRecording = True,
    quality_page: QualityPage = True,
) -> None:
    """Record a participant, from the consent to the quality page.

    Prints the path of the session file. Ctrl-C ends the session early; the file is
    closed and valid, and marked as aborted.
    """
    options = _options(
        study, participant, session, eye_tracker, camera, second_camera, console, consent, fact, override_preflight,
        preflight_test, quality_page,
    )  # fmt: skip
    _run_session(_request(options))


@app.command()
def rehearse(
    study: Study = None,
    participant: Participant = "",
    session: SessionCode = "01",
    eye_tracker: EyeTracker = "",
    camera: Camera = "",
    second_camera: SecondCamera = "",
    headless: Headless = False,
    auto: Auto = False,
    pace: Pace = 1.0,
    speed: Speed = 1.0,
    console: WithConsole = True,
    consent: Paper = "",
    fact: Facts = None,
    override_preflight: Override = "",
    preflight_test: TestRecording = True,
    quality_page: QualityPage = True,
) -> None:
    """Go through a session as with a participant, with simulated or replayed devices: to train staff, and to test.

    The same windows, pre-flight, consent and quality page as `emer record run`; the file is
    marked as simulated. With --headless nothing is shown, and a scripted participant answers.
    """
    options = _options(
        study, participant, session, eye_tracker, camera, second_camera, console and not headless, consent, fact,
        override_preflight, preflight_test, quality_page,
    )  # fmt: skip
    request = _request(options, rehearsal=True, headless=headless, auto=auto, pace=pace, speed=speed)
    config = request.study.config
    if (eye_tracker or config.eye_tracker.kind).partition(":")[0] == "tobii":
        raise UsageError(
            "a rehearsal has no participant, so a real eye tracker would record nobody. Add --eye-tracker simulated, "
            "or replay:FILE; to record with the tracker: emer record run"
        )
    _run_session(request)


@app.command()
def resume(
    study: Study = None,
    participant: Participant = "",
    session: SessionCode = "01",
    eye_tracker: EyeTracker = "",
    camera: Camera = "",
    second_camera: SecondCamera = "",
    headless: Headless = False,
    auto: Auto = False,
    pace: Pace = 1.0,
    speed: Speed = 1.0,
    console: WithConsole = True,
    consent: Paper = "",
    fact: Facts = None,
    override_preflight: Override = "",
    preflight_test: TestRecording = True,
    quality_page: QualityPage = True,
) -> None:
    """Go on with a session that was cut off by a crash, a power cut or an abort.

    Repairs the file if that is needed, keeps the interrupted trial marked as such, and goes on
    with the next one in a new file beside it (..._run-02.h5). The consent of the first run holds.
    """
    from collection.runner import prepare_resume

    if not participant:
        raise UsageError("name the participant whose session goes on: --participant P001. `emer status` lists them.")
    options = _options(
        study, participant, session, eye_tracker, camera, second_camera, console and not headless, consent, fact,
        override_preflight, preflight_test, quality_page,
    )  # fmt: skip
    resumption = prepare_resume(options["study"], participant, session)
    _run_session(
        _request(
            options,
            rehearsal=resumption.simulated,
            headless=headless,
            auto=auto,
            pace=pace,
            speed=speed,
            resume=resumption,
        )
    )


@app.command()
def console(study: Study = None) -> None:
    """Open the operator's console of a session that runs; a second one, or one that was closed."""
    from collection.commands.console import open_console
    from data_schema.study.folder import find_study

    open_console(find_study(study))


@app.command(name="sync-check")
def sync_check(
    study: Study = None,
    camera: Camera = "",
    seconds: Annotated[
        float, typer.Option("--seconds", min=6.0, max=600.0, help="How long the screen flashes.")
    ] = 24.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the camera's delay and drift against the screen: flashes a pattern while the camera sees the screen."""
    from collection.commands.sync_check import check_sync
    from data_schema.study.folder import find_study

    check_sync(find_study(study), camera, seconds, as_json=as_json)


def _options(
    study: Path | None,
    participant: str,
    session: str,
    eye_tracker: str,
    camera: str,
    second_camera: str,
    console: bool,
    consent: str,
    fact: list[str] | None,
    override_preflight: str,
    preflight_test: bool,
    quality_page: bool,
) -> dict[str, Any]:
    """Return what `run`, `rehearse` and `resume` have in common, as arguments of a request."""
    from collection.runner import parse_consent, parse_facts
    from data_schema.study.folder import check_code, find_study

    folder = find_study(study)
    if participant:
        check_code(participant, "participant")
    check_code(session, "session")
    return {
        "study": folder,
        "participant": participant,
        "session": session,
        "eye_tracker": eye_tracker,
        "camera": camera,
        "second_camera": second_camera,
        "console": console,
        "consent": parse_consent(consent) if consent else None,
        "facts": parse_facts(fact or []),
        "override_reason": override_preflight.strip(),
        "test_recording": preflight_test,
        "quality_page": quality_page,
    }


def _request(options: dict[str, Any], **more: Any) -> SessionRequest:
    from collection.runner import SessionRequest

    return SessionRequest(**options, **more)


def _run_session(request: SessionRequest) -> None:
    from collection.commands.terminal import run_session

    run_session(request)
