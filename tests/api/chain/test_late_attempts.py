"""A payment without its customer's proof that the signer signed once and, long after, does not sign again.

a relay that died between asking and storing, and comes back when the time for attempts is over
├── gives the payment up, and asks for it no more
├── keeps the hold while what was asked for may be executed, the signature that nobody stored too
│   └── and frees it, once, when a final block has passed that time
└── while another payment of the same customer goes on
what a thief executes of it meanwhile is booked from the chain, once, and stops settlement
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from eth_account import Account

from api.chain.signer_client import PaymentToSign, SignedPayment
from contracts.abi import encode_settle
from contracts.batch import Record, pack
from tests.api.chain.bank import CONFIRMATIONS, Bank, Wallet
from tests.api.chain.conftest import POLICIES, running_signer
from tests.api.chain.operator import Operator, mine, succeed
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from api.chain.rpc import RpcClient
    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database

ATTEMPTS_S = 3_600
UNPROVED = f"""
    proof: customer
    unproved:
      per_payment_cap_minor: 50000
      wallet: {{day_minor: 150000}}
      institution: {{day_minor: 100000000}}
      longest_validity_s: 2592000
      attempts_within_s: {ATTEMPTS_S}
"""


class Clock:
    """The signer's."""

    ahead_s = 0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def bank(
    chain: Chain, rpc: RpcClient, signer_home: SignerHome, database: Database, tmp_path: Path, clock: Clock
) -> AsyncIterator[Bank]:
    """A bank whose signer keeps allowances for what has no proof."""
    path = tmp_path / "unproved.yaml"
    text = (POLICIES / "no-proof.yaml").read_text()
    text = text.replace("payee: any\n", "payee: any" + UNPROVED, 1)
    text += 'customer_proof: {rp_id: localhost, origins: ["http://localhost"]}\n'
    path.write_text(text)
    async with (
        running_signer(tmp_path / "unproved", chain.deployment, signer_home, path, clock) as socket,
        Bank.opened(database.app_url, chain.url, rpc, chain.deployment, socket) as opened,
    ):
        yield opened


async def sign_and_die(bank: Bank, payment_id: UUID, payer: Wallet, payee: bytes) -> SignedPayment:
    """What a relay leaves that asked for the signature and never stored it."""
    until_s = (await bank.rpc.latest()).time_s + 600
    (signed,) = await bank.signer.sign_payments(
        bank.deployment.chain_id,
        bank.deployment.contract,
        bank.deployment.domain_name,
        until_s,
        [PaymentToSign(payment_id, 1, payer.address, payee, 20_000, 0)],
    )
    assert isinstance(signed, SignedPayment)
    await bank.pool.execute(
        "UPDATE outbox_payments SET valid_before_s = $2 WHERE payment_id = $1", payment_id, until_s
    )
    return signed


async def asked_until(bank: Bank, payment_id: UUID) -> int:
    until_s: int = await bank.pool.fetchval(
        "SELECT valid_before_s FROM outbox_payments WHERE payment_id = $1", payment_id
    )
    return until_s


async def pass_time(bank: Bank, time_s: int) -> None:
    """Blocks from this time on, final ones among them."""
    await bank.rpc.call("evm_setNextBlockTimestamp", hex(time_s))
    await mine(bank.rpc, CONFIRMATIONS)


async def test_a_payment_that_is_not_signed_again_frees_its_hold_once_nothing_of_it_can_execute(
    bank: Bank, clock: Clock
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 20_000)
    await sign_and_die(bank, payment, payer, payee.address)
    first_s = await asked_until(bank, payment)
    clock.ahead_s = ATTEMPTS_S + 60
    await pass_time(bank, first_s - 100)

    await bank.relay_all()
    assert await bank.state(payment) == ("batched", "UnprovedAttemptTooLate")
    last_s = await asked_until(bank, payment)
    assert last_s > first_s
    other = await bank.pay(payer, payee.address, 10_000)
    await bank.relay_all()
    await pass_time(bank, last_s - 1)
    await bank.indexer.run_once()
    assert await bank.state(payment) == ("batched", "UnprovedAttemptTooLate")
    assert await bank.held(payer.account_id) >= 20_000

    await pass_time(bank, last_s + CONFIRMATIONS)
    await bank.finish()
    assert await bank.state(payment) == ("failed", "UnprovedAttemptTooLate")
    assert await bank.state(other) == ("final", None)
    assert await bank.held(payer.account_id) == 0
    assert await bank.posted(payer.account_id) == 40_000
    assert await bank.on_chain(payer.address) == 40_000
    assert await asked_until(bank, payment) == last_s, "it is asked for no more"
    await bank.assert_reconciled()


async def test_what_a_thief_executes_of_a_payment_that_was_given_up_is_booked_once_and_stops_settlement(
    bank: Bank, chain: Chain, signer_home: SignerHome, clock: Clock
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 20_000)
    stolen = await sign_and_die(bank, payment, payer, payee.address)
    first_s = await asked_until(bank, payment)
    clock.ahead_s = ATTEMPTS_S + 60
    await pass_time(bank, first_s - 100)
    await bank.relay_all()
    assert await bank.state(payment) == ("batched", "UnprovedAttemptTooLate")

    thief = Operator("bank")
    thief.account = Account.from_key(signer_home.secrets.named["institution"]._key.secret)
    thief.address = bank.institution
    record = Record(payee.address, 20_000, stolen.nonce, stolen.r, stolen.vs)
    data = encode_settle(pack([record]), first_s)
    await succeed(bank.rpc, await thief.send(bank.rpc, bank.deployment.contract, data))
    await pass_time(bank, await asked_until(bank, payment))
    await bank.indexer.run_once()

    assert await bank.held(payer.account_id) == 0
    assert await bank.posted(payer.account_id) == 30_000
    assert await bank.on_chain(payer.address) == 30_000
    assert await bank.posted(payee.account_id) == 70_000
    assert await bank.state(payment) == ("failed", "UnprovedAttemptTooLate")
    cases = await bank.pool.fetch("SELECT kind FROM chain_cases")
    assert [case["kind"] for case in cases] == ["UnmatchedTransfer"]
    assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"
