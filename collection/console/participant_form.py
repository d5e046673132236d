"""The participant's form: a code, facts that matter to the eyes, never a name.

The console checks it while the operator types, the session once more when it
arrives; both with `form_problems`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_schema.vocabularies import CONSENT_SCOPES

VISION_AIDS = ("none", "glasses", "contact lenses")
DOMINANT_EYES = ("unknown", "left", "right")
#: Keys of /participant/facts that the form fills.
FACT_KEYS = ("vision_aid", "dominant_eye", "age_years", "gender", "note")
#: Longest value of /participant/facts, bytes of UTF-8.
FACT_BYTES = 256

_CODE = re.compile(r"[A-Za-z0-9]{1,32}")
#: A pseudonym carries a digit; given names do not.
_HAS_DIGIT = re.compile(r"\d")
#: Eight digits or six in a row read as a date of birth or a phone number.
_LONG_NUMBER = re.compile(r"\d{6,}")
#: An address of e-mail, or a phone number, in a note.
_CONTACT = re.compile(r"\S+@\S+\.\S+|\+?\d[\d /-]{7,}\d")
#: Youngest and oldest age that is no slip of the finger.
AGE_YEARS = (1, 120)


@dataclass(frozen=True)
class FormRequest:
    """What the session asks the operator for.

    Parameters
    ----------
    code, session : str
        Suggestions: a new random code, the first free session.
    used : dict of str to list of str
        Sessions of each code that the study has; a session is recorded once.
    consent : str
        'paper' if the operator enters the scopes, 'screen' if the participant is asked.
    scopes : tuple of str
        What the paper is about.
    """

    code: str
    session: str = "01"
    used: Mapping[str, list[str]] = field(default_factory=dict)
    consent: str = "screen"
    scopes: tuple[str, ...] = CONSENT_SCOPES

    def message(self, problem: str = "") -> dict[str, Any]:
        """Return the message that opens the form."""
        return {
            "kind": "form", "open": True, "code": self.code, "session": self.session,
            "used": {code: list(sessions) for code, sessions in self.used.items()},
            "consent": self.consent, "scopes": list(self.scopes), "problem": problem,
        }  # fmt: skip


@dataclass(frozen=True)
class ParticipantForm:
    """What the operator entered.

    Parameters
    ----------
    code, session : str
        Pseudonym and name of the session.
    facts : dict of str to str
        By key of :data:`FACT_KEYS`; what was left empty is missing.
    consent : dict of str to bool or None
        Decision by scope if it is on paper; None if the participant is asked on the screen.
    """

    code: str
    session: str
    facts: Mapping[str, str] = field(default_factory=dict)
    consent: Mapping[str, bool] | None = None

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> ParticipantForm:
        """Read a ``participant_form`` message; unknown facts and empty ones are left out."""
        raw = message.get("facts") or {}
        facts = {key: str(raw[key]).strip() for key in FACT_KEYS if str(raw.get(key) or "").strip()}
        consent = message.get("consent")
        return cls(
            str(message.get("code", "")).strip(),
            str(message.get("session", "")).strip(),
            facts,
            None if consent is None else {str(scope): value is True for scope, value in consent.items()},
        )

    def message(self) -> dict[str, Any]:
        """Return the message that carries the form."""
        consent = None if self.consent is None else dict(self.consent)
        return {
            "kind": "participant_form", "code": self.code, "session": self.session,
            "facts": dict(self.facts), "consent": consent,
        }  # fmt: skip


def code_problem(code: str, trusted: Collection[str] = ()) -> str:
    """Say why a participant's code cannot be used; empty if it can.

    `trusted` are the codes that the study has and the one that it suggests.
    """
    if code in trusted:
        return ""
    if not code:
        return "The participant needs a code, such as P7KQ4. Never a name."
    if not _CODE.fullmatch(code):
        return (
            f"'{code}' is not a code: use letters and digits alone, at most 32. "
            "A code names files and must say nothing about the person, so never a name."
        )
    if not _HAS_DIGIT.search(code):
        return (
            f"'{code}' could be a name: a code needs at least one digit, such as P7KQ4. "
            "Names and contacts never enter the study."
        )
    if _LONG_NUMBER.search(code):
        return (
            f"'{code}' could be a date of birth or a phone number: a code has at most five digits in a row. "
            "It must say nothing about the person."
        )
    return ""


def form_problems(
    form: ParticipantForm,
    used: Mapping[str, list[str]],
    consent: str,
    suggested: str = "",
    scopes: Collection[str] = CONSENT_SCOPES,
) -> dict[str, str]:
    """Return one sentence for each field that cannot stay as it is.

    Parameters
    ----------
    form : ParticipantForm
    used : dict of str to list of str
        Sessions of each code that the study has.
    consent : str
        'paper' or 'screen'.
    suggested : str
        Code that the session has drawn; random letters may lack a digit.
    scopes : collection of str
        What the paper is about.
    """
    problems = {"code": code_problem(form.code, {*used, suggested} - {""}), "session": _session_problem(form, used)}
    age = form.facts.get("age_years", "")
    if age and not (age.isdecimal() and AGE_YEARS[0] <= int(age) <= AGE_YEARS[1]):
        problems["age_years"] = f"'{age}' is no age: enter whole years, not a date of birth, or leave it empty."
    if form.facts.get("vision_aid", VISION_AIDS[0]) not in VISION_AIDS:
        problems["vision_aid"] = f"choose one of: {', '.join(VISION_AIDS)}"
    if form.facts.get("dominant_eye", DOMINANT_EYES[0]) not in DOMINANT_EYES:
        problems["dominant_eye"] = f"choose one of: {', '.join(DOMINANT_EYES)}"
    for key in ("gender", "note"):
        problems[key] = _text_problem(form.facts.get(key, ""))
    if consent == "paper":
        problems["consent"] = _consent_problem(form.consent, scopes)
    return {key: problem for key, problem in problems.items() if problem}


def _session_problem(form: ParticipantForm, used: Mapping[str, list[str]]) -> str:
    if not _CODE.fullmatch(form.session):
        return f"'{form.session}' is no name of a session: use letters and digits, such as 01."
    # A file system may not tell upper from lower case.
    taken = {code.lower(): {name.lower() for name in names} for code, names in used.items()}
    if form.session.lower() in taken.get(form.code.lower(), set()):
        return (
            f"{form.code} has a session {form.session} already, and a recording is never overwritten. "
            "Choose another session; to go on with an interrupted one, use: emer record resume"
        )
    return ""


def _text_problem(text: str) -> str:
    if _CONTACT.search(text):
        return "this looks like an address or a phone number: contacts never enter the study."
    n_bytes = len(text.encode("utf-8"))
    if n_bytes > FACT_BYTES:
        return f"too long by {n_bytes - FACT_BYTES} bytes (a Chinese character has 3); at most {FACT_BYTES} are stored."
    return ""


def _consent_problem(consent: Mapping[str, bool] | None, scopes: Collection[str]) -> str:
    missing = [scope for scope in scopes if consent is None or scope not in consent]
    if missing:
        return f"enter what the paper says about: {', '.join(missing)}"
    if consent is not None and not consent["gaze"]:
        return "without consent to recording gaze there is no session."
    return ""
