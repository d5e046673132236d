"""Print what a session would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from collection.protocol.steps import AskItems, BeginTrial, EndTrial, PlayClip

if TYPE_CHECKING:
    from collection.protocol.plan import SessionPlan


def print_plan(session_plan: SessionPlan) -> None:
    """Print all steps with their times."""
    typer.echo(f"sub-{session_plan.participant} ses-{session_plan.session}: {session_plan.n_trials} clips")
    start_s = 0.0
    for step in session_plan.steps:
        if not isinstance(step, (BeginTrial, EndTrial)):
            detail = ""
            if isinstance(step, PlayClip):
                detail = f"{step.stimulus_id} ({step.target_emotion})"
            elif isinstance(step, AskItems):
                detail = f"{len(step.items)} questions"
            trial = f"trial {step.trial_id}" if step.trial_id else ""
            minutes, seconds = divmod(start_s, 60)
            line = f"{minutes:3.0f}:{seconds:04.1f}  {step.planned_s:6.1f} s  {trial:<9} {step.name:<22} {detail}"
            typer.echo(line.rstrip())
        start_s += step.planned_s
    typer.echo(f"total: {session_plan.planned_s / 60:.1f} min (reading and answering are estimates)")
