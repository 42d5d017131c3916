"""Payments from the outbox into stored settlements.

Every step can be the last one before a crash. A queued payment with a `valid_before_s` was asked for and is
asked for again with the same attempt and time, so the signer gives the same bytes; a batched payment belongs
to exactly one stored transaction, which is never replaced by another.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from api.chain.alarms import frozen_flows
from api.chain.batching import (
    MAX_RECORDS,
    QueuedPayment,
    choose_batch,
    encode_settlement,
    list_accounts,
    max_records,
    settle_gas,
)
from api.chain.failures import fail_queued, give_up_asked
from api.chain.signer_client import PaymentToSign, PendingPayment, RefusedPayment, SignedPayment
from api.database import run_in_transaction, transaction
from contracts.batch import MAX_AMOUNT_MINOR, Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from api.chain.deployment import Deployment
    from api.chain.rpc import Header
    from api.chain.signer_client import SignerClient
    from api.database import Connection, Pool

INSTITUTION_KEY: Final = "institution"

_QUEUED = """
SELECT o.payment_id, o.kind, o.serves_payment_id, o.payer, o.payee, o.amount_minor, o.attempt,
       o.valid_before_s, COALESCE(a.next_nonce, 0) AS nonce_floor, o.proof
  FROM outbox_payments o LEFT JOIN chain_accounts a ON a.address = o.payer
 WHERE o.state = 'queued' AND o.payment_id <> ALL($2::uuid[]) ORDER BY o.seq LIMIT $1
"""

_ASK = """
UPDATE outbox_payments
   SET attempt = CASE WHEN valid_before_s IS NULL THEN attempt ELSE attempt + 1 END, valid_before_s = $2
 WHERE payment_id = ANY($1::uuid[]) AND state = 'queued' AND valid_before_s IS DISTINCT FROM $2
RETURNING payment_id, attempt
"""

_BATCHED = """
UPDATE outbox_payments o
   SET state = 'batched', transaction_id = $1, record_index = signed.record_index, nonce = signed.nonce
  FROM unnest($3::uuid[], $4::int[], $5::bigint[]) AS signed (payment_id, record_index, nonce)
 WHERE o.payment_id = signed.payment_id AND o.state = 'queued' AND o.valid_before_s = $2
