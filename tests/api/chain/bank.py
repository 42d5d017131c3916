"""A bank as its features drive it: holds and intents in one transaction, then relay and indexer by hand."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from api.chain.booking import Books
from api.chain.deployment import open_cursor
from api.chain.indexer import Indexer
from api.chain.outbox import (
    PaymentIntent,
    Registration,
    TransactionIntent,
    enqueue_payments,
    enqueue_registrations,
    enqueue_transaction,
)
from api.chain.reconciliation import Reconciliation
from api.chain.relay import Relay
from api.chain.signer_client import SignerClient
from api.database import connect_pool, transaction
from api.ledger.chart import BankChart, code_of, open_accounts, open_chart
from api.ledger.journal import Entry, Hold, Leg, Posting
from contracts.abi import AccountFlag, encode_burn, encode_mint
from tests.api.chain.operator import mine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from api.chain.deployment import Deployment
    from api.chain.rpc import RpcClient
    from api.database import Connection, Pool

OWN_BANK = 1
OTHER_BANK = 2
CONFIRMATIONS = 6
CURRENCY = "CZK"


@dataclass(frozen=True)
class Wallet:
    """A customer's wallet and the deposit account behind it."""

    wallet_id: UUID
    account_id: int
    deposit_id: int | None
    address: bytes = b""


