"""Questionnaires as files: what ships, what a study adds, what the terms of use demand."""

from __future__ import annotations

import hashlib
import math
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from collection.protocol.questionnaire_items import questionnaire_items
from collection.protocol.steps import ItemKind
from collection.questionnaires import (
    find_questionnaire,
    known_questionnaires,
    parse_questionnaire,
    score,
    score_session,
)
from collection.questionnaires import loading as questionnaire_loading
from data_schema.errors import StudyError
from data_schema.session import open_session
from data_schema.session.layout import RESPONSES, make_row
from data_schema.session.synthetic import synthetic_config
from data_schema.session.writer import SessionWriter
from data_schema.study import init_study

PANAS_TOML = 'completes = "panas"\n[words.en]\ntitle = "T"\ninstruction = "I"\n' + "".join(
    f'panas_{number:02d} = "word {number}"\n' for number in range(1, 21)
)

#: The twenty words of the PANAS, as the starts of their SHA-256: to be recognised without being written here.
_PANAS_WORDS = {
    "a30d5f87", "d2621e35", "8d1c8a7a", "8b2f4063", "eda15ce4",
    "51997f8a", "67f711e8", "8f383ccd", "6d847aae", "d069c852",
    "3f55cd56", "df905058", "b6d9e56c", "5f067754", "fb3a7850",
    "891af286", "e0e6c2af", "77939a07", "96879611", "180366dd",
}  # fmt: skip


def _study(root: Path, name: str, text: str) -> Path:
    (root / "questionnaires").mkdir(exist_ok=True)
    (root / "questionnaires" / f"{name}.toml").write_text(text, encoding="utf-8")
    return root


# ---------------------------------------------------------------- what ships


def test_everything_that_ships_says_its_source_and_terms() -> None:
    shipped = {name for name, where in known_questionnaires().items() if where == "the toolkit"}
    assert shipped == {"mood", "panas"}
    for name in shipped:
        questionnaire = find_questionnaire(name)
        assert len(questionnaire.source) > 30
        assert len(questionnaire.terms) > 30
        assert questionnaire.scores


def test_mood_is_ours_in_both_languages_and_says_that_it_is_not_validated() -> None:
    mood = find_questionnaire("mood")
    assert not mood.validated
    assert mood.languages == ("en", "zh")
    for language in mood.languages:
        items = questionnaire_items(mood, language)
        assert len(items) == 7
        assert all((item.kind, item.low, item.high, len(item.labels)) == (ItemKind.RATING, 1, 5, 5) for item in items)


def test_the_panas_ships_without_one_of_its_words() -> None:
    """Its terms allow no public posting: neither its items nor the words of its scale are in the package."""
    folder = Path(questionnaire_loading.__file__).parent
    text = (folder / "panas.toml").read_text(encoding="utf-8").lower()
    hashes = {hashlib.sha256(word.encode()).hexdigest()[:8] for word in re.findall(r"[a-z]+", text)}
    assert not hashes & _PANAS_WORDS
    panas = find_questionnaire("panas")
    assert panas.form_only
    assert panas.languages == ()
    assert not any(item.text for item in panas.items)


def test_the_form_says_what_the_lab_has_to_write() -> None:
    with pytest.raises(StudyError) as caught:
        questionnaire_items(find_questionnaire("panas"), "en")
    said = str(caught.value)
    assert "questionnaires/panas.toml" in said
    assert 'completes = "panas"' in said
    assert "[words.en]" in said
    assert 'panas_20 = "..."' in said
    assert "American Psychological Association" in said


def test_a_lab_completes_the_form_from_its_own_copy(tmp_path: Path) -> None:
    root = _study(tmp_path, "panas", PANAS_TOML + '[labels]\nen = ["low", "high"]\n')
    panas = find_questionnaire("panas", root)
    items = questionnaire_items(panas, "en")
    assert [item.prompt for item in items] == [f"word {number}" for number in range(1, 21)]
    assert items[0].labels == ("low", "high")
    answers = {item.scale: float(1 + number % 5) for number, item in enumerate(items)}
    scores = score(panas, answers)
    positive = [1, 3, 5, 9, 10, 12, 14, 16, 17, 19]
    assert scores["positive_affect"] == sum(answers[f"panas_{n:02d}"] for n in positive)
    assert scores["positive_affect"] + scores["negative_affect"] == sum(answers.values())
    with pytest.raises(StudyError, match="title, instruction, panas_01"):
        questionnaire_items(panas, "zh")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('completes = "panas"\n[words.en]\npanas_1 = "x"\n', "Did you mean 'panas_"),
        ('completes = "panas"\n[words.en]\npanas_01 = "..."\n', "has no words yet"),
        ('completes = "panas"\n', "needs tables of words"),
        ('completes = "panas"\nextra = 1\n', "no key 'extra'"),
        ('completes = "mood"\n[words.en]\n', "must be called mood.toml"),
        ('completes = "other"\n[words.en]\n', "ships no such questionnaire"),
        ('completes = "panas"\n[words.en]\ntitle = "T"\n[labels]\nen = ["a", "b", "c"]\n', "labels.en has 3 words"),
    ],
)
def test_a_mistake_in_completing_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StudyError, match=re.escape(message)):
        find_questionnaire("panas", _study(tmp_path, "panas", text))


# ---------------------------------------------------------------- a study's own


