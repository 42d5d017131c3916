"""The central bank's books: circulation against the reserves that were held when the allowance was raised.

issuance
├── an approval holds the participant's reserves until it mints
├── a minting in parts uses approvals up in their order and keeps the rest held
├── a return gives the reserves back
├── an approval that reverts holds nothing
└── an allowance that nobody here raised is a case
settlement
└── holds a bank's money once the governor made it an account of the system, and the books agree
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from api.chain.booking import Books
from api.chain.deployment import Deployment, open_cursor
from api.chain.indexer import Indexer
from api.chain.outbox import TransactionIntent, enqueue_transaction
from api.chain.reconciliation import Reconciliation
from api.chain.relay import Relay
from api.chain.signer_client import SignerClient
from api.database import Pool, transaction
from api.ledger.chart import CentralBankChart, code_of, open_accounts, open_chart
from api.ledger.journal import Entry, Hold, Leg, Posting
from contracts.abi import (
    encode_approve,
    encode_burn,
    encode_increase_mint_allowance,
    encode_mint,
    encode_set_participant,
    encode_set_tier,
)
from contracts.memberships import encode_set_system_account
from contracts.settlement import encode_deposit, settlement_creation_code
from contracts.transactions import contract_address
from tests.api.chain.bank import CONFIRMATIONS, CURRENCY
from tests.api.chain.conftest import ROLES, Chain, deploy, make_signer_home, running_signer
from tests.api.chain.operator import Operator, mine, succeed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from api.chain.rpc import RpcClient

BANK = 7


class CentralBank:
    """A central bank whose keys hold the roles of a currency of its own."""

    def __init__(
        self,
        pool: Pool,
        rpc: RpcClient,
        deployment: Deployment,
        chart: CentralBankChart,
        *,
        signer: SignerClient,
    ) -> None:
        self.pool, self.rpc, self.deployment, self.chart = pool, rpc, deployment, chart
        books = Books(chart, 0)
        self.indexer = Indexer(pool, rpc, deployment, books, confirmations=CONFIRMATIONS)
        self.relay = Relay(pool, rpc, signer, deployment)
        self.relay.head_stale_s = 0.0
        self.reconciliation = Reconciliation(pool, rpc, deployment, books)
        self.bank = Operator("a bank of the central bank's")
        self.reserves = 0

    async def call(self, key: str, kind: str, data: bytes) -> UUID:
        """Enqueue a call of one of the roles."""
        transaction_id = uuid.uuid4()
        async with transaction(self.pool) as connection:
            await enqueue_transaction(connection, TransactionIntent(transaction_id, key, kind, data))
        return transaction_id

    async def approve(self, amount_minor: int, participant: int = BANK) -> UUID:
        """Hold reserves and raise the allowance."""
        transaction_id = uuid.uuid4()
        async with transaction(self.pool) as connection:
            posting = await Posting.open(connection, [self.reserves])
            posting.reserve(Hold(self.reserves, amount_minor, transaction_id))
            await posting.write()
            data = encode_increase_mint_allowance(participant, amount_minor)
            intent = TransactionIntent(transaction_id, "issuer", "increase_mint_allowance", data)
            await enqueue_transaction(connection, intent)
        return transaction_id

    async def finish(self) -> None:
        """Relay, and make final."""
        while await self.relay.run_once():
            await mine(self.rpc)
            await self.indexer.run_once()
        await mine(self.rpc, CONFIRMATIONS)
        await self.indexer.run_once()

    async def bank_does(self, data: bytes) -> None:
        """The bank's own call, final."""
        await succeed(self.rpc, await self.bank.send(self.rpc, self.deployment.contract, data))
        await self.finish()

    async def balance(self, account_id: int) -> tuple[int, int]:
        """(posted, held)."""
        row = await self.pool.fetchrow(
            "SELECT posted_minor, held_minor FROM ledger_balances WHERE account_id = $1", account_id
        )
        assert row is not None
        return row["posted_minor"], row["held_minor"]

    async def open_holds(self) -> list[tuple[UUID, int]]:
        """What is held, by approval."""
        rows = await self.pool.fetch(
            """SELECT business_id, amount_minor FROM ledger_holds h
                WHERE NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id) ORDER BY id"""
        )
        return [(row[0], row[1]) for row in rows]


@pytest.fixture
async def central_bank(
    chain: Chain, rpc: RpcClient, pool: Pool, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CentralBank]:
    """A central bank with one participant that has a million of reserves."""
    keys = make_signer_home(tmp_path_factory.mktemp("central-bank"), list(ROLES))
    roles = {name: keys.secrets.named[name].address for name in ROLES}
    for address in (*roles.values(), Operator("a bank of the central bank's").address):
        await rpc.call("anvil_setBalance", "0x" + address.hex(), hex(10**21))
    deployment = await deploy(rpc, chain.operators, list(roles.values()))
    async with contextlib.AsyncExitStack() as stack:
        socket = await stack.enter_async_context(
            running_signer(tmp_path / "signer", deployment, keys, "no-quorum")
        )
        signer = await stack.enter_async_context(SignerClient(socket))
        async with transaction(pool) as connection:
            await open_cursor(connection, rpc, deployment)
            chart = await open_chart(connection, "central_bank", CURRENCY)
        opened = CentralBank(pool, rpc, deployment, chart, signer=signer)
        await opened.call("governor", "set_tier", encode_set_tier(9, 10**15, 10**15, 2**64 - 1))
        await opened.call(
            "governor", "set_participant", encode_set_participant(BANK, opened.bank.address, 9, 0b110)
        )
        await opened.finish()
        async with transaction(pool) as connection:
            (opened.reserves,) = await open_accounts(
                connection, "reserves_of", [code_of("reserves_of", BANK)], CURRENCY
            )
            posting = await Posting.open(connection, [chart.assets, opened.reserves])
            legs = (Leg(chart.assets, CURRENCY, 1_000_000), Leg(opened.reserves, CURRENCY, -1_000_000))
            posting.post(Entry("reserve_deposit", "reserves:1", None, legs))
            await posting.write()
        yield opened


