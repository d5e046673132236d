from __future__ import annotations

import hashlib

import pytest

from collection.protocol.consent import asked_scopes, consent_rows, consent_step, consent_text_sha256
from collection.protocol.facts import fact_rows
from collection.texts import load_texts
from data_schema.errors import UsageError
from data_schema.session.layout import CONSENT, FACTS, decode_text
from data_schema.session.synthetic import synthetic_config
from data_schema.study.config import parse_config
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_shown_is_stored_as_a_hash(language: str) -> None:
    step = consent_step(load_texts(language))
    decisions = {"gaze": True, "video": False, "sharing": True}
    rows = consent_rows(decisions, way="screen", language=language, t_system_us=77, step=step)
    assert rows.dtype == CONSENT.dtype
    assert list(decode_text(rows["scope"])) == list(CONSENT_SCOPES)
    assert rows["granted"].tolist() == [1, 0, 1]
    assert set(rows["t_system_us"].tolist()) == {77}
    question = load_texts(language)["consent.video"]
    shown = f"{step.text}\n\n{question}".encode()
    assert rows["text_sha256"][1].decode() == hashlib.sha256(shown).hexdigest() == consent_text_sha256(step, "video")
    assert len(set(rows["text_sha256"].tolist())) == 3


def test_another_text_has_another_hash() -> None:
    hashes = {consent_text_sha256(consent_step(load_texts(language)), "gaze") for language in ("en", "zh")}
    assert len(hashes) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_face_is_asked_for_only_where_the_study_wants_to_pass_it_on(language: str) -> None:
    plain = synthetic_config()
    assert FACE_SHARING not in asked_scopes(plain)
    asking = parse_config(plain.model_dump() | {"protocol": {"ask_face_sharing": True}}, "study.toml")
    step = consent_step(load_texts(language), asked_scopes(asking))
    assert [scope for scope, _ in step.texts] == [*CONSENT_SCOPES, FACE_SHARING]
    decisions = dict.fromkeys(CONSENT_SCOPES, True) | {FACE_SHARING: False}
    rows = consent_rows(decisions, way="screen", language=language, t_system_us=1, step=step)
    assert dict(zip(decode_text(rows["scope"]), rows["granted"].tolist(), strict=True))[FACE_SHARING] == 0
    assert len(set(rows["text_sha256"].tolist())) == 4


def test_paper_has_no_text_and_every_scope_needs_a_decision() -> None:
    rows = consent_rows(dict.fromkeys(CONSENT_SCOPES, True), way="paper", language="zh", t_system_us=1)
    assert set(rows["text_sha256"].tolist()) == {b""}
    assert set(rows["way"].tolist()) == {b"paper"}
    with pytest.raises(UsageError, match="no decision on video, sharing"):
        consent_rows({"gaze": True}, way="paper", language="en", t_system_us=1)
    with pytest.raises(UsageError, match="what was shown"):
        consent_rows(dict.fromkeys(CONSENT_SCOPES, True), way="screen", language="en", t_system_us=1)


def test_facts_are_stored_as_entered() -> None:
    rows = fact_rows({"age_years": 24, "vision_aid": "glasses", "note": "  ", "dominant_eye": "right"}, 5)
    assert rows.dtype == FACTS.dtype
    assert dict(zip(decode_text(rows["key"]), decode_text(rows["value"]), strict=True)) == {
        "age_years": "24",
        "vision_aid": "glasses",
        "dominant_eye": "right",
    }
    assert len(fact_rows({}, 5)) == 0


@pytest.mark.parametrize("key", ["name", "E-Mail", "birthday", "phone_number", "home_address", "student_id"])
def test_facts_that_name_a_person_are_refused(key: str) -> None:
    with pytest.raises(UsageError, match="may identify a person"):
        fact_rows({key: "x"}, 5)


@pytest.mark.parametrize("age", ["twenty", "2²", "0", "200"])
def test_an_age_is_a_number(age: str) -> None:
    with pytest.raises(UsageError, match="whole years"):
        fact_rows({"age_years": age}, 5)


def test_a_participant_who_does_not_agree_is_thanked() -> None:
    from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
    from collection.runner.consent import ask_on_screen
    from collection.simulation.participant import SimulatedParticipant
    from data_schema.clocks import ScaledClock

    pages: list[str] = []

    class Remembering(HeadlessPresenter):
        def show(self, step, until_us, should_stop) -> None:
            pages.append(step.text)
            super().show(step, until_us, should_stop)

    clock, texts = ScaledClock.starting_now(20.0), load_texts("zh")
    script = ScriptedParticipant(SimulatedParticipant(3, "P001"), consents={"gaze": False})
    presenter = Remembering(clock, 60.0, script)
    agreement = ask_on_screen(presenter, texts, clock, scopes=CONSENT_SCOPES, simulated=True, should_stop=lambda: False)
    assert agreement is not None
    assert not agreement.allows("gaze")
    assert pages == [texts["consent.declined"].strip()]
