"""The chain changes its mind.

a reorganisation
├── of one to five blocks
│   ├── takes "included" back and the same bytes reach the chain again
│   ├── changes nothing that was final
│   └── across a waterfall books it once
├── that only makes the chain shorter (blocks were lost) is one as well
├── during which a block below the head is not served is waited for, aloud
└── of six blocks reaches a final one
    ├── freezes the indexer and settlement, and opens a case
    └── changes nothing that was final
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.chain.errors import ChainBehind, ChainMoved, ForkBelowFinal
from api.chain.following import Follower
from api.chain.rpc import Header, RpcClient
from tests.api.chain.bank import CONFIRMATIONS, Bank
from tests.api.chain.operator import mine
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from tests.api.chain.conftest import Chain


async def reorganise(bank: Bank, depth: int) -> None:
    """Replace the newest blocks by empty ones; what they held is forgotten by the node."""
    await bank.rpc.call("anvil_reorg", depth, [])


def final_side(everything: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """What only finality may change."""
    return {table: rows for table, rows in everything.items() if table != "outbox_payments"}


async def test_reorganisations_of_one_to_five_blocks_touch_nothing_final(bank: Bank) -> None:
    (payer,) = await funded(bank, 1, 500_000)
    (payee,) = await bank.open_wallets(1, tier=2)
    payments = []
    for depth in (1, 2, 3, 4, 5):
        payments.append(await bank.pay(payer, payee.address, 30_000 + depth))
        await bank.relay_all()
        await mine(bank.rpc, depth)
        await bank.indexer.run_once()
        included = "SELECT included_block FROM chain_transactions WHERE state = 'signed'"
        assert await bank.pool.fetchval(included) is not None
        before = final_side(await bank.everything())

        await reorganise(bank, depth)
        await bank.indexer.run_once()

        assert await bank.pool.fetchval(included) is None, f"included no more after {depth} blocks went"
        assert await bank.state(payments[-1]) == ("batched", None)
        assert final_side(await bank.everything()) == before
        bank.relay.submitting.forget_broadcasts()
        await bank.relay.run_once()
        await mine(bank.rpc, CONFIRMATIONS)
        await bank.indexer.run_once()
        assert await bank.state(payments[-1]) == ("final", None)

    assert await bank.posted(payee.account_id) == 100_000
    assert await bank.posted(payee.deposit_id) == 5 * 30_000 + 15 - 100_000
    await bank.assert_reconciled()


async def test_lost_blocks_are_a_reorganisation(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 30_000)
    snapshot = await bank.rpc.call("evm_snapshot")
    await bank.relay_all()
    await mine(bank.rpc, 3)
    await bank.indexer.run_once()

    await bank.rpc.call("evm_revert", snapshot)
    await bank.indexer.run_once()
    cursor = await bank.pool.fetchrow("SELECT max(number) FROM chain_blocks")
    assert cursor[0] == (await bank.rpc.latest()).number
    await bank.finish_again()

    assert await bank.state(payment) == ("final", None)
    assert await bank.posted(payee.account_id) == 80_000
    await bank.assert_reconciled()


async def test_a_node_below_the_final_block_is_waited_for(bank: Bank) -> None:
    snapshot = await bank.rpc.call("evm_snapshot")
    await mine(bank.rpc, CONFIRMATIONS + 3)
    await bank.indexer.run_once()
    await bank.rpc.call("evm_revert", snapshot)

    with pytest.raises(ChainBehind):
        await bank.indexer.run_once()

    assert await bank.pool.fetchval("SELECT count(*) FROM chain_freezes") == 0


async def test_a_reorganisation_that_reaches_a_final_block_freezes_and_changes_nothing(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    await bank.pay(payer, payee.address, 30_000)
    await bank.finish()
    before = await bank.everything()

    await reorganise(bank, CONFIRMATIONS)
    await mine(bank.rpc, 2)
    with pytest.raises(ForkBelowFinal):
        await bank.indexer.run_once()

    assert await bank.everything() == before
    flows = {row["flow"] for row in await bank.pool.fetch("SELECT flow FROM chain_freezes")}
    assert flows == {"indexer", "settle"}
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "ForkBelowFinal"
    assert await bank.indexer.run_once() is None, "frozen until a person has looked"
    await bank.pay(payer, payee.address, 1_000)
    assert not await bank.relay.run_once(), "nothing new is signed meanwhile"


class Forgetful(RpcClient):
    """A node, or a crowd of nodes, that announces a head and does not serve a block below it."""

    async def headers(self, first: int, last: int) -> list[Header]:
        return (await super().headers(first, last))[:1]


async def test_a_block_that_is_not_served_is_an_error_and_not_a_busy_wait(bank: Bank, chain: Chain) -> None:
    await funded(bank, 1, 50_000)
    await mine(bank.rpc, 3)
    async with Forgetful(chain.url) as node:
        follower = Follower(bank.pool, node)
        await follower.load()
        top = follower.top.number
        with pytest.raises(ChainMoved, match=f"block {top + 1} is below the head"):
            await follower.advance()
    await bank.indexer.run_once()
    await bank.assert_reconciled()
