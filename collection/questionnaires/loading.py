"""Find a questionnaire: in the study's folder, in the toolkit, or in another installed package.

Another package offers questionnaires through the entry-point group
``emer.questionnaires``: the entry's name is the questionnaire's, its object a
function without arguments that returns the text of the TOML file.
"""

from __future__ import annotations

import difflib
import sys
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collection.questionnaires.model import Questionnaire
from data_schema.errors import StudyError
from data_schema.study.folder import StudyFolder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Entry-point group of other packages.
ENTRY_POINTS = "emer.questionnaires"
#: Folder of a study with its own questionnaires.
STUDY_FOLDER = "questionnaires"


def known_questionnaires(study: StudyFolder | Path | None = None) -> dict[str, str]:
    """Return the names of all questionnaires that can be found, and where each comes from."""
    known = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
    known |= dict.fromkeys(_shipped(), "the toolkit")
    folder = _study_folder(study)
    if folder is not None and folder.is_dir():
        known |= {path.stem: f"{STUDY_FOLDER}/{path.name}" for path in sorted(folder.glob("*.toml"))}
    return known


def find_questionnaire(name: str, study: StudyFolder | Path | None = None) -> Questionnaire:
    """Return a questionnaire by name; the study's own comes before the toolkit's.

    Raises
    ------
    StudyError
        If there is none of this name, or its file is wrong.
    """
    folder = _study_folder(study)
    own = folder / f"{name}.toml" if folder is not None else None
    if own is not None and own.is_file():
        return _load_own(own, name)
    if name in _shipped():
        return _shipped_questionnaire(name)
    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.name == name:
            return _check_name(parse_questionnaire(point.load()(), f"{point.value} ({name})"), name, point.value)
    known = known_questionnaires(study)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."
    raise StudyError(f"there is no questionnaire '{name}'. {hint} A study's own lies in {STUDY_FOLDER}/{name}.toml.")


def parse_questionnaire(text: str, source: str) -> Questionnaire:
    """Read the text of a questionnaire's file; `source` names it in messages.

    Raises
    ------
    StudyError
        With one line for each mistake.
    """
    return _validated(_toml(text, source), source)


def _study_folder(study: StudyFolder | Path | None) -> Path | None:
    root = study.root if isinstance(study, StudyFolder) else study
    return root / STUDY_FOLDER if root is not None else None


def _shipped() -> dict[str, str]:
    files = resources.files("collection.questionnaires").iterdir()
    return {file.name.removesuffix(".toml"): file.name for file in files if file.name.endswith(".toml")}


def _shipped_questionnaire(name: str) -> Questionnaire:
    source = f"the toolkit's questionnaires/{name}.toml"
    text = (resources.files("collection.questionnaires") / f"{name}.toml").read_text(encoding="utf-8")
    return _check_name(parse_questionnaire(text, source), name, source)


def _load_own(path: Path, name: str) -> Questionnaire:
    source = f"{STUDY_FOLDER}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{source}: is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    except OSError as error:
        raise StudyError(f"{source}: cannot be read: {error.strerror or error}. Give yourself the right to.") from error
    data = _toml(text, source)
    if "completes" in data:
        return _complete(data, name, source)
    return _check_name(_validated(data, source), name, source)


def _complete(data: dict[str, Any], name: str, source: str) -> Questionnaire:
    """Put the lab's words into a form that the toolkit ships without them."""
    base_name = data["completes"]
    unknown = sorted(data.keys() - {"completes", "words", "labels"})
    if unknown:
        raise StudyError(
            f"{source}: has no key '{unknown[0]}'. A file that completes a form holds completes, words and labels."
        )
    if base_name not in _shipped():
        raise StudyError(f"{source}: completes = '{base_name}', but the toolkit ships no such questionnaire.")
    if base_name != name:
        raise StudyError(f"{source}: completes '{base_name}', so it must be called {base_name}.toml.")
    base = _shipped_questionnaire(base_name)
    words = data.get("words")
    if not isinstance(words, dict) or not all(isinstance(group, dict) for group in words.values()):
        raise StudyError(f'{source}: needs tables of words such as [words.en], each line ITEM = "WORD".')
    known = [item.id for item in base.items]
    texts = {item.id: dict(item.text) for item in base.items}
    heads: dict[str, dict[str, str]] = {"title": dict(base.title), "instruction": dict(base.instruction)}
    for language, group in words.items():
        for key, text in group.items():
            if key not in known and key not in heads:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"Did you mean '{near[0]}'?" if near else f"Items: {', '.join(known)}."
                raise StudyError(f"{source}: [words.{language}] names '{key}', which is no item. {hint}")
            if not isinstance(text, str) or not text.strip() or text.strip() == "...":
                raise StudyError(f"{source}: [words.{language}] {key} has no words yet; write them from your own copy.")
            (texts if key in texts else heads)[key][language] = text
    items = [item.model_dump() | {"text": texts[item.id]} for item in base.items]
    scale = base.scale.model_dump() | {"labels": data.get("labels", base.scale.labels)}
    return _validated(base.model_dump() | {"items": items, "scale": scale, **heads}, source)


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{source}: not valid TOML: {error}. Mend that line; texts stand in quotes.") from None


def _validated(data: dict[str, Any], source: str) -> Questionnaire:
    try:
        return Questionnaire.model_validate(data)
    except ValidationError as error:
        raise StudyError("\n".join(_explain(dict(item), source) for item in error.errors())) from None


def _explain(item: dict[str, Any], source: str) -> str:
    where = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{source}: there is no key '{where}'. The keys stand in the toolkit's questionnaires/mood.toml."
    if item["type"] == "missing":
        return f"{source}: lacks '{where}'. The toolkit's questionnaires/mood.toml shows a complete file."
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "must")
    return f"{source}: {where}: {message}" if where else f"{source}: {message}"


def _check_name(questionnaire: Questionnaire, name: str, source: str) -> Questionnaire:
    if questionnaire.id != name:
        raise StudyError(f"{source}: the questionnaire calls itself '{questionnaire.id}'; write id = \"{name}\".")
    return questionnaire
