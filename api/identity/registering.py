"""How a stranger becomes a person with a login: a contact, the code sent there, a password.

Nothing of the first step looks at whether the contact is known, so neither answer nor time can tell. Only
whoever has the code, and therefore the contact, learns that there is a login already.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from api.errors import FlorinError
from api.identity.codes import use_code
from api.identity.contacts import Contact, customer_of, parse_contact
from api.identity.customers import create_customers
from api.identity.devices import Welcome, welcome
from api.identity.errors import BirthDateInvalid, CodeRefused, ContactTaken, StepExpired, TooYoung
from api.identity.people_key import new_token, token_hash
from api.identity.schemas import CustomerBody
from api.identity.security_log import Whence, record
from api.identity.throttles import (
    SENT_FOR_ADDRESS,
    SENT_TO_CONTACT,
    count_attempt,
    counted_as,
    network_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.database import Connection
    from api.identity.people_desk import PeopleDesk

Language = Literal["en", "zh"]

STEP_PREFIX: Final = "ft_"
LIFETIME: Final = timedelta(hours=1)
OLDEST_YEARS: Final = 130


@dataclass(frozen=True, slots=True)
class Applicant:
    """What somebody says of themselves."""

    name: str
    date_of_birth: date
    language: Language


def age_on(born: date, day: date) -> int:
    """Whole years of age on a day; those born on 29 February grow older on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def require_age(born: date, today: date, minimum_years: int) -> None:
    """Raises `BirthDateInvalid` and `TooYoung`."""
    if born > today or age_on(born, today) > OLDEST_YEARS:
        raise BirthDateInvalid
    if age_on(born, today) < minimum_years:
        raise TooYoung(minimum_years)


def known_of(desk: PeopleDesk, name: str, born: date, addresses: Sequence[str]) -> list[str]:
    """What others know of a person, and may try as a password."""
    days = [born.strftime(form) for form in ("%Y-%m-%d", "%d%m%Y", "%m%d%Y", "%d%m%y")]
    return [name, *addresses, *days, desk.here.settings.institution_name, "florin"]


async def begin_registration(
    desk: PeopleDesk, contact_text: str, applicant: Applicant, whence: Whence
) -> uuid.UUID:
    """Send a code to the contact; the registration's id.

    Raises `ContactInvalid`, `BirthDateInvalid`, `TooYoung`, `TooManyAttempts` and `CodesCannotBeSent`.
    """
    contact = parse_contact(contact_text, is_sandbox=desk.here.settings.is_sandbox)
    require_age(applicant.date_of_birth, datetime.now(tz=UTC).date(), desk.here.settings.minimum_age_years)
    registration_id = uuid.uuid4()

    async def begin(conn: Connection) -> None:
        await count_sending(conn, desk, contact, whence)
        await conn.execute(
            """DELETE FROM registrations WHERE id IN (SELECT id FROM registrations
                WHERE began_at < now() - $1::interval LIMIT 100 FOR UPDATE SKIP LOCKED)""",
            LIFETIME,
        )
        await conn.execute(
            """INSERT INTO registrations (id, kind, address, name, date_of_birth, language)
               VALUES ($1, $2, $3, $4, $5, $6)""",
            registration_id,
            contact.kind,
            contact.address,
            applicant.name,
            applicant.date_of_birth,
            applicant.language,
        )
        await desk.send_code(conn, "registration", registration_id, contact, applicant.language)

    await desk.decide(begin)
    return registration_id


async def count_sending(conn: Connection, desk: PeopleDesk, contact: Contact, whence: Whence) -> None:
    """Count one message to a contact that somebody asked for. Raises `TooManyAttempts`."""
    await count_attempt(
        conn,
        [
            counted_as(desk.key, "send", contact.address, SENT_TO_CONTACT),
            counted_as(desk.key, "send for", network_of(whence.from_address), SENT_FOR_ADDRESS),
        ],
    )


async def send_registration_code(desk: PeopleDesk, registration_id: uuid.UUID, whence: Whence) -> None:
    """Send another code in the place of the first; for an unknown registration nothing happens.

    Raises `TooManyAttempts` and `CodesCannotBeSent`.
    """

    async def send(conn: Connection) -> None:
        row = await conn.fetchrow(
            """SELECT kind, address, language FROM registrations
                WHERE id = $1 AND token_hash IS NULL AND began_at > now() - $2::interval""",
            registration_id,
            LIFETIME,
        )
        if row is None:
            return
        contact = Contact(row["kind"], row["address"])
        await count_sending(conn, desk, contact, whence)
        await desk.send_code(conn, "registration", registration_id, contact, row["language"])

    await desk.decide(send)


