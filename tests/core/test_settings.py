"""What stands under the fields of a model."""

from __future__ import annotations

from charter.core.settings import Config, field_words


class Base(Config):
    """One field has no words."""

    name: str
    """What it is called;
    on two lines."""
    silent: int = 0


class Derived(Base):
    """Another explanation of a field that it has from above."""

    name: str = "x"
    """Its own."""
    more: int = 1
    """As well."""


def test_field_words() -> None:
    assert field_words(Base) == {"name": "What it is called;\non two lines."}
    assert field_words(Derived) == {"name": "Its own.", "more": "As well."}
