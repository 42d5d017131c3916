"""Final blocks into the database.

Projection, outbox, journal and cursor, in one transaction for a range of blocks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.chain.alarms import add_to_case, freeze, open_case
from api.chain.booking import Booking, Outcomes
from api.chain.errors import ChainMoved
from api.chain.failures import FINAL_CHANNEL, stopped_by_failure
from api.chain.matching import BatchedPayment, Executed, Refused, match_settlement
from api.chain.postings import Case
from api.chain.projection import Projection
from api.chain.taken_addresses import open_cases_of_taken, release_reverted
from api.database import run_in_transaction
from contracts.abi import AccountRegistered, BatchSettled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from api.chain.booking import Books
    from api.chain.reading import FinalRange, OwnTransaction
    from api.database import Connection, Pool

logger = logging.getLogger(__name__)

_HARMLESS_REVERTS = frozenset({"CurrencyPaused", "BatchExpired"})


@dataclass(slots=True)
class _Matched:
    executed: list[Executed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


async def make_final(pool: Pool, books: Books, blocks: FinalRange) -> Projection:
    """Apply a range of blocks once; whoever comes second raises `ChainMoved` and changes nothing."""

    async def work(connection: Connection) -> Projection:
        return await _make_final(connection, books, blocks)

    return await run_in_transaction(pool, work)


async def _make_final(connection: Connection, books: Books, blocks: FinalRange) -> Projection:
    final = await connection.fetchval("SELECT final_number FROM chain_cursor FOR UPDATE")
    if final != blocks.blocks[0].number - 1:
        raise ChainMoved(f"block {final} is final already, the range starts at {blocks.blocks[0].number}")
    matched = await _match(connection, blocks.own)
    await _close_transactions(connection, blocks.own)
    outcomes = await _outcomes(connection, blocks, matched)

    payers = {each.payment.payer for each in matched.executed} | {
        each.payment.payer for each in matched.refused
    }
    projection = await Projection.load(connection, blocks.events, payers)
    institutions = {participant: row.institution for participant, row in projection.participants.items()}
    keepers = {address: row.participant for address, row in projection.accounts.items()}
    projection.apply(blocks.events, {each.number: each.time_s for each in blocks.blocks}, blocks.moved_nonces)
    _raise_nonces(projection, matched)
    await projection.save(connection)
    await _close_registrations(connection, books.participant, blocks)
    cases = await _failures(connection, books.participant, blocks.own)

    cases += await Booking(
        connection=connection,
        books=books,
        blocks=blocks,
        outcomes=outcomes,
        projection=projection,
        institutions=institutions,
        keepers=keepers,
    ).write()
    await _close_payments(connection, outcomes)
    for case in cases:
        await (add_to_case if case.adds_up else open_case)(connection, case.kind, **case.detail)
        if case.freezes is not None:
            await freeze(connection, case.freezes, f"{case.kind}: see the open cases")
    await connection.execute(
        "UPDATE chain_cursor SET final_number = $1, final_hash = $2, final_time_s = $3",
        blocks.last.number,
        blocks.last.hash,
        blocks.last.time_s,
    )
    await connection.execute("SELECT pg_notify($1, $2)", FINAL_CHANNEL, str(blocks.last.number))
    return projection


async def _match(connection: Connection, own: Sequence[OwnTransaction]) -> _Matched:
    """Which payments the settlements of this range executed, and which they skipped."""
    settled = [each for each in own if each.kind == "settle" and each.code is None]
    matched = _Matched()
    if not settled:
        return matched
    rows = await _records(connection, settled, "state = 'batched' AND")
    announced = sum(
        event.records for each in settled for event in each.events if isinstance(event, BatchSettled)
    )
    if len(rows) != announced:
        rows = await _records(connection, settled, "")  # some were given up before: they are still theirs
    records: dict[UUID, list[BatchedPayment]] = {each.id: [] for each in settled}
    for row in rows:
        records[row[0]].append(BatchedPayment(*row[1:]))
    for each in settled:
        executed, refused = match_settlement(each.id, records[each.id], each.events)
        matched.executed += executed
        matched.refused += refused
    return matched


async def _records(
    connection: Connection, settled: Sequence[OwnTransaction], which: str
) -> list[asyncpg.Record]:
    return await connection.fetch(
        f"""SELECT transaction_id, payment_id, kind, serves_payment_id, payer, payee, amount_minor, nonce,
                   record_index, state
              FROM outbox_payments WHERE {which} transaction_id = ANY($1::uuid[])
             ORDER BY transaction_id, record_index""",  # noqa: S608 - one of two literals above
        [each.id for each in settled],
    )


async def _close_transactions(connection: Connection, own: Sequence[OwnTransaction]) -> None:
    """Note how own transactions ended. A reverted settlement's records stay batched until they expire."""
    if not own:
        return
    await connection.execute(
        """
        UPDATE chain_transactions t
           SET state = CASE WHEN ended.code IS NULL THEN 'final' ELSE 'reverted' END, outcome_code =
           ended.code, hash = ended.hash, included_block = ended.block, final_block = ended.block
          FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::text[]) AS ended (id, hash, block, code)
         WHERE t.id = ended.id
        """,
        [each.id for each in own],
        [each.hash for each in own],
        [each.block_number for each in own],
        [each.code for each in own],
    )


