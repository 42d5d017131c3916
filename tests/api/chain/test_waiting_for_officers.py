"""What a policy gives officers to approve waits, and goes on when they have.

A call: it stays prepared, without fees; the same key's later calls wait behind it, in their order
A payment: it stays queued and others are settled; so does a payment whose funding waits
Refused by officers: a call is refused and a payment has failed, and nothing is held any more
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from api.chain.errors import SignerUnavailable
from api.chain.signer_client import SignerClient
from api.database import transaction
from api.ledger.chart import open_accounts
from api.ledger.journal import Entry, Leg, Posting
from scripts.country.officers import Officer
from scripts.country.quorum import OfficersDesk
from tests.api.chain.bank import CURRENCY, Bank
from tests.api.chain.conftest import POLICIES, running_signer
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from api.chain.rpc import RpcClient
    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database

NAMES = ("first", "second")


@asynccontextmanager
async def officered(
    tmp_path: Path, chain: Chain, rpc: RpcClient, keys: SignerHome, database: Database, rule: str
) -> AsyncIterator[tuple[Bank, OfficersDesk, list[Officer]]]:
    """A bank whose signer asks two officers under the rule of this name."""
    officers = [Officer.open(tmp_path / "officers", name) for name in NAMES]
    listed = "".join(f"\n  - {{name: {each.name}, key: '{each.policy_key}'}}" for each in officers)
    text = POLICIES.joinpath("no-proof.yaml").read_text()
    assert f"  - name: {rule}\n" in text
    text = text.replace(f"  - name: {rule}\n", f"  - name: {rule}\n    quorum: both\n")
    both = "{name: both, approvals: 2, officers: [first, second], valid_s: 3600}"
    text += f"\nofficers:{listed}\nquorums:\n  - {both}\n"
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    async with (
        running_signer(tmp_path / "node", chain.deployment, keys, policy) as socket,
        OfficersDesk(tmp_path / "node" / "o.sock") as desk,
        Bank.opened(database.app_url, chain.url, rpc, chain.deployment, socket) as bank,
    ):
        yield bank, desk, officers


async def hold_reserves(bank: Bank) -> None:
    """Reserves to mint against: a customer's deposit brought them."""
    async with transaction(bank.pool) as connection:
        (deposit,) = await open_accounts(connection, "deposit", ["deposit:reserves"], CURRENCY)
        legs = (Leg(bank.chart.reserves, CURRENCY, 5_000), Leg(deposit, CURRENCY, -5_000))
        posting = await Posting.open(connection, [bank.chart.reserves, deposit])
        posting.post(Entry("opening_deposit", "opening:reserves", None, legs))
        await posting.write()


async def approve_all(desk: OfficersDesk, officers: list[Officer]) -> int:
    operations = await desk.operations()
    for operation in operations:
        for officer in officers:
            await desk.approve(operation, officer)
    return len(operations)


async def test_a_payment_waits_for_officers_while_others_are_settled(
    tmp_path: Path, chain: Chain, rpc: RpcClient, signer_home: SignerHome, database: Database
) -> None:
    async with officered(tmp_path, chain, rpc, signer_home, database, "customers-pay-anyone") as (
        bank,
        desk,
        officers,
    ):
        payer, payee = await funded(bank, 2, 50_000)
        waiting = await bank.pay(payer, payee.address, 20_000)
        other = await bank.fund(payee, 1_000)
        for _ in range(2):
            await bank.step()
        assert await bank.state(waiting) == ("queued", None)
        assert await bank.held(payer.account_id) == 20_000
        assert await bank.pool.fetchval("SELECT state FROM outbox_payments WHERE payment_id = $1", other) == (
            "batched"
        )
        assert await approve_all(desk, officers) == 1
        await bank.finish()
        assert await bank.state(waiting) == await bank.state(other) == ("final", None)
        assert await bank.posted(payee.account_id) == 71_000
        await bank.assert_reconciled()


async def test_a_payment_that_officers_refuse_has_failed_once_its_time_is_over(
    tmp_path: Path, chain: Chain, rpc: RpcClient, signer_home: SignerHome, database: Database
) -> None:
    async with officered(tmp_path, chain, rpc, signer_home, database, "customers-pay-anyone") as (
        bank,
        desk,
        officers,
    ):
        payer, payee = await funded(bank, 2, 50_000)
        waiting = await bank.pay(payer, payee.address, 20_000)
        await bank.step()
        (operation,) = await desk.operations()
        await desk.withdraw(operation, officers[0])
        assert await desk.operations() == []
        await bank.relay_all()
        await bank.rpc.call("evm_increaseTime", 1_000)
        await bank.finish()
        assert await bank.state(waiting) == ("failed", "OperationWithdrawn")
        assert await bank.held(payer.account_id) == 0
        await bank.assert_reconciled()


async def test_calls_of_a_key_wait_in_their_order(
    tmp_path: Path, chain: Chain, rpc: RpcClient, signer_home: SignerHome, database: Database
) -> None:
    async with officered(tmp_path, chain, rpc, signer_home, database, "participant-calls") as (
        bank,
        desk,
        officers,
    ):
        await hold_reserves(bank)
        first, second = await bank.mint(1_000), await bank.mint(2_000)
        await bank.relay_all()
        waiting = await bank.pool.fetch(
            "SELECT id, state, max_fee_per_gas FROM chain_transactions ORDER BY seq"
        )
        assert [tuple(row) for row in waiting] == [
            (first, "prepared", None),
            (second, "prepared", None),
        ]
        assert [operation.operation_id for operation in await desk.operations()] == [str(first)]
        assert await approve_all(desk, officers) == 1
        await bank.relay_all()
        assert [operation.operation_id for operation in await desk.operations()] == [str(second)]
        assert await approve_all(desk, officers) == 1
        await bank.finish()
        rows = await bank.pool.fetch("SELECT id, nonce, state FROM chain_transactions ORDER BY seq")
        assert [(row["id"], row["state"]) for row in rows] == [(first, "final"), (second, "final")]
        assert rows[0]["nonce"] < rows[1]["nonce"]


async def test_a_call_that_officers_refuse_is_refused_and_the_next_one_goes_on(
    tmp_path: Path, chain: Chain, rpc: RpcClient, signer_home: SignerHome, database: Database
) -> None:
    async with officered(tmp_path, chain, rpc, signer_home, database, "participant-calls") as (
        bank,
        desk,
        officers,
    ):
        await hold_reserves(bank)
        refused, following = await bank.mint(1_000), await bank.mint(2_000)
        await bank.relay_all()
        (operation,) = await desk.operations()
        await desk.withdraw(operation, officers[1])
        await bank.relay_all()
        state = "SELECT state, outcome_code FROM chain_transactions WHERE id = $1"
        assert tuple(await bank.pool.fetchrow(state, refused)) == ("refused", "OperationWithdrawn")
        assert await bank.held(bank.chart.reserves) == 2_000
        assert await approve_all(desk, officers) == 1
        await bank.finish()
        assert tuple(await bank.pool.fetchrow(state, following)) == ("final", None)


async def test_a_caller_that_the_node_does_not_know_loses_nothing(
    tmp_path: Path, chain: Chain, signer_home: SignerHome
) -> None:
    """Who may ask is the node's set-up: it refuses the caller, and not what was asked for."""
    async with (
        running_signer(tmp_path, chain.deployment, signer_home, "no-proof"),
        SignerClient(tmp_path / "o.sock") as officers_door,
    ):
        with pytest.raises(SignerUnavailable, match="CallerNotAllowed"):
            await officers_door.derive([1])