def test_the_example_of_a_new_study_is_asked_and_scored(tmp_path: Path) -> None:
    study = init_study(tmp_path / "s", clips_per_emotion=1, clip_s=0.1, emotions=["fear"], practice=False)
    example = find_questionnaire("example", study)
    assert known_questionnaires(study)["example"] == "questionnaires/example.toml"
    for language in ("en", "zh"):
        rested, _, coffee = questionnaire_items(example, language)
        assert (rested.kind, rested.labels.__len__()) == (ItemKind.RATING, 2)
        assert (coffee.kind, coffee.low, coffee.high, len(coffee.labels)) == (ItemKind.CHOICE, 0, 2, 3)
        assert coffee.stored_value(1) == (1.0, coffee.labels[1])
    assert score(example, {"example_rested": 5, "example_hurried": 1}) == {"rested": 5.0}


MINIMAL = """
id = "tiny"
source = "us"
terms = "free"
[title]
en = "T"
[instruction]
en = "I"
[[items]]
id = "a"
text.en = "A?"
[[items]]
id = "b"
reverse = true
text.en = "B?"
[[scores]]
id = "s"
meaning = "m"
items = ["a", "b"]
{more}
"""


def test_a_study_replaces_and_adds(tmp_path: Path) -> None:
    assert find_questionnaire("tiny", _study(tmp_path, "tiny", MINIMAL.format(more=""))).id == "tiny"
    own = MINIMAL.format(more="").replace('"tiny"', '"mood"')
    assert len(find_questionnaire("mood", _study(tmp_path, "mood", own)).items) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "tiny"', 'id = "other"', 'write id = "tiny"'),
        ('source = "us"', "", "lacks 'source'"),
        ('terms = "free"', "", "lacks 'terms'"),
        ('terms = "free"', 'terms = "free"\nitmes = 1', "no key 'itmes'"),
        ('items = ["a", "b"]', 'items = ["a", "c"]', "the score 's' names the item 'c', which does not exist"),
        ('id = "b"', 'id = "a"', "two items have the id 'a'"),
        ('meaning = "m"', 'meaning = "m"\nmax_missing = 2', "as many missing answers as it has items"),
        ("[title]", "[scale]\nlow = 5\nhigh = 1\n[title]", "low (5) must be smaller than high (1)"),
        ("[title]", "[title", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = MINIMAL.format(more="").replace(old, new, 1)
    with pytest.raises(StudyError) as caught:
        find_questionnaire("tiny", _study(tmp_path, "tiny", text))
    assert message in str(caught.value)
    assert "questionnaires/tiny.toml" in str(caught.value)


def test_a_missing_language_is_named() -> None:
    with pytest.raises(StudyError, match=r"no words in the language 'zh' for title, instruction, a, b\."):
        questionnaire_items(parse_questionnaire(MINIMAL.format(more=""), "x"), "zh")


def test_another_package_offers_a_questionnaire(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value = "tiny", "elsewhere:tiny"

        @staticmethod
        def load():
            return lambda: MINIMAL.format(more="")

    def entry_points(*, group: str) -> list[type[Point]]:
        return [Point] if group == "emer.questionnaires" else []

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    assert known_questionnaires()["tiny"] == "elsewhere:tiny"
    assert find_questionnaire("tiny").id == "tiny"


# ---------------------------------------------------------------- scores


def test_reverse_items_and_missing_answers() -> None:
    tiny = parse_questionnaire(MINIMAL.format(more=""), "x")
    assert score(tiny, {"a": 5, "b": 1}) == {"s": 5.0}
    assert math.isnan(score(tiny, {"a": 5})["s"])
    lenient = parse_questionnaire(MINIMAL.format(more='rule = "sum"\nmax_missing = 1'), "x")
    assert score(lenient, {"a": 4, "b": math.nan}) == {"s": 8.0}
    assert math.isnan(score(lenient, {})["s"])
    with pytest.raises(ValueError, match=r"tiny: a = 6 lies outside its scale of 1 to 5"):
        score(tiny, {"a": 6, "b": 1})


def test_the_scores_of_a_session_are_computed_from_its_answers(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    writer = SessionWriter.create(
        path, participant="P001", session="01", config_json=synthetic_config().to_json(), devices=[], seeds={},
        rates_hz={}, simulated=True,
    )  # fmt: skip

    def answer(scale: str, value: float, occasion: str, name: str = "mood", t_us: int = 1) -> np.ndarray:
        return make_row(
            RESPONSES, scale=scale, value=value, questionnaire=name, occasion=occasion, t_shown_us=0, t_answered_us=t_us
        )

    mood = find_questionnaire("mood")
    with writer:
        for item in mood.items:
            writer.append(RESPONSES.path, answer(item.id, 1.0 if item.reverse else 5.0, "before"))
        writer.append(RESPONSES.path, answer("mood_awake", 3.0, "after", t_us=2))
        writer.append(RESPONSES.path, answer("mood_tired", 2.0, "after", t_us=3))
        writer.append(RESPONSES.path, answer("mood_tired", 3.0, "after", t_us=4))
        writer.append(RESPONSES.path, answer("x", 1.0, "after", name="lost", t_us=5))
        writer.append(RESPONSES.path, make_row(RESPONSES, trial_id=1, scale="fear", value=2.0, t_answered_us=6))
    with open_session(path) as session:
        before, after, lost = score_session(session)
    assert (before.questionnaire, before.occasion, before.n_answered, before.n_items) == ("mood", "before", 7, 7)
    assert before.scores == {"pleasant": 5.0, "awake": 5.0, "tense": 5.0}
    assert not before.validated
    # A page that was shown again counts with its last answer; what is missing is not invented.
    assert after.scores["awake"] == 3.0
    assert math.isnan(after.scores["pleasant"])
    assert "no questionnaire 'lost'" in lost.problem