"""


class PaymentsMoved(Exception):
    """Queued payments changed under the relay: it looks again."""


class Settling:
    """Turns queued payments into one prepared settlement at a time."""

    def __init__(
        self, pool: Pool, signer: SignerClient, deployment: Deployment, *, sends_access_lists: bool
    ) -> None:
        self._pool = pool
        self._signer = signer
        self._deployment = deployment
        self._sends_access_lists = sends_access_lists

    async def count_queued(self) -> int:
        """How many payments wait, up to one full batch."""
        count: int = await self._pool.fetchval(
            "SELECT count(*) FROM (SELECT FROM outbox_payments WHERE state = 'queued' LIMIT $1) q",
            MAX_RECORDS,
        )
        return count

    async def prepare(self, head: Header) -> UUID | None:
        """Sign the leading queued payments and store them as one prepared settlement; its id, or None when
        there was nothing to settle or settlement is frozen. Payments that the signer refuses have failed
        afterwards, or will when no earlier signature of theirs can execute any more."""
        limit = max_records(head.limit_gas)
        waiting: set[UUID] = set()
        while True:
            async with transaction(self._pool) as connection:
                if "settle" in await frozen_flows(connection):
                    return None
                queued = [
                    QueuedPayment(*row) for row in await connection.fetch(_QUEUED, limit, list(waiting))
                ]
            if not queued:
                return None
            too_large = [each.payment_id for each in queued if each.amount_minor > MAX_AMOUNT_MINOR]
            if too_large:
                await self._fail(dict.fromkeys(too_large, "AmountTooLarge"))
                continue
            valid_before_s, chosen = choose_batch(queued, head.time_s, limit)
            signed = await self._sign(chosen, valid_before_s, waiting)
            if not signed:
                continue
            try:
                return await self._store(signed, valid_before_s)
            except PaymentsMoved:
                continue

    async def _sign(
        self, chosen: Sequence[QueuedPayment], valid_before_s: int, waiting: set[UUID]
    ) -> list[tuple[QueuedPayment, SignedPayment]]:
        """Fundings first: a payment whose funding the signer refuses is then never asked for.

        What waits for officers joins `waiting`, and with it what such a funding is to serve.
        """
        fundings = [each for each in chosen if each.kind == "funding"]
        others = [each for each in chosen if each.kind != "funding"]
        signed = await self._ask(fundings, valid_before_s, waiting)
        served = {each.serves_payment_id for each in fundings if each.payment_id in waiting}
        waiting |= {each.payment_id for each in others if each.payment_id in served}
        others = [each for each in others if each.payment_id not in served]
        signed |= await self._ask(others, valid_before_s, waiting)
        return [(each, signed[each.payment_id]) for each in chosen if each.payment_id in signed]

    async def _ask(
        self, payments: Sequence[QueuedPayment], valid_before_s: int, waiting: set[UUID]
    ) -> dict[UUID, SignedPayment]:
        """Write the time down, then ask. What is refused fails, at once or when its time has passed."""
        if not payments:
            return {}
        attempts = await self._note_attempts(payments, valid_before_s)
        asked = [each for each in payments if each.payment_id in attempts]
        if not asked:
            return {}
        results = await self._signer.sign_payments(
            self._deployment.chain_id,
            self._deployment.contract,
            self._deployment.domain_name,
            valid_before_s,
            [
                PaymentToSign(
                    each.payment_id, attempts[each.payment_id], each.payer, each.payee, each.amount_minor,
                    each.nonce_floor, each.proof,
                )
                for each in asked
            ],
        )  # fmt: skip
        waiting |= {each.payment_id for each in results if isinstance(each, PendingPayment)}
        refused = {each.payment_id: each.code for each in results if isinstance(each, RefusedPayment)}
        if refused:
            new = {each.payment_id for each in asked if each.valid_before_s is None}
            await self._fail({payment: code for payment, code in refused.items() if payment in new})
            await self._give_up({payment: code for payment, code in refused.items() if payment not in new})
        return {each.payment_id: each for each in results if isinstance(each, SignedPayment)}

    async def _note_attempts(self, payments: Sequence[QueuedPayment], valid_before_s: int) -> dict[UUID, int]:
        """The attempt of each payment that is still queued, after its time has been written down."""
        fresh = [each.payment_id for each in payments if each.valid_before_s != valid_before_s]
        again = [each for each in payments if each.valid_before_s == valid_before_s]
        attempts = {each.payment_id: each.attempt for each in again}
        if fresh:
            async with transaction(self._pool) as connection:
                rows = await connection.fetch(_ASK, fresh, valid_before_s)
            attempts |= {row["payment_id"]: row["attempt"] for row in rows}
        return attempts

    async def _store(
        self, signed: Sequence[tuple[QueuedPayment, SignedPayment]], valid_before_s: int
    ) -> UUID:
        """The transaction and its records as it has placed them, in one database transaction."""
        payments = [
            (
                queued.payer,
                Record(queued.payee, queued.amount_minor, signature.nonce, signature.r, signature.vs),
            )
            for queued, signature in signed
        ]
        data, order = encode_settlement(payments, valid_before_s)
        listed = list_accounts(payments, data) if self._sends_access_lists else b""
        placed = [signed[index] for index in order]
        transaction_id = uuid.uuid4()
        async with transaction(self._pool) as connection:
            await connection.execute(
                """INSERT INTO chain_transactions
                          (id, key_name, kind, data, listed_accounts, gas, valid_before_s)
                   VALUES ($1, $2, 'settle', $3, $4, $5, $6)""",
                transaction_id, INSTITUTION_KEY, data, listed, settle_gas(len(signed)), valid_before_s,
            )  # fmt: skip
            updated = await connection.execute(
                _BATCHED,
                transaction_id,
                valid_before_s,
                [queued.payment_id for queued, _ in placed],
                list(range(len(placed))),
                [signature.nonce for _, signature in placed],
            )
            if updated != f"UPDATE {len(signed)}":
                raise PaymentsMoved
        return transaction_id

    async def _fail(self, codes: dict[UUID, str]) -> None:
        async def work(connection: Connection) -> None:
            await fail_queued(connection, codes)

        if codes:
            await run_in_transaction(self._pool, work)

    async def _give_up(self, codes: dict[UUID, str]) -> None:
        if codes:
            async with transaction(self._pool) as connection:
                await give_up_asked(connection, codes)
