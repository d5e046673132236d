"""Rules: which part of a trial is the clip, and whether it is good enough."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.study.sections.analysis import ClipsSection, QualitySection

#: Said of a clip under the rule apex that nobody marked.
NO_APEX = "no annotator of the FER pass marked an apex"


@dataclass(frozen=True)
class Part:
    """The part of a trial that is its clip.

    Parameters
    ----------
    t_start_us, t_end_us : int
        On the host clock, end excluded; the whole trial where the rule finds no part.
    problem : str
        Why the rule finds none; empty if it does.
    """

    t_start_us: int
    t_end_us: int
    problem: str = ""


def clip_part(t_trial_start_us: int, t_trial_end_us: int, rule: ClipsSection, apex_us: int | None = None) -> Part:
    """Return the part of a trial that the study's rule takes; never more than the trial.

    Parameters
    ----------
    t_trial_start_us, t_trial_end_us : int
        The stimulus, end excluded.
    rule : ClipsSection
    apex_us : int, optional
        Apex of the expression, for the rule apex.
    """
    start, end = t_trial_start_us, t_trial_end_us
    if rule.rule == "last":
        start = max(start, end - round(rule.last_s * 1e6))
    elif rule.rule == "apex":
        if apex_us is None:
            return Part(start, end, NO_APEX)
        start = max(start, apex_us - round(rule.apex_before_s * 1e6))
        end = min(end, apex_us + round(rule.apex_after_s * 1e6))
        if end <= start:
            return Part(t_trial_start_us, t_trial_end_us, "the apex lies outside the stimulus")
    too_short = (end - start) / 1e6 < rule.min_s
    return Part(start, end, f"{(end - start) / 1e6:.2f} s long (at least {rule.min_s:g} s)" if too_short else "")


def exclusion_reason(
    duration_us: int, completed: bool, gaze_share: float, n_frames: int, frames_expected: float, rule: QualitySection
) -> str:
    """Return why a stretch of a trial is left out, or an empty text.

    Recordings without a camera are judged by ``without_camera``, a study without a tracker sets ``max_gaze_loss = 1``:
    then what is missing is masked instead.
    """
    if duration_us <= 0:
        return "the stimulus has no duration"
    if not completed:
        return "the stimulus did not play to its end"
    if 1.0 - gaze_share > rule.max_gaze_loss:
        return f"gaze lost in {1.0 - gaze_share:.0%} of the samples (at most {rule.max_gaze_loss:.0%})"
    frames_share = n_frames / frames_expected if frames_expected > 0 else 0.0
    # One frame of rounding at the clip's edges is no loss.
    if rule.min_frames_share > 0 and n_frames + 1 < rule.min_frames_share * max(frames_expected, 2.0):
        return f"{frames_share:.0%} of the camera frames (at least {rule.min_frames_share:.0%})"
    return ""


def rule_in_words(rule: ClipsSection) -> str:
    """Return the rule for a person: "the last 10 s of each trial"."""
    said = {
        "whole": "whole trials",
        "last": f"the last {rule.last_s:g} s of each trial",
        "apex": f"from {rule.apex_before_s:g} s before to {rule.apex_after_s:g} s after the apex that annotators marked",
    }[rule.rule]
    return f"{said}, at least {rule.min_s:g} s long" if rule.min_s > 0 else said
