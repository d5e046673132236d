"""What a session is asked to be, and what it left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from collection.preflight.checks import Check, PreflightReport
from collection.preflight.codes import used_sessions
from collection.recorder import RecorderStatus, RecordingSummary
from data_schema.errors import EmerError, UsageError
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING

if TYPE_CHECKING:
    from collection.protocol.engine import Outcome, Progress
    from collection.protocol.plan import SessionPlan
    from collection.runner.resume import Resumption


@dataclass(frozen=True)
class SessionRequest:
    """Everything that was decided before the session begins.

    Parameters
    ----------
    study : StudyFolder
    participant, session : str
        Codes; an empty participant is asked for on the console, or drawn.
    eye_tracker, camera, second_camera : str
        Device specifications; empty takes the study's.
    rehearsal : bool
        True if nobody real is recorded: the file is marked as simulated.
    headless : bool
        Without a window; a scripted participant answers.
    auto : bool
        A scripted participant answers in the window.
    pace : float
        Times as fast as a person that the scripted participant in the window reads and answers.
    speed : float
        Times real time; headless only.
    console : bool
        Open an operator's console.
    consent : mapping of str to bool, optional
        Decision by scope as the operator has it on paper; None asks.
    facts : mapping of str to str
        For ``/participant/facts``.
    override_reason : str
        Why to start in spite of failed checks; empty asks or refuses.
    test_recording : bool
        False leaves the test recording of the pre-flight out; rates are measured all the same.
    devices_checked : bool
        False leaves the devices alone until the recorder starts.
    quality_page : bool
        Write a quality page at the end.
    resume : Resumption, optional
        What the session goes on from.
    """

    study: StudyFolder
    participant: str = ""
    session: str = "01"
    eye_tracker: str = ""
    camera: str = ""
    second_camera: str = ""
    rehearsal: bool = False
    headless: bool = False
    auto: bool = False
    pace: float = 1.0
    speed: float = 1.0
    console: bool = True
    consent: Mapping[str, bool] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    override_reason: str = ""
    test_recording: bool = True
    devices_checked: bool = True
    quality_page: bool = True
    resume: Resumption | None = None

    def check(self) -> None:
        """Check what can be checked without touching anything.

        Raises
        ------
        UsageError
            If options contradict each other.
        """
        if not self.speed > 0:
            raise UsageError(f"--speed must be larger than 0, got {self.speed:g}")
        if self.speed != 1.0 and not self.headless:
            raise UsageError("--speed works without a window only: add --headless")
        if not self.pace > 0:
            raise UsageError(f"--pace must be larger than 0, got {self.pace:g}")
        if self.pace != 1.0 and (self.headless or not self.auto):
            raise UsageError("--pace is how fast a scripted participant reads and answers in the window: add --auto")
        if self.headless and not self.rehearsal:
            raise UsageError("a participant needs a window to look at; --headless is for: emer record rehearse")
        if self.participant and self.resume is None and not self.rehearsal:
            from collection.console.participant_form import code_problem

            # The same rule as on the console's form: a name must not get into the study by the command line.
            problem = code_problem(self.participant, used_sessions(self.study))
            if problem:
                raise UsageError(f"--participant: {problem} Leave it out for a new random one.")

    @property
    def scripted(self) -> bool:
        """True if a scripted participant answers."""
        return self.headless or self.auto


def parse_consent(text: str) -> dict[str, bool]:
    """Read ``--consent video,gaze``: the scopes that the participant agreed to on paper; 'none' for no scope.

    Raises
    ------
    UsageError
        If a word is no scope.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if words == ["none"]:
        words = []
    known = (*CONSENT_SCOPES, FACE_SHARING)
    unknown = [word for word in words if word not in known]
    if unknown or not text.strip():
        raise UsageError(
            f"--consent '{text}': name what the participant agreed to, of {', '.join(known)}, such as "
            "--consent gaze,video; or: --consent none"
        )
    # What may be done with the picture elsewhere is on no paper that does not name it.
    return {scope: scope in words for scope in known if scope in words or scope != FACE_SHARING}


def parse_facts(texts: list[str]) -> dict[str, str]:
    """Read ``--fact KEY=VALUE`` options.

    Raises
    ------
    UsageError
        If one has no ``=``.
    """
    facts = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"--fact '{text}': write KEY=VALUE, such as --fact age_years=24")
        facts[key.strip()] = value.strip()
    return facts


def _nothing(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class SessionEvents:
    """Who wants to hear how a session goes on; all are called on the session's thread and must return soon.

    Parameters
    ----------
    say : callable
        Takes a sentence for the operator.
    doing : callable
        Takes what is being done, for a line of progress.
    checked : callable
        Takes each check of the pre-flight.
    tick : callable
        Takes progress (None while the recorder starts or stops) and the recorder's status.
    """

    say: Callable[[str], None] = _nothing
    doing: Callable[[str], None] = _nothing
    checked: Callable[[Check], None] = _nothing
    tick: Callable[[Progress | None, RecorderStatus], None] = _nothing


#: Ends of a session beside the recorder's own 'complete' and 'aborted'.
DECLINED, NOT_STARTED, FAILED = "declined", "not started", "failed"


@dataclass
class SessionResult:
    """How a session ended.

    Parameters
    ----------
    participant, session : str
    reason : str
        complete, aborted, declined (no consent), not started, or failed.
    message : str
        Why, one sentence; empty if complete.
    path : Path or None
        The session file; None if none was made.
    plan, outcome, summary : optional
        As far as the session came.
    preflight : PreflightReport
    warnings : list of str
        What `emer check` warns of, and whatever else the operator must know.
    quality_page : Path or None
    failure : EmerError or None
        What went wrong while it was recorded.
    """

    participant: str
    session: str
    reason: str = NOT_STARTED
    message: str = ""
    path: Path | None = None
    plan: SessionPlan | None = None
    outcome: Outcome | None = None
    summary: RecordingSummary | None = None
    preflight: PreflightReport = field(default_factory=PreflightReport)
    warnings: list[str] = field(default_factory=list)
    quality_page: Path | None = None
    failure: EmerError | None = None
