"""What all sections of ``study.toml`` have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]


class Section(BaseModel):
    """A table of ``study.toml``: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
