"""Signing in with contact and password, and with a second factor where there is one.

A contact without login costs what one with a login costs: the same statements, and the hash of nobody's
password. The attempt is counted before anything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from api.errors import FlorinError
from api.identity.authenticator_apps import recovery_codes_left, use_authenticator_code, use_recovery_code
from api.identity.contacts import parse_contact
from api.identity.devices import Welcome, welcome
from api.identity.errors import CodeRefused, StepExpired, WrongCredentials
from api.identity.people_key import token_hash
from api.identity.security_log import Whence, record
from api.identity.throttles import (
    PER_ACCOUNT,
    PER_ADDRESS,
    PER_SECOND_FACTOR,
    Counted,
    count_attempt,
    counted_as,
    forgive,
    network_of,
    take_back,
)
from api.identity.tickets import issue_ticket, try_ticket

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.people_desk import PeopleDesk
    from api.identity.people_key import PeopleKey

SecondFactor = Literal["totp", "recovery_code"]


@dataclass(frozen=True, slots=True)
class SecondFactorNeeded:
    """The password was right; the ticket is good for five minutes and five tries."""

    ticket: str

    def as_json(self) -> dict[str, Any]:
        """What the API answers."""
        return {
            "outcome": "second_factor_required",
            "ticket": self.ticket,
            "methods": ["totp", "recovery_code"],
        }


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt that was counted: what it is judged by, and whose counts it is in."""

    customer_id: uuid.UUID | None
    kept: str | None
    account: Counted
    address: Counted
    failed_before: int


def account_attempts(
    key: PeopleKey, customer_id: uuid.UUID | None, address: str, device_id: uuid.UUID | None = None
) -> Counted:
    """The attempts at one login, of which a known device has its own: strangers cannot lock it out."""
    whose = address if customer_id is None else str(customer_id)
    return counted_as(key, "sign-in", whose if device_id is None else f"{whose} {device_id}", PER_ACCOUNT)


async def sign_in(
    desk: PeopleDesk, contact_text: str, password: str, whence: Whence
) -> Welcome | SecondFactorNeeded:
    """Open a session. Raises `ContactInvalid`, `TooManyAttempts` and `WrongCredentials`."""
    contact = parse_contact(contact_text, is_sandbox=desk.here.settings.is_sandbox)

    async def begin(conn: Connection) -> _Attempt:
        return await _count(conn, desk, contact.address, whence)

    attempt = await desk.decide(begin)
    customer_id, kept = attempt.customer_id, attempt.kept
    is_right = await desk.passwords.is_right(password, kept)
    if not is_right or customer_id is None or kept is None:
        raise WrongCredentials
    better = await desk.passwords.hash(password) if desk.passwords.is_outdated(kept) else None

    async def finish(conn: Connection) -> Welcome | SecondFactorNeeded | FlorinError:
        now_kept = await conn.fetchval(
            "SELECT hash FROM passwords WHERE customer_id = $1 FOR UPDATE", customer_id
        )
        if now_kept != kept:  # it was changed while we looked
            return WrongCredentials()
        if better is not None:
            await conn.execute("UPDATE passwords SET hash = $2 WHERE customer_id = $1", customer_id, better)
        await take_back(conn, attempt.address)
        await forgive(conn, attempt.account)
        has_app = await conn.fetchval(
            "SELECT true FROM authenticator_apps WHERE customer_id = $1 AND confirmed_at IS NOT NULL",
            customer_id,
        )
        if has_app:
            return SecondFactorNeeded(await issue_ticket(conn, "second factor", customer_id))
        return await welcome(conn, desk, customer_id, "password", whence, failed_before=attempt.failed_before)

    return await desk.decide(finish)


async def _count(conn: Connection, desk: PeopleDesk, contact_address: str, whence: Whence) -> _Attempt:
    """Count an attempt at a login, whether there is one or not. Raises `TooManyAttempts`."""
    row = await conn.fetchrow(_LOGIN, contact_address, token_hash(whence.device_token))
    customer_id, kept, device_id = (None, None, None) if row is None else tuple(row)
    account = account_attempts(desk.key, customer_id, contact_address, device_id)
    address = counted_as(desk.key, "sign-in from", network_of(whence.from_address), PER_ADDRESS)
    failed_before = await count_attempt(conn, [account, address])
    return _Attempt(customer_id, kept, account, address, failed_before)


_LOGIN: Final = """
SELECT p.customer_id, p.hash, d.id AS device_id
  FROM contacts c JOIN passwords p USING (customer_id)
  LEFT JOIN devices d ON d.customer_id = p.customer_id AND d.token_hash = $2
 WHERE c.address = $1 AND c.verified_at IS NOT NULL
"""


async def show_second_factor(
    desk: PeopleDesk, ticket: str, method: SecondFactor, code: str, whence: Whence
) -> Welcome:
    """Finish a sign-in. Raises `StepExpired`, `TooManyAttempts` and `CodeRefused`."""

    async def finish(conn: Connection) -> Welcome | FlorinError:
        customer_id = await try_ticket(conn, "second factor", ticket)
        if customer_id is None:
            return StepExpired()
        attempt = counted_as(desk.key, "second factor", str(customer_id), PER_SECOND_FACTOR)
        failed_before = await count_attempt(conn, [attempt])
        use = use_authenticator_code if method == "totp" else use_recovery_code
        if not await use(conn, desk.key, customer_id, code):
            return CodeRefused()
        await forgive(conn, attempt)
        await conn.execute("DELETE FROM tickets WHERE token_hash = $1", token_hash(ticket))
        if method == "recovery_code":
            left = await recovery_codes_left(conn, customer_id)
            await record(conn, customer_id, "recovery_code_used", whence, left=left)
            await desk.tell(conn, customer_id, "recovery_code_used", left=left)
        return await welcome(conn, desk, customer_id, "totp", whence, failed_before=failed_before)

    return await desk.decide(finish)
