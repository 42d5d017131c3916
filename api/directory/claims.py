"""An alias moves to another bank: the new bank claims it, the former one answers or lets the time pass.

The new bank's customer has shown with a one-time code that the alias is theirs. The former bank sees the
claim (`GET /v1/directory/claims`) and has three days. It consents by releasing the alias, or contests with a
newer word of its own customer; if it says nothing, the new bank completes the claim.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from api.directory.errors import (
    AliasHasClaim,
    AliasOfAnotherCustomer,
    ClaimClosed,
    ClaimTooEarly,
    VerificationNotRecent,
)
from api.directory.records import Record, replace_record
from api.errors import NotFound

if TYPE_CHECKING:
    from api.database import Connection

WAITING: Final = timedelta(days=3)
RECENT: Final = timedelta(minutes=10)
_AHEAD: Final = timedelta(seconds=30)  # clocks differ


def require_recent(verified_at_s: int, now: datetime) -> datetime:
    """The moment of a customer's word. Raises `VerificationNotRecent`."""
    verified_at = datetime.fromtimestamp(min(verified_at_s, 2**34), UTC)
    if not now - RECENT <= verified_at <= now + _AHEAD:
        raise VerificationNotRecent
    return verified_at


async def make_claim(conn: Connection, row: Any, record: Record, verified_at: datetime) -> dict[str, Any]:
    """Claim an alias, whose row is locked, for another bank. A claim that is open stays as it is.

    Raises `AliasHasClaim` where a third bank was first, `AliasOfAnotherCustomer` where another customer was.
    """
    known = await conn.fetchrow(
        "SELECT * FROM directory_claims WHERE alias_id = $1 AND state = 'open' FOR UPDATE", row["alias_id"]
    )
    if known is not None:
        if known["claimant_id"] != record.participant_id:
            raise AliasHasClaim
        if Record.from_json(known["content"]).owner_hmac != record.owner_hmac:
            raise AliasOfAnotherCustomer
        return claim_answer(known)
    made = await conn.fetchrow(
        """INSERT INTO directory_claims
                  (claim_id, alias_id, claimant_id, former_id, content, verified_at, waits_until)
           VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval) RETURNING *""",
        uuid.uuid4(),
        row["alias_id"],
        record.participant_id,
        row["participant_id"],
        record.as_json(),
        verified_at,
        WAITING,
    )
    return claim_answer(made)


async def complete(conn: Connection, claimant_id: int, claim_id: uuid.UUID) -> dict[str, Any]:
    """The time has passed without an answer: the alias is the new bank's. Safe to repeat.

    Raises `NotFound`, `ClaimClosed` and `ClaimTooEarly`.
    """
    claim = await _locked(conn, claim_id, claimant_id=claimant_id)
    if claim["state"] == "done":
        return claim_answer(claim)
    if claim["state"] != "open":
        raise ClaimClosed(claim["state"])
    if await conn.fetchval("SELECT $1 > clock_timestamp()", claim["waits_until"]):
        raise ClaimTooEarly(claim["waits_until"])
    await hand_over(conn, claim["alias_id"])
    return claim_answer(await _locked(conn, claim_id, claimant_id=claimant_id))


async def withdraw(conn: Connection, claimant_id: int, claim_id: uuid.UUID) -> dict[str, Any]:
    """The new bank takes its claim back. Safe to repeat. Raises `NotFound` and `ClaimClosed`."""
    claim = await _locked(conn, claim_id, claimant_id=claimant_id)
    return await _close(conn, claim, "withdrawn")


async def contest(
    conn: Connection, former_id: int, claim_id: uuid.UUID, verified_at: datetime
) -> dict[str, Any]:
    """The former bank's customer still has the alias: it stays. Safe to repeat.

    Raises `NotFound`, `ClaimClosed`, and `VerificationNotRecent` for a word that is older than the claim's.
    """
    claim = await _locked(conn, claim_id, former_id=former_id)
    if claim["state"] == "open" and verified_at <= claim["verified_at"]:
        raise VerificationNotRecent
    return await _close(conn, claim, "contested")


async def claims_of(conn: Connection, participant_id: int) -> dict[str, Any]:
    """The newest claims that a bank made, and those against it."""
    rows = await conn.fetch(
        """SELECT * FROM directory_claims WHERE claimant_id = $1 OR former_id = $1
            ORDER BY made_at DESC, claim_id LIMIT 200""",
        participant_id,
    )
    return {"claims": [claim_answer(row) for row in rows]}


async def hand_over(conn: Connection, alias_id: uuid.UUID) -> bool:
    """Give an alias to the bank that claims it; false where none does."""
    content = await conn.fetchval(
        """UPDATE directory_claims SET state = 'done', decided_at = now()
            WHERE alias_id = $1 AND state = 'open' RETURNING content""",
        alias_id,
    )
    if content is None:
        return False
    await replace_record(conn, alias_id, Record.from_json(content))
    return True


async def _locked(
    conn: Connection, claim_id: uuid.UUID, *, claimant_id: int | None = None, former_id: int | None = None
) -> Any:
    """A claim, with its alias locked before it (the order of every verb). Raises `NotFound`."""
    await conn.execute(
        """SELECT 1 FROM directory_aliases
            WHERE alias_id = (SELECT alias_id FROM directory_claims WHERE claim_id = $1) FOR UPDATE""",
        claim_id,
    )
    row = await conn.fetchrow(
        """SELECT * FROM directory_claims
            WHERE claim_id = $1 AND (claimant_id = $2 OR former_id = $3) FOR UPDATE""",
        claim_id,
        claimant_id,
        former_id,
    )
    if row is None:
        raise NotFound("claim")
    return row


async def _close(conn: Connection, claim: Any, state: str) -> dict[str, Any]:
    if claim["state"] == state:
        return claim_answer(claim)
    if claim["state"] != "open":
        raise ClaimClosed(claim["state"])
    return claim_answer(
        await conn.fetchrow(
            """UPDATE directory_claims SET state = $2, decided_at = now()
                WHERE claim_id = $1 RETURNING *""",
            claim["claim_id"],
            state,
        )
    )


def claim_answer(row: Any) -> dict[str, Any]:
    """A claim's row as the two banks see it."""
    return {
        "claim_id": str(row["claim_id"]),
        "alias_id": str(row["alias_id"]),
        "state": row["state"],
        "claimant_id": row["claimant_id"],
        "former_id": row["former_id"],
        "made_at": row["made_at"].isoformat(),
        "waits_until": row["waits_until"].isoformat(),
    }
