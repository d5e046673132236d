"""Consent with scopes: asked before anything is recorded, stored with the hash of the text that was shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from collection.protocol.steps import Consent
from collection.texts import Texts
from data_schema.errors import UsageError
from data_schema.session.layout import CONSENT, make_row
from data_schema.study.config import StudyConfig
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING

#: How consent was given: asked on the screen, on paper (the operator says so), or simulated.
Way = Literal["screen", "paper", "simulated"]


def asked_scopes(config: StudyConfig) -> tuple[str, ...]:
    """Return the scopes on which a study's participants decide, in the order in which they are asked."""
    return (*CONSENT_SCOPES, FACE_SHARING) if config.protocol.ask_face_sharing else CONSENT_SCOPES


def consent_step(texts: Texts, scopes: tuple[str, ...] = CONSENT_SCOPES) -> Consent:
    """Return the page on which a participant decides."""
    return Consent(
        "consent", 60.0, text=texts["consent.text"], texts=tuple((scope, texts[f"consent.{scope}"]) for scope in scopes)
    )


def consent_text_sha256(step: Consent, scope: str) -> str:
    """Return the SHA-256 (hexadecimal) of what was shown for a scope: the page's text, an empty line, the question."""
    question = dict(step.texts)[scope]
    return hashlib.sha256(f"{step.text}\n\n{question}".encode()).hexdigest()


def consent_rows(
    decisions: Mapping[str, bool], *, way: Way, language: str, t_system_us: int, step: Consent | None = None
) -> npt.NDArray[np.void]:
    """Return the rows of ``/participant/consent``, one a scope.

    Parameters
    ----------
    decisions : mapping of str to bool
        For every one of ``CONSENT_SCOPES``, and for ``FACE_SHARING`` if that was asked.
    way : str
        'screen', 'paper' or 'simulated'.
    language : str
        Language of the text.
    t_system_us : int
        Host clock of the decision.
    step : Consent, optional
        The page that was shown; its text is hashed. Needed for 'screen'.

    Raises
    ------
    UsageError
        If a scope has no decision, or the page is missing.
    """
    missing = [scope for scope in CONSENT_SCOPES if scope not in decisions]
    if missing:
        raise UsageError(
            f"consent: there is no decision on {', '.join(missing)}. Ask for all of: {', '.join(CONSENT_SCOPES)}."
        )
    if way == "screen" and step is None:
        raise UsageError(
            "consent: what was shown on the screen has to be named, so that its text can be stored as a hash"
        )
    rows = [
        make_row(
            CONSENT,
            t_system_us=t_system_us,
            scope=scope,
            granted=bool(decisions[scope]),
            way=way,
            language=language,
            text_sha256=consent_text_sha256(step, scope) if step is not None and way != "paper" else "",
        )
        for scope in (*CONSENT_SCOPES, FACE_SHARING)
        if scope in decisions
    ]
    return np.concatenate(rows)
