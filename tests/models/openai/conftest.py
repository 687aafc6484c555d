from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and no key is lying about."""
    monkeypatch.setattr("charter.models.openai.retry.BASE", 0.001)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
