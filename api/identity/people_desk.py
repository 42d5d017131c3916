"""What the verbs on people work with: the institution, its key for them, its hasher, its way to reach them.

Verbs that count what was tried take the desk and have transactions of their own, since the count must stay
when the request is refused, and a slow hash may not hold rows. Pages call the same verbs as the
routes of the API.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from fastapi import Depends, Request

from api.database import Connection, run_in_transaction
from api.errors import FlorinError
from api.identity.errors import CodesCannotBeSent
from api.identity.passwords import Passwords
from api.identity.people_key import PeopleKey

if TYPE_CHECKING:
    from api.identity.contacts import Contact
    from api.institution import Institution

Result = TypeVar("Result")


class Courier(Protocol):
    """How people are told things. Both write what is to be sent in the caller's transaction."""

    async def send_code(
        self, conn: Connection, contact: Contact, kind: str, code: str, language: str
    ) -> None:
        """Send a one-time code to a contact, which may be a stranger's."""

    async def notify(
        self,
        conn: Connection,
        customer_id: uuid.UUID,
        kind: str,
        values: Mapping[str, str | int],
        *,
        once: str,
    ) -> None:
        """Tell a customer something, by all their contacts; the same `once` tells it once."""


class NoCourier:
    """An institution without a way to send: nobody can register, and that is said."""

    async def send_code(
        self, _conn: Connection, _contact: Contact, _kind: str, _code: str, _language: str
    ) -> None:
        """Raises `CodesCannotBeSent`."""
        raise CodesCannotBeSent

    async def notify(
        self,
        _conn: Connection,
        _customer_id: uuid.UUID,
        _kind: str,
        _values: Mapping[str, str | int],
        *,
        once: str,
    ) -> None:
        """There is the security log; `once` names what it would have been."""


@dataclass(frozen=True, slots=True)
class PeopleDesk:
    """Built once by the composition root."""

    here: Institution
    courier: Courier
    key: PeopleKey
    passwords: Passwords

    @classmethod
    def open(cls, here: Institution, courier: Courier) -> PeopleDesk:
        """The desk of an institution."""
        return cls(here, courier, PeopleKey(here.settings), Passwords())

    async def decide(self, work: Callable[[Connection], Awaitable[Result | FlorinError]]) -> Result:
        """What `work` answers, in a transaction of its own.

        A refusal that it *returns* is raised after the commit: what it counted stays. One that it raises
        undoes everything.
        """
        outcome = await run_in_transaction(self.here.pool, work)
        if isinstance(outcome, FlorinError):
            raise outcome
        return outcome

    async def tell(self, conn: Connection, customer_id: uuid.UUID, kind: str, **values: str | int) -> None:
        """Tell a person of what has just happened to their login, each time anew."""
        await self.courier.notify(conn, customer_id, kind, values, once=f"{kind}:{uuid.uuid4()}")


async def _desk_of(request: Request) -> PeopleDesk:
    desk: PeopleDesk = request.app.state.people
    return desk


AtDesk = Annotated[PeopleDesk, Depends(_desk_of)]
"""The parameter of a route that acts for people."""