class Bank:
    """One bank's books, its relay and its indexer."""

    def __init__(
        self, pool: Pool, rpc: RpcClient, signer: SignerClient, deployment: Deployment, chart: BankChart
    ) -> None:
        self.pool, self.rpc, self.signer, self.deployment, self.chart = pool, rpc, signer, deployment, chart
        self.books = Books(chart, OWN_BANK)
        self.institution = b""
        self._next_index = 0
        self.restart()

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, database_url: str, chain_url: str, rpc: RpcClient, deployment: Deployment, socket: Path
    ) -> AsyncIterator[Bank]:
        """The bank with open accounts and a cursor."""
        pool = await connect_pool(database_url)
        async with SignerClient(socket) as signer:
            async with transaction(pool) as connection:
                await open_cursor(connection, rpc, deployment)
                chart = await open_chart(connection, "bank", CURRENCY)
            bank = cls(pool, rpc, signer, deployment, chart)
            bank.institution = (await signer.keys()).named["institution"]
            yield bank
        await pool.close()

    def restart(self) -> None:
        """Everything that lives in memory is gone, as after a kill."""
        self.reconciliation = Reconciliation(self.pool, self.rpc, self.deployment, self.books)
        self.indexer = Indexer(
            self.pool,
            self.rpc,
            self.deployment,
            self.books,
            confirmations=CONFIRMATIONS,
            on_final=self.reconciliation.touch,
        )
        self.relay = Relay(self.pool, self.rpc, self.signer, self.deployment)
        self.relay.head_stale_s = self.relay.gather_s = 0.0

    # ------------------------------------------------------------------------------------------ time

    async def relay_all(self) -> None:
        """Let the relay do everything that it can do now."""
        while await self.relay.run_once():
            pass

    async def step(self) -> None:
        """Relay, one block, indexer."""
        await self.relay_all()
        await mine(self.rpc)
        await self.indexer.run_once()

    async def finish(self) -> None:
        """Until what the outbox holds now is final."""
        await self.step()
        for _ in range(40):
            if not await self.open_intents():
                break
            await self.step()
        await mine(self.rpc, CONFIRMATIONS)
        await self.indexer.run_once()
        assert not await self.open_intents()

    async def finish_again(self) -> None:
        """As `finish`, after the chain has forgotten what it was sent."""
        self.relay.submitting.forget_broadcasts()
        await self.finish()

    async def open_intents(self) -> int:
        """What is not decided yet."""
        count: int = await self.pool.fetchval(
            """SELECT (SELECT count(*) FROM outbox_payments WHERE state IN ('queued', 'batched'))
                    + (SELECT count(*) FROM chain_transactions WHERE state IN ('prepared', 'signed'))
                    + (SELECT count(*) FROM outbox_registrations r
                        WHERE registered_block IS NULL AND refusal IS NULL
                          AND NOT EXISTS (SELECT FROM chain_accounts n WHERE n.address = r.address))"""
        )
        return count

    # ------------------------------------------------------------------------------------------ customers

    async def open_wallets(self, count: int, *, deposit_minor: int = 0, tier: int = 1) -> list[Wallet]:
        """Wallets with linked deposit accounts, registered and final."""
        async with transaction(self.pool) as connection:
            wallets = await self.add_wallets(connection, count, deposit_minor, tier)
        await self.finish()
        rows = await self.pool.fetch("SELECT wallet_id, address FROM outbox_registrations")
        addresses = {row["wallet_id"]: row["address"] for row in rows}
        return [
            Wallet(each.wallet_id, each.account_id, each.deposit_id, addresses[each.wallet_id])
            for each in wallets
        ]

    async def add_wallets(
        self,
        connection: Connection,
        count: int,
        deposit_minor: int,
        tier: int,
        credentials: Sequence[str | None] = (),
    ) -> list[Wallet]:
        indices = range(self._next_index, self._next_index + count)
        self._next_index += count
        deposits = await open_accounts(
            connection, "deposit", [code_of("deposit", i) for i in indices], CURRENCY
        )
        accounts = await open_accounts(
            connection, "wallet", [code_of("wallet", i) for i in indices], CURRENCY
        )
        wallets = [
            Wallet(uuid.uuid4(), account, deposit)
            for account, deposit in zip(accounts, deposits, strict=True)
        ]
        if deposit_minor:
            posting = await Posting.open(connection, [self.chart.reserves, *deposits])
            for deposit in deposits:
                legs = (
                    Leg(self.chart.reserves, CURRENCY, deposit_minor),
                    Leg(deposit, CURRENCY, -deposit_minor),
                )
                posting.post(Entry("opening_deposit", f"opening:{deposit}", None, legs))
            await posting.write()
        await enqueue_registrations(
            connection,
            [
                Registration(
                    each.wallet_id,
                    index,
                    tier,
                    int(AccountFlag.LINKED),
                    each.account_id,
                    each.deposit_id,
                    credential,
                )
                for each, index, credential in zip(
                    wallets, indices, credentials or [None] * count, strict=True
                )
            ],
        )
        return wallets

    # ------------------------------------------------------------------------------------------ money

    async def mint(self, amount_minor: int) -> UUID:
        """Hold reserves and ask for currency."""
        return await self._supply("mint", encode_mint(amount_minor), self.chart.reserves, amount_minor)

    async def burn(self, amount_minor: int) -> UUID:
        """Hold inventory and return it."""
        return await self._supply("burn", encode_burn(amount_minor), self.chart.inventory, amount_minor)

    async def _supply(self, kind: str, data: bytes, account_id: int, amount_minor: int) -> UUID:
        transaction_id = uuid.uuid4()
        async with transaction(self.pool) as connection:
            posting = await Posting.open(connection, [account_id])
            posting.reserve(Hold(account_id, amount_minor, transaction_id))
            await posting.write()
            await enqueue_transaction(
                connection, TransactionIntent(transaction_id, "institution", kind, data)
            )
        return transaction_id

    async def fund(self, wallet: Wallet, amount_minor: int) -> UUID:
        """Hold deposit and inventory, and enqueue the funding."""
        intent = PaymentIntent(uuid.uuid4(), "funding", None, self.institution, wallet.address, amount_minor)
        await self._accept([intent], [self._funding_holds(intent, wallet)])
        return intent.payment_id

    async def pay(self, payer: Wallet, payee: bytes, amount_minor: int, from_deposit_minor: int = 0) -> UUID:
        """Hold the wallet, and for a shortfall deposit and inventory; enqueue funding and payment."""
        payment_id = uuid.uuid4()
        intents = [PaymentIntent(payment_id, "payment", None, payer.address, payee, amount_minor)]
        holds: list[list[Hold]] = []
        if amount_minor > from_deposit_minor:
            holds.append([Hold(payer.account_id, amount_minor - from_deposit_minor, payment_id)])
        if from_deposit_minor:
            funding = PaymentIntent(
                uuid.uuid4(), "funding", payment_id, self.institution, payer.address, from_deposit_minor
            )
            intents.insert(0, funding)
            holds.append(self._funding_holds(funding, payer))
        await self._accept(intents, holds)
        return payment_id

    async def redeem(self, wallet: Wallet, amount_minor: int) -> UUID:
        """Hold the wallet and enqueue the redemption."""
        intent = PaymentIntent(
            uuid.uuid4(), "redemption", None, wallet.address, self.institution, amount_minor
        )
        await self._accept([intent], [[Hold(wallet.account_id, amount_minor, intent.payment_id)]])
        return intent.payment_id

    def _funding_holds(self, intent: PaymentIntent, wallet: Wallet) -> list[Hold]:
        assert wallet.deposit_id is not None
        return [
            Hold(wallet.deposit_id, intent.amount_minor, intent.payment_id),
            Hold(self.chart.inventory, intent.amount_minor, intent.payment_id),
        ]

    async def _accept(self, intents: list[PaymentIntent], holds: list[list[Hold]]) -> None:
        wanted = [hold for group in holds for hold in group]
        async with transaction(self.pool) as connection:
            posting = await Posting.open(connection, [hold.account_id for hold in wanted])
            for hold in wanted:
                posting.reserve(hold)
            await posting.write()
            await enqueue_payments(connection, intents)

    # ------------------------------------------------------------------------------------------ answers

    async def posted(self, account_id: int) -> int:
        """An account's posted balance."""
        return await self.pool.fetchval(
            "SELECT posted_minor FROM ledger_balances WHERE account_id = $1", account_id
        )  # type: ignore[no-any-return]

    async def held(self, account_id: int) -> int:
        """What is held on an account."""
        return await self.pool.fetchval(
            "SELECT held_minor FROM ledger_balances WHERE account_id = $1", account_id
        )  # type: ignore[no-any-return]

    async def state(self, payment_id: UUID) -> tuple[str, str | None]:
        """A payment's state and outcome."""
        row = await self.pool.fetchrow(
            "SELECT state, outcome_code FROM outbox_payments WHERE payment_id = $1", payment_id
        )
        assert row is not None
        return row["state"], row["outcome_code"]

    async def on_chain(self, address: bytes) -> int:
        """A balance at the chain's head."""
        from contracts.abi import decode_uint, encode_balance_of

        return decode_uint(await self.rpc.call_contract(self.deployment.contract, encode_balance_of(address)))

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """What must not change when nothing new happened."""
        tables = {
            "ledger_balances": "account_id", "ledger_entries": "id", "ledger_holds": "id",
            "ledger_hold_resolutions": "hold_id", "chain_accounts": "address", "chain_tiers": "tier",
            "chain_participants": "participant", "chain_currency": "singleton",
            "chain_supply_history": "participant, block_number", "chain_order_holds": "address, order_id",
            "outbox_payments": "seq", "chain_receipts": "seq",
        }  # fmt: skip
        return {
            table: [tuple(row) for row in await self.pool.fetch(f"SELECT * FROM {table} ORDER BY {order}")]
            for table, order in tables.items()
        }

    async def assert_reconciled(self) -> None:
        """Books and chain agree to the minor unit, account by account."""
        self.reconciliation.touch(
            {row["address"] for row in await self.pool.fetch("SELECT address FROM chain_accounts")}
        )
        reconciled = await self.reconciliation.run_once()
        assert reconciled is not None
        assert reconciled.is_reconciled, reconciled
        assert await self.pool.fetchval("SELECT count(*) FROM chain_freezes") == 0