async def _failures(connection: Connection, participant: int, own: Sequence[OwnTransaction]) -> list[Case]:
    """The cases of own transactions that reverted, and what they stop.

    A registration's wallets wait for another one, which comes without a person where all that was wrong is
    that another participant had registered some of them first.
    """
    reverted = [each.id for each in own if each.code is not None and each.kind == "register"]
    tried_again = await release_reverted(connection, participant, reverted)
    return [
        Case(
            "TransactionReverted",
            {"transaction_id": str(each.id), "kind": each.kind, "code": each.code},
            freezes=stopped_by_failure(each.kind),
        )
        for each in own
        if each.code is not None
        and not (each.kind == "settle" and each.code in _HARMLESS_REVERTS)
        and each.id not in tried_again
    ]


async def _outcomes(connection: Connection, blocks: FinalRange, matched: _Matched) -> Outcomes:
    """What became of payments: final, refused on chain, expired, or left without their funding."""
    outcomes = Outcomes(executed=matched.executed)
    for refused in matched.refused:
        payment_id = refused.payment.payment_id
        if refused.reason.consumes_nonce or refused.reason.name == "NonceUsed":
            outcomes.failed[payment_id] = (refused.reason.name, refused.block_number)
        else:
            outcomes.undecided[payment_id] = refused.reason.name
    executed = [each.payment.payment_id for each in matched.executed]
    # every block before the last one's time has been looked through: what did not execute by now never will
    rows = await connection.fetch(
        """
        SELECT o.payment_id,
               COALESCE(o.outcome_code, NULLIF(t.outcome_code, 'BatchExpired'), 'Expired') AS code
          FROM outbox_payments o LEFT JOIN chain_transactions t ON t.id = o.transaction_id
         WHERE o.state = 'batched' AND o.valid_before_s <= $1 AND NOT o.payment_id = ANY($2::uuid[])
         ORDER BY o.seq FOR NO KEY UPDATE OF o
        """,
        blocks.last.time_s,
        [*executed, *outcomes.failed],
    )
    for row in rows:
        code = outcomes.undecided.pop(row["payment_id"], row["code"])
        outcomes.failed[row["payment_id"]] = (code, blocks.last.number)
    return outcomes


def _raise_nonces(projection: Projection, matched: _Matched) -> None:
    for executed in matched.executed:
        projection.raise_nonce(executed.payment.payer, executed.payment.nonce + 1)
    for refused in matched.refused:
        if refused.reason.consumes_nonce:
            projection.raise_nonce(refused.payment.payer, refused.payment.nonce + 1)


async def _close_payments(connection: Connection, outcomes: Outcomes) -> None:
    closed = [
        (each.payment.payment_id, "final", None, each.transfer.block_number) for each in outcomes.executed
    ] + [(payment_id, "failed", code, block) for payment_id, (code, block) in outcomes.failed.items()]
    if closed:
        await connection.execute(
            """
            UPDATE outbox_payments o
               SET state = closed.state, outcome_code = closed.code, final_block = closed.block,
                   final_at = clock_timestamp(),
                   closed_by = CASE WHEN closed.state = 'failed' THEN pg_current_xact_id() END
              FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[])
                   AS closed (payment_id, state, code, block)
             WHERE o.payment_id = closed.payment_id
            """,
            *[list(column) for column in zip(*closed, strict=True)],
        )
    if outcomes.undecided:
        await connection.execute(
            """UPDATE outbox_payments o SET outcome_code = skipped.code
                 FROM unnest($1::uuid[], $2::text[]) AS skipped (payment_id, code)
                WHERE o.payment_id = skipped.payment_id""",
            list(outcomes.undecided),
            list(outcomes.undecided.values()),
        )


async def _close_registrations(connection: Connection, participant: int, blocks: FinalRange) -> None:
    """Note which wallets this participant has on chain now, and which another one had first."""
    registered = [event for event in blocks.events if isinstance(event, AccountRegistered)]
    own = {each.account: each.block_number for each in registered if each.participant == participant}
    if own:
        await connection.execute(
            """UPDATE outbox_registrations r SET registered_block = seen.block
                 FROM unnest($1::bytea[], $2::bigint[]) AS seen (address, block)
                WHERE r.address = seen.address AND r.registered_block IS NULL""",
            list(own),
            list(own.values()),
        )
    others = {each.account for each in registered if each.participant != participant}
    if others:
        await open_cases_of_taken(connection, participant, others)
