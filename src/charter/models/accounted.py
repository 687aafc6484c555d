"""An engine whose calls are on a run's account, which stops them where the budget is used up."""

from __future__ import annotations

from typing import Any

from charter.core.account import Account
from charter.core.errors import CallFailed, TooLong
from charter.core.records import Conversation
from charter.models.engine import Choice, ChooseRequest, Completion, GenerateRequest
from charter.models.usage import Metered


class Accounted:
    """`engine` with an account beside it. All else (its limits, what was found out about it) is the engine's own."""

    def __init__(self, engine: Metered, account: Account) -> None:
        self.engine, self.account = engine, account
        self.name, self.usage = engine.name, engine.usage

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    async def generate(self, request: GenerateRequest) -> Completion:
        """As the engine. Raises BudgetError."""
        return await self._asked(self.engine.generate, request)  # type: ignore[no-any-return]

    async def choose(self, request: ChooseRequest) -> Choice:
        """As the engine. Raises BudgetError."""
        return await self._asked(self.engine.choose, request)  # type: ignore[no-any-return]

    async def score(self, messages: Conversation) -> float:
        """As the engine. Raises BudgetError."""
        return await self._asked(self.engine.score, messages)  # type: ignore[no-any-return]

    async def _asked(self, ask: Any, request: Any) -> Any:
        await self.account.enter()
        try:
            return await ask(request)
        except (CallFailed, TooLong) as error:
            self.account.failed["too_long" if isinstance(error, TooLong) else "failed"] += 1
            raise
        finally:
            self.account.leave()
