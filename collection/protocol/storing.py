"""What a session stores: presentations, answers, markers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from collection.presenter.base import Answer, Presentation
from collection.protocol.steps import AskItems, ItemKind, PlayClip
from data_schema.session import markers
from data_schema.session.layout import MARKERS, PRESENTATIONS, RESPONSE_TEXTS, RESPONSES, encode_text, make_row

#: Free texts are cut at this many characters: then they fit their column in every script.
MAX_TEXT = 1000


class SessionLog(Protocol):
    """What the engine writes to; the recorder's handle is one."""

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Store rows of a table."""
        ...

    def marker(
        self,
        kind: str,
        message: str = "",
        value: float = ...,
        t_system_us: int | None = None,
        trial_id: int = 0,
    ) -> None:
        """Store a marker."""
        ...

    def status(self) -> Any:
        """Raise if the recorder is gone."""
        ...


def store_presentation(log: SessionLog, clip: PlayClip, shown: Presentation, *, cut: bool) -> None:
    """Store how a clip was shown; `cut` if it was ended by an operator, a participant or an abort.

    A clip that was held, because the participant asked to stop and then went on, is marked each time. It counts as
    completed, but :meth:`data_schema.session.reader.Session.held_trials` leaves its trial out of the clips.
    """
    completed = shown.completed and not cut
    ended_early = shown.ended_early and completed
    for kind, t_us in ((markers.STIMULUS_ONSET, shown.t_onset_us), (markers.STIMULUS_OFFSET, shown.t_offset_us)):
        log.marker(kind, clip.stimulus_id, t_system_us=t_us, trial_id=clip.trial_id)
    for t_us, held_s in shown.holds:
        log.marker(markers.CLIP_HELD, clip.stimulus_id, held_s, t_system_us=t_us, trial_id=clip.trial_id)
    if ended_early:
        log.marker(
            markers.CLIP_ENDED_EARLY,
            f"the last {shown.n_frames_missing} frames of {clip.stimulus_id} were not shown",
            shown.missing_s,
            t_system_us=shown.t_offset_us,
            trial_id=clip.trial_id,
        )
    row = make_row(
        PRESENTATIONS,
        trial_id=clip.trial_id,
        stimulus_id=clip.stimulus_id,
        target_emotion=clip.target_emotion,
        t_onset_us=shown.t_onset_us,
        t_offset_us=shown.t_offset_us,
        duration_expected_s=clip.planned_s,
        n_flips=shown.n_flips,
        n_flips_late=shown.n_flips_late,
        completed=completed,
        duration_actual_s=shown.duration_s,
        n_flips_dropped=shown.n_flips_dropped,
        ended_early=ended_early,
        stimulus_sha256=clip.sha256,
    )
    log.rows(PRESENTATIONS.path, row)


def store_answer(log: SessionLog, step: AskItems, answer: Answer) -> None:
    """Store one answer: a number in ``/responses/items``, a free text in ``/responses/texts``."""
    common = {
        "trial_id": step.trial_id,
        "scale": answer.item.scale,
        "t_shown_us": answer.t_shown_us,
        "t_answered_us": answer.t_answered_us,
        "questionnaire": step.questionnaire,
        "occasion": step.occasion,
    }
    if answer.item.kind is ItemKind.TEXT:
        log.rows(RESPONSE_TEXTS.path, make_row(RESPONSE_TEXTS, text=answer.text[:MAX_TEXT], **common))
        return
    value, text = answer.item.stored_value(answer.rating)
    log.rows(RESPONSES.path, make_row(RESPONSES, value=value, text=text, **common))


def in_pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that fit the message of a marker."""
    room = np.dtype(MARKERS.column("message").dtype).itemsize
    rest = text
    while rest:
        piece = encode_text(rest, room).decode("utf-8")
        yield piece
        rest = rest[len(piece) :]
