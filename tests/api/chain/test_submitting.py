"""A transaction's way onto the chain.

a signed transaction
├── is sent again with the same bytes while it is in no block
├── is signed again with a higher fee when the chain asks for more
│   └── and is recognised whichever of its forms is mined
├── above a nonce that the signer gave to something unknown stops settlement, aloud
└── whose nonce was used by something else
    ├── is given up when that is final
    └── and its records fail when their time has passed
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

import pytest

from api.chain.errors import NonceGap
from api.chain.signer_client import SignerClient, TransactionToSign
from contracts.abi import encode_register
from tests.api.chain.bank import CONFIRMATIONS, Bank
from tests.api.chain.conftest import running_signer
from tests.api.chain.operator import mine
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.chain.conftest import SignerHome

LAST = "SELECT * FROM chain_transactions ORDER BY seq DESC LIMIT 1"


async def test_the_same_bytes_are_sent_again_while_they_are_in_no_block(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    snapshot = await bank.rpc.call("evm_snapshot")
    await bank.pay(payer, payee.address, 20_000)
    await bank.relay_all()
    sent = await bank.pool.fetchrow(LAST)
    await bank.rpc.call("evm_revert", snapshot)  # the node forgets what it was sent

    bank.relay.submitting.forget_broadcasts()
    await bank.relay.run_once()
    await mine(bank.rpc)

    again = await bank.pool.fetchrow(LAST)
    assert (again["raw"], again["hash"]) == (sent["raw"], sent["hash"])
    (receipt,) = await bank.rpc.receipts([sent["hash"]])
    assert receipt is not None
    await bank.finish()
    await bank.assert_reconciled()


@pytest.mark.parametrize("mined", ["the raised one", "the first one"])
async def test_a_transaction_signed_again_for_its_fee_is_recognised_whichever_is_mined(
    bank: Bank, mined: str
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 2_000)
    snapshot = await bank.rpc.call("evm_snapshot")
    await bank.relay_all()
    first = await bank.pool.fetchrow(LAST)
    dear = dataclasses.replace(await bank.rpc.latest(), base_fee=first["max_fee_per_gas"] * 3)

    bank.relay.submitting.forget_broadcasts()
    await bank.relay.submitting.rebroadcast(dear)

    raised = await bank.pool.fetchrow(LAST)
    assert raised["hash"] != first["hash"]
    assert raised["replaced_hashes"] == [first["hash"]]
    assert raised["nonce"] == first["nonce"]
    assert raised["max_fee_per_gas"] > dear.base_fee
    expected = raised["hash"]
    if mined == "the first one":
        await bank.rpc.call("evm_revert", snapshot)
        assert await bank.rpc.send_raw([first["raw"]]) == [None]
        expected = first["hash"]
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    row = await bank.pool.fetchrow(LAST)
    assert (row["state"], row["hash"]) == ("final", expected)
    assert await bank.state(payment) == ("final", None)
    await bank.assert_reconciled()


async def test_a_nonce_that_the_signer_gave_to_something_unknown_stops_settlement(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    stray = TransactionToSign(
        uuid.uuid4(), "institution", bank.deployment.chain_id, bank.deployment.contract,
        encode_register([], 1, 0), 200_000, 10**11, 10**9, 0,
    )  # fmt: skip
    signed = await bank.signer.sign_transaction(stray)
    payment = await bank.pay(payer, payee.address, 20_000)
    await bank.relay.run_once()
    bank.relay.submitting.forget_broadcasts()
    with pytest.raises(NonceGap) as gap:
        await bank.relay.run_once()
    assert gap.value.values == {"key": "institution", "nonce": signed.nonce}
    assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "NonceGap"

    assert await bank.rpc.send_raw([signed.raw]) == [None]
    await mine(bank.rpc)
    await bank.pool.execute("DELETE FROM chain_freezes")
    await bank.finish_again()
    assert await bank.state(payment) == ("final", None)
    await bank.assert_reconciled()


async def test_a_transaction_whose_nonce_was_used_by_something_else_is_given_up(
    bank: Bank, signer_home: SignerHome, tmp_path: Path
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    snapshot = await bank.rpc.call("evm_snapshot")
    payment = await bank.pay(payer, payee.address, 20_000)
    await bank.relay_all()
    lost = await bank.pool.fetchrow(LAST)
    await bank.rpc.call("evm_revert", snapshot)
    rival = TransactionToSign(
        uuid.uuid4(), "institution", bank.deployment.chain_id, bank.deployment.contract,
        encode_register([], 1, 0), 200_000, 10**11, 10**9, lost["nonce"],
    )  # fmt: skip
    # a second journal of the same keys, as when a backup is started beside its original
    async with (
        running_signer(tmp_path / "rival", bank.deployment, signer_home, "no-proof") as socket,
        SignerClient(socket) as signer,
    ):
        signed = await signer.sign_transaction(rival)
    assert signed.nonce == lost["nonce"]
    assert await bank.rpc.send_raw([signed.raw]) == [None]
    await mine(bank.rpc)
    await bank.indexer.run_once()

    bank.relay.submitting.forget_broadcasts()
    await bank.relay.run_once()
    assert (await bank.pool.fetchrow(LAST))["state"] == "signed", "not before the rival is final"
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    bank.relay.submitting.forget_broadcasts()
    await bank.relay.run_once()

    row = await bank.pool.fetchrow(LAST)
    assert (row["state"], row["outcome_code"]) == ("refused", "NonceConsumed")
    assert await bank.held(payer.account_id) == 20_000, "its records could still execute"
    await bank.rpc.call("evm_setNextBlockTimestamp", hex(row["valid_before_s"]))
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    assert (await bank.state(payment))[0] == "failed"
    assert await bank.held(payer.account_id) == 0
