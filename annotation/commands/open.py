"""``emer annotate open``: the annotator's window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from data_schema.errors import StudyError, UsageError

if TYPE_CHECKING:
    from annotation.source import ClipSource


def open_(
    place: Annotated[Optional[Path], typer.Argument(help="The study folder or a bundle; default: here.")] = None,  # noqa: UP045
    task: Annotated[str, typer.Option(help="er or fer; a bundle knows its own.")] = "",
    annotator: Annotated[str, typer.Option(help="Who labels, such as a01; a bundle knows it.")] = "",
    labels: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Label file of a bundle on a medium that cannot be written to."),
    ] = None,
    settings: Annotated[Optional[Path], typer.Option(help="Your settings; default: this user's.")] = None,  # noqa: UP045
    language: Annotated[str, typer.Option(help="en or zh for this time; default: your settings.")] = "",
) -> None:
    """Open the window in which an annotator labels the clips of a study or a bundle."""
    from annotation.app import import_qt, run_window
    from annotation.settings import SettingsFile
    from annotation.texts import LANGUAGES

    if language and language not in LANGUAGES:
        raise UsageError(f"--language is '{language}', expected one of {', '.join(LANGUAGES)}.")
    # Before anything is opened: without Qt there is no use in it.
    import_qt()
    source = clip_source(place, task, annotator, labels)
    try:
        status = run_window(source, SettingsFile(settings), language=language)
    finally:
        source.close()
    raise typer.Exit(status)


def clip_source(place: Path | None, task: str, annotator: str, labels: Path | None = None) -> ClipSource:
    """Return the clips of a study or of a bundle.

    Raises
    ------
    UsageError
        If a study is given without pass and annotator.
    EmerError
        If the folder is neither, or cannot be used.
    """
    from data_schema.vocabularies import TASKS

    if task and task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    if is_bundle(place or Path()):
        from annotation.bundle.source import BundleSource

        return BundleSource(place or Path(), labels, annotator_id=annotator, task=task)
    from data_schema.study.folder import CONFIG_NAME, find_study

    if place is not None and not (place / CONFIG_NAME).is_file():
        raise StudyError(_neither(place))
    study = find_study(place)
    if not task:
        raise UsageError("--task is missing: say which pass, --task fer (the face alone) or --task er.")
    if not annotator:
        raise UsageError("--annotator is missing: say who labels, such as --annotator a01.")
    if labels is not None:
        raise UsageError(f"--labels is for bundles; the labels of a study lie in {study.labels_dir}. Leave it out.")
    from annotation.sources.study import StudySource

    return StudySource(study, task, annotator)


def is_bundle(place: Path) -> bool:
    """Say whether a folder is a bundle, or what is left of one."""
    from annotation.bundle.contents import FACE, MANIFEST_NAME

    if (place / "study.toml").is_file():
        return False
    return (place / MANIFEST_NAME).is_file() or (place / FACE).is_dir()


def _neither(place: Path) -> str:
    """Say that a folder is neither a study nor a bundle, and which bundles lie just below it."""
    if not place.is_dir():
        return f"{place}: there is no such folder. Name the folder that the lab gave you, or a study folder."
    near = sorted(child for child in place.iterdir() if child.is_dir() and is_bundle(child))
    found = f" Did you mean {near[0]}?" if len(near) == 1 else ""
    if len(near) > 1:
        found = f" There are bundles in it: {', '.join(str(child) for child in near[:5])}."
    return (
        f"{place}: neither a bundle (a folder with manifest.json and face/) nor a study (with study.toml).{found} "
        "Name the folder that the lab gave you, or a study folder."
    )
