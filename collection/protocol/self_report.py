"""The questions after a clip, and the items with a prescribed answer among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collection.protocol.steps import ATTENTION_CHECK, EXPECTED, Item, ItemKind
from collection.texts import Texts, load_texts
from data_schema.session.layout import decode_text
from data_schema.vocabularies import EMOTIONS, SAM_POINTS

#: Five points for the intensity of a felt emotion (0 to 4) and for familiarity (1 to 5):
#: chosen by us, few enough to need no counting and each with a word of its own.
EMOTION_HIGH = 4
FAMILIARITY_HIGH = 5
#: Items before the check: the first question is never the check.
_FIRST_PLACE = 1


@dataclass(frozen=True)
class AttentionCheck:
    """An item with a prescribed answer: before which item it stands, and what is to be answered."""

    place: int
    expected: int


def self_report_items(
    texts: Texts | None = None, *, free_text: bool = True, check: AttentionCheck | None = None
) -> tuple[Item, ...]:
    """Return the questions after a clip.

    Seven emotions, valence and arousal on the SAM, familiarity, attention, free text.

    Parameters
    ----------
    texts : Texts, optional
        English by default.
    free_text : bool
        Ask for a few words of the participant's own at the end.
    check : AttentionCheck, optional
        An item with a prescribed answer among the emotions.
    """
    texts = load_texts("en") if texts is None else texts
    intensity = texts.labels("labels.intensity")
    items = [Item(name, ItemKind.RATING, 0, EMOTION_HIGH, _emotion_prompt(texts, name), intensity) for name in EMOTIONS]
    if check is not None:
        prompt = texts.say("prompts.attention_check", label=intensity[check.expected])
        item = Item(ATTENTION_CHECK, ItemKind.RATING, 0, EMOTION_HIGH, prompt, intensity, check.expected)
        items.insert(check.place, item)
    for scale in ("valence", "arousal"):
        prompt = texts[f"prompts.{scale}"]
        items.append(Item(scale, ItemKind.SAM, 1, SAM_POINTS, prompt, texts.labels(f"sam.{scale}")))
    familiarity = texts.labels("labels.familiarity")
    items += [
        Item("familiarity", ItemKind.RATING, 1, FAMILIARITY_HIGH, texts["prompts.familiarity"], familiarity),
        Item("attention", ItemKind.YES_NO, 0, 1, texts["prompts.attention"], texts.labels("labels.no_yes")),
    ]
    if free_text:
        items.append(Item("free_text", ItemKind.TEXT, 0, 0, texts["prompts.free_text"]))
    return tuple(items)


def _emotion_prompt(texts: Texts, name: str) -> str:
    if name == "neutral":
        return texts["prompts.neutral"]
    return texts.say("prompts.emotion", emotion=texts[f"emotions.{name}"])


def place_checks(n_trials: int, n_checks: int, seed: int, participant: str, session: str) -> dict[int, AttentionCheck]:
    """Decide in which trials a self-report holds an item with a prescribed answer.

    The trials are divided into as many equal stretches as there are checks, and one
    trial of each is drawn: spread over the session, and nobody can know where.

    Returns
    -------
    dict of int to AttentionCheck
        By trial, from 1.
    """
    n_checks = min(n_checks, n_trials)
    if n_checks < 1:
        return {}
    digest = hashlib.sha256(f"attention/{participant}/{session}".encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:4], "big")])
    edges = [round(number * n_trials / n_checks) for number in range(n_checks + 1)]
    checks: dict[int, AttentionCheck] = {}
    for low, high in zip(edges, edges[1:], strict=False):
        place = int(rng.integers(_FIRST_PLACE, len(EMOTIONS)))
        checks[int(rng.integers(low, high)) + 1] = AttentionCheck(place, int(rng.integers(0, EMOTION_HIGH + 1)))
    return checks


def count_checks(responses: npt.NDArray[np.void]) -> tuple[int, int]:
    """Count the answered attention checks and those that were answered wrongly.

    Parameters
    ----------
    responses : structured ndarray
        Rows of ``/responses/items``; practice trials are passed over.

    Returns
    -------
    n_asked, n_failed : int
    """
    rows = responses[(responses["scale"] == ATTENTION_CHECK.encode()) & (responses["trial_id"] > 0)]
    expected = [_expected(text) for text in decode_text(rows["text"])]
    failed = sum(value != wanted for value, wanted in zip(rows["value"], expected, strict=True) if wanted is not None)
    return sum(wanted is not None for wanted in expected), int(failed)


def _expected(text: str) -> int | None:
    digits = text.removeprefix(EXPECTED)
    return int(digits) if text.startswith(EXPECTED) and digits.isdigit() else None


def planned_answer_s(items: Iterable[Item]) -> float:
    """Estimate the time for answering a page, seconds; our own guess, longer than most will need."""
    seconds = {ItemKind.TEXT: 15.0, ItemKind.SAM: 5.0}
    return sum(seconds.get(item.kind, 4.0) for item in items)
