"""The help page names keys that exist, in both languages alike, and shows them as they are set."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation.keys import KEY_BY_ACTION, KEYS
from annotation.texts import LANGUAGES, load_texts
from annotation.texts.guide import actions_of_help, help_markdown
from data_schema.vocabularies import SKIP_REASONS


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_on_the_page_is_of_an_action(language: str) -> None:
    assert actions_of_help(language) <= KEY_BY_ACTION.keys()
    assert actions_of_help(language) == actions_of_help("en")
    page = help_markdown(language, lambda action: KEY_BY_ACTION[action].sequences[0])
    assert "{key" not in page
    assert page.count("\n## ") == help_markdown("en", lambda action: "x").count("\n## ")


def test_the_page_shows_the_keys_that_this_annotator_has_set() -> None:
    page = help_markdown("en", lambda action: "Ctrl+J" if action == "skip" else "[")
    assert r"**Ctrl\+J** skips a clip" in page and r"**\[**" in page


def test_the_page_says_why_a_clip_may_be_skipped() -> None:
    # As many reasons as the vocabulary has: a new one has to be explained, too.
    told = help_markdown("en", str).split("with a reason:")[1].split(".")[0].split(",")
    assert len(told) == len(SKIP_REASONS)


@pytest.mark.parametrize("prefix", ["er.", "tour.", "help."])
def test_what_the_views_of_evidence_tour_and_help_say_stands_in_every_language(prefix: str) -> None:
    names = {language: {key for key in load_texts(language) if key.startswith(prefix)} for language in LANGUAGES}
    assert names["en"] and all(found == names["en"] for found in names.values())


def test_the_annotators_page_shows_every_key() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "annotator.md").read_text(encoding="utf-8")
    section = page.split("\n## Keys\n")[1].split("\n## ")[0]
    texts = load_texts("en")
    for key in KEYS:
        if not key.action.startswith("digit."):
            keys = " or ".join(f"`{one}`" for one in key.sequences)
            assert f"| {keys} | {texts[f'keys.{key.action}']} |" in section, key.action
