"""The plan of a session: a generator of steps, made from the study alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collection.presenter.texts import END_TEXT, WELCOME_TEXT, item_prompt
from collection.protocol.order import stimulus_order
from collection.protocol.steps import (
    AskItems,
    Baseline,
    BeginTrial,
    Break,
    EndTrial,
    Fixation,
    Item,
    ItemKind,
    PlayClip,
    ShowText,
    Step,
    Washout,
)
from data_schema.study.config import Stimulus
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS, SAM_POINTS

#: Estimates for steps that the participant ends; chosen by us from piloting by
#: ourselves, used for the plan's total and the disk guard only.
_READING_S = 20.0
_SECONDS_PER_ITEM = 4.0
_BREAK_S = 60.0
#: Familiarity and the intensity of a felt emotion have five points, as the items
#: of the PANAS (Watson, Clark and Tellegen 1988).
_EMOTION_HIGH = 4
_FAMILIARITY_HIGH = 5


@dataclass(frozen=True)
class SessionPlan:
    """Which stimuli come when, and all steps around them.

    Parameters
    ----------
    participant, session : str
        Codes.
    steps : tuple of Step
        In order.
    order : tuple of Stimulus
        The stimuli as they are shown.
    seed : int
        Seed of the order.
    """

    participant: str
    session: str
    steps: tuple[Step, ...]
    order: tuple[Stimulus, ...]
    seed: int

    @property
    def planned_s(self) -> float:
        """Planned length of the whole session, seconds."""
        return sum(step.planned_s for step in self.steps)

    @property
    def n_trials(self) -> int:
        """Number of clips."""
        return len(self.order)


def self_report_items() -> tuple[Item, ...]:
    """Return the questions after a clip: seven emotions, valence, arousal, familiarity, attention."""
    emotions = tuple(Item(name, ItemKind.RATING, 0, _EMOTION_HIGH, item_prompt(name)) for name in EMOTIONS)
    return (
        *emotions,
        Item("valence", ItemKind.SAM, 1, SAM_POINTS, item_prompt("valence")),
        Item("arousal", ItemKind.SAM, 1, SAM_POINTS, item_prompt("arousal")),
        Item("familiarity", ItemKind.RATING, 1, _FAMILIARITY_HIGH, item_prompt("familiarity")),
        Item("attention", ItemKind.YES_NO, 0, 1, item_prompt("attention")),
    )


def make_plan(
    study: StudyFolder, participant: str, session: str, durations_s: Mapping[str, float], *, attended: bool = True
) -> SessionPlan:
    """Plan one session; touches no device.

    Parameters
    ----------
    study : StudyFolder
        Its configuration decides.
    participant, session : str
        Codes; they decide the order.
    durations_s : mapping of str to float
        Length of each stimulus in seconds, by its identifier.
    attended : bool
        False plans no time for reading and answering: nobody sits there.
    """
    config = study.config
    order = stimulus_order(config.stimuli, config.protocol.order, config.study.seed, participant, session)
    steps = tuple(_steps(study, order, durations_s, attended))
    return SessionPlan(participant, session, steps, tuple(order), config.study.seed)


def _steps(
    study: StudyFolder, order: list[Stimulus], durations_s: Mapping[str, float], attended: bool
) -> Iterator[Step]:
    protocol = study.config.protocol
    reading_s = _READING_S if attended else 0.5
    yield ShowText("welcome", reading_s, text=WELCOME_TEXT)
    if protocol.baseline_s > 0:
        yield Baseline("baseline", protocol.baseline_s)
    for number, stimulus in enumerate(order, 1):
        if protocol.break_every and number > 1 and (number - 1) % protocol.break_every == 0:
            yield Break("break", _BREAK_S if attended else 0.5)
        yield from _trial(study, number, stimulus, durations_s[stimulus.id], attended)
    yield ShowText("end", reading_s / 2, text=END_TEXT)


def _trial(study: StudyFolder, number: int, stimulus: Stimulus, duration_s: float, attended: bool) -> Iterator[Step]:
    protocol = study.config.protocol
    emotion = str(stimulus.target_emotion)
    yield BeginTrial("trial", 0.0, number, stimulus_id=stimulus.id, target_emotion=emotion, lead_s=protocol.fixation_s)
    if protocol.fixation_s > 0:
        yield Fixation("fixation", protocol.fixation_s, number)
    yield PlayClip(
        "clip", duration_s, number, stimulus_id=stimulus.id, target_emotion=emotion, file=study.stimulus_path(stimulus)
    )
    if protocol.self_report:
        items = self_report_items()
        yield AskItems("self_report", _SECONDS_PER_ITEM * len(items) if attended else 0.5, number, items=items)
    if protocol.washout_s > 0:
        yield Washout("washout", protocol.washout_s, number)
    yield EndTrial("trial", 0.0, number)
