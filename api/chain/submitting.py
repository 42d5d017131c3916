"""Stored transactions onto the chain: ask for the signature, store the bytes, then broadcast, and again until
final.

The bytes of a transaction are in the database before anybody else can see them. After a crash, a
reorganisation or lost blocks the same bytes are sent again; a transaction that waits because fees rose is
signed again under its nonce with a higher fee, and all of its hashes stay known, because any of them may be
mined.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from api.chain.alarms import flow_of, freeze, frozen_flows, open_case
from api.chain.batching import OTHER_GAS, max_fee, priority_fee, raised_fee
from api.chain.errors import ApprovalPending, NonceGap, RpcRefused, SignerRefused
from api.chain.failures import refuse_transaction
from api.chain.signer_client import SignedTransaction, TransactionToSign
from api.database import run_in_transaction, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from api.chain.deployment import Deployment
    from api.chain.rpc import Header, RpcClient
    from api.chain.signer_client import SignerClient
    from api.database import Connection, Pool

logger = logging.getLogger(__name__)

REBROADCAST_S: Final = 4.0
MAX_REBROADCAST: Final = 64
_ALREADY_KNOWN: Final = ("already known", "already imported", "known transaction", "already in the mempool")
_NONCE_USED: Final = ("nonce too low", "nonce is too low", "already used", "oldnonce")

_STORE = """
UPDATE chain_transactions
   SET state = 'signed', nonce = $2, hash = $3, raw = $4, max_fee_per_gas = $5,
       replaced_hashes = CASE WHEN hash IS NULL OR hash = $3 THEN replaced_hashes
                              ELSE replaced_hashes || hash END
 WHERE id = $1 AND state IN ('prepared', 'signed')
