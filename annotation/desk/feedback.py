"""A training label beside what experts agreed on."""

from __future__ import annotations

from annotation.desk.state import Feedback
from annotation.source import GoldAnswer
from data_schema.labels import LabelRecord

#: How near a scale has to be to agree: one point of the 9-point SAM for valence and arousal (chosen; its step is the
#: finest that the scale was made for), half a step for intensity.
NEAR: dict[str, float] = {"valence": 0.25, "arousal": 0.25, "intensity": 0.5}


def feedback_on(label: LabelRecord, gold: GoldAnswer) -> Feedback:
    """Compare a label with the experts' answer, field by field that they answered."""
    agrees: dict[str, bool] = {"emotion": label.emotion == gold.emotion}
    if gold.polarity is not None:
        agrees["polarity"] = label.polarity == gold.polarity
    for field, near in NEAR.items():
        right, given = getattr(gold, field), getattr(label, field)
        if right is not None:
            # Grid values are no exact binary fractions: 0.3 and 0.05 lie 0.25 apart.
            agrees[field] = given is not None and abs(given - right) <= near + 1e-9
    return Feedback(label, gold, agrees)
