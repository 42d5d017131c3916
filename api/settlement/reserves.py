"""The central bank's side of money: reserve deposits, and approvals to mint against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.chain.errors import FlowFrozen
from api.chain.outbox import TransactionIntent, enqueue_transaction
from api.ledger.errors import InsufficientAvailable
from api.ledger.journal import Entry, Hold, Leg, Posting
from api.settlement import queries
from api.settlement.errors import InsufficientReserves, ParticipantNotFinal, UnknownParticipant
from contracts.abi import encode_increase_mint_allowance

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.institution import Institution

ISSUER_KEY: Final = "issuer"


async def deposit_reserves(
    conn: Connection, institution: Institution, deposit_id: uuid.UUID, participant_id: int, amount_minor: int
) -> dict[str, Any]:
    """Book reserves that a participant brings: Dr assets, Cr reserves. Raises `UnknownParticipant`."""
    account_id = await _reserves_account(conn, participant_id)
    chart, currency = institution.central_bank_chart, institution.settings.currency
    posting = await Posting.open(conn, [chart.assets, account_id])
    legs = (Leg(chart.assets, currency, amount_minor), Leg(account_id, currency, -amount_minor))
    posting.post(Entry("reserve_deposit", f"reserve-deposit:{deposit_id}", deposit_id, legs))
    written = await posting.write()
    await conn.execute(
        "INSERT INTO reserve_deposits (id, participant_id, amount_minor, entry_id) VALUES ($1, $2, $3, $4)",
        deposit_id,
        participant_id,
        amount_minor,
        written.entry_ids[0],
    )
    return {
        "reserve_deposit_id": str(deposit_id),
        "participant_id": participant_id,
        "amount_minor": amount_minor,
        "reserves_minor": posting.posted(account_id),
    }


async def approve_issuance(
    conn: Connection, issuance_id: uuid.UUID, participant_id: int, amount_minor: int
) -> dict[str, Any]:
    """Hold a participant's reserves and raise its minting allowance by as much.

    Raises `UnknownParticipant`, `ParticipantNotFinal` (the chain would refuse the call for good),
    `InsufficientReserves` and `FlowFrozen`.
    """
    account_id = await _reserves_account(conn, participant_id)
    if await queries.participant_on_chain(conn, participant_id) is None:
        raise ParticipantNotFinal(participant_id)
    reason = await queries.freeze_reason(conn, "issuance")
    if reason is not None:
        raise FlowFrozen("issuance", reason)
    posting = await Posting.open(conn, [account_id])
    try:
        posting.reserve(Hold(account_id, amount_minor, issuance_id))
    except InsufficientAvailable as lack:
        raise InsufficientReserves(lack.available_minor, amount_minor) from lack
    await posting.write()
    await conn.execute(
        "INSERT INTO issuances (id, kind, participant_id, amount_minor) VALUES ($1, 'approval', $2, $3)",
        issuance_id,
        participant_id,
        amount_minor,
    )
    call = encode_increase_mint_allowance(participant_id, amount_minor)
    await enqueue_transaction(
        conn, TransactionIntent(issuance_id, ISSUER_KEY, "increase_mint_allowance", call)
    )
    return {
        "issuance_id": str(issuance_id),
        "participant_id": participant_id,
        "amount_minor": amount_minor,
        "state": "accepted",
    }


async def _reserves_account(conn: Connection, participant_id: int) -> int:
    row = await queries.participant(conn, participant_id)
    if row is None:
        raise UnknownParticipant(participant_id)
    account_id: int = row["reserves_account_id"]
    return account_id
