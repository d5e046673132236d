"""Where a session stands, how far it is, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(str, Enum):
    """Where a session stands."""

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    ABORTING = "aborting"
    COMPLETE = "complete"
    ABORTED = "aborted"


#: Every legal change of state; anything else is a mistake of ours.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.PAUSED, State.ABORTING, State.COMPLETE}),
    State.PAUSED: frozenset({State.RUNNING, State.ABORTING}),
    State.ABORTING: frozenset({State.ABORTED}),
    State.COMPLETE: frozenset(),
    State.ABORTED: frozenset(),
}


@dataclass(frozen=True)
class Progress:
    """Where the session is. Trial 0 is before the first one (practice too); seconds are the session's."""

    trial: int
    n_trials: int
    step: str
    stimulus_id: str = ""
    step_elapsed_s: float = 0.0
    step_planned_s: float = 0.0
    remaining_s: float = 0.0
    paused: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a session ended."""

    state: State
    reason: str
    n_trials_completed: int
    t_end_us: int
