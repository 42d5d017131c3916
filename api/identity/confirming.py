"""Showing again who one is, before changing what one signs in with: good for ten minutes of this session."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from api.identity.errors import ConfirmationNeeded, NoLogin, WrongCredentials
from api.identity.throttles import PER_ACCOUNT, count_attempt, counted_as, forgive

if TYPE_CHECKING:
    from api.database import Connection
    from api.errors import FlorinError
    from api.identity.people_desk import PeopleDesk
    from api.identity.sessions import Assurance, SignedIn

FRESH: Final = timedelta(minutes=10)


async def require_person(conn: Connection, person: SignedIn, *, by: Assurance | None = None) -> None:
    """Raises `NoLogin` for a sample customer without one, and `ConfirmationNeeded` unless they showed of late
    who they are (`by`: in this way).
    """
    row = await conn.fetchrow(
        """SELECT p.customer_id, s.confirmed_at > now() - $2::interval AS is_fresh, s.confirmed_by
             FROM sessions s LEFT JOIN people p USING (customer_id) WHERE s.id = $1""",
        person.session_id,
        FRESH,
    )
    if row is None or not row["is_fresh"]:
        raise ConfirmationNeeded
    if row["customer_id"] is None:
        raise NoLogin
    if row["confirmed_by"] == "sandbox" or by not in {None, row["confirmed_by"]}:
        raise ConfirmationNeeded


async def confirm_by_password(desk: PeopleDesk, person: SignedIn, password: str) -> None:
    """Confirm the session with the person's password. Raises `WrongCredentials` and `TooManyAttempts`."""
    attempt = counted_as(desk.key, "confirmation", str(person.customer_id), PER_ACCOUNT)

    async def look(conn: Connection) -> str:
        await count_attempt(conn, [attempt])
        return await kept_password(conn, person)

    kept = await desk.decide(look)
    is_right = await desk.passwords.is_right(password, kept or None)

    async def confirm(conn: Connection) -> FlorinError | None:
        if not is_right:
            return WrongCredentials()
        await forgive(conn, attempt)
        await note_confirmation(conn, person, "password")
        return None

    await desk.decide(confirm)


async def kept_password(conn: Connection, person: SignedIn) -> str:
    """The hash of a person's password; empty where they have none."""
    kept = await conn.fetchval("SELECT hash FROM passwords WHERE customer_id = $1", person.customer_id)
    return kept or ""


async def note_confirmation(conn: Connection, person: SignedIn, by: Assurance) -> None:
    """The person of this session has just shown who they are."""
    await conn.execute(
        "UPDATE sessions SET confirmed_at = now(), confirmed_by = $2 WHERE id = $1", person.session_id, by
    )
