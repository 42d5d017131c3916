"""Password and one-time password as the payments room sees them: another room keeps and judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from api.payments.errors import ApprovalRequired

if TYPE_CHECKING:
    from api.identity.sessions import SignedIn
    from api.institution import Institution


class SecondFactor(Protocol):
    """Who has an authenticator app, and whether what they typed is right."""

    async def is_there(self, institution: Institution, person: SignedIn) -> bool:
        """Whether the person could show it."""
        ...

    async def require(self, institution: Institution, person: SignedIn, password: str, code: str) -> None:
        """Raise a refusal unless both are right. A code is good once; in transactions of its own."""
        ...


class NoSecondFactor:
    """Of an institution where nobody has an authenticator app."""

    async def is_there(self, institution: Institution, person: SignedIn) -> bool:
        """Nobody could."""
        del institution, person
        return False

    async def require(self, institution: Institution, person: SignedIn, password: str, code: str) -> None:
        """Nothing is right."""
        del institution, person, password, code
        raise ApprovalRequired("passkey", ())


async def _second_factor_of(request: Request) -> SecondFactor:
    factor: SecondFactor = request.app.state.second_factor
    return factor


ItsSecondFactor = Annotated[SecondFactor, Depends(_second_factor_of)]
"""The parameter of a route that may have to ask for it."""
