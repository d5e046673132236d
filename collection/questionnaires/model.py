"""What a questionnaire is: its file, declared. Unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Room of the columns `questionnaire` and `scale` of ``/responses/items``.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=32)]
#: A text in each language, by the language's name.
Translated = dict[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerScale(_Part):
    """How an item is answered.

    Parameters
    ----------
    kind : str
        rating (a row of numbers), choice (one of the labels), yes_no, sam or text.
    low, high : int
        Bounds of the answer, inclusive.
    labels : dict of str to tuple of str
        By language: the two ends of the scale, or one word for each point.
    """

    kind: Literal["rating", "choice", "yes_no", "sam", "text"] = "rating"
    low: int = 1
    high: int = 5
    labels: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _sound(self) -> AnswerScale:
        if self.kind != "text" and self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be smaller than high ({self.high})")
        points = self.high - self.low + 1
        for language, labels in self.labels.items():
            allowed = {points} if self.kind == "choice" else {2, points}
            if len(labels) not in allowed:
                raise ValueError(
                    f"labels.{language} has {len(labels)} words; "
                    f"needed are {' or '.join(str(number) for number in sorted(allowed))}"
                )
        return self


class QuestionnaireItem(_Part):
    """One item.

    Parameters
    ----------
    id : str
        Name under which the answer is stored.
    text : dict of str to str
        What the participant reads, by language. A form leaves it empty.
    reverse : bool
        Counted as low + high minus the answer.
    scale : AnswerScale, optional
        Another scale than the questionnaire's.
    """

    id: _Name
    text: Translated = {}
    reverse: bool = False
    scale: AnswerScale | None = None


class Score(_Part):
    """How a number is made of items.

    Parameters
    ----------
    id : str
        Name of the score.
    meaning : str
        What a high value means.
    items : tuple of str
        Items that it is made of.
    rule : str
        mean or sum.
    max_missing : int
        Items that may be unanswered; a sum is then scaled up to all items.
    """

    id: _Name
    meaning: str = Field(min_length=1)
    items: tuple[str, ...] = Field(min_length=1)
    rule: Literal["mean", "sum"] = "mean"
    max_missing: int = Field(0, ge=0)


class Questionnaire(_Part):
    """A questionnaire, as its file declares it.

    Parameters
    ----------
    id, version : str
        Name, as in ``study.toml``, and version of the wording.
    source, terms : str
        Who made it (a citation), and on which terms it may be used.
    validated : bool
        False if nobody has examined it: said wherever its scores are shown.
    form_only : bool
        True if its items' words may not be shipped: they come from the lab's own copy.
    title, instruction : dict of str to str
        By language.
    scale : AnswerScale
        Of all items that have none of their own.
    items : tuple of QuestionnaireItem
        In order.
    scores : tuple of Score
        May be empty.
    """

    id: _Name
    version: str = "1"
    source: str = Field(min_length=1)
    terms: str = Field(min_length=1)
    validated: bool = False
    form_only: bool = False
    title: Translated = {}
    instruction: Translated = {}
    scale: AnswerScale = AnswerScale()
    items: tuple[QuestionnaireItem, ...] = Field(min_length=1)
    scores: tuple[Score, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Questionnaire:
        names = [item.id for item in self.items]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two items have the id '{name}'")
        textual = {item.id for item in self.items if self.scale_of(item).kind == "text"}
        for made in self.scores:
            unknown = [name for name in made.items if name not in names]
            if unknown:
                raise ValueError(f"the score '{made.id}' names the item '{unknown[0]}', which does not exist")
            if textual & set(made.items):
                raise ValueError(f"the score '{made.id}' names a free text, which has no number")
            if made.max_missing >= len(made.items):
                raise ValueError(f"the score '{made.id}' allows as many missing answers as it has items")
        return self

    def scale_of(self, item: QuestionnaireItem) -> AnswerScale:
        """Return the scale on which an item is answered."""
        return item.scale if item.scale is not None else self.scale

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages in which every word of it exists, sorted."""
        candidates = {language for item in self.items for language in item.text} | set(self.title)
        return tuple(sorted(language for language in candidates if not self.missing_in(language)))

    def missing_in(self, language: str) -> list[str]:
        """Return what has no words in a language, by name."""
        missing = [name for name in ("title", "instruction") if not getattr(self, name).get(language)]
        missing += [item.id for item in self.items if not item.text.get(language)]
        scales = {"scale": self.scale} | {f"{item.id}.scale": item.scale for item in self.items if item.scale}
        for name, scale in scales.items():
            if (scale.labels and language not in scale.labels) or (scale.kind == "choice" and not scale.labels):
                missing.append(f"{name}.labels")
        return missing
