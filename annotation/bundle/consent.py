"""Whether a participant agreed to what a bundle does with their recording."""

from __future__ import annotations

from data_schema.session import Session
from data_schema.session.layout import CONSENT, decode_text

#: What each pass uses of a recording.
SCOPES_OF_TASK: dict[str, tuple[str, ...]] = {"fer": ("video",), "er": ("video", "gaze")}
SHARING = "sharing"


def consent(session: Session) -> dict[str, bool]:
    """Return what the participant agreed to, by scope; empty where the file does not say (imported, or before 1.1)."""
    rows = session.table(CONSENT)[:]
    # The last row of a scope holds.
    return {str(scope): bool(row["granted"]) for scope, row in zip(decode_text(rows["scope"]), rows, strict=True)}


def refusal(session: Session, task: str, *, only_shared: bool) -> str:
    """Return why a session's clips stay out of a bundle, or an empty text.

    Parameters
    ----------
    session : Session
    task : {'er', 'fer'}
    only_shared : bool
        True if the annotator is no member of the study, so that the data are passed on.
    """
    said = consent(session)
    wanted = (*SCOPES_OF_TASK[task], *((SHARING,) if only_shared else ()))
    if only_shared and not said:
        return "the file does not say whether its data may be passed on"
    refused = [scope for scope in wanted if said and not said.get(scope, False)]
    return f"the participant did not agree to: {', '.join(refused)}" if refused else ""
