"""What the verbs on people work with: the institution, its key for them, its hasher, its way to reach them.

Verbs that count what was tried take the desk and have transactions of their own, since the count must stay
when the request is refused, and a slow hash may not hold rows. Pages call the same verbs as the
routes of the API.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from fastapi import Depends, Request

from api.database import Connection, run_in_transaction
from api.errors import FlorinError
from api.identity.codes import LIFETIME as CODE_LIFETIME
from api.identity.codes import CodePurpose, issue_code
from api.identity.errors import CodesCannotBeSent
from api.identity.passwords import Passwords
from api.identity.people_key import PeopleKey

if TYPE_CHECKING:
    from api.identity.contacts import Contact
    from api.institution import Institution

Result = TypeVar("Result")


class Courier(Protocol):
    """How people are told things. What is to be sent is written in the caller's transaction."""

    async def send_code(
        self,
        conn: Connection,
        contact: str,
        kind: str,
        code: str,
        language: str,
        *,
        valid_for: timedelta,
        once: str,
    ) -> None:
        """Send a one-time code to an address or number, which may be a stranger's; the same `once` once."""

    async def know(
        self, conn: Connection, customer_id: uuid.UUID, language: str, contacts: Sequence[Contact]
    ) -> None:
        """From now on this customer is reached here, and nowhere else."""

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
        self,
        _conn: Connection,
        _contact: str,
        _kind: str,
        _code: str,
        _language: str,
        *,
        valid_for: timedelta,
        once: str,
    ) -> None:
        """Raises `CodesCannotBeSent`."""
        raise CodesCannotBeSent

    async def know(
        self, _conn: Connection, _customer_id: uuid.UUID, _language: str, _contacts: Sequence[Contact]
    ) -> None:
        """Nobody is reached."""

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

    async def send_code(
        self, conn: Connection, purpose: CodePurpose, subject: uuid.UUID, contact: Contact, language: str
    ) -> None:
        """Make a code for what waits for one, and send it. Raises `CodesCannotBeSent`."""
        code = await issue_code(conn, self.key, purpose, subject)
        await self.courier.send_code(
            conn,
            contact.address,
            f"{purpose}_code",
            code,
            language,
            valid_for=CODE_LIFETIME,
            once=str(uuid.uuid4()),
        )

    async def tell(self, conn: Connection, customer_id: uuid.UUID, kind: str, **values: str | int) -> None:
        """Tell a person of what has just happened to their login, each time anew."""
        await self.courier.notify(conn, customer_id, kind, values, once=f"{kind}:{uuid.uuid4()}")


async def _desk_of(request: Request) -> PeopleDesk:
    desk: PeopleDesk = request.app.state.people
    return desk


AtDesk = Annotated[PeopleDesk, Depends(_desk_of)]
"""The parameter of a route that acts for people."""
