"""The central bank's terms: tiers, participants, accounts of the system.

Saying the same again changes and sends nothing.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from api.addresses import address_text
from api.chain.outbox import TransactionIntent, enqueue_transaction
from api.ledger.chart import code_of, open_accounts
from api.settlement import queries
from api.settlement.errors import (
    AccountOfAnotherParticipant,
    AddressHasOwner,
    InstitutionHoldsMoney,
    InstitutionRestricted,
    PerPaymentAboveHoldingLimit,
    TierNotSet,
)
from contracts.abi import AccountFlag, encode_set_participant, encode_set_tier
from contracts.memberships import encode_set_system_account

if TYPE_CHECKING:
    from api.database import Connection
    from api.institution import Institution
    from api.settlement.schemas import ParticipantBody, TierBody

GOVERNOR_KEY: Final = "governor"
_SELECTOR_AND_ID_BYTES: Final = 4 + 32
_RESTRICTED: Final = AccountFlag.FROZEN | AccountFlag.HAS_HOLD | AccountFlag.SUSPENDED


async def set_tier(conn: Connection, tier: int, body: TierBody) -> dict[str, Any]:
    """Ask the chain for a tier's limits. Raises `PerPaymentAboveHoldingLimit`."""
    limits = (body.holding_limit_minor, body.per_payment_limit_minor, body.daily_limit_minor)
    if body.per_payment_limit_minor > body.holding_limit_minor:
        raise PerPaymentAboveHoldingLimit(body.per_payment_limit_minor, body.holding_limit_minor)
    await _take_turns(conn, f"tier {tier}")
    is_final = (await queries.tiers(conn)).get(tier) == limits
    state = await _request(conn, "set_tier", encode_set_tier(tier, *limits), is_final=is_final)
    return _tier_answer(tier, limits, state)


async def tiers(conn: Connection) -> dict[str, Any]:
    """The tiers that are final on chain."""
    known = await queries.tiers(conn)
    return {"tiers": [_tier_answer(tier, limits, "final") for tier, limits in known.items()]}


async def set_participant(
    conn: Connection, institution: Institution, participant_id: int, body: ParticipantBody
) -> dict[str, Any]:
    """Make a bank a participant, or change it: its reserves account here, its account and tiers on chain.

    Raises `TierNotSet`, `AccountOfAnotherParticipant`, `AddressHasOwner`, `InstitutionRestricted` and
    `InstitutionHoldsMoney`: the chain would refuse it, or money would be nobody's.
    """
    await _take_turns(conn, "participants")
    await _require_tier(conn, body.tier)
    owner = await queries.participant_at(conn, body.institution_address)
    if owner is not None and owner != participant_id:
        raise AccountOfAnotherParticipant(owner)
    await _require_free(conn, participant_id, body.institution_address)
    balance_minor, flags = await queries.replaced_account(conn, participant_id, body.institution_address)
    if flags & _RESTRICTED:
        raise InstitutionRestricted()
    if balance_minor:
        raise InstitutionHoldsMoney(balance_minor)
    code = code_of("reserves_of", participant_id)
    (account_id,) = await open_accounts(conn, "reserves_of", [code], institution.settings.currency)
    await conn.execute(
        """INSERT INTO participants (id, name, institution_address, tier, tier_mask, reserves_account_id)
           VALUES ($1, $2, $3, $4, $5::text::numeric, $6)
           ON CONFLICT (id) DO UPDATE
              SET name = excluded.name, institution_address = excluded.institution_address,
                  tier = excluded.tier, tier_mask = excluded.tier_mask""",
        participant_id,
        body.name,
        body.institution_address,
        body.tier,
        str(body.tier_mask),
        account_id,
    )
    wanted = (body.institution_address, body.tier, body.tier_mask)
    is_final = await queries.participant_on_chain(conn, participant_id) == wanted
    call = encode_set_participant(participant_id, *wanted)
    state = await _request(conn, "set_participant", call, is_final=is_final)
    return _participant_answer(await queries.participant(conn, participant_id), state)


