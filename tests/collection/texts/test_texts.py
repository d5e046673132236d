"""The languages agree, and a study's own texts are checked."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from collection.texts import load_texts, shipped_languages
from collection.texts.loading import words_of
from data_schema.errors import StudyError

PACKAGE = Path(__file__).resolve().parents[3] / "collection"


def _own(root: Path, language: str, text: str) -> Path:
    (root / "texts").mkdir(exist_ok=True)
    (root / "texts" / f"{language}.toml").write_text(text, encoding="utf-8")
    return root


def test_english_and_chinese_are_shipped() -> None:
    assert {"en", "zh"} <= set(shipped_languages())


@pytest.mark.parametrize("language", shipped_languages())
def test_languages_have_the_same_keys_words_and_list_lengths(language: str) -> None:
    english, other = load_texts("en").values, load_texts(language).values
    assert other.keys() == english.keys()
    for key, value in other.items():
        assert isinstance(value, str) == isinstance(english[key], str), key
        assert words_of(value) == words_of(english[key]), key
        if not isinstance(value, str):
            assert len(value) == len(english[key]), key
        assert all(text.strip() for text in ((value,) if isinstance(value, str) else value)), key


def test_chinese_is_chinese() -> None:
    """No sentence was left in English: beside names of keys, every text is Chinese."""
    for key, value in load_texts("zh").values.items():
        for text in (value,) if isinstance(value, str) else value:
            plain = re.sub(r"\{\w+\}|Esc", "", text)
            assert re.search(r"[\u4e00-\u9fff]", plain), key
            assert not re.search(r"[A-Za-z]{3,}", plain), key


def test_a_study_replaces_a_text(tmp_path: Path) -> None:
    root = _own(tmp_path, "en", '[break]\ntext = "Stretch."\n')
    texts = load_texts("en", root)
    assert texts["break.text"] == "Stretch."
    assert texts["buttons.go_on"] == "Go on"


def test_another_language_needs_every_key(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no texts in the language 'de'.*texts/de\.toml"):
        load_texts("de", tmp_path)
    root = _own(tmp_path, "de", '[break]\ntext = "Pause."\n')
    with pytest.raises(StudyError, match=r"texts/de\.toml: \d+ texts are missing: .*buttons\.go_on"):
        load_texts("de", root)
    english = (PACKAGE / "texts" / "en.toml").read_text(encoding="utf-8")
    assert load_texts("de", _own(tmp_path, "de", english)).language == "de"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[buttons]\ngo_in = "Go"\n', "there is no text 'buttons.go_in'. Did you mean 'buttons.go_on'?"),
        ("[buttons]\ngo_on = 3\n", "'buttons.go_on' must be a text or a list of texts, got 3"),
        ('[buttons]\ngo_on = ["a", "b"]\n', "'buttons.go_on' must be one text"),
        ('[labels]\nno_yes = ["no"]\n', "'labels.no_yes' needs 2 texts, got 1"),
        (
            '[prompts]\nemotion = "How {much}?"\n',
            "'prompts.emotion' holds {much}, which nobody fills in. Known: {emotion}",
        ),
        ('[prompts]\nemotion = "How {?"\n', "'prompts.emotion'"),
        ("[buttons\n", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_studys_texts_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        load_texts("en", _own(tmp_path, "en", text))
    assert message in str(caught.value)
    assert "texts/en.toml" in str(caught.value)


def test_a_missing_key_and_a_missing_word_are_named() -> None:
    texts = load_texts("en")
    with pytest.raises(StudyError, match="the text 'buttons.fly' is missing"):
        texts["buttons.fly"]
    with pytest.raises(StudyError, match="'trials.text' cannot be filled in"):
        texts.say("trials.text")
    assert "There are 7." in texts.say("trials.text", n_trials=7)
    with pytest.raises(StudyError, match="a list of texts is needed"):
        texts.labels("buttons.go_on")
    with pytest.raises(StudyError, match="one text is needed"):
        texts["labels.no_yes"]


# ---------------------------------------------------------------- no text is left in code


#: Modules whose sentences are for the operator, and one that holds characters to choose a font by.
_FOR_THE_OPERATOR = {"operator.py", "facts.py", "listening.py", "tracker_steps.py", "window.py", "fonts.py"}


def _participant_code() -> list[Path]:
    found = [*sorted((PACKAGE / "presenter").rglob("*.py")), *sorted((PACKAGE / "protocol").glob("*.py"))]
    return [path for path in found if path.name not in _FOR_THE_OPERATOR]


def _docstrings(tree: ast.AST) -> set[int]:
    """Return the line of every string that is a statement of its own."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


#: Calls whose texts are for the operator, the log or an error.
_NOT_FOR_PARTICIPANTS = {"marker", "alarm", "request_abort", "Question", "Decision", "tell"}


def _for_others(tree: ast.AST) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(tree):
        outer: ast.AST | None = None
        if isinstance(node, ast.Raise):
            outer = node
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            owner = getattr(node.func.value, "id", "") if isinstance(node.func, ast.Attribute) else ""
            logs = owner in ("logger", "_log", "log")
            if logs or name in _NOT_FOR_PARTICIPANTS or name.endswith("Error"):
                outer = node
        if outer is not None:
            found |= {id(inner) for inner in ast.walk(outer)}
    return found


def _sentences(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed_over = _docstrings(tree) | _for_others(tree)
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in passed_over
        and (re.search(r"[A-Z][a-z]+ .*[.?!]$", node.value.strip()) or re.search(r"[\u4e00-\u9fff]", node.value))
    ]


def test_the_search_for_sentences_finds_one(tmp_path: Path) -> None:
    path = tmp_path / "page.py"
    path.write_text('"""Draw it."""\nTEXT = "Please look at the cross."\n', encoding="utf-8")
    assert _sentences(path) == ["Please look at the cross."]


def test_no_text_for_participants_is_left_in_code() -> None:
    left = {path.name: found for path in _participant_code() if (found := _sentences(path))}
    assert not left, f"texts belong into collection/texts: {left}"


def test_every_key_that_code_names_exists() -> None:
    """A typing mistake in a key is found here, not in front of a participant."""
    keys = set(load_texts("en").values)
    tables = {key.partition(".")[0] for key in keys}
    pattern = re.compile(rf"^({'|'.join(sorted(tables))})\.[a-z_]+$")
    named = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            arguments = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if name in ("say", "labels"):
                named |= {a for a in arguments[:1] if pattern.match(a)}
    assert named <= keys, f"no such texts: {sorted(named - keys)}"


def test_every_text_is_shown_somewhere() -> None:
    """A text that no code names is a page that nobody sees."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    tables = set(re.findall(r'f"([a-z_]+\.)\{', code))
    left = [
        key for key in load_texts("en").values if f'"{key}"' not in code and key.partition(".")[0] + "." not in tables
    ]
    assert left == []
