"""The participant's form refuses what identifies a person, and says why."""

from __future__ import annotations

import pytest

from collection.console.participant_form import FormRequest, ParticipantForm, form_problems

PAPER = {"video": True, "gaze": True, "sharing": False}


def problems(
    code: str = "P7KQ4", session: str = "01", consent: dict[str, bool] | None = None, **facts: str
) -> dict[str, str]:
    form = ParticipantForm(code, session, facts, consent)
    return form_problems(form, {"P001": ["01"], "PABCD": []}, "screen" if consent is None else "paper", "PXYZW")


@pytest.mark.parametrize("code", ["P7KQ4", "P001", "P5", "PXYZW", "PABCD"])
def test_codes_are_taken(code: str) -> None:
    assert problems(code, "02") == {}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "needs a code"),
        ("Anna", "could be a name"),
        ("ANNASMITH", "could be a name"),
        ("Anna Smith", "never a name"),
        ("Li.Wei", "letters and digits"),
        ("李伟", "letters and digits"),
        ("anna@lab.org", "letters and digits"),
        ("P19900412", "date of birth"),
        ("P7/../x", "letters and digits"),
        ("P" * 33 + "1", "at most 32"),
    ],
)
def test_names_are_refused_with_the_reason(code: str, why: str) -> None:
    assert why in problems(code)["code"]


def test_a_session_is_never_recorded_twice() -> None:
    assert "emer record resume" in problems("P001", "01")["session"]
    assert "emer record resume" in problems("p001", "01")["session"]
    assert problems("P001", "02") == {}
    assert "letters and digits" in problems(session="")["session"]


def test_facts_are_checked() -> None:
    assert problems(age_years="31", vision_aid="glasses", dominant_eye="left", gender="", note="slept badly") == {}
    assert "whole years" in problems(age_years="12.04.1990")["age_years"]
    assert "whole years" in problems(age_years="190")["age_years"]
    assert "choose one of" in problems(vision_aid="monocle")["vision_aid"]
    assert "phone" in problems(note="call 030 1234 5678")["note"]
    assert "address" in problems(note="write to a.b@c.org")["note"]
    assert "too long by 44 bytes" in problems(note="眼" * 100)["note"]


def test_paper_consent_needs_every_scope_and_gaze() -> None:
    assert problems(consent=PAPER) == {}
    assert "sharing" in problems(consent={"video": True, "gaze": True})["consent"]
    assert "no session" in problems(consent={**PAPER, "gaze": False})["consent"]
    assert problems(consent={**PAPER, "video": False}) == {}


def test_a_form_survives_its_message() -> None:
    form = ParticipantForm("P7KQ4", "01", {"note": "left-handed"}, PAPER)
    assert ParticipantForm.from_message(form.message()) == form


def test_paper_on_the_face_is_asked_for_where_the_study_does() -> None:
    form = ParticipantForm("P7KQ4", "01", {}, {"video": True, "gaze": True, "sharing": True})
    asked = ("gaze", "video", "sharing", "face_sharing")
    assert "face_sharing" in form_problems(form, {}, "paper", "P7KQ4", asked)["consent"]
    assert "consent" not in form_problems(form, {}, "paper", "P7KQ4")
    assert FormRequest("P7KQ4", scopes=asked).message()["scopes"] == list(asked)
