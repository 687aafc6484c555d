"""What every configuration file's model is made of. It stands apart so that reading a constitution need not load the
recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]

LIBRARY = "library:"
"""What a constitution's name begins with that comes with Charter."""


class Config(BaseModel):
    """A part of a configuration: frozen, strict about its keys. Each field is explained under the field."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
