"""The verbs of the directory: register or replace an alias, release, claim, look up, give a cost back."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from api.addresses import address_text
from api.directory.aliases import Alias, read_alias
from api.directory.budget import OF_BANKS, charge, give_back, open_budget
from api.directory.claims import hand_over, make_claim, require_recent
from api.directory.errors import (
    AddressNotOfParticipant,
    AliasOfAnotherBank,
    AliasOfAnotherCustomer,
    AliasUnknown,
    CallerNotParticipant,
    LookupBudgetExhausted,
)
from api.directory.names import compare, keys_of
from api.directory.records import Record, find_alias, insert_record, lock_alias, name_of, replace_record
from api.errors import FlorinError, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from api.database import Connection
    from api.directory.schemas import AliasBody, ClaimBody, LookupBody, PaidBody
    from api.directory.secret import DirectorySecret

_CALLER: Final = re.compile(r"participant-([1-9][0-9]{0,4})")
_REMEMBERED: Final = "2 days"


def caller_name(participant_id: int) -> str:
    """The name of a participant's keys at the central bank."""
    return f"participant-{participant_id}"


async def participant_of(conn: Connection, name: str) -> int:
    """Which participant a caller is. Raises `CallerNotParticipant`."""
    found = _CALLER.fullmatch(name)
    participant_id = int(found[1]) if found else 0
    known = await conn.fetchval("SELECT true FROM participants WHERE id = $1", participant_id)
    if not known:
        raise CallerNotParticipant
    return participant_id


async def register(
    conn: Connection, secret: DirectorySecret, participant_id: int, body: AliasBody
) -> dict[str, Any] | FlorinError:
    """Register an alias for a bank's customer, or replace what it pays. Safe to repeat.

    The answer is a refusal where it was paid for: that another bank has an alias is as good to know as a
    look-up that found nobody. Raises `AliasUnreadable` and `AddressNotOfParticipant`.
    """
    alias = read_alias(body.alias)
    await require_own_address(conn, participant_id, body.address)
    budget = await open_budget(conn, caller_name(participant_id))
    budget.require(OF_BANKS)
    row = await lock_alias(conn, secret, alias)
    record = Record.of(secret, participant_id, alias, body)
    if row is None:
        return answer_of(await insert_record(conn, uuid.uuid4(), record))
    if row["participant_id"] != participant_id:
        await charge(conn, budget, OF_BANKS, OF_BANKS.miss)
        return AliasOfAnotherBank()
    if row["key_id"] not in secret.keys or row["owner_hmac"] != secret.of_owner(
        row["key_id"], participant_id, body.owner
    ):
        return AliasOfAnotherCustomer()
    return answer_of(await replace_record(conn, row["alias_id"], record))


async def release(conn: Connection, participant_id: int, alias_id: uuid.UUID) -> None:
    """Forget an alias, or hand it over to the bank that claims it. Raises `NotFound`.

    It costs as much as a miss: else a bank could register and release numbers to learn who is registered.
    """
    budget = await open_budget(conn, caller_name(participant_id))
    budget.require(OF_BANKS)
    row = await conn.fetchrow(
        "SELECT alias_id FROM directory_aliases WHERE alias_id = $1 AND participant_id = $2 FOR UPDATE",
        alias_id,
        participant_id,
    )
    if row is None:
        raise NotFound("alias")
    await charge(conn, budget, OF_BANKS, OF_BANKS.miss)
    if not await hand_over(conn, alias_id):
        await conn.execute("DELETE FROM directory_aliases WHERE alias_id = $1", alias_id)


async def claim(
    conn: Connection, secret: DirectorySecret, participant_id: int, body: ClaimBody, now: datetime
) -> dict[str, Any] | FlorinError:
    """Claim another bank's alias for a customer who has just shown that it is theirs. Safe to repeat.

    It costs as much as a miss; `AliasUnknown` is an answer that was paid for. Raises what `make_claim`
    does, `AliasUnreadable`, `AddressNotOfParticipant` and `VerificationNotRecent`.
    """
    alias = read_alias(body.alias)
    verified_at = require_recent(body.verified_at_s, now)
    await require_own_address(conn, participant_id, body.address)
    budget = await open_budget(conn, caller_name(participant_id))
    budget.require(OF_BANKS)
    await charge(conn, budget, OF_BANKS, OF_BANKS.miss)
    row = await lock_alias(conn, secret, alias)
    if row is None:
        return AliasUnknown()
    if row["participant_id"] == participant_id:
        raise AliasOfAnotherCustomer
    return await make_claim(conn, row, Record.of(secret, participant_id, alias, body), verified_at)


