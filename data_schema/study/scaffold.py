"""Make a study folder that works at once."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from data_schema.errors import StudyError
from data_schema.study.config import StudyConfig, parse_config
from data_schema.study.folder import CONFIG_NAME, StudyFolder
from data_schema.study.placeholders import write_placeholder
from data_schema.study.sections import Stimulus, allowed
from data_schema.vocabularies import EMOTIONS

Progress = Callable[[int, int, str], None]

_HEADER = """\
# The definition of this study. Unknown keys are errors.
# Each key's meaning: docs/reference/study_toml.md of the toolkit.
"""

_STIMULI_README = """\
The clips that participants watch, named in study.toml.

The ones made by `emer init` are placeholders: moving shapes and a quiet tone that induce
nothing. practice.mp4 is shown in the practice trial, which never becomes data.
Put your own clips here, name them in study.toml with the emotion that each is meant
to induce, and write down for each whether you may show it and to whom (licence).
"""

_QUESTIONNAIRES_README = """\
Questionnaires of this study, one TOML file each, named like its id.

A questionnaire is asked when study.toml names it in [protocol] questionnaires_before or
questionnaires_after. The toolkit brings `mood` (short, ours, not validated) and `panas`
(a form: its words are APA's; `emer record plan` says what to write into panas.toml).
example.toml shows every key. Check that you may use what you put here: source and terms
are part of the file and are shown with the scores.
"""

_EXAMPLE_QUESTIONNAIRE = """\
# An example: copy it, give it a name of your own, and name that in study.toml:
#   [protocol]
#   questionnaires_before = ["mood", "example"]
id = "example"
version = "1"
source = "Written for this study."
terms = "Free to use."
validated = false

[title]
en = "Before you came"
zh = "来实验室之前"

[instruction]
en = "Please answer for today."
zh = "请根据今天的情况回答。"

# The scale of all items: rating, choice, yes_no, sam or text. Labels: its two ends, or a word for each point.
[scale]
kind = "rating"
low = 1
high = 5
[scale.labels]
en = ["not at all", "very much"]
zh = ["完全没有", "非常"]

[[items]]
id = "example_rested"
[items.text]
en = "I slept well last night."
zh = "我昨晚睡得很好。"

[[items]]
id = "example_hurried"
reverse = true
[items.text]
en = "I had to hurry to get here."
zh = "我是匆忙赶来的。"

# An item with a scale of its own.
[[items]]
id = "example_coffee"
[items.text]
en = "How much coffee or tea have you had today?"
zh = "您今天喝了多少咖啡或茶？"
[items.scale]
kind = "choice"
low = 0
high = 2
[items.scale.labels]
en = ["none", "one or two cups", "more"]
zh = ["没有", "一两杯", "更多"]

# A score is the mean or the sum of items; reverse items count as low + high - answer.
[[scores]]
id = "rested"
meaning = "High: rested and in no hurry. 1 to 5."
items = ["example_rested", "example_hurried"]
rule = "mean"
"""

#: The stimulus of the practice trial.
_PRACTICE = {
    "id": "practice",
    "file": "practice.mp4",
    "target_emotion": "neutral",
    "licence": "placeholder made by emer init",
    "practice": True,
}


def init_study(
    root: Path | str,
    *,
    title: str = "New study",
    clips_per_emotion: int = 2,
    clip_s: float = 4.0,
    clip_fps: int = 30,
    emotions: Iterable[str] = EMOTIONS,
    seed: int = 2025,
    practice: bool = True,
    settings: dict[str, dict[str, object]] | None = None,
    progress: Progress | None = None,
) -> StudyFolder:
    """Make a study folder with a complete ``study.toml``, placeholder stimuli and an example questionnaire.

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
    clip_fps : int
        Their frames a second.
    emotions : iterable of str
        Emotions to make placeholders for.
    seed : int
        The study's seed.
    practice : bool
        Make a clip for the practice trial as well; it does not count among the emotions' clips.
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
    stimuli: list[dict[str, object]] = [dict(_PRACTICE)] if practice else []
    stimuli += [
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
        _fill(building, config, clip_s, clip_fps, progress)
        if root.exists():
            root.rmdir()
        building.chmod(0o755)
        building.replace(root)
    except OSError as error:
        raise StudyError(f"{root}: cannot be made: {error}. Check the disk; nothing was left behind.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return StudyFolder(root)


def _fill(folder: Path, config: StudyConfig, clip_s: float, clip_fps: int, progress: Progress | None) -> None:
    for name in ("stimuli", "questionnaires", "sessions", "labels", "exports", "models", "reports"):
        (folder / name).mkdir()
    (folder / "stimuli" / "README.txt").write_text(_STIMULI_README, encoding="utf-8")
    (folder / "questionnaires" / "README.txt").write_text(_QUESTIONNAIRES_README, encoding="utf-8")
    (folder / "questionnaires" / "example.toml").write_text(_EXAMPLE_QUESTIONNAIRE, encoding="utf-8")
    total = len(config.stimuli)
    for done, stimulus in enumerate(config.stimuli):
        if progress:
            progress(done, total, stimulus.id)
        number = 1 if stimulus.practice else int(stimulus.id.rsplit("-", 1)[1])
        write_placeholder(
            folder / "stimuli" / stimulus.file,
            emotion=stimulus.target_emotion,
            number=number,
            duration_s=clip_s,
            fps=clip_fps,
            title="practice" if stimulus.practice else "",
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
        f"{key + ' = ' + _toml(getattr(section, key)):<{width}}  # {info.description}{_choice(info)}"
        for key, info in fields.items()
    ]


def _choice(info: FieldInfo) -> str:
    """Name the values of a key where its description does not explain one after the other: nobody can guess them."""
    values = [str(value) for value in allowed(info.annotation)]
    if len(values) < 2 or all(f"{value}:" in (info.description or "") for value in values):
        return ""
    return f" {'Some' if isinstance(info.default, tuple) else 'One'} of: {', '.join(values)}."


def _stimulus_lines(stimulus: Stimulus) -> list[str]:
    return [f"{key} = {_toml(getattr(stimulus, key))}" for key in Stimulus.model_fields]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # JSON's escapes are TOML's; TOML also wants the delete character escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