"""


class Submitting:
    """Brings every prepared transaction onto the chain, in order, and keeps it there until it is final."""

    def __init__(self, pool: Pool, rpc: RpcClient, signer: SignerClient, deployment: Deployment) -> None:
        self._pool = pool
        self._rpc = rpc
        self._signer = signer
        self._deployment = deployment
        self._senders: dict[str, bytes] = {}
        self._sent_at: dict[UUID, float] = {}

    async def submit_prepared(self, head: Header) -> int:
        """Sign, store and broadcast the transactions that wait, in order; how many.

        A key's calls keep their order: behind one that officers have not approved yet, the others wait.
        """
        rows = await self._pool.fetch(
            """SELECT id, key_name, kind, data, listed_accounts, gas, valid_before_s, max_fee_per_gas
                 FROM chain_transactions
                WHERE state = 'prepared' ORDER BY seq LIMIT 100"""
        )
        if not rows:
            return 0
        frozen = await frozen_flows(self._pool)
        stored: list[tuple[UUID, bytes]] = []
        unapproved: set[str] = set()
        for row in rows:
            if row["key_name"] in unapproved:
                continue
            # one that was asked for may have its nonce already: holding it back would block all that follow
            # it
            if row["max_fee_per_gas"] is None and flow_of(row["kind"]) in frozen:
                continue
            try:
                raw = await self._sign_and_store(row, head)
            except ApprovalPending as pending:
                logger.info("transaction %s: %s", row["id"], pending.sentence)
                unapproved.add(row["key_name"])
                await self._ask_anew(row["id"])
                continue
            if raw is not None:
                stored.append((row["id"], raw))
        await self._broadcast(stored)
        return len(stored)

    async def _sign_and_store(self, row: asyncpg.Record, head: Header) -> bytes | None:
        expires = row["valid_before_s"]
        if row["max_fee_per_gas"] is None and expires is not None and expires <= head.time_s:
            await self._refuse(row, "BatchExpired", "its time passed before it was signed")
            return None
        fee = row["max_fee_per_gas"] or max_fee(head.base_fee)
        gas = row["gas"] or OTHER_GAS
        async with transaction(self._pool) as connection:
            await connection.execute(
                """UPDATE chain_transactions SET max_fee_per_gas = $2, gas = $3
                    WHERE id = $1 AND state = 'prepared'""",
                row["id"],
                fee,
                gas,
            )
        try:
            signed = await self._sign(row, gas, fee)
        except SignerRefused as refusal:
            if refusal.refusal == "FeeTooHigh":
                await self._await_lower_fees(row["id"], refusal.detail)
            else:
                await self._refuse(row, refusal.refusal, refusal.detail)
            return None
        await self._store(row["id"], signed, fee)
        return signed.raw

    async def is_waiting_for_fees(self) -> bool:
        """Whether a settlement could not be signed for its fee: more of them would only expire beside it."""
        is_waiting: bool = await self._pool.fetchval(
            """SELECT EXISTS (SELECT FROM chain_transactions
                WHERE state = 'prepared' AND kind = 'settle' AND max_fee_per_gas IS NULL)"""
        )
        return is_waiting

    async def _await_lower_fees(self, transaction_id: UUID, detail: str) -> None:
        """Fees pass."""
        logger.warning("transaction %s waits for lower fees: %s", transaction_id, detail)
        await self._ask_anew(transaction_id)

    async def _ask_anew(self, transaction_id: UUID) -> None:
        """Nothing was signed, so the next look asks anew with what the chain wants then."""
        async with transaction(self._pool) as connection:
            await connection.execute(
                """UPDATE chain_transactions SET max_fee_per_gas = NULL
                    WHERE id = $1 AND state = 'prepared'""",
                transaction_id,
            )

    async def _sign(self, row: asyncpg.Record, gas: int, fee: int) -> SignedTransaction:
        return await self._signer.sign_transaction(
            TransactionToSign(
                transaction_id=row["id"],
                key=row["key_name"],
                chain_id=self._deployment.chain_id,
                to=self._deployment.target_of(row["kind"]),
                data=row["data"],
                gas=gas,
                max_fee_per_gas=fee,
                max_priority_fee_per_gas=priority_fee(fee),
                nonce_floor=await self._nonce_floor(row["key_name"]),
                listed_accounts=row["listed_accounts"],
            )
        )

    async def _store(self, transaction_id: UUID, signed: SignedTransaction, fee: int) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute(_STORE, transaction_id, signed.nonce, signed.hash, signed.raw, fee)

    async def _refuse(self, row: asyncpg.Record, code: str, detail: str) -> None:
        async def work(connection: Connection) -> None:
            await refuse_transaction(connection, row["id"], row["kind"], code, detail)

        await run_in_transaction(self._pool, work)

    async def _nonce_floor(self, key: str) -> int:
        """Above everything that the chain has seen from this key or that is stored here."""
        stored: int | None = await self._pool.fetchval(
            "SELECT max(nonce) FROM chain_transactions WHERE key_name = $1", key
        )
        return max(
            await self._rpc.transaction_count(await self._sender(key)),
            -1 if stored is None else stored + 1,
            0,
        )

    async def _sender(self, key: str) -> bytes:
        if key not in self._senders:
            self._senders = (await self._signer.keys()).named
        return self._senders[key]

    # ------------------------------------------------------------------------------------------ broadcasting

    async def rebroadcast(self, head: Header) -> int:
        """Send again what is signed and in no known block, at most once in four seconds each; how many.

        Raises `NonceGap` when none of it can be mined.
        """
        rows = await self._pool.fetch(
            """SELECT id, key_name, kind, data, listed_accounts, gas, nonce, hash, replaced_hashes, raw,
                      max_fee_per_gas
                 FROM chain_transactions WHERE state = 'signed' AND included_block IS NULL
                ORDER BY key_name, nonce LIMIT $1""",
            MAX_REBROADCAST,
        )
        now = time.monotonic()
        waiting = {row["id"] for row in rows}
        self._sent_at = {each: at for each, at in self._sent_at.items() if each in waiting}
        due = [row for row in rows if now - self._sent_at.get(row["id"], -REBROADCAST_S) >= REBROADCAST_S]
        if not due:
            return 0
        raws = [(row["id"], await self._with_fee(row, head)) for row in due]
        refusals = await self._broadcast(raws)
        for row, refusal in zip(due, refusals, strict=True):
            if refusal is not None and _means(refusal, _NONCE_USED):
                await self._check_consumed(row)
        for key in dict.fromkeys(row["key_name"] for row in due):
            await self._require_no_gap(key)
        return len(due)

    def forget_broadcasts(self) -> None:
        """The chain forgot blocks: send everything again at once."""
        self._sent_at.clear()

    async def _with_fee(self, row: asyncpg.Record, head: Header) -> bytes:
        """The transaction's bytes.

        Signed again with a higher fee when the chain asks for more than it offers.
        """
        raw: bytes = row["raw"]
        if row["max_fee_per_gas"] >= head.base_fee:
            return raw
        fee = raised_fee(row["max_fee_per_gas"], head.base_fee)
        try:
            signed = await self._sign(row, row["gas"], fee)
        except SignerRefused as refusal:
            logger.warning("transaction %s may not offer %d wei: %s", row["id"], fee, refusal)
            return raw
        await self._store(row["id"], signed, fee)
        return signed.raw

    async def _broadcast(self, transactions: Sequence[tuple[UUID, bytes]]) -> list[RpcRefused | None]:
        refusals = await self._rpc.send_raw([raw for _, raw in transactions])
        for (transaction_id, _), refusal in zip(transactions, refusals, strict=True):
            self._sent_at[transaction_id] = time.monotonic()
            if refusal is not None and not _means(refusal, _ALREADY_KNOWN + _NONCE_USED):
                logger.warning("the node refused transaction %s: %s", transaction_id, refusal.message)
        return refusals

    async def _require_no_gap(self, key: str) -> None:
        """The nonce that the chain waits for must be one of ours: what lies above it would wait for ever.

        Settlement stops, so that no more money is held for it. Raises `NonceGap`.
        """
        awaited = await self._rpc.transaction_count(await self._sender(key))
        above = await self._pool.fetchval(
            "SELECT min(nonce) FROM chain_transactions WHERE key_name = $1 AND nonce >= $2", key, awaited
        )
        if above is not None and above > awaited:
            gap = NonceGap(key, awaited)
            async with transaction(self._pool) as connection:
                await freeze(connection, "settle", gap.sentence)
                await open_case(connection, gap.code, key=key, nonce=awaited)
            raise gap

    async def _check_consumed(self, row: asyncpg.Record) -> None:
        """A nonce that a final block consumed for something else will never carry this transaction."""
        final = await self._pool.fetchval("SELECT final_number FROM chain_cursor")
        try:
            consumed = await self._rpc.transaction_count(await self._sender(row["key_name"]), final)
        except RpcRefused:
            return  # the node no longer knows that block's state: later
        if consumed <= row["nonce"]:
            return
        if any(await self._rpc.receipts([row["hash"], *row["replaced_hashes"]])):
            return

        async def work(connection: Connection) -> Any:
            # every block up to `final` was looked through for these hashes before it became final
            still_open = await connection.fetchval(
                """SELECT EXISTS (SELECT FROM chain_transactions
                    WHERE id = $1 AND state = 'signed' AND included_block IS NULL)""",
                row["id"],
            )
            if still_open:
                await refuse_transaction(
                    connection, row["id"], row["kind"], "NonceConsumed", f"nonce {row['nonce']}"
                )

        await run_in_transaction(self._pool, work)


def _means(refusal: RpcRefused, phrases: Sequence[str]) -> bool:
    message = refusal.message.lower()
    return any(phrase in message for phrase in phrases)
