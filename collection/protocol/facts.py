"""Facts that the operator writes down about a participant: nothing that says who it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from data_schema.errors import UsageError
from data_schema.session.layout import FACTS, make_row

#: Known facts and what they are for; a form offers them in this order.
KNOWN_FACTS: dict[str, str] = {
    "age_years": "Age in whole years.",
    "gender": "As the participant says.",
    "vision_aid": "none, glasses or contact_lenses: glasses cost the tracker accuracy.",
    "dominant_eye": "left, right or unknown.",
    "handedness": "left, right or both.",
    "medication": "Whether something was taken that changes pupils or wakefulness: yes, no or unknown.",
    "note": "Whatever else matters for the recording.",
}
#: Parts of a key that would name a person or a way to reach one.
_FORBIDDEN = ("name", "mail", "phone", "address", "birth", "contact", "student", "passport")


def fact_rows(facts: Mapping[str, object], t_system_us: int) -> npt.NDArray[np.void]:
    """Return rows of ``/participant/facts``; facts without a value are left out.

    Raises
    ------
    UsageError
        If a key asks for something that identifies a person, or an age is no number.
    """
    rows = [FACTS.empty(0)]
    for key, value in facts.items():
        text = str(value).strip()
        if not text:
            continue
        if key not in KNOWN_FACTS and any(part in key.lower() for part in _FORBIDDEN):
            raise UsageError(
                f"the fact '{key}' may identify a person, and such facts never enter the study folder. "
                f"Keep them in a list of your own, outside it."
            )
        if key == "age_years" and not (text.isdecimal() and 0 < int(text) < 130):
            raise UsageError(f"age_years = '{text}': write the age in whole years, such as 24")
        rows.append(make_row(FACTS, t_system_us=t_system_us, key=key, value=text))
    return np.concatenate(rows)
