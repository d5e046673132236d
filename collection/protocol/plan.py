"""The plan of a session: a generator of steps, made from the study and its texts.

    welcome > positioning > calibration > questionnaires before > practice > baseline
    > trials (re-checks and breaks between them) > questionnaires after > end

Consent and the participant's facts come before, from the runner: nothing is
recorded until they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from collection.protocol.estimates import Estimates
from collection.protocol.order import ROW_SEED, stimulus_order, study_row
from collection.protocol.questionnaire_items import questionnaire_items
from collection.protocol.self_report import AttentionCheck, place_checks, self_report_items
from collection.protocol.steps import (
    AskItems,
    Baseline,
    BeginTrial,
    Break,
    Calibration,
    EndTrial,
    Fixation,
    PlayClip,
    Positioning,
    Recheck,
    ShowText,
    Step,
    Washout,
)
from collection.protocol.stimuli import stimulus_hashes
from collection.questionnaires import find_questionnaire
from collection.texts import Texts, load_texts
from data_schema.errors import StudyError, UsageError
from data_schema.study.config import StudyConfig
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import Stimulus

#: Occasions of a questionnaire.
BEFORE, AFTER = "before", "after"


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
        The stimuli of all trials as they are shown, also of those that an earlier run showed.
    seed : int
        Seed of the order.
    row : int
        Row of the counterbalancing design.
    run : int
        Run of the session; 2 and more after a resume.
    first_trial : int
        Trial with which this run begins.
    texts : Texts, optional
        The participant's language.
    """

    participant: str
    session: str
    steps: tuple[Step, ...]
    order: tuple[Stimulus, ...]
    seed: int
    row: int = 0
    run: int = 1
    first_trial: int = 1
    texts: Texts | None = field(default=None, repr=False)

    @property
    def planned_s(self) -> float:
        """Planned length of this run, seconds."""
        return sum(step.planned_s for step in self.steps)

    @property
    def n_trials(self) -> int:
        """Number of clips of the whole session."""
        return len(self.order)

    @property
    def seeds(self) -> dict[str, int]:
        """What a session file keeps of the random choices of the plan."""
        return {"study": self.seed, "order": self.seed, ROW_SEED: self.row}

    def check_shown(self, shown: Mapping[int, str]) -> None:
        """Check that trials of an earlier run showed what this plan says they did.

        Parameters
        ----------
        shown : mapping of int to str
            Stimulus by trial.

        Raises
        ------
        StudyError
            If the study was changed since then: it would show clips twice, or never.
        """
        for trial, stimulus_id in sorted(shown.items()):
            planned = self.order[trial - 1].id if 1 <= trial <= self.n_trials else "nothing"
            if planned != stimulus_id:
                raise StudyError(
                    f"sub-{self.participant} ses-{self.session}: trial {trial} showed '{stimulus_id}', but study.toml "
                    f"now plans '{planned}' there. The stimuli, the order or the seed were changed since the session "
                    f"began; put them back, or record the rest as a new session."
                )


def make_plan(
    study: StudyFolder,
    participant: str,
    session: str,
    durations_s: Mapping[str, float],
    *,
    attended: bool = True,
    first_trial: int = 1,
    run: int = 1,
    row: int | None = None,
) -> SessionPlan:
    """Plan one session; touches no device.

    Parameters
    ----------
    study : StudyFolder
        Its configuration, texts and questionnaires decide.
    participant, session : str
        Codes; with the study's sessions so far they decide the order.
    durations_s : mapping of str to float
        Length of each stimulus in seconds, by its identifier.
    attended : bool
        False plans no time for reading and answering: nobody sits there.
    first_trial : int
        Trial to go on with, after an earlier run; one more than there are trials
        asks only what comes after the last.
    run : int
        Number of this run.
    row : int, optional
        Row of the counterbalancing design; by default that of the session's earlier
        run, or the one that the study has used least so far.

    Raises
    ------
    StudyError
        If texts, questionnaires or stimuli are missing.
    UsageError
        If the first trial does not exist.
    """
    config = study.config
    stimuli = config.trial_stimuli
    if not 1 <= first_trial <= len(stimuli) + 1:
        raise UsageError(f"there is no trial {first_trial}: the study has {len(stimuli)} clips")
    if row is None:
        row = study_row(study, participant, session)
    order = stimulus_order(stimuli, config.protocol.order, config.study.seed, participant, session, row)
    texts = load_texts(config.protocol.language, study)
    writer = _PlanWriter(study, texts, durations_s, stimulus_hashes(study), Estimates(attended))
    checks = place_checks(len(order), config.protocol.attention_checks, config.study.seed, participant, session)
    steps = tuple(writer.steps(order, checks, first_trial, resumed=run > 1 or first_trial > 1))
    return SessionPlan(participant, session, steps, tuple(order), config.study.seed, row, run, first_trial, texts)


