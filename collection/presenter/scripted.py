"""The scripted participant: answers, agrees and stops as a simulated participant would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collection.protocol.steps import ATTENTION_CHECK, Consent, Item, Step
from collection.simulation.participant import PlantedTrial, SelfReport, SimulatedParticipant


class ScriptedParticipant:
    """Answer from what was planted for the trial.

    Parameters
    ----------
    participant : SimulatedParticipant
        Who answers.
    consents : mapping of str to bool, optional
        Decision by scope; scopes that are not named are agreed to.
    stop_in : tuple of int and str, optional
        Trial and name of the step in which the participant asks to stop.
    pace : float
        Times as fast as a person reads and answers; in a window alone, where somebody may be watching.
    """

    def __init__(
        self,
        participant: SimulatedParticipant,
        *,
        consents: Mapping[str, bool] | None = None,
        stop_in: tuple[int, str] | None = None,
        pace: float = 1.0,
    ) -> None:
        self.pace = pace
        self._participant = participant
        self._consents = dict(consents or {})
        self._stop_in = stop_in
        self._reports: dict[int, SelfReport] = {}
        self._asked: Counter[str] = Counter()

    def feel(self, trial: PlantedTrial) -> None:
        """Take note of what a trial makes the participant feel."""
        self._reports[trial.trial_id] = self._participant.report(trial)

    def rate(self, trial_id: int, item: Item) -> int:
        """Return the rating of one item; without a felt trial (questionnaires) something plausible."""
        report = self._reports.get(trial_id)
        if report is None:
            return self._any_rating(item)
        if item.scale == ATTENTION_CHECK and item.expected is not None:
            wrong = item.low + (item.expected - item.low + 1) % (item.high - item.low + 1)
            return item.expected if report.attention else wrong
        named = {
            "valence": report.valence_sam,
            "arousal": report.arousal_sam,
            "familiarity": report.familiarity,
            "attention": int(report.attention),
        }
        return named.get(item.scale, report.emotions.get(item.scale, item.low))

    def write(self, trial_id: int, item: Item) -> str:
        """Return a free text: the strongest feeling that was reported, by its name."""
        report = self._reports.get(trial_id)
        if report is None:
            return ""
        return max(report.emotions, key=lambda name: report.emotions[name])

    def decide(self, step: Consent) -> dict[str, bool]:
        """Return the decision on every scope."""
        return {scope: self._consents.get(scope, True) for scope, _ in step.texts}

    def wants_to_stop(self, step: Step | None) -> bool:
        """Tell whether the participant asks to stop while a step is shown."""
        return step is not None and self._stop_in == (step.trial_id, step.name)

    def latency_share(self, trial_id: int, n_items: int) -> npt.NDArray[np.float64]:
        """Return how the time for a page is divided among its items, shape (n_items,), sum 1."""
        return self._participant.rng("latency", trial_id).dirichlet(np.full(n_items, 8.0))

    def _any_rating(self, item: Item) -> int:
        """Draw an answer near the middle of the scale; the second time of asking draws anew."""
        self._asked[item.scale] += 1
        rng = self._participant.rng("questionnaire", item.scale, self._asked[item.scale])
        middle, spread = (item.low + item.high) / 2, (item.high - item.low) / 4
        return int(np.clip(round(rng.normal(middle, spread)), item.low, item.high))
