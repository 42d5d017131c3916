"""Codes of an authenticator app (RFC 6238) as a second factor, and the recovery codes beside them."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

from api.errors import NotFound
from api.identity.confirming import kept_password, require_person
from api.identity.errors import AuthenticatorKnown, CodeRefused, WrongCredentials
from api.identity.security_log import Whence, record
from api.identity.throttles import PER_ACCOUNT, count_attempt, counted_as, forgive

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.errors import FlorinError
    from api.identity.people_desk import PeopleDesk
    from api.identity.people_key import PeopleKey
    from api.identity.sessions import SignedIn

STEP_S: Final = 30
RECOVERY_CODES: Final = 10
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_SECRET: Final = "authenticator app"  # noqa: S105 - the name of a purpose


def step_of(secret: str, typed: str, at_s: int, last_step: int) -> int | None:
    """The step whose code this is: this one, the one before or the next, and later than the last one used."""
    from pyotp import TOTP

    app, digits = TOTP(secret, interval=STEP_S), "".join(typed.split())
    found = None
    for step in range(at_s // STEP_S - 1, at_s // STEP_S + 2):
        is_same = hmac.compare_digest(app.generate_otp(step).encode(), digits.encode("utf-8", "replace"))
        if is_same and step > last_step:
            found = step
    return found


async def begin_authenticator(desk: PeopleDesk, person: SignedIn) -> tuple[str, str]:
    """A new secret (base32) and its otpauth URI, in force once a code of it has been shown.

    Raises `ConfirmationNeeded`, `NoLogin` and `AuthenticatorKnown`.
    """
    from pyotp import TOTP, random_base32

    secret = random_base32()

    async def begin(conn: Connection) -> None:
        await require_person(conn, person)
        done = await conn.execute(
            """INSERT INTO authenticator_apps (customer_id, sealed_secret) VALUES ($1, $2)
               ON CONFLICT (customer_id) DO UPDATE SET sealed_secret = excluded.sealed_secret, last_step = 0
                WHERE authenticator_apps.confirmed_at IS NULL""",
            person.customer_id,
            desk.key.seal(_SECRET, str(person.customer_id), secret.encode()),
        )
        if done == "INSERT 0 0":
            raise AuthenticatorKnown

    await desk.decide(begin)
    institution = desk.here.settings.institution_name
    return secret, TOTP(secret, interval=STEP_S).provisioning_uri(name=person.name, issuer_name=institution)


async def confirm_authenticator(desk: PeopleDesk, person: SignedIn, typed: str, whence: Whence) -> list[str]:
    """Have the app in force from now on; the recovery codes, which are nowhere else.

    Raises `ConfirmationNeeded`, `NoLogin`, `NotFound`, `AuthenticatorKnown` and `CodeRefused`.
    """

    async def confirm(conn: Connection) -> list[str]:
        await require_person(conn, person)
        row = await conn.fetchrow(_APP, person.customer_id)
        if row is None:
            raise NotFound("authenticator app that waits for a code")
        if row["is_confirmed"]:
            raise AuthenticatorKnown
        if not await _use(conn, desk.key, person.customer_id, typed, row):
            raise CodeRefused
        await conn.execute(
            "UPDATE authenticator_apps SET confirmed_at = now() WHERE customer_id = $1", person.customer_id
        )
        await record(conn, person.customer_id, "authenticator_added", whence)
        await desk.tell(conn, person.customer_id, "totp_added")
        return await _new_recovery_codes(conn, desk.key, person.customer_id)

    return await desk.decide(confirm)


async def renew_recovery_codes(desk: PeopleDesk, person: SignedIn) -> list[str]:
    """New recovery codes in the place of all others. Raises what `require_person` does, and `NotFound`."""

    async def renew(conn: Connection) -> list[str]:
        await require_person(conn, person)
        if not await has_authenticator(conn, person.customer_id):
            raise NotFound("authenticator app")
        await desk.tell(conn, person.customer_id, "recovery_codes_made")
        return await _new_recovery_codes(conn, desk.key, person.customer_id)

    return await desk.decide(renew)


async def remove_authenticator(desk: PeopleDesk, person: SignedIn, whence: Whence) -> None:
    """Sign in without it from now on. Raises `ConfirmationNeeded`, `NoLogin` and `NotFound`."""

    async def remove(conn: Connection) -> None:
        await require_person(conn, person)
        if not await forget_authenticator(conn, person.customer_id):
            raise NotFound("authenticator app")
        await record(conn, person.customer_id, "authenticator_removed", whence)
        await desk.tell(conn, person.customer_id, "totp_removed")

    await desk.decide(remove)


async def forget_authenticator(conn: Connection, customer_id: uuid.UUID) -> bool:
    """Delete a person's app and recovery codes; whether there were any."""
    await conn.execute("DELETE FROM recovery_codes WHERE customer_id = $1", customer_id)
    done = await conn.execute("DELETE FROM authenticator_apps WHERE customer_id = $1", customer_id)
    return done != "DELETE 0"


