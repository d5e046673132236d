"""Scores of questionnaires, computed from the stored answers whenever they are wanted; never stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collection.questionnaires.loading import find_questionnaire
from collection.questionnaires.model import Questionnaire, Score
from data_schema.errors import StudyError
from data_schema.session.layout import RESPONSES
from data_schema.session.reader import Session
from data_schema.study.folder import StudyFolder


@dataclass(frozen=True)
class ScoredOccasion:
    """The scores of one questionnaire on one occasion of a session.

    Parameters
    ----------
    questionnaire, occasion : str
        Which, and when: before or after.
    scores : dict of str to float
        By score; NaN where too many answers are missing.
    n_answered, n_items : int
        Answers with a number, and items that ask for one.
    validated : bool
        False if the questionnaire has not been examined by anybody.
    problem : str
        Why there are no scores; empty if there are.
    """

    questionnaire: str
    occasion: str
    scores: dict[str, float]
    n_answered: int
    n_items: int
    validated: bool
    problem: str = ""


def score(questionnaire: Questionnaire, answers: Mapping[str, float]) -> dict[str, float]:
    """Compute all scores of a questionnaire.

    Parameters
    ----------
    questionnaire : Questionnaire
    answers : mapping of str to float
        Answer of each item on its own scale; missing ones are left out or NaN.
        SAM answers are the stored ones, on [-1, 1].

    Returns
    -------
    dict of str to float
        By score; NaN where more answers are missing than it allows.

    Raises
    ------
    ValueError
        If an answer lies outside its item's scale.
    """
    return {made.id: _one(questionnaire, made, answers) for made in questionnaire.scores}


def _one(questionnaire: Questionnaire, made: Score, answers: Mapping[str, float]) -> float:
    by_name = {item.id: item for item in questionnaire.items}
    values = []
    for name in made.items:
        value = float(answers.get(name, math.nan))
        if math.isnan(value):
            continue
        scale = questionnaire.scale_of(by_name[name])
        low, high = {"sam": (-1.0, 1.0), "yes_no": (0.0, 1.0)}.get(scale.kind, (float(scale.low), float(scale.high)))
        if not low <= value <= high:
            raise ValueError(f"{questionnaire.id}: {name} = {value:g} lies outside its scale of {low:g} to {high:g}")
        values.append(low + high - value if by_name[name].reverse else value)
    if len(made.items) - len(values) > made.max_missing:
        return math.nan
    mean = sum(values) / len(values)
    return mean if made.rule == "mean" else mean * len(made.items)


def score_session(session: Session, study: StudyFolder | Path | None = None) -> list[ScoredOccasion]:
    """Compute the scores of all questionnaires that a session holds answers to.

    Parameters
    ----------
    session : Session
        An open session.
    study : StudyFolder or Path, optional
        Where the study's own questionnaires lie.

    Returns
    -------
    list of ScoredOccasion
        In the order in which they were answered. An item that was answered twice
        (a page that was shown again) counts with its last answer.
    """
    rows = session.table(RESPONSES).frame()
    rows = rows[rows["questionnaire"] != ""]
    found = []
    for (name, occasion), group in rows.groupby(["questionnaire", "occasion"], sort=False):
        answers = dict(zip(group["scale"], group["value"].astype(float), strict=True))
        found.append(_scored(str(name), str(occasion), answers, study))
    return found


def _scored(name: str, occasion: str, answers: dict[str, float], study: StudyFolder | Path | None) -> ScoredOccasion:
    try:
        questionnaire = find_questionnaire(name, study)
    except StudyError as error:
        return ScoredOccasion(name, occasion, {}, _n_numbers(answers.values()), 0, False, str(error))
    numeric = {item.id for item in questionnaire.items if questionnaire.scale_of(item).kind != "text"}
    n_answered = _n_numbers(value for item, value in answers.items() if item in numeric)
    try:
        scores, problem = score(questionnaire, answers), ""
    except ValueError as error:
        # The file was changed since the recording: the answers do not fit its scale any more.
        scores, problem = {}, str(error)
    return ScoredOccasion(name, occasion, scores, n_answered, len(numeric), questionnaire.validated, problem)


def _n_numbers(values: Iterable[float]) -> int:
    return sum(not math.isnan(value) for value in values)
