"""Which fold's model may say something about which clip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_schema.errors import TrainingError

_CLIP = re.compile(r"sub-([A-Za-z0-9]+)_ses-")


@dataclass(frozen=True)
class Learned:
    """What a fold's model learned from.

    Parameters
    ----------
    trained, validated : frozenset of str
        Clips that it was trained on, and those of validation: they chose its best epoch, or, where there are no epochs, it
        was fitted on them too (`emer_model.training.config.RunConfig.refit`).
    """

    trained: frozenset[str]
    validated: frozenset[str]

    @classmethod
    def of(cls, stored: Mapping[str, Any], fold: int) -> Learned:
        """Read what ``folds.json`` of a run says of a fold.

        Raises
        ------
        TrainingError
            If it says nothing of it.
        """
        try:
            parts = stored[str(fold)]
            return cls(frozenset(map(str, parts["train"])), frozenset(map(str, parts["validation"])))
        except (KeyError, TypeError) as error:
            raise TrainingError(
                f"folds.json of the run does not say which clips fold {fold} learned from. Train the run again."
            ) from error


def may_judge(clip_ids: Sequence[str], learned: Sequence[Learned]) -> np.ndarray:
    """Say which fold's model may judge which clip, the strictest rule first.

    A model is too sure of people that it was trained on, and of those of its validation part, little or as much. So only
    models judge a clip that neither trained nor validated on its participant; where there is none, those that did not
    train on them; where all know the person (under the scheme cross-stimulus), those that do not know the clip.

    Parameters
    ----------
    clip_ids : sequence of str
        Their names hold the participant.
    learned : sequence of Learned
        Of each model.

    Returns
    -------
    ndarray of float64, shape (n_models, n_clips)
        1 where a model may judge. New people are judged by all models.
    """
    clips = np.asarray(clip_ids, dtype=object)
    people = np.asarray([participant_of(name) for name in clip_ids], dtype=object)

    def knows(values: np.ndarray, sets: Sequence[frozenset[str]]) -> np.ndarray:
        return np.array([np.isin(values, sorted(known)) for known in sets], dtype=bool).reshape(len(sets), len(values))

    trained = [one.trained for one in learned]
    both = [one.trained | one.validated for one in learned]
    rules = (
        ~knows(people, [_people(known) for known in both]),
        ~knows(people, [_people(known) for known in trained]),
        ~knows(clips, both),
        ~knows(clips, trained),
    )
    allowed = np.zeros((len(learned), len(clips)), dtype=bool)
    for rule in rules:
        allowed = np.where(allowed.any(axis=0), allowed, rule)
    return np.where(allowed.any(axis=0), allowed, True).astype(np.float64)


def may_disagree(clip_ids: Sequence[str], learned: Sequence[Learned], labelled: frozenset[str] | None) -> np.ndarray:
    """Say whose disagreement counts: models that were not trained on the clip's own label.

    To ask where models disagree is to ask which label would teach them most. A model may know the person for that, not
    the answer; with the rule of `may_judge` one model alone would be left of most runs. For the same reason a model that was
    fitted on its validation clips too keeps its say there, so that labelled clips come out surer than they are: they are not
    those that wait for a first label.

    Parameters
    ----------
    clip_ids : sequence of str
    learned : sequence of Learned
    labelled : frozenset of str or None
        Clips whose label the run could learn from; None if that is not known, then all.

    Returns
    -------
    ndarray of float64, shape (n_models, n_clips)
    """
    clips = np.asarray(clip_ids, dtype=object)
    known = np.ones(len(clips), dtype=bool) if labelled is None else np.isin(clips, sorted(labelled))
    trained = np.array([np.isin(clips, sorted(one.trained)) for one in learned], dtype=bool)
    allowed = ~(trained.reshape(len(learned), len(clips)) & known)
    return np.where(allowed.any(axis=0), allowed, True).astype(np.float64)


def participant_of(clip_id: str) -> str:
    """Return the participant whom a clip's name tells."""
    match = _CLIP.match(clip_id)
    return match[1] if match else clip_id


def _people(clips: frozenset[str]) -> frozenset[str]:
    return frozenset(participant_of(name) for name in clips)