async def verify_registration(desk: PeopleDesk, registration_id: uuid.UUID, code: str) -> str:
    """The token with which the registration is completed. Raises `CodeRefused` and `ContactTaken`."""

    async def verify(conn: Connection) -> str | FlorinError:
        if not await use_code(conn, desk.key, "registration", registration_id, code):
            return CodeRefused()
        row = await conn.fetchrow(
            "SELECT kind, address FROM registrations WHERE id = $1 AND began_at > now() - $2::interval",
            registration_id,
            LIFETIME,
        )
        if row is None:
            return CodeRefused()
        if await customer_of(conn, Contact(row["kind"], row["address"])) is not None:
            return ContactTaken()
        token = new_token(STEP_PREFIX)
        await conn.execute(
            "UPDATE registrations SET token_hash = $2 WHERE id = $1", registration_id, token_hash(token)
        )
        return token

    return await desk.decide(verify)


async def complete_registration(
    desk: PeopleDesk, registration_id: uuid.UUID, token: str, password: str, whence: Whence
) -> Welcome:
    """Make the customer, with this password, and sign them in.

    Raises `StepExpired`, `ContactTaken`, and what `passwords.require_strength` does.
    """
    row = await desk.here.pool.fetchrow(_VERIFIED, registration_id, token_hash(token), LIFETIME)
    if row is None:
        raise StepExpired
    known = known_of(desk, row["name"], row["date_of_birth"], [row["address"]])
    await desk.passwords.require_strength(password, known)
    kept = await desk.passwords.hash(password)

    async def complete(conn: Connection) -> Welcome:
        done = await conn.execute(
            "DELETE FROM registrations WHERE id = $1 AND token_hash = $2", registration_id, token_hash(token)
        )
        if done == "DELETE 0":  # by another request with the same token
            raise StepExpired
        applicant = Applicant(row["name"], row["date_of_birth"], row["language"])
        contact = Contact(row["kind"], row["address"])
        customer_id = await make_person(
            conn, desk, f"p-{registration_id.hex}", applicant, contact=contact, password_hash=kept
        )
        await record(conn, customer_id, "registered", whence)
        return await welcome(conn, desk, customer_id, "password", whence, is_first=True)

    return await desk.decide(complete)


_VERIFIED: Final = """
SELECT kind, address, name, date_of_birth, language FROM registrations
 WHERE id = $1 AND token_hash = $2 AND began_at > now() - $3::interval
"""


async def make_person(
    conn: Connection,
    desk: PeopleDesk,
    reference: str,
    applicant: Applicant,
    *,
    contact: Contact,
    password_hash: str,
) -> uuid.UUID:
    """The id of the customer `reference`, made where it is new, who can sign in from now on.

    The contact's ownership was shown before. Raises `ContactTaken`, and `IdempotencyKeyReused` for a customer
    of another name.
    """
    (customer,) = await create_customers(
        conn, desk.here, [CustomerBody(reference=reference, name=applicant.name)]
    )
    if isinstance(customer, FlorinError):
        raise customer
    customer_id = uuid.UUID(customer["customer_id"])
    await conn.execute(
        "INSERT INTO people (customer_id, date_of_birth, language) VALUES ($1, $2, $3)",
        customer_id,
        applicant.date_of_birth,
        applicant.language,
    )
    added = await conn.execute(
        """INSERT INTO contacts (id, customer_id, kind, address, verified_at) VALUES ($1, $2, $3, $4, now())
           ON CONFLICT (address) WHERE verified_at IS NOT NULL DO NOTHING""",
        uuid.uuid4(),
        customer_id,
        contact.kind,
        contact.address,
    )
    if added == "INSERT 0 0":
        raise ContactTaken
    await conn.execute(
        "INSERT INTO passwords (customer_id, hash) VALUES ($1, $2)", customer_id, password_hash
    )
    await desk.courier.know(conn, customer_id, applicant.language, [contact])
    return customer_id