async def test_tiers_and_participants_are_projected(central_bank: CentralBank) -> None:
    row = await central_bank.pool.fetchrow(
        "SELECT participant, institution, tier_mask::bigint FROM chain_participants"
    )
    assert tuple(row) == (BANK, central_bank.bank.address, 0b110)
    assert await central_bank.pool.fetchval("SELECT tier FROM chain_tiers") == 9


async def test_a_minting_in_parts_uses_approvals_up_in_their_order(central_bank: CentralBank) -> None:
    first, second = await central_bank.approve(300_000), await central_bank.approve(200_000)
    await central_bank.finish()
    assert await central_bank.balance(central_bank.reserves) == (1_000_000, 500_000)

    await central_bank.bank_does(encode_mint(100_000))
    assert await central_bank.balance(central_bank.reserves) == (900_000, 400_000)
    assert await central_bank.balance(central_bank.chart.circulation) == (100_000, 0)
    assert await central_bank.open_holds() == [(second, 200_000), (first, 200_000)]

    await central_bank.bank_does(encode_mint(250_000))
    assert await central_bank.balance(central_bank.reserves) == (650_000, 150_000)
    assert await central_bank.open_holds() == [(second, 150_000)]

    await central_bank.bank_does(encode_mint(150_000))
    assert await central_bank.balance(central_bank.reserves) == (500_000, 0)
    assert await central_bank.balance(central_bank.chart.circulation) == (500_000, 0)
    reconciled = await central_bank.reconciliation.run_once()
    assert reconciled.is_reconciled
    assert {check.name for check in reconciled.checks} == {"supply", "circulation", "accounts"}


async def test_a_return_gives_the_reserves_back(central_bank: CentralBank) -> None:
    await central_bank.approve(300_000)
    await central_bank.finish()
    await central_bank.bank_does(encode_mint(300_000))

    await central_bank.bank_does(encode_burn(120_000))

    assert await central_bank.balance(central_bank.reserves) == (820_000, 0)
    assert await central_bank.balance(central_bank.chart.circulation) == (180_000, 0)
    assert (await central_bank.reconciliation.run_once()).is_reconciled


async def test_an_approval_that_reverts_holds_nothing(central_bank: CentralBank) -> None:
    approval = await central_bank.approve(300_000, participant=BANK + 1)

    await central_bank.finish()

    assert await central_bank.balance(central_bank.reserves) == (1_000_000, 0)
    row = await central_bank.pool.fetchrow(
        "SELECT state, outcome_code FROM chain_transactions WHERE id = $1", approval
    )
    assert tuple(row) == ("reverted", "UnknownParticipant")


async def test_an_allowance_that_nobody_here_raised_is_a_case(
    central_bank: CentralBank, rpc: RpcClient
) -> None:
    # the issuer's key signs outside of the outbox: as a thief of the signer's credentials would
    async with transaction(central_bank.pool) as connection:
        data = encode_increase_mint_allowance(BANK, 5_000)
        await enqueue_transaction(
            connection, TransactionIntent(uuid.uuid4(), "issuer", "increase_mint_allowance", data)
        )
    await central_bank.relay.run_once()
    await mine(rpc)
    await central_bank.pool.execute(
        "UPDATE chain_transactions SET hash = NULL WHERE kind = 'increase_mint_allowance'"
    )
    await central_bank.finish()

    assert await central_bank.pool.fetchval("SELECT kind FROM chain_cases") == "UnapprovedAllowance"
    assert await central_bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"


async def test_settlement_holds_money_once_it_is_an_account_of_the_system(central_bank: CentralBank) -> None:
    rpc, bank = central_bank.rpc, central_bank.bank
    await central_bank.approve(300_000)
    await central_bank.finish()
    await central_bank.bank_does(encode_mint(300_000))
    settlement = contract_address(bank.address, await rpc.transaction_count(bank.address))
    creation = settlement_creation_code(central_bank.deployment.contract, bank.address)
    await succeed(rpc, await bank.send(rpc, None, creation, gas=15_000_000))
    await central_bank.bank_does(encode_approve(settlement, 2**256 - 1))
    refused = await bank.send(rpc, settlement, encode_deposit(100_000))
    await mine(rpc)
    (receipt,) = await rpc.receipts([refused])
    assert receipt is not None
    assert not receipt.is_success

    await central_bank.call("governor", "set_system_account", encode_set_system_account(settlement, 9))
    await central_bank.finish()
    await succeed(rpc, await bank.send(rpc, settlement, encode_deposit(100_000)))
    await central_bank.finish()

    held = await central_bank.pool.fetchval(
        "SELECT balance_minor FROM chain_accounts WHERE address = $1", settlement
    )
    assert held == 100_000
    assert (await central_bank.reconciliation.run_once()).is_reconciled
