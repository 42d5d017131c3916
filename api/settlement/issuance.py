"""A bank's side of central-bank money: minting within its allowance, and returning (burning) its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from api.chain.errors import FlowFrozen
from api.chain.outbox import TransactionIntent, enqueue_transaction
from api.ledger.balances import read_balances
from api.ledger.journal import Hold, Posting
from api.settlement import queries
from api.settlement.errors import (
    InsufficientInventory,
    InsufficientReserves,
    MintAllowanceExceeded,
)
from contracts.abi import encode_burn, encode_mint

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.institution import Institution

INSTITUTION_KEY: Final = "institution"


async def mint(
    conn: Connection, institution: Institution, issuance_id: uuid.UUID, amount_minor: int
) -> dict[str, Any]:
    """Hold the bank's reserves and mint as much to its own account.

    Raises `MintAllowanceExceeded`, `InsufficientReserves` and `FlowFrozen`.
    """
    chart = institution.bank_chart
    await _require_flowing(conn)
    posting = await Posting.open(conn, [chart.reserves])  # the lock also makes mintings take turns
    allowed, pending = await queries.mint_allowance(conn, institution.settings.participant_id)
    if amount_minor > allowed - pending:
        raise MintAllowanceExceeded(max(0, allowed - pending), amount_minor)
    available = posting.available(chart.reserves)
    if amount_minor > available:
        raise InsufficientReserves(available, amount_minor)
    posting.reserve(Hold(chart.reserves, amount_minor, issuance_id))
    await posting.write()
    return await _send(conn, institution, issuance_id, "mint", amount_minor)


async def return_to_central_bank(
    conn: Connection, institution: Institution, issuance_id: uuid.UUID, amount_minor: int
) -> dict[str, Any]:
    """Hold the bank's own digital currency and burn it. Raises `InsufficientInventory` and `FlowFrozen`."""
    chart = institution.bank_chart
    await _require_flowing(conn)
    posting = await Posting.open(conn, [chart.inventory])
    available = posting.available(chart.inventory)
    if amount_minor > available:
        raise InsufficientInventory(available, amount_minor)
    posting.reserve(Hold(chart.inventory, amount_minor, issuance_id))
    await posting.write()
    return await _send(conn, institution, issuance_id, "burn", amount_minor)


async def allowance(conn: Connection, institution: Institution) -> dict[str, Any]:
    """What this bank may still mint, and what it could mint and return."""
    chart = institution.bank_chart
    allowed, pending = await queries.mint_allowance(conn, institution.settings.participant_id)
    balances = await read_balances(conn, [chart.reserves, chart.inventory])
    return {
        "allowance_minor": allowed,
        "pending_minor": pending,
        "available_minor": max(0, allowed - pending),
        "reserves_available_minor": balances[chart.reserves].available_minor,
        "inventory_available_minor": balances[chart.inventory].available_minor,
    }


async def _send(
    conn: Connection,
    institution: Institution,
    issuance_id: uuid.UUID,
    kind: Literal["mint", "burn"],
    amount_minor: int,
) -> dict[str, Any]:
    participant_id = institution.settings.participant_id
    call = encode_mint(amount_minor) if kind == "mint" else encode_burn(amount_minor)
    await conn.execute(
        "INSERT INTO issuances (id, kind, participant_id, amount_minor) VALUES ($1, $2, $3, $4)",
        issuance_id,
        "mint" if kind == "mint" else "return",
        participant_id,
        amount_minor,
    )
    await enqueue_transaction(conn, TransactionIntent(issuance_id, INSTITUTION_KEY, kind, call))
    return {
        "issuance_id": str(issuance_id),
        "participant_id": participant_id,
        "amount_minor": amount_minor,
        "state": "accepted",
    }


async def _require_flowing(conn: Connection) -> None:
    reason = await queries.freeze_reason(conn, "issuance")
    if reason is not None:
        raise FlowFrozen("issuance", reason)
