"""Password and one-time password as the payments room sees them: another room keeps and judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from api.identity.authenticator_apps import has_authenticator, require_password_and_code

if TYPE_CHECKING:
    from api.identity.people_desk import PeopleDesk
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


class PeopleSecondFactor:
    """The password and the authenticator app that people sign in with."""

    def __init__(self, desk: PeopleDesk) -> None:
        self._desk = desk

    async def is_there(self, institution: Institution, person: SignedIn) -> bool:
        """Whether an app is in force."""
        async with institution.pool.acquire() as conn:
            return await has_authenticator(conn, person.customer_id)

    async def require(self, institution: Institution, person: SignedIn, password: str, code: str) -> None:
        """Raises `WrongCredentials` and `TooManyAttempts`."""
        del institution  # the desk's own
        await require_password_and_code(self._desk, person, password, code)


async def _second_factor_of(request: Request) -> SecondFactor:
    factor: SecondFactor = request.app.state.second_factor
    return factor


ItsSecondFactor = Annotated[SecondFactor, Depends(_second_factor_of)]
"""The parameter of a route that may have to ask for it."""
