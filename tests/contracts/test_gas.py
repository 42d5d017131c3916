"""What the gas bench draws, sends and compares."""

from collections import Counter

import pytest

from contracts.compile import find_missing_tools
from contracts.gas import MEASURES, SNAPSHOT
from contracts.gas_chains import LocalGasChain
from contracts.gas_peers import (
    PermitToken,
    compile_ours,
    deploy_fiat_token,
    encode_call,
    find_missing_packages,
)
from contracts.gas_sandbox import AMOUNT, Sandbox
from contracts.transactions import address_of
from tests.contracts.world import ALICE, BOB

DEPLOYER = ALICE.key


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox(LocalGasChain(), customers=50)


def test_the_retail_mix_is_the_same_every_time_and_pays_shops_four_times_in_five(sandbox: Sandbox) -> None:
    drawn = sandbox.draw_retail_mix()
    assert drawn == sandbox.draw_retail_mix()
    assert len(drawn) == 50
    assert sum(payee in set(sandbox.shops) for payee in drawn) == 40


def test_the_retail_mix_pays_the_first_shops_most(sandbox: Sandbox) -> None:
    ranks = Counter(
        sandbox.shops.index(payee) for payee in sandbox.draw_retail_mix() if payee in sandbox.shops
    )
    assert max(ranks, key=lambda rank: ranks[rank]) < 5


def test_a_trial_leaves_nothing_behind(sandbox: Sandbox) -> None:
    def pay() -> int:
        return sandbox.settle(sandbox.payees[:2])

    assert sandbox.chain.trial(pay) == sandbox.chain.trial(pay)


def test_a_payroll_pays_whom_it_has_opened_accounts_for(sandbox: Sandbox) -> None:
    """Nobody is skipped: it costs what as many funded payees cost, but for zero bytes in their addresses."""
    trial = sandbox.chain.trial
    salaries = trial(lambda: sandbox.pay_salaries(30))
    assert abs(salaries - trial(lambda: sandbox.fan_out(sandbox.payees[:30]))) < 300


def test_every_figure_is_in_the_snapshot() -> None:
    snapshot = SNAPSHOT.read_text()
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    for measure in MEASURES:
        assert f'"{measure.name}"' in snapshot


def test_a_call_is_encoded_as_its_signature_says() -> None:
    call = encode_call("transfer(address,uint256)", BOB.address, AMOUNT)
    assert call.hex() == "a9059cbb" + BOB.address.hex().rjust(64, "0") + f"{AMOUNT:064x}"
    assert encode_call("totalSupply()").hex() == "18160ddd"


@pytest.mark.node
def test_the_peers_take_the_signed_payments_that_the_bench_makes() -> None:
    missing = find_missing_tools() or find_missing_packages()
    if missing is not None:
        pytest.skip(missing)
    chain = LocalGasChain()
    owner = address_of(DEPLOYER)
    creation = compile_ours(["SoladyToken"])["SoladyToken"]
    token = chain.send(DEPLOYER, b"", creation + (10**6).to_bytes(32, "big")).created
    for peer in (PermitToken("solady", token, chain.chain_id), deploy_fiat_token(chain, DEPLOYER)):
        calls = peer.pay(DEPLOYER, BOB.address, 0, owner)
        for call in calls:
            chain.send(DEPLOYER, peer.token, call)
        with pytest.raises(RuntimeError, match="reverted"):
            chain.send(BOB.key, peer.token, calls[0])
