"""Money from a deposit account onto the chain, to another wallet, and back: the way of one payment, whole."""

from __future__ import annotations

from tests.api.chain.bank import Bank


async def test_a_funding_moves_deposit_to_wallet_and_inventory_to_custody(bank: Bank) -> None:
    (wallet,) = await bank.open_wallets(1, deposit_minor=500_000)
    await bank.mint(400_000)
    await bank.finish()

    funding = await bank.fund(wallet, 300_000)
    await bank.finish()

    assert await bank.state(funding) == ("final", None)
    assert await bank.on_chain(wallet.address) == 300_000
    assert await bank.posted(wallet.account_id) == 300_000
    assert await bank.posted(wallet.deposit_id) == 200_000
    assert await bank.posted(bank.chart.inventory) == 100_000
    assert await bank.posted(bank.chart.custody) == 300_000
    assert await bank.held(wallet.deposit_id) == 0
    assert await bank.held(bank.chart.inventory) == 0
    await bank.assert_reconciled()
