"""A forgotten password, a lost device: identity details, a code, and a wait in which the person can object.

Like a registration, the first step answers the same, and does the same work, whether or not the contact is
known and the details are right: a code goes out in any case, and only whoever holds the contact learns more.
While a recovery cools, and as long again after it, limits are lowered (`restricted_until`).
"""

from __future__ import annotations

import unicodedata
import uuid
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from api.errors import FlorinError, NotFound
from api.identity.authenticator_apps import forget_authenticator
from api.identity.codes import use_code
from api.identity.contacts import parse_contact
from api.identity.errors import CodeRefused, DetailsDiffer, RecoveryOver, StepExpired, StillCooling
from api.identity.password_changing import known_about, set_password
from api.identity.people_key import new_token, token_hash
from api.identity.registering import STEP_PREFIX, Language, count_sending
from api.identity.security_log import Whence, record
from api.identity.sessions import close_sessions
from api.identity.signing_in import account_attempts
from api.identity.throttles import PER_ACCOUNT, count_attempt, counted_as, forgive

if TYPE_CHECKING:
    from api.database import Connection
    from api.identity.people_desk import PeopleDesk
    from api.identity.sessions import SignedIn

Lost = Literal["password", "device"]

UNVERIFIED: Final = timedelta(hours=1)
OPEN_FOR: Final = timedelta(days=7)
"""So long after it has cooled, a recovery can be completed."""


def same_name(given: str, known: str) -> bool:
    """Whether two names are the same but for case, spaces and the way that their letters are composed."""
    return _compared(given) == _compared(known)


