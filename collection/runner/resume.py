"""Go on with a session that was cut off: by a crash, a kill, a power cut, a reboot or an abort.

What earlier runs wrote is never written again: the session goes on in a file of its
own beside them. The monotonic clock may have started anew in between, which is why no
file ever holds two runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collection.protocol.order import ROW_SEED
from data_schema.errors import ConfigError, RecordingError, SessionFileError
from data_schema.session.layout import CONSENT, FACTS, RESPONSES, decode_text
from data_schema.session.reader import Session, open_session
from data_schema.session.repair import repair_session
from data_schema.study.config import StudyConfig
from data_schema.study.folder import SessionName, StudyFolder
from data_schema.wording import counted

#: Sections of study.toml that belong to the machine, not to the design: today's hold.
_OF_TODAY = ("eye_tracker", "camera", "recording", "preflight", "lsl", "screen", "simulation")


@dataclass(frozen=True)
class Resumption:
    """Where a session goes on.

    Parameters
    ----------
    participant, session : str
    run : int
        Number of the new run.
    earlier : tuple of Path
        Files of the earlier runs, the first run first.
    first_trial : int
        Trial to go on with: the one after the last that began.
    cut : dict of int to str
        Trials that were cut off, and why.
    shown : dict of int to str
        Stimulus of each trial that was shown.
    config : StudyConfig
        The configuration that the session began with; devices and paths are today's.
    simulated : bool
        True if the session is a rehearsal.
    order_row : int or None
        Row of the counterbalancing design.
    consent, facts : ndarray
        Rows of the earlier runs; consent is empty if it was never given.
    asked_before : bool
        True if something of the questionnaires before the first trial was answered.
    notes : tuple of str
        Sentences for the operator.
    """

    participant: str
    session: str
    run: int
    earlier: tuple[Path, ...]
    first_trial: int
    cut: Mapping[int, str]
    shown: Mapping[int, str]
    config: StudyConfig
    simulated: bool
    order_row: int | None
    consent: npt.NDArray[np.void]
    facts: npt.NDArray[np.void]
    asked_before: bool
    notes: tuple[str, ...] = ()

    @property
    def decisions(self) -> dict[str, bool]:
        """Return the consent that holds, by scope; the last row of a scope counts."""
        return {
            str(scope): bool(granted)
            for scope, granted in zip(decode_text(self.consent["scope"]), self.consent["granted"], strict=True)
        }

    @property
    def message(self) -> str:
        """What the new file says of where it comes from."""
        cut = "; ".join(f"trial {number} was cut off ({reason})" for number, reason in self.cut.items())
        return f"goes on after run {self.run - 1} with trial {self.first_trial}" + (f"; {cut}" if cut else "")


@dataclass
class _Found:
    """What is collected from the runs."""

    begun: set[int] = field(default_factory=set)
    cut: dict[int, str] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=dict)
    consent: list[npt.NDArray[np.void]] = field(default_factory=list)
    facts: list[npt.NDArray[np.void]] = field(default_factory=list)
    config: StudyConfig | None = None
    seeds: dict[str, object] = field(default_factory=dict)
    simulated: bool = False
    asked_before: bool = False
    status: str = ""


def prepare_resume(study: StudyFolder, participant: str, session: str) -> Resumption:
    """Repair what was cut off, and find out where the session goes on.

    Raises
    ------
    RecordingError
        If the session never began, is complete, or is being recorded at this moment.
    SessionFileError
        If a file of it cannot be repaired.
    """
    files = study.run_files(participant, session)
    if not files:
        raise RecordingError(
            f"participant {participant} has no session {session}, so there is nothing to go on with. "
            f"Begin it with: emer record run {study.root} --participant {participant} --session {session}"
        )
    notes: list[str] = []
    found = _Found()
    for path in files:
        notes += _repaired(path)
        with open_session(path) as recorded:
            _collect(recorded, found)
    if found.status == "complete":
        raise RecordingError(
            f"session {session} of participant {participant} is complete: all trials are done, and nothing is left to "
            "go on with. For another session of the same person, name another one with --session."
        )
    if found.config is None:
        raise RecordingError(f"{files[0].name}: carries no configuration, so the order of its trials is not known")
    config, changed = _todays_devices(found.config, study.config)
    if changed:
        notes.append(f"study.toml has changed since the session began ({', '.join(changed)}); it goes on as it began.")
    number = SessionName(participant, session, len(files) + 1)
    last = max(found.begun, default=0)
    notes.append(_where(found, last))
    row = found.seeds.get(ROW_SEED)
    return Resumption(
        participant=participant,
        session=session,
        run=number.run,
        earlier=tuple(files),
        first_trial=last + 1,
        cut=found.cut,
        shown=found.shown,
        config=config,
        simulated=found.simulated,
        order_row=int(row) if isinstance(row, (int, float)) else None,
        consent=np.concatenate([CONSENT.empty(0), *found.consent]),
        facts=np.concatenate([FACTS.empty(0), *found.facts]),
        asked_before=found.asked_before,
        notes=tuple(notes),
    )


def _repaired(path: Path) -> list[str]:
    """Bring a run into good order if it was cut off; returns what to say."""
    with open_session(path) as session:
        status = session.status
    if status == "recording":
        raise RecordingError(f"{path.name} is being recorded at this moment. End that session first.")
    if status != "interrupted":
        return []
    result = repair_session(path)
    if not result.repaired:
        raise SessionFileError(path, f"was cut off, but cannot be repaired. Look at it with: emer check {path}")
    lost = "; ".join(result.losses) or "nothing that had been written was lost"
    return [f"{path.name} was cut off and has been repaired: {lost}."]


def _collect(session: Session, found: _Found) -> None:
    begun = set(session.begun_trials())
    found.begun |= begun
    found.cut.update(session.cut_trials())
    found.shown.update({trial.trial_id: trial.stimulus_id for trial in session.trials()})
    found.consent.append(session.table(CONSENT)[:])
    found.facts.append(session.table(FACTS)[:])
    answers = session.table(RESPONSES)[:]
    found.asked_before = found.asked_before or bool((answers["occasion"] == b"before").any()) or bool(begun)
    found.simulated = found.simulated or session.simulated
    found.status = session.status
    if found.config is None:
        try:
            found.config = session.config()
        except ConfigError as error:
            raise RecordingError(
                f"{session.path.name}: was begun with another version of the toolkit, whose study.toml this one does "
                f"not know ({error}). Finish it with that version, or record the rest as a new session."
            ) from error
        found.seeds = session.seeds


def _todays_devices(began: StudyConfig, today: StudyConfig) -> tuple[StudyConfig, list[str]]:
    """Return the session's own design with today's devices, and the sections of the design that have changed since."""
    changed = [
        name for name in StudyConfig.model_fields
        if name not in (*_OF_TODAY, "schema_version") and getattr(began, name) != getattr(today, name)
    ]  # fmt: skip
    return began.model_copy(update={name: getattr(today, name) for name in _OF_TODAY}), changed


def _where(found: _Found, last: int) -> str:
    done = found.begun - set(found.cut)
    said = f"{counted(len(done), 'trial')} of it {'is' if len(done) == 1 else 'are'} done"
    if found.cut:
        numbers = ", ".join(str(number) for number in found.cut)
        said += f"; cut off and not repeated: {numbers}"
    return f"{said}. It goes on with trial {last + 1}; the eye tracker is calibrated again."