async def has_authenticator(conn: Connection, customer_id: uuid.UUID) -> bool:
    """Whether an app is in force."""
    row = await conn.fetchrow(_APP, customer_id)
    return row is not None and row["is_confirmed"]


async def use_authenticator_code(
    conn: Connection, key: PeopleKey, customer_id: uuid.UUID, typed: str
) -> bool:
    """Whether this is a code of the person's app that was not used before; it is used now."""
    row = await conn.fetchrow(_APP, customer_id)
    if row is None or not row["is_confirmed"]:
        return False
    return await _use(conn, key, customer_id, typed, row)


async def require_password_and_code(desk: PeopleDesk, person: SignedIn, password: str, code: str) -> None:
    """Raise `WrongCredentials` unless both are right; and `TooManyAttempts`.

    A code is used up also beside a wrong password, and which of the two was wrong is not told.
    """
    attempt = counted_as(desk.key, "confirmation", str(person.customer_id), PER_ACCOUNT)

    async def look(conn: Connection) -> str:
        await count_attempt(conn, [attempt])
        return await kept_password(conn, person)

    is_right = await desk.passwords.is_right(password, await desk.decide(look) or None)

    async def use(conn: Connection) -> FlorinError | None:
        is_used = await use_authenticator_code(conn, desk.key, person.customer_id, code)
        if not (is_used and is_right):
            return WrongCredentials()
        await forgive(conn, attempt)
        return None

    await desk.decide(use)


async def use_recovery_code(conn: Connection, key: PeopleKey, customer_id: uuid.UUID, typed: str) -> bool:
    """Whether this is one of the person's recovery codes that was not used before; it is used now."""
    done = await conn.execute(
        """UPDATE recovery_codes SET used_at = now()
            WHERE customer_id = $1 AND code_hash = $2 AND used_at IS NULL""",
        customer_id,
        _hash_of(key, customer_id, typed),
    )
    return done == "UPDATE 1"


async def recovery_codes_left(conn: Connection, customer_id: uuid.UUID) -> int:
    """How many recovery codes a person has not used."""
    left: int = await conn.fetchval(
        "SELECT count(*) FROM recovery_codes WHERE customer_id = $1 AND used_at IS NULL", customer_id
    )
    return left


async def _use(conn: Connection, key: PeopleKey, customer_id: uuid.UUID, typed: str, row: Any) -> bool:
    secret = key.unseal(_SECRET, str(customer_id), row["sealed_secret"]).decode()
    step = step_of(secret, typed, row["at_s"], row["last_step"])
    if step is None:
        return False
    done = await conn.execute(
        "UPDATE authenticator_apps SET last_step = $2 WHERE customer_id = $1 AND last_step < $2",
        customer_id,
        step,
    )
    return done == "UPDATE 1"


async def _new_recovery_codes(conn: Connection, key: PeopleKey, customer_id: uuid.UUID) -> list[str]:
    """Ten codes of ten letters, of 49 bits each."""
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    await conn.execute("DELETE FROM recovery_codes WHERE customer_id = $1", customer_id)
    await conn.executemany(
        "INSERT INTO recovery_codes (customer_id, code_hash) VALUES ($1, $2)",
        [(customer_id, _hash_of(key, customer_id, code)) for code in codes],
    )
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _hash_of(key: PeopleKey, customer_id: uuid.UUID, typed: str) -> bytes:
    letters = "".join(letter for letter in typed.casefold() if letter.isalnum())
    return key.hash_of("recovery code", str(customer_id), letters)


_APP: Final = """
SELECT sealed_secret, last_step, confirmed_at IS NOT NULL AS is_confirmed,
       extract(epoch FROM clock_timestamp())::bigint AS at_s
  FROM authenticator_apps WHERE customer_id = $1 FOR UPDATE
"""