def _compared(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


async def begin_recovery(
    desk: PeopleDesk,
    lost: Lost,
    contact_text: str,
    name: str,
    born: date,
    *,
    language: Language,
    whence: Whence,
) -> uuid.UUID:
    """Send a code to the contact; the recovery's id.

    Raises `ContactInvalid`, `TooManyAttempts` and `CodesCannotBeSent`.
    """
    contact = parse_contact(contact_text, is_sandbox=desk.here.settings.is_sandbox)
    recovery_id = uuid.uuid4()

    async def begin(conn: Connection) -> None:
        await count_sending(conn, desk, contact, whence)
        await count_attempt(conn, [counted_as(desk.key, "details", contact.address, PER_ACCOUNT)])
        await conn.execute(
            """DELETE FROM recoveries WHERE id IN (SELECT id FROM recoveries
                WHERE ready_at IS NULL AND began_at < now() - $1::interval
                LIMIT 100 FOR UPDATE SKIP LOCKED)""",
            UNVERIFIED,
        )
        row = await conn.fetchrow(_PERSON, contact.address)
        is_theirs = same_name(name, "" if row is None else row["name"])
        is_theirs = is_theirs and row is not None and row["date_of_birth"] == born
        await conn.execute(
            "INSERT INTO recoveries (id, what, kind, address, customer_id) VALUES ($1, $2, $3, $4, $5)",
            recovery_id,
            lost,
            contact.kind,
            contact.address,
            row["customer_id"] if row is not None and is_theirs else None,
        )
        await desk.send_code(conn, "recovery", recovery_id, contact, language)

    await desk.decide(begin)
    return recovery_id


_PERSON: Final = """
SELECT p.customer_id, u.name, p.date_of_birth
  FROM contacts c JOIN people p USING (customer_id) JOIN customers u ON u.id = p.customer_id
 WHERE c.address = $1 AND c.verified_at IS NOT NULL
"""


async def verify_recovery(
    desk: PeopleDesk, recovery_id: uuid.UUID, code: str, whence: Whence
) -> tuple[str, datetime]:
    """The token with which the recovery is completed, and when it can be. The person is told everywhere.

    Raises `CodeRefused` and `DetailsDiffer`.
    """

    async def verify(conn: Connection) -> tuple[str, datetime] | FlorinError:
        if not await use_code(conn, desk.key, "recovery", recovery_id, code):
            return CodeRefused()
        token = new_token(STEP_PREFIX)
        row = await conn.fetchrow(
            """UPDATE recoveries SET token_hash = $2, ready_at = now() + $3::interval
                WHERE id = $1 AND customer_id IS NOT NULL AND ready_at IS NULL
               RETURNING customer_id, ready_at, what""",
            recovery_id,
            token_hash(token),
            timedelta(seconds=desk.here.settings.recovery_cooling_s),
        )
        if row is None:
            return DetailsDiffer()
        customer_id, ready_at = row["customer_id"], row["ready_at"]
        await _restrict(conn, customer_id, ready_at)
        await record(conn, customer_id, "recovery_began", whence, lost=row["what"])
        await desk.tell(conn, customer_id, "recovery_started")
        return token, ready_at

    return await desk.decide(verify)


async def complete_recovery(
    desk: PeopleDesk, recovery_id: uuid.UUID, token: str, password: str, whence: Whence
) -> None:
    """Set a new password and end all sessions; after a lost device, forget its keys, app and devices too.

    Nobody is signed in by it. Raises `StepExpired`, `StillCooling`, `RecoveryOver` and what
    `Passwords.require_strength` does.
    """
    async with desk.here.pool.acquire() as conn:
        row = _ready(await conn.fetchrow(_VERIFIED, recovery_id, token_hash(token)))
        known = await known_about(conn, desk, row["customer_id"])
    await desk.passwords.require_strength(password, known)
    kept = await desk.passwords.hash(password)

    async def complete(conn: Connection) -> None:
        now_row = _ready(await conn.fetchrow(f"{_VERIFIED} FOR UPDATE", recovery_id, token_hash(token)))
        customer_id: uuid.UUID = now_row["customer_id"]
        await conn.execute("UPDATE recoveries SET completed_at = now() WHERE id = $1", recovery_id)
        await _cancel_others(conn, customer_id)
        await set_password(conn, customer_id, kept)
        await close_sessions(conn, customer_id)
        await conn.execute("DELETE FROM devices WHERE customer_id = $1", customer_id)
        if now_row["what"] == "device":
            await forget_authenticator(conn, customer_id)
            await conn.execute("DELETE FROM passkeys WHERE customer_id = $1", customer_id)
        await forgive(conn, account_attempts(desk.key, customer_id, ""))
        cooling = timedelta(seconds=desk.here.settings.recovery_cooling_s)
        await _restrict(conn, customer_id, now_row["now"] + cooling)
        await record(conn, customer_id, "recovery_completed", whence, lost=now_row["what"])
        await desk.tell(conn, customer_id, "recovery_finished")

    await desk.decide(complete)


_VERIFIED: Final = """
SELECT customer_id, what, ready_at, cancelled_at, completed_at, now() AS now
  FROM recoveries WHERE id = $1 AND token_hash = $2
"""


def _ready(row: Any) -> Any:
    """A recovery's row, if it can be completed. Raises `StepExpired`, `RecoveryOver`, `StillCooling`."""
    if row is None or row["now"] > row["ready_at"] + OPEN_FOR:
        raise StepExpired
    if row["cancelled_at"] is not None or row["completed_at"] is not None:
        raise RecoveryOver
    if row["now"] < row["ready_at"]:
        raise StillCooling(row["ready_at"].isoformat(timespec="seconds"))
    return row


async def open_recoveries(conn: Connection, customer_id: uuid.UUID) -> list[dict[str, Any]]:
    """A person's recoveries that cool or can be completed."""
    rows = await conn.fetch(
        """SELECT id, what, began_at, ready_at FROM recoveries
            WHERE customer_id = $1 AND ready_at > now() - $2::interval
              AND cancelled_at IS NULL AND completed_at IS NULL ORDER BY began_at""",
        customer_id,
        OPEN_FOR,
    )
    return [
        {
            "recovery_id": str(row["id"]),
            "lost": row["what"],
            "began_at": row["began_at"].isoformat(),
            "ready_at": row["ready_at"].isoformat(),
        }
        for row in rows
    ]


async def cancel_recoveries(desk: PeopleDesk, person: SignedIn, whence: Whence) -> None:
    """Stop every recovery of this person's login; limits are what they were. Raises `NotFound` for none."""

    async def cancel(conn: Connection) -> None:
        if not await _cancel_others(conn, person.customer_id):
            raise NotFound("recovery")
        completed = await conn.fetchval(
            "SELECT max(completed_at) FROM recoveries WHERE customer_id = $1", person.customer_id
        )
        cooling = timedelta(seconds=desk.here.settings.recovery_cooling_s)
        await conn.execute(
            "UPDATE people SET restricted_until = $2 WHERE customer_id = $1",
            person.customer_id,
            None if completed is None else completed + cooling,
        )
        await record(conn, person.customer_id, "recovery_cancelled", whence)
        await desk.tell(conn, person.customer_id, "recovery_cancelled")

    await desk.decide(cancel)


async def _cancel_others(conn: Connection, customer_id: uuid.UUID) -> bool:
    """Cancel what is open; whether there was any that had been verified."""
    rows = await conn.fetch(
        """UPDATE recoveries SET cancelled_at = now()
            WHERE customer_id = $1 AND cancelled_at IS NULL AND completed_at IS NULL
           RETURNING ready_at""",
        customer_id,
    )
    return any(row["ready_at"] is not None for row in rows)


async def restricted_until(conn: Connection, customer_id: uuid.UUID) -> datetime | None:
    """Until when a customer's limits are lowered; None when they are not."""
    found: datetime | None = await conn.fetchval(
        "SELECT restricted_until FROM people WHERE customer_id = $1 AND restricted_until > now()", customer_id
    )
    return found


async def last_lost_device(conn: Connection, customer_id: uuid.UUID) -> uuid.UUID | None:
    """The last recovery of a lost device that was completed."""
    found: uuid.UUID | None = await conn.fetchval(
        """SELECT id FROM recoveries WHERE customer_id = $1 AND what = 'device' AND completed_at IS NOT NULL
            ORDER BY completed_at DESC LIMIT 1""",
        customer_id,
    )
    return found


async def _restrict(conn: Connection, customer_id: uuid.UUID, until: datetime) -> None:
    await conn.execute(
        """UPDATE people SET restricted_until = greatest(coalesce(restricted_until, $2), $2)
            WHERE customer_id = $1""",
        customer_id,
        until,
    )
