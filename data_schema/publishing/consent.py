"""What participants agreed to, and what may therefore leave the study.

Scopes as the participant decided them (``/participant/consent``): ``gaze`` (eye movements and answers), ``video`` (the
camera), ``sharing`` (data for others) and, where it was asked, ``face_sharing`` (pictures of the face for others). The last
row of a scope holds within a file; over a participant's files the most restrictive answer counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data_schema.session.layout import CONSENT, decode_text
from data_schema.session.reader import Session

GAZE_SCOPE, VIDEO_SCOPE, SHARING_SCOPE, FACE_SHARING_SCOPE = "gaze", "video", "sharing", "face_sharing"
#: What can be published of a face, from the least to the most.
FACE_LEVELS: tuple[str, ...] = ("none", "features", "landmarks", "blurred", "video")


@dataclass(frozen=True)
class Permission:
    """What may leave the study of one participant.

    Parameters
    ----------
    published : bool
        Whether anything may.
    why_not : str
        Why nothing may; empty otherwise.
    faces : str
        The most that may leave of the face, one of :data:`FACE_LEVELS`.
    """

    published: bool
    why_not: str
    faces: str


def read_consent(session: Session) -> dict[str, bool]:
    """Return what the participant agreed to, by scope; empty where the file does not say (imported, or before 1.1)."""
    rows = session.table(CONSENT)[:]
    return {str(scope): bool(row["granted"]) for scope, row in zip(decode_text(rows["scope"]), rows, strict=True)}


def most_restrictive(answers: Iterable[Mapping[str, bool]]) -> dict[str, bool]:
    """Combine the answers of a participant's files: a scope that was refused once is refused.

    Files that say nothing at all are passed over; a scope that only some files know counts as they say.
    """
    combined: dict[str, bool] = {}
    for answer in answers:
        for scope, granted in answer.items():
            combined[scope] = combined.get(scope, True) and granted
    return combined


def permission(consent: Mapping[str, bool], most: str, *, elsewhere: bool = False) -> Permission:
    """Decide what may leave of a participant.

    Parameters
    ----------
    consent : mapping of str to bool
        From :func:`most_restrictive`; empty if no file says anything.
    most : str
        The most that the study publishes of faces.
    elsewhere : bool
        True if the study says that consent to sharing was given and is kept elsewhere. It is then taken for granted where the
        files say nothing; pictures of faces are not.
    """
    if not consent:
        if not elsewhere:
            return Permission(False, "no consent is recorded", "none")
        consent = {GAZE_SCOPE: True, VIDEO_SCOPE: True, SHARING_SCOPE: True}
    if not consent.get(SHARING_SCOPE, False):
        return Permission(False, "the participant did not agree to sharing", "none")
    if not consent.get(GAZE_SCOPE, True):
        return Permission(False, "the participant did not agree to the recording of gaze and answers", "none")
    if not consent.get(VIDEO_SCOPE, False):
        allowed = "none"
    else:
        # Points and numbers are not a picture: nobody is recognised by looking at them. Blurred pictures are pictures.
        allowed = "video" if consent.get(FACE_SHARING_SCOPE, False) else "landmarks"
    return Permission(True, "", min(most, allowed, key=FACE_LEVELS.index))
