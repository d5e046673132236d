"""What all sections of ``study.toml`` have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]


class Section(BaseModel):
    """A table of ``study.toml``: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def allowed(annotation: Any) -> tuple[Any, ...]:
    """Return the values that a key may have, or each of its items; none where it is not a choice of some."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for part in get_args(annotation) if (found := allowed(part))), ())
