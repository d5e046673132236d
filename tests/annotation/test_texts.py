"""Every text is there in every language, takes the same values, and every text that a view asks for exists."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from annotation import texts as package
from annotation.desk.state import FIELDS, Page, Saving
from annotation.items import Block
from annotation.keys import KEYS
from annotation.settings import LANGUAGES as SETTINGS_LANGUAGES
from annotation.settings import THEMES
from annotation.texts import LANGUAGES, Texts, load_texts
from data_schema.errors import UsageError
from data_schema.labels.models import MARK_KINDS
from data_schema.vocabularies import EMOTIONS, POLARITIES, SKIP_REASONS, TASKS

ROOT = Path(package.__file__).parents[1]


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _asked_for(path: Path) -> tuple[set[str], set[str]]:
    """Return keys, and beginnings of keys, in calls such as ``texts("bar.play")`` and ``_texts(f"keys.{action}")``."""
    whole, begun = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in ("texts", "_texts"):
            continue
        built = [part for part in ast.walk(node.args[0]) if isinstance(part, ast.JoinedStr)]
        pieces = {id(one) for part in built for one in ast.walk(part)}
        begun |= {str(part.values[0].value) for part in built if isinstance(part.values[0], ast.Constant)}
        whole |= {
            one.value
            for one in ast.walk(node.args[0])
            if isinstance(one, ast.Constant)
            and isinstance(one.value, str)
            and id(one) not in pieces
            and "." in one.value
        }
    return whole, begun


def test_languages_hold_the_same_texts_with_the_same_values() -> None:
    english = load_texts("en")
    assert set(LANGUAGES) == set(SETTINGS_LANGUAGES)
    for language in LANGUAGES:
        other = load_texts(language)
        assert set(other) == set(english)
        for key, text in english.items():
            assert other[key].strip(), key
            assert _placeholders(other[key]) == _placeholders(text), f"{key} in {language}"


def test_no_language_is_a_copy_of_english() -> None:
    english, chinese = load_texts("en"), load_texts("zh")
    same = [
        key
        for key, text in english.items()
        if chinese[key] == text and re.search("[a-z]{3}", re.sub("{.*?}", "", text))
    ]
    assert same == []


@pytest.mark.parametrize("path", sorted((ROOT / "views").rglob("*.py")), ids=lambda path: path.stem)
def test_every_text_that_a_view_asks_for_exists(path: Path) -> None:
    known = set(load_texts("en"))
    whole, begun = _asked_for(path)
    assert whole - known == set()
    assert [start for start in begun if not any(key.startswith(start) for key in known)] == []


def test_every_notice_of_the_desk_has_words() -> None:
    found = set()
    for path in (ROOT / "desk").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'Notice\(\s*"\w+",\s*"(\w+)"', text))
        for arguments in re.findall(r"\.tell\(([^)]*)\)", text):
            found |= set(re.findall(r'"(\w+)"', arguments)) - {"info", "warning", "error", ","}
    found -= {"undo", "off"}  # compared with, where one of two notices is told
    assert len(found) > 15, "the desk's notices were not found: has their spelling changed?"
    assert {f"notices.{name}" for name in found} - set(load_texts("en")) == set()


def test_every_word_of_the_vocabulary_has_a_name() -> None:
    wanted = {f"keys.{key.action}" for key in KEYS}
    wanted |= {f"sheet.{key.group}" for key in KEYS}
    wanted |= {f"emotions.{word}" for word in EMOTIONS} | {f"polarities.{word}" for word in POLARITIES}
    wanted |= {f"skip_reasons.{word}" for word in SKIP_REASONS} | {f"marks.{kind}" for kind in MARK_KINDS}
    wanted |= {f"fields.{field}" for field in FIELDS} | {f"blocks.{block.value}" for block in Block}
    wanted |= {f"questions.{field}" for field in FIELDS if field != "emotion"}
    wanted |= {f"questions.emotion_{task}" for task in TASKS} | {f"window.{task}" for task in TASKS}
    wanted |= {f"header.{saving.value}" for saving in Saving} | {f"settings.theme_{theme}" for theme in THEMES}
    wanted |= {f"intensities.{digit}" for digit in range(4)} | {f"confidences.{digit}" for digit in range(1, 6)}
    assert wanted - set(load_texts("en")) == set()
    assert {page.value for page in Page} == {"clip", "feedback", "break", "admission", "finished"}


def test_values_are_put_in_and_a_missing_text_shows_its_key() -> None:
    texts = Texts("en")
    assert texts("window.annotator", annotator="a01") == "annotator a01"
    assert texts("no.such_text") == "no.such_text"
    assert texts("window.annotator", someone="a01") == "annotator {annotator}"


def test_followers_hear_of_another_language() -> None:
    texts, heard = Texts("en"), []

    def follow() -> None:
        heard.append(texts("emotions.fear"))

    texts.subscribe(follow)
    texts.use("zh")
    texts.unsubscribe(follow)
    texts.use("en")
    assert heard == ["恐惧"]
    with pytest.raises(UsageError, match="expected one of en, zh"):
        texts.use("xx")