async def look_up(
    conn: Connection, secret: DirectorySecret, participant_id: int, body: LookupBody
) -> dict[str, Any] | FlorinError:
    """Whom an alias pays, or `AliasUnknown` or `LookupBudgetExhausted` as the answer: both are paid for.

    Hit and miss do the same work, so that the time tells nothing. Raises `AliasUnreadable`.
    """
    alias = read_alias(body.alias)
    budget = await open_budget(conn, caller_name(participant_id))
    try:
        budget.require(OF_BANKS)
    except LookupBudgetExhausted as exhausted:
        return exhausted
    row = await find_alias(conn, secret, alias)
    match = _match_of(secret, row, alias, body.payee_name)
    await charge(conn, budget, OF_BANKS, OF_BANKS.hit if row else OF_BANKS.miss)
    lookup_id = uuid.uuid4()
    await conn.execute(
        f"DELETE FROM directory_lookups WHERE looked_up_at < now() - interval '{_REMEMBERED}'"  # noqa: S608
    )
    await conn.execute(
        "INSERT INTO directory_lookups (lookup_id, participant_id, is_hit) VALUES ($1, $2, $3)",
        lookup_id,
        participant_id,
        row is not None,
    )
    if row is None:
        return AliasUnknown()
    return {
        "lookup_id": str(lookup_id),
        "participant_id": row["participant_id"],
        "address": address_text(row["address"]),
        "masked_name": row["masked_name"],
        "name_match": match,
    }


async def refund(
    conn: Connection, participant_id: int, lookup_id: uuid.UUID, body: PaidBody
) -> dict[str, bool]:
    """Give the cost of a hit back for the payment that it led to, once. Safe to repeat.

    A payment refunds one look-up only. Raises `NotFound` for a look-up that is another's, too old, or missed.
    """
    row = await conn.fetchrow(
        """SELECT payment_id FROM directory_lookups
            WHERE lookup_id = $1 AND participant_id = $2 AND is_hit FOR UPDATE""",
        lookup_id,
        participant_id,
    )
    if row is None:
        raise NotFound("look-up")
    if row["payment_id"] is not None:
        return {"is_refunded": row["payment_id"] == body.payment_id}
    try:
        async with conn.transaction():
            await conn.execute(
                "UPDATE directory_lookups SET payment_id = $2, transaction_hash = $3 WHERE lookup_id = $1",
                lookup_id,
                body.payment_id,
                bytes.fromhex(body.transaction_hash[2:]),
            )
    except asyncpg.UniqueViolationError:
        return {"is_refunded": False}
    await give_back(conn, caller_name(participant_id), OF_BANKS, OF_BANKS.hit)
    return {"is_refunded": True}


async def require_own_address(conn: Connection, participant_id: int, address: bytes) -> None:
    """Raise `AddressNotOfParticipant` unless the final chain has the address with this participant."""
    keeper = await conn.fetchval("SELECT participant FROM chain_accounts WHERE address = $1", address)
    if keeper != participant_id:
        raise AddressNotOfParticipant


def answer_of(row: Any) -> dict[str, Any]:
    """An alias's row as its bank sees it."""
    return {
        "alias_id": str(row["alias_id"]),
        "kind": row["kind"],
        "masked_name": row["masked_name"],
        "registered_at": row["registered_at"].isoformat(),
    }


def _match_of(secret: DirectorySecret, row: Any, alias: Alias, payee_name: str | None) -> str | None:
    """Whether the name is the payee's; where there is none, the same work with nobody's."""
    if payee_name is None:
        return None
    key_id = row["key_id"] if row else secret.present_key_id
    given = secret.of_name(key_id, keys_of(payee_name))
    held = name_of(row) if row else secret.of_name(key_id, keys_of(alias.kind))
    return compare(given, held)