class _PlanWriter:
    """Write the steps of a session."""

    def __init__(
        self,
        study: StudyFolder,
        texts: Texts,
        durations_s: Mapping[str, float],
        hashes: Mapping[str, str],
        estimates: Estimates,
    ) -> None:
        self._study = study
        self._config: StudyConfig = study.config
        self._texts = texts
        self._durations_s = durations_s
        self._hashes = hashes
        self._estimates = estimates

    def steps(
        self, order: list[Stimulus], checks: Mapping[int, AttentionCheck], first_trial: int, *, resumed: bool
    ) -> Iterator[Step]:
        """Yield all steps from the welcome to the end."""
        yield self._page("welcome", "welcome.again" if resumed else "welcome.text")
        if first_trial <= len(order):
            yield from self._prepare_tracker()
            if not resumed:
                yield from self._questionnaires(BEFORE)
                yield from self._practice()
            yield from self._rest()
            yield self._page("trials", "trials.text", n_trials=len(order) - first_trial + 1)
            yield from self._trials(order, checks, first_trial)
        yield from self._questionnaires(AFTER)
        yield self._page("end", "end.text")

    def _page(self, name: str, key: str, trial_id: int = 0, **words: object) -> ShowText:
        text = self._texts.say(key, **words).strip()
        return ShowText(name, self._estimates.reading_s(text), trial_id, text=text)

    def _prepare_tracker(self) -> Iterator[Step]:
        calibration = self._config.calibration
        if not (calibration.points or calibration.validation_points):
            return
        text = self._texts["positioning.text"].strip()
        yield Positioning("positioning", self._estimates.positioning_s(text), text=text)
        yield self._page("calibration_text", "calibration.text")
        yield Calibration("calibration", self._estimates.calibration_s(calibration))

    def _questionnaires(self, occasion: str) -> Iterator[Step]:
        protocol = self._config.protocol
        names = protocol.questionnaires_before if occasion == BEFORE else protocol.questionnaires_after
        if names:
            yield self._page(f"questionnaires_{occasion}", f"questionnaires.{occasion}")
        for name in names:
            questionnaire = find_questionnaire(name, self._study)
            items = questionnaire_items(questionnaire, self._texts.language)
            yield AskItems(
                f"{name}_{occasion}",
                self._estimates.answers_s(items),
                items=items,
                title=questionnaire.title[self._texts.language],
                text=questionnaire.instruction[self._texts.language],
                questionnaire=name,
                occasion=occasion,
            )

    def _practice(self) -> Iterator[Step]:
        """Yield the practice trials; in the first, every kind of question is explained before it is asked."""
        stimuli = self._config.practice_stimuli
        if not stimuli:
            return
        yield self._page("practice", "practice.text")
        for number, stimulus in enumerate(stimuli, 1):
            explained = number == 1 and self._config.protocol.self_report
            yield from self._trial(-number, stimulus, None, explained=explained)
        yield self._page("practice_after", "practice.after")

    def _rest(self) -> Iterator[Step]:
        if self._config.protocol.baseline_s > 0:
            yield self._page("baseline_text", "baseline.text")
            yield Baseline("baseline", self._config.protocol.baseline_s)

    def _trials(self, order: list[Stimulus], checks: Mapping[int, AttentionCheck], first_trial: int) -> Iterator[Step]:
        protocol, calibration = self._config.protocol, self._config.calibration
        for number, stimulus in enumerate(order, 1):
            if number < first_trial:
                continue
            if number > first_trial:
                if protocol.break_every and (number - 1) % protocol.break_every == 0:
                    text = self._texts["break.text"].strip()
                    yield Break("break", self._estimates.break_s, text=text)
                if calibration.recheck_every and (number - 1) % calibration.recheck_every == 0:
                    yield self._page("recheck_text", "calibration.recheck")
                    yield Recheck("recheck", self._estimates.recheck_s(calibration))
            yield from self._trial(number, stimulus, checks.get(number))

    def _trial(
        self, number: int, stimulus: Stimulus, check: AttentionCheck | None, *, explained: bool = False
    ) -> Iterator[Step]:
        protocol, emotion = self._config.protocol, str(stimulus.target_emotion)
        yield BeginTrial(
            "trial", 0.0, number, stimulus_id=stimulus.id, target_emotion=emotion, lead_s=protocol.fixation_s
        )
        if protocol.fixation_s > 0:
            yield Fixation("fixation", protocol.fixation_s, number)
        yield PlayClip(
            "clip",
            self._durations_s[stimulus.id],
            number,
            stimulus_id=stimulus.id,
            target_emotion=emotion,
            file=self._study.stimulus_path(stimulus),
            sha256=self._hashes[stimulus.id],
        )
        if explained:
            for part in ("emotions", "sam", "more"):
                yield self._page(f"explain_{part}", f"practice.{part}", number)
        if protocol.self_report:
            items = self_report_items(self._texts, free_text=protocol.free_text, check=check)
            yield AskItems(
                "self_report",
                self._estimates.answers_s(items),
                number,
                items=items,
                title=self._texts["self_report.title"],
                text=self._texts["self_report.text"],
            )
        if protocol.washout_s > 0:
            yield Washout("washout", protocol.washout_s, number)
        yield EndTrial("trial", 0.0, number)
