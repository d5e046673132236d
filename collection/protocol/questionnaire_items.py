"""The items of a questionnaire as a presenter asks them."""

from __future__ import annotations

from collection.protocol.steps import Item, ItemKind
from collection.questionnaires.model import Questionnaire, QuestionnaireItem
from data_schema.errors import StudyError
from data_schema.vocabularies import SAM_POINTS


def questionnaire_items(questionnaire: Questionnaire, language: str) -> tuple[Item, ...]:
    """Return the items in one language.

    Raises
    ------
    StudyError
        If a word is missing in this language: the message says what to write and where.
    """
    missing = questionnaire.missing_in(language)
    if missing:
        raise StudyError(_what_is_missing(questionnaire, language, missing))
    return tuple(_as_item(questionnaire, item, language) for item in questionnaire.items)


def _as_item(questionnaire: Questionnaire, item: QuestionnaireItem, language: str) -> Item:
    scale = questionnaire.scale_of(item)
    kind = ItemKind(scale.kind)
    fixed = {ItemKind.TEXT: (0, 0), ItemKind.SAM: (1, SAM_POINTS), ItemKind.YES_NO: (0, 1)}
    low, high = fixed.get(kind, (scale.low, scale.high))
    return Item(item.id, kind, low, high, item.text[language], scale.labels.get(language, ()))


def _what_is_missing(questionnaire: Questionnaire, language: str, missing: list[str]) -> str:
    name = questionnaire.id
    few = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    if not questionnaire.form_only:
        return (
            f"questionnaire '{name}': no words in the language '{language}' for {few}. Add them, or choose a language "
            f"that it has ({', '.join(questionnaire.languages) or 'none'})."
        )
    lines = [f'completes = "{name}"', f"[words.{language}]", *(f'{item} = "..."' for item in missing)]
    return (
        f"questionnaire '{name}' is a form without its words ({few}), because its terms of use forbid to ship them: "
        f"{questionnaire.terms}\nWrite them from your own copy into the study's questionnaires/{name}.toml:\n  "
        + "\n  ".join(lines)
        + f"\nor take '{name}' out of [protocol] questionnaires_before and questionnaires_after."
    )