async def participants(conn: Connection) -> dict[str, Any]:
    """The participants as they were asked for, and whether that is final."""
    answers = []
    for row in await queries.participants(conn):
        wanted = (row["institution_address"], row["tier"], int(row["tier_mask"]))
        is_final = await queries.participant_on_chain(conn, row["id"]) == wanted
        answers.append(_participant_answer(row, "final" if is_final else "requested"))
    return {"participants": answers}


async def set_system_account(conn: Connection, address: bytes, tier: int) -> dict[str, Any]:
    """Make a contract's address an account of the system, which is paid by its own calls alone.

    Settlement needs one before a participant can deposit. Raises `TierNotSet` and `AddressHasOwner`.
    """
    await _take_turns(conn, "participants")
    await _require_tier(conn, tier)
    owner = await queries.participant_at(conn, address)
    known = await queries.account_on_chain(conn, address)
    if owner is None and known is not None and not known[2] & AccountFlag.SYSTEM:
        owner = known[0]
    if owner is not None:
        raise AddressHasOwner(address_text(address), owner)
    is_final = known is not None and known[1] == tier
    call = encode_set_system_account(address, tier)
    state = await _request(conn, "set_system_account", call, is_final=is_final)
    return _system_account_answer(address, tier, state)


async def system_accounts(conn: Connection) -> dict[str, Any]:
    """The system's accounts that are final on chain."""
    known = await queries.system_accounts(conn)
    return {"system_accounts": [_system_account_answer(address, tier, "final") for address, tier in known]}


async def _take_turns(conn: Connection, subject: str) -> None:
    """One change of one subject at a time, so that each sees what the one before it asked for."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"florin settlement {subject}"
    )


async def _require_free(conn: Connection, participant_id: int, address: bytes) -> None:
    """Raise `AddressHasOwner` for an account of another participant's customer or of the system."""
    known = await queries.account_on_chain(conn, address)
    if known is not None and (known[0] != participant_id or known[2] & AccountFlag.SYSTEM):
        raise AddressHasOwner(address_text(address), known[0])
    about = encode_set_system_account(address, 0)[:_SELECTOR_AND_ID_BYTES]
    if await queries.last_pending_call(conn, "set_system_account", about) is not None:
        raise AddressHasOwner(address_text(address), 0)


async def _require_tier(conn: Connection, tier: int) -> None:
    """Raise `TierNotSet` unless the tier was set, or is being set by a call that goes first."""
    known = tier in await queries.tiers(conn)
    if (
        not known
        and await queries.last_pending_call(
            conn, "set_tier", encode_set_tier(tier, 0, 0, 0)[:_SELECTOR_AND_ID_BYTES]
        )
        is None
    ):
        raise TierNotSet(tier)


async def _request(conn: Connection, kind: str, call: bytes, *, is_final: bool) -> str:
    """Enqueue the call unless the chain has, or the newest pending call asks for, the same."""
    pending = await queries.last_pending_call(conn, kind, call[:_SELECTOR_AND_ID_BYTES])
    if pending == call or (pending is None and is_final):
        return "final" if pending is None else "requested"
    await enqueue_transaction(conn, TransactionIntent(uuid.uuid4(), GOVERNOR_KEY, kind, call))
    return "requested"


def _tier_answer(tier: int, limits: tuple[int, int, int], state: str) -> dict[str, Any]:
    holding, per_payment, daily = limits
    return {
        "tier": tier,
        "holding_limit_minor": holding,
        "per_payment_limit_minor": per_payment,
        "daily_limit_minor": daily,
        "state": state,
    }


def _system_account_answer(address: bytes, tier: int, state: str) -> dict[str, Any]:
    return {"address": address_text(address), "tier": tier, "state": state}


def _participant_answer(row: Any, state: str) -> dict[str, Any]:
    return {
        "participant_id": row["id"],
        "name": row["name"],
        "institution_address": address_text(row["institution_address"]),
        "tier": row["tier"],
        "tier_mask": int(row["tier_mask"]),
        "state": state,
    }
