"""A new password in the place of the old one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from api.identity.confirming import confirm_by_password, require_person
from api.identity.contacts import contacts_of
from api.identity.registering import known_of
from api.identity.security_log import Whence, record
from api.identity.sessions import close_sessions
from api.identity.tickets import end_tickets

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.people_desk import PeopleDesk
    from api.identity.sessions import SignedIn


async def change_password(
    desk: PeopleDesk, person: SignedIn, old: str | None, new: str, whence: Whence
) -> None:
    """Set a password, and end the person's other sessions. The old one, or a passkey of late, allows it.

    Raises what `require_person`, `confirm_by_password` and `Passwords.require_strength` do.
    """
    if old is not None:
        await confirm_by_password(desk, person, old)
    async with desk.here.pool.acquire() as conn:
        await require_person(conn, person, by="password" if old is not None else "passkey")
        known = await known_about(conn, desk, person.customer_id)
    await desk.passwords.require_strength(new, known)
    kept = await desk.passwords.hash(new)

    async def change(conn: Connection) -> None:
        await set_password(conn, person.customer_id, kept)
        await close_sessions(conn, person.customer_id, keeping=person.session_id)
        await record(conn, person.customer_id, "password_changed", whence)
        await desk.tell(conn, person.customer_id, "password_changed")

    await desk.decide(change)


async def known_about(conn: Connection, desk: PeopleDesk, customer_id: uuid.UUID) -> list[str]:
    """What others know of a person, and may try as a password."""
    row = await conn.fetchrow(
        "SELECT c.name, p.date_of_birth FROM people p JOIN customers c ON c.id = customer_id WHERE c.id = $1",
        customer_id,
    )
    assert row is not None, "only people with a login change their passwords"
    addresses = [contact.address for _, contact in await contacts_of(conn, customer_id)]
    return known_of(desk, row["name"], row["date_of_birth"], addresses)


async def set_password(conn: Connection, customer_id: uuid.UUID, kept: str) -> None:
    """Keep the hash of a new password; sign-ins that are half done are over."""
    await conn.execute(
        "UPDATE passwords SET hash = $2, set_at = now() WHERE customer_id = $1", customer_id, kept
    )
    await end_tickets(conn, customer_id)


async def is_password_old(conn: Connection, desk: PeopleDesk, customer_id: uuid.UUID) -> bool:
    """Whether the person should be reminded of their password's age; never where the settings say 0 days."""
    days = desk.here.settings.password_reminder_days
    if days == 0:
        return False
    found: bool | None = await conn.fetchval(
        "SELECT set_at < now() - $2::interval FROM passwords WHERE customer_id = $1",
        customer_id,
        timedelta(days=days),
    )
    return bool(found)
