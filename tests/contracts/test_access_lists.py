"""Access lists: they name what a call touches, and no batch is dearer for having one.

the accounts that a call names
├── are each once and in ascending order, whoever names them
├── are none where a list would cost as much as it saves
└── are as many as fit a transaction that nodes take
the list
├── names the implementation's slot, the caller's account and those that were asked for, under the currency
├── is the same for ever
├── names nothing that the call does not touch, in every form, also where records are skipped or waterfall
├── leaves out the tiers alone, and the implementation
└── saves 100 for each slot, less 2,400
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import abi
from contracts.access_lists import (
    IMPLEMENTATION_SLOT,
    MAX_LISTED_ACCOUNTS,
    MAX_TRANSACTION_BYTES,
    access_list,
    account_slot,
    accounts_to_list,
)
from contracts.batch import Record, pack, pack_grouped
from contracts.gas_chains import LocalGasChain
from contracts.gas_sandbox import Sandbox
from contracts.transactions import Transaction
from tests.contracts import world as worlds
from tests.contracts.forms import sign_fan_out
from tests.contracts.world import ALICE, BANK_A, BOB, CAROL, MERCHANT, STRANGER, UNLINKED, World

ADDRESSES = st.binary(min_size=20, max_size=20)
CURRENCY, CALLER = b"\xcc" * 20, b"\xbb" * 20
LARGEST = 2**256 - 1


def addresses(count: int) -> list[bytes]:
    return [keccak(index.to_bytes(4, "big"))[12:] for index in range(count)]


def raw_bytes(data_bytes: int, accounts: list[bytes]) -> int:
    """The size of a transaction with this list, all its numbers as large as they get."""
    unsigned = Transaction(
        *[2**63 - 1] * 5, CURRENCY, 0, bytes(data_bytes), access_list(CURRENCY, CALLER, accounts)
    )
    return len(unsigned.with_signature(1, LARGEST, LARGEST))


@given(accounts=st.lists(ADDRESSES, min_size=24, max_size=60, unique=True), dice=st.randoms())
def test_accounts_are_named_once_and_in_ascending_order(accounts: list[bytes], dice: object) -> None:
    again = [*accounts, *accounts[:7]]
    dice.shuffle(again)  # type: ignore[attr-defined]
    assert accounts_to_list(again, 5_000) == sorted(accounts)


@pytest.mark.parametrize(("count", "named"), [(0, 0), (1, 0), (23, 0), (24, 24), (25, 25)])
def test_few_accounts_are_not_named(count: int, named: int) -> None:
    assert len(accounts_to_list(addresses(count), 5_000)) == named


@settings(max_examples=30, deadline=None)
@given(count=st.integers(24, 4_500), data_bytes=st.integers(0, MAX_TRANSACTION_BYTES))
def test_a_transaction_with_a_list_is_one_that_nodes_take(count: int, data_bytes: int) -> None:
    named = accounts_to_list(addresses(count), data_bytes)
    assert len(named) <= MAX_LISTED_ACCOUNTS
    if named:
        assert raw_bytes(data_bytes, named) <= MAX_TRANSACTION_BYTES
    if 24 <= len(named) < count:
        assert raw_bytes(data_bytes, named) > MAX_TRANSACTION_BYTES - 300, "hardly any room is left"


def test_a_list_is_of_one_contract() -> None:
    accounts = addresses(30)
    ((contract, slots),) = access_list(CURRENCY, CALLER, accounts)
    assert contract == CURRENCY
    assert slots[0] == IMPLEMENTATION_SLOT
    assert int.from_bytes(IMPLEMENTATION_SLOT) == int.from_bytes(keccak(b"eip1967.proxy.implementation")) - 1
    assert slots[1:] == tuple(map(account_slot, sorted([*accounts, CALLER])))
    assert access_list(CURRENCY, accounts[0], accounts) != access_list(CURRENCY, CALLER, accounts)
    assert len(set(slots)) == len(slots) == 32
    assert len(access_list(CURRENCY, accounts[0], accounts)[0][1]) == 31
    assert access_list(CURRENCY, CALLER, []) == ()


def test_a_list_never_changes() -> None:
    """What a signer signed before a crash it signs again after it, also as a later release."""
    unsigned = Transaction(1, 2, 3, 4, 5, CURRENCY, 0, b"", access_list(CURRENCY, CALLER, addresses(24)))
    assert unsigned.signing_hash.hex() == "ca6bf4826156548b64e1081d5a3a1631b13f534bcf8b519291649f0ad59aa4df"


def test_an_accounts_slot_is_where_the_layout_has_it() -> None:
    assert int.from_bytes(account_slot(ALICE.address)) == worlds.account_slot(ALICE)


# What a call touches


@dataclass(frozen=True)
class Batch:
    """A call by BANK_A, and whose accounts it names."""

    call: bytes
    accounts: list[bytes]


def flat_call(world: World, payments: list[tuple[worlds.Person, Record]]) -> Batch:
    call = abi.encode_settle(pack(record for _, record in payments), world.valid_before_s)
    return Batch(call, [each for payer, record in payments for each in (payer.address, record.payee)])


def plain_and_unusual(world: World) -> list[tuple[worlds.Person, Record]]:
    """They execute, waterfall, or are skipped: for the payee, the nonce, the payer itself, its bank."""
    return [
        (ALICE, world.sign(ALICE, BOB, 100)),
        (ALICE, world.sign(ALICE, UNLINKED, 100, nonce=1)),
        (BOB, world.sign(BOB, MERCHANT, worlds.MERCHANT_HOLDING + 7)),
        (BOB, world.sign(BOB, STRANGER, 5, nonce=1)),
        (BOB, world.sign(BOB, ALICE, 5, nonce=1)),
        (BOB, world.sign(BOB, BOB, 5, nonce=2)),
        (CAROL, world.sign(CAROL, ALICE, 1)),
    ]


def flat(world: World) -> Batch:
    return flat_call(world, plain_and_unusual(world))


def grouped(world: World) -> Batch:
    payments = plain_and_unusual(world)
    packed = pack_grouped([[record] for _, record in payments[:4]], [record for _, record in payments[4:]])
    return Batch(abi.encode_settle_grouped(packed, world.valid_before_s), flat_call(world, payments).accounts)


def fan_out(world: World) -> Batch:
    payees = [BOB, MERCHANT, STRANGER, UNLINKED]
    call = sign_fan_out(world, ALICE, [(payee, 9_000) for payee in payees])
    return Batch(call, [ALICE.address, *(payee.address for payee in payees)])


@pytest.mark.parametrize("form", [flat, grouped, fan_out])
def test_a_list_names_nothing_in_vain_and_leaves_out_little(
    world: World, form: Callable[[World], Batch]
) -> None:
    batch = form(world)
    ((contract, named),) = access_list(world.currency, BANK_A.address, batch.accounts)
    touched = dict(world.evm.find_touched(BANK_A.address, world.currency, batch.call))
    assert contract == world.currency
    assert set(named) <= set(touched[world.currency])
    # what the bank of a waterfall's payee has is its own: a list cannot know it
    tiers = {worlds.ACCOUNTS_SLOT + 3 + tier for tier in range(3)}
    waterfall = {worlds.account_slot(worlds.BANK_B)}
    left_out = {int.from_bytes(slot) for slot in set(touched[world.currency]) - set(named)}
    assert left_out - tiers - waterfall <= {int.from_bytes(slot) for slot in participants(world)}
    assert set(touched) == {world.currency, world.implementation}


def participants(world: World) -> set[bytes]:
    """Where the institutions of both banks are."""
    return {
        keccak(number.to_bytes(32, "big") + (worlds.ACCOUNTS_SLOT + 2).to_bytes(32, "big"))
        for number in (1, 2)
    }


# What it costs


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox(LocalGasChain(), customers=50)


@pytest.mark.parametrize("payments", [11, 12, 50])
def test_a_list_saves_100_for_each_slot_less_2400(sandbox: Sandbox, payments: int) -> None:
    trial = sandbox.chain.trial
    payees = sandbox.payees[:payments]
    without = trial(partial(sandbox.settle, payees))
    listed = trial(partial(sandbox.settle, payees, is_listed=True))
    slots = 2 * payments + 2
    assert without - listed == (100 * slots - 2_400 if slots >= 26 else 0)


def test_a_list_saves_as_much_for_what_waterfalls_and_for_a_fan_out(sandbox: Sandbox) -> None:
    trial = sandbox.chain.trial
    for run, slots in (
        (partial(sandbox.settle, sandbox.full[:50]), 2 * 50 + 2),
        (partial(sandbox.settle_grouped, [sandbox.payees[0]] * 50), 50 + 1 + 2),
        (partial(sandbox.fan_out, sandbox.payees), 1 + 50 + 2),
    ):
        assert trial(run) - trial(partial(run, is_listed=True)) == 100 * slots - 2_400
