"""Make a study folder that works at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from data_schema.errors import StudyError
from data_schema.study.config import Stimulus, StudyConfig, parse_config
from data_schema.study.folder import CONFIG_NAME, StudyFolder
from data_schema.study.placeholders import write_placeholder
from data_schema.vocabularies import EMOTIONS

Progress = Callable[[int, int, str], None]

_HEADER = """\
# The definition of this study. Unknown keys are errors.
# Each key's meaning: docs/reference/study_toml.md of the toolkit.
"""

_STIMULI_README = """\
The clips that participants watch, named in study.toml.

The ones made by `emer init` are placeholders: moving shapes that induce nothing.
Put your own clips here, name them in study.toml with the emotion that each is meant
to induce, and write down for each whether you may show it and to whom (licence).
"""


def init_study(
    root: Path | str,
    *,
    title: str = "New study",
    clips_per_emotion: int = 2,
    clip_s: float = 4.0,
    emotions: Iterable[str] = EMOTIONS,
    seed: int = 2025,
    settings: dict[str, dict[str, object]] | None = None,
    progress: Progress | None = None,
) -> StudyFolder:
    """Make a study folder with a complete ``study.toml`` and placeholder stimuli.

    Parameters
    ----------
    root : Path
        The folder; it may exist if it is empty.
    title : str
        Title of the study.
    clips_per_emotion : int
        Placeholder clips for each emotion.
    clip_s : float
        Their length in seconds.
    emotions : iterable of str
        Emotions to make placeholders for.
    seed : int
        The study's seed.
    settings : dict, optional
        Sections and keys that differ from the defaults.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    StudyFolder

    Raises
    ------
    StudyError
        If the folder exists and is not empty, or cannot be made.
    ConfigError
        If `settings` are not valid.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise StudyError(f"{root} exists and is not empty. Name a new folder; nothing was changed.")
    stimuli = [
        {"id": f"{emotion}-{number}", "file": f"{emotion}-{number}.mp4", "target_emotion": emotion,
         "licence": "placeholder made by emer init"}
        for number in range(1, clips_per_emotion + 1)
        for emotion in emotions
    ]  # fmt: skip
    data: dict[str, object] = {"study": {"title": title, "seed": seed}, "stimuli": stimuli, **(settings or {})}
    config = parse_config(data, "settings")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    except OSError as error:
        raise StudyError(f"{root}: cannot be made: {error}. Choose a folder that you may write to.") from error
    try:
        _fill(building, config, clip_s, progress)
        if root.exists():
            root.rmdir()
        building.chmod(0o755)
        building.replace(root)
    except OSError as error:
        raise StudyError(f"{root}: cannot be made: {error}. Check the disk; nothing was left behind.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return StudyFolder(root)


def _fill(folder: Path, config: StudyConfig, clip_s: float, progress: Progress | None) -> None:
    for name in ("stimuli", "sessions", "labels", "exports", "models", "reports"):
        (folder / name).mkdir()
    (folder / "stimuli" / "README.txt").write_text(_STIMULI_README, encoding="utf-8")
    total = len(config.stimuli)
    for done, stimulus in enumerate(config.stimuli):
        if progress:
            progress(done, total, stimulus.id)
        number = int(stimulus.id.rsplit("-", 1)[1])
        write_placeholder(
            folder / "stimuli" / stimulus.file, emotion=stimulus.target_emotion, number=number, duration_s=clip_s
        )
    if progress:
        progress(total, total, "stimuli")
    (folder / CONFIG_NAME).write_text(config_to_toml(config), encoding="utf-8")


def config_to_toml(config: StudyConfig) -> str:
    """Return a configuration as TOML, each key with its meaning as a comment."""
    lines = [_HEADER, f"schema_version = {config.schema_version}", ""]
    for name in StudyConfig.model_fields:
        section = getattr(config, name)
        if isinstance(section, BaseModel):
            lines += [f"[{name}]", *_section_lines(section), ""]
    for stimulus in config.stimuli:
        lines += ["[[stimuli]]", *_stimulus_lines(stimulus), ""]
    return "\n".join(lines)


def _section_lines(section: BaseModel) -> list[str]:
    fields: dict[str, FieldInfo] = type(section).model_fields
    width = max(len(f"{key} = {_toml(getattr(section, key))}") for key in fields)
    width = min(width, 44)
    return [
        f"{key + ' = ' + _toml(getattr(section, key)):<{width}}  # {info.description}" for key, info in fields.items()
    ]


def _stimulus_lines(stimulus: Stimulus) -> list[str]:
    return [f"{key} = {_toml(getattr(stimulus, key))}" for key in Stimulus.model_fields]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
