"""Holds against what is under way.

At every step of a payment with a shortfall: nothing to find
Found
├── a hold that belongs to nothing under way
└── a payment under way whose hold is gone
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from api.chain.holds import verify_holds
from api.database import transaction
from api.ledger.journal import Hold, Posting
from tests.api.chain.operator import mine
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from api.ledger.verify import Difference
    from tests.api.chain.bank import Bank


async def found(bank: Bank) -> list[Difference]:
    async with bank.pool.acquire() as connection:
        return await verify_holds(connection)


async def test_every_step_of_a_payment_with_a_shortfall_explains_its_holds(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    await bank.mint(1_000)
    await bank.pay(payer, payee.address, 60_000, from_deposit_minor=10_000)
    await bank.pay(payer, payee.address, 5_000, from_deposit_minor=5_000)
    for _ in range(12):
        assert await found(bank) == []
        await bank.relay_all()
        assert await found(bank) == []
        await mine(bank.rpc)
        await bank.indexer.run_once()
    assert await bank.open_intents() == 0
    assert await found(bank) == []


async def test_a_hold_that_belongs_to_nothing_is_found(bank: Bank) -> None:
    (wallet,) = await funded(bank, 1, 50_000)
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [wallet.account_id])
        posting.reserve(Hold(wallet.account_id, 700, uuid.uuid4()))
        await posting.write()
    (difference,) = await found(bank)
    assert (difference.check, difference.found) == ("hold is for something under way", "700")


async def test_a_payment_whose_hold_is_gone_is_found(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 1_000)
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [], [payment])
        posting.void(payment)
        await posting.write()
    (difference,) = await found(bank)
    assert difference.check == "payment under way has its hold"
    assert str(payment) in difference.subject
