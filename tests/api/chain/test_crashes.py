"""A worker that dies anywhere loses nothing and pays nothing twice.

The work is stopped at each of its suspension points in turn (every database statement, call of the signer and
call of the chain is one), and a new worker that remembers nothing carries on. What the other side did at
that moment, it may have finished or not.
"""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

from tests.api.chain.bank import CONFIRMATIONS, Bank
from tests.api.chain.operator import mine
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator


@types.coroutine
def counted(work: Coroutine[Any, Any, Any], last: int) -> Generator[Any, Any, None]:
    """Run `work` and cancel it at its suspension number `last`, whatever it waits for there."""
    task = asyncio.current_task()
    assert task is not None
    suspensions = 0
    thrown: BaseException | None = None
    while True:
        try:
            waited_for = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration:
            return
        thrown = None
        suspensions += 1
        if suspensions == last:
            task.cancel()
        try:
            yield waited_for
        except BaseException as raised:
            thrown = raised


async def kill_at(work: Coroutine[Any, Any, Any], last: int) -> bool:
    """Whether `work` ended before it could be killed there."""

    async def run() -> None:
        await counted(work, last)

    try:
        await asyncio.create_task(run())
    except asyncio.CancelledError:
        return False
    return True


async def test_a_relay_killed_at_each_of_its_steps_pays_everything_once(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 500_000)
    payments, has_ended = [], False
    for suspensions in range(1, 400):
        payments.append(await bank.pay(payer, payee.address, 1_000 + suspensions, from_deposit_minor=1_000))
        has_ended = await kill_at(bank.relay.run_once(), suspensions)
        bank.restart()
        if has_ended:
            break
        if suspensions % 7 == 0:
            await mine(bank.rpc)
            await bank.indexer.run_once()
    assert has_ended, "every step of a round was reached"

    await bank.finish()

    assert len(payments) > 20
    assert {await bank.state(each) for each in payments} == {("final", None)}
    total = sum(1_000 + suspensions for suspensions in range(1, len(payments) + 1))
    assert await bank.posted(payee.account_id) == 500_000 + total
    assert await bank.pool.fetchval("SELECT sum(held_minor) FROM ledger_balances") == 0
    assert await bank.pool.fetchval("SELECT count(*) FROM chain_cases") == 0
    await bank.assert_reconciled()


async def test_a_registration_killed_at_each_of_its_steps_registers_every_wallet_once(bank: Bank) -> None:
    for suspensions in range(3, 60, 3):
        async with bank.pool.acquire() as connection, connection.transaction():
            await bank.add_wallets(connection, 1, 0, 1)
        has_ended = await kill_at(bank.relay.run_once(), suspensions)
        bank.restart()
        if has_ended:
            break

    await bank.finish()

    rows = await bank.pool.fetch("SELECT address, registered_block FROM outbox_registrations")
    assert all(row["registered_block"] is not None for row in rows)
    assert len({row["address"] for row in rows}) == len(rows)
    await bank.assert_reconciled()


async def test_an_indexer_killed_at_each_of_its_steps_books_everything_once(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 500_000)
    paid, has_ended = 0, False
    for suspensions in range(1, 400):
        if not await bank.open_intents():
            await bank.pay(payer, payee.address, 1_000)
            paid += 1_000
            await bank.relay_all()
            await mine(bank.rpc, CONFIRMATIONS - 1)
        await mine(bank.rpc)
        has_ended = await kill_at(bank.indexer.run_once(), suspensions)
        bank.restart()
        if has_ended:
            break
    assert has_ended, "every step of a round was reached"

    await bank.finish()

    assert await bank.posted(payee.account_id) == 500_000 + paid
    assert await bank.posted(payer.account_id) == 500_000 - paid
    await bank.assert_reconciled()
