"""``emer plant``: a whole study of simulated people, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plant(
    study: Annotated[Path, typer.Argument(help="Folder of the new study; it must not exist or be empty.")],
    participants: Annotated[int, typer.Option(help="Simulated participants, one session each.")] = 121,
    clips: Annotated[
        int, typer.Option(help="Clips of all participants together; 0 for 10.8 each, as in the default world.")
    ] = 0,
    clip_s: Annotated[float, typer.Option(help="Length of a clip, seconds.")] = 6.0,
    gap_s: Annotated[float, typer.Option(help="Rest between two clips, seconds.")] = 1.5,
    masking_share: Annotated[
        float, typer.Option(help="Share of clips in which the face shows something else than is felt.")
    ] = 0.386,
    subject_effect: Annotated[float, typer.Option(help="Differences between participants; 0: all alike.")] = 1.5,
    imbalance: Annotated[
        float, typer.Option(help="Clips of the most frequent felt emotion for each of the rarest.")
    ] = 5.03,
    noise: Annotated[float, typer.Option(help="Noise of eye behaviour and expression; 0: none.")] = 1.0,
    blink_rate_hz: Annotated[float, typer.Option(help="Blinks a second at rest.")] = 0.25,
    loss_share: Annotated[float, typer.Option(help="Share of gaze samples lost here and there.")] = 0.01,
    missing_eyes_share: Annotated[float, typer.Option(help="Share of clips without any gaze.")] = 0.02,
    partial_loss_share: Annotated[float, typer.Option(help="Share of clips of which a stretch has no gaze.")] = 0.06,
    missing_face_share: Annotated[float, typer.Option(help="Share of clips in which no face is found.")] = 0.03,
    unlabelled_share: Annotated[float, typer.Option(help="Share of clips that nobody has labelled.")] = 0.0,
    annotators: Annotated[int, typer.Option(help="Simulated annotators of ER and FER.")] = 5,
    rater_noise: Annotated[float, typer.Option(help="Errors and gaps of the annotators; 0: they say the truth.")] = 1.0,
    rate_hz: Annotated[float, typer.Option(help="Gaze samples a second.")] = 120.0,
    fps: Annotated[float, typer.Option(help="Camera frames a second; 0: no camera.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn; also the study's.")] = 0,
    title: Annotated[str, typer.Option(help="Title of the study.")] = "Planted world (simulated)",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one a core. The data do not depend on it.")] = 0,
) -> None:
    """Make a study of simulated people whose feelings are known: real session and label files, ready to be exported.

    Everything in it is invented, to test tools and models against a known truth; it says nothing about people.
    """
    from collection.simulation.planted_study import plant_study
    from collection.simulation.world import CLIPS_PER_PARTICIPANT, World
    from data_schema.cli.talk import progress_bar
    from data_schema.wording import counted, quoted

    world = World(
        seed=seed,
        participants=participants,
        clips=clips or round(participants * CLIPS_PER_PARTICIPANT),
        clip_s=clip_s,
        gap_s=gap_s,
        masking_share=masking_share,
        subject_effect=subject_effect,
        imbalance=imbalance,
        noise=noise,
        blink_rate_hz=blink_rate_hz,
        loss_share=loss_share,
        missing_eyes_share=missing_eyes_share,
        partial_loss_share=partial_loss_share,
        missing_face_share=missing_face_share,
        unlabelled_share=unlabelled_share,
        annotators=annotators,
        rater_noise=rater_noise,
        rate_hz=rate_hz,
        fps=fps,
    )
    with progress_bar("planting") as progress:
        planted = plant_study(study, world, title=title, workers=workers, progress=progress)
    typer.echo(str(planted.study.root))
    typer.echo(
        f"{counted(planted.n_clips, 'clip')} of {counted(world.participants, 'simulated participant')}, "
        f"{counted(planted.n_labels, 'label')} of {counted(world.annotators, 'simulated annotator')}; "
        f"{planted.seconds:.0f} s. Nothing in it is about people.\n"
        f"Next: emer export training {quoted(planted.study.root)} {quoted(planted.study.root / 'exports' / 'training')}",
        err=True,
    )
