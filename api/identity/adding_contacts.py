"""A person's further contacts: shown to be theirs by a code, and told to the ones before."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import asyncpg

from api.errors import FlorinError, NotFound
from api.identity.codes import use_code
from api.identity.confirming import require_person
from api.identity.contacts import Contact, contacts_of, parse_contact
from api.identity.errors import CodeRefused, ContactTaken, LastContact, TooManyContacts
from api.identity.registering import count_sending
from api.identity.security_log import Whence, record

if TYPE_CHECKING:
    from api.database import Connection
    from api.identity.people_desk import PeopleDesk
    from api.identity.sessions import SignedIn

MOST_CONTACTS: Final = 5


async def begin_contact(desk: PeopleDesk, person: SignedIn, contact_text: str, whence: Whence) -> uuid.UUID:
    """Send a code to another contact of this person; the contact's id.

    Raises what `require_person` does, `ContactInvalid`, `TooManyContacts`, `TooManyAttempts` and
    `CodesCannotBeSent`.
    """
    contact = parse_contact(contact_text, is_sandbox=desk.here.settings.is_sandbox)
    contact_id = uuid.uuid4()

    async def begin(conn: Connection) -> None:
        await require_person(conn, person)
        language = await conn.fetchval(
            "SELECT language FROM people WHERE customer_id = $1 FOR UPDATE", person.customer_id
        )
        if len(await contacts_of(conn, person.customer_id)) >= MOST_CONTACTS:
            raise TooManyContacts(MOST_CONTACTS)
        await count_sending(conn, desk, contact, whence)
        await conn.execute(
            "DELETE FROM contacts WHERE customer_id = $1 AND verified_at IS NULL", person.customer_id
        )
        await conn.execute(
            "INSERT INTO contacts (id, customer_id, kind, address) VALUES ($1, $2, $3, $4)",
            contact_id,
            person.customer_id,
            contact.kind,
            contact.address,
        )
        await desk.send_code(conn, "contact", contact_id, contact, language)

    await desk.decide(begin)
    return contact_id


async def verify_contact(
    desk: PeopleDesk, person: SignedIn, contact_id: uuid.UUID, code: str, whence: Whence
) -> None:
    """Have the contact from now on. Raises `NotFound`, `CodeRefused` and `ContactTaken`."""

    async def verify(conn: Connection) -> FlorinError | None:
        row = await conn.fetchrow(
            """SELECT kind, address FROM contacts
                WHERE id = $1 AND customer_id = $2 AND verified_at IS NULL FOR UPDATE""",
            contact_id,
            person.customer_id,
        )
        if row is None:
            raise NotFound("contact that waits for a code")
        if not await use_code(conn, desk.key, "contact", contact_id, code):
            return CodeRefused()
        # told before it is theirs: whoever is not the person cannot keep the old contacts from hearing of it
        await desk.tell(
            conn, person.customer_id, "contact_added", contact=Contact(row["kind"], row["address"]).shown
        )
        try:
            async with conn.transaction():
                await conn.execute("UPDATE contacts SET verified_at = now() WHERE id = $1", contact_id)
        except asyncpg.UniqueViolationError:
            raise ContactTaken from None
        await _make_known(conn, desk, person)
        await record(conn, person.customer_id, "contact_added", whence)
        return None

    await desk.decide(verify)


async def remove_contact(desk: PeopleDesk, person: SignedIn, contact_id: uuid.UUID, whence: Whence) -> None:
    """Not be reached there any more. Raises what `require_person` does, `NotFound` and `LastContact`."""

    async def remove(conn: Connection) -> None:
        await require_person(conn, person)
        await conn.execute("SELECT FROM people WHERE customer_id = $1 FOR UPDATE", person.customer_id)
        contacts = dict(await contacts_of(conn, person.customer_id))
        if contact_id not in contacts:
            raise NotFound("contact")
        if len(contacts) == 1:
            raise LastContact
        await desk.tell(conn, person.customer_id, "contact_removed", contact=contacts[contact_id].shown)
        await conn.execute("DELETE FROM contacts WHERE id = $1", contact_id)
        await _make_known(conn, desk, person)
        await record(conn, person.customer_id, "contact_removed", whence)

    await desk.decide(remove)


async def _make_known(conn: Connection, desk: PeopleDesk, person: SignedIn) -> None:
    """Have messages to this person go where they are reached from now on."""
    language = await conn.fetchval("SELECT language FROM people WHERE customer_id = $1", person.customer_id)
    contacts = [contact for _, contact in await contacts_of(conn, person.customer_id)]
    await desk.courier.know(conn, person.customer_id, language, contacts)
