"""A model's guess on the desk: when it may be seen, and what became of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone

from annotation.desk import fields as field_rules
from annotation.desk.state import Draft
from annotation.items import Item
from annotation.source import Guess
from data_schema.labels import Label, LabelValueError
from data_schema.labels.entries import Judged, ShownGuess
from data_schema.labels.records import GuessRecord
from data_schema.study.sections import LabelsSection

_log = logging.getLogger(__name__)


class GuessOffer:
    """The guess for the item on the desk.

    Parameters
    ----------
    guess : Guess or None
    logged : GuessRecord or None
        What the log holds of an earlier showing.
    now_utc : callable
    """

    def __init__(self, guess: Guess | None, logged: GuessRecord | None, now_utc: Callable[[], datetime]) -> None:
        self.guess = guess
        self._now_utc = now_utc
        same_model = logged is not None and guess is not None and logged.model_sha256 == guess.model_sha256
        #: Whoever has seen a guess has seen it, also when they come back to the clip.
        self._shown_utc = logged.shown_utc if same_model and logged is not None else None
        self._visible = False

    @property
    def visible(self) -> bool:
        """True while the guess is offered."""
        return self._visible

    def look(self, has_seen_clip: bool, is_labelled: bool) -> bool:
        """Offer the guess once the clip was seen, as long as there is no label; True if that changed."""
        visible = self.guess is not None and self.guess.offered and has_seen_clip and not is_labelled
        if visible and self._shown_utc is None:
            self._shown_utc = self._now_utc().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changed, self._visible = visible != self._visible, visible
        return changed

    def fill(self, draft: Draft, item: Item, labels: LabelsSection) -> Draft:
        """Return the draft with the guess taken over; scales that the annotator gave stay theirs.

        Raises
        ------
        LabelValueError
            If the study does not offer the guessed emotion.
        """
        if self.guess is None:
            return draft
        emotion = field_rules.check("emotion", self.guess.emotion, labels)
        filled = field_rules.changed(draft, "emotion", emotion, labels)
        for field in field_rules.fields_of(item.task):
            value = self.guess.scales.get(field)
            if value is None or getattr(filled, field, None) is not None:
                continue
            try:
                filled = field_rules.changed(filled, field, field_rules.check(field, float(value), labels), labels)
            except LabelValueError as error:
                _log.warning("%s: the model's guess is left out: %s", item.item_id, error)
        return filled

    def entry(self, about: Judged, label: Label, taken_over: bool) -> ShownGuess | None:
        """Return the row that says what became of the guess; None where there is none.

        Seen and answered otherwise is ``changed``. The same emotion typed in by hand, a skip, and a label given
        before the guess could be seen are ``dismissed``: the guess was not used.
        """
        guess = self.guess
        if guess is None:
            return None
        if not guess.offered:
            outcome = "control"
        elif taken_over and label.emotion == guess.emotion:
            outcome = "accepted"
        elif self._shown_utc is not None and label.emotion is not None and label.emotion != guess.emotion:
            outcome = "changed"
        else:
            outcome = "dismissed"
        said = {"emotion": guess.emotion, "confidence": guess.confidence, **guess.scales}
        return ShownGuess(
            about=about,
            model_sha256=guess.model_sha256,
            guess=json.dumps(said, sort_keys=True),
            outcome=outcome,
            shown_utc=self._shown_utc if guess.offered else None,
            label_ms=label.duration_ms,
        )
