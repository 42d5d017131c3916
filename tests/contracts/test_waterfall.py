"""What the payee may not hold flows on to its bank in the same transaction, or the payment is refused."""

from collections.abc import Callable

import pytest

from contracts import abi
from contracts.abi import AccountFlag, BatchSettled, Event, Skipped, Transfer, Waterfall
from contracts.batch import SkipReason
from tests.contracts.forms import WAYS
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    MERCHANT,
    MERCHANT_HOLDING,
    MERCHANT_TIER,
    RETAIL_TIER,
    SUPPLY,
    UNLINKED,
    Person,
    Refused,
    World,
)

Pay = Callable[[World, Person, Person, int], list[Event]]


def pay_in_batch(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    return world.settle(world.sign(payer, payee, amount))


def pay_later_in_batch(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    """After a record that met the same tiers."""
    nonce = world.account(payer).nonce
    records = [world.sign(payer, payee, each, nonce=nonce + at) for at, each in enumerate((0, amount))]
    return world.settle(*records)


def pay_singly(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    return world.transfer(payer, payee, amount)


@pytest.fixture(params=[pay_in_batch, pay_later_in_batch, pay_singly, *WAYS], ids=lambda way: way.__name__)
def pay(request: pytest.FixtureRequest) -> Pay:
    chosen: Pay = request.param
    return lambda *payment: [
        event for event in chosen(*payment) if not isinstance(event, Skipped | BatchSettled)
    ]


@pytest.mark.parametrize(
    ("held", "amount", "excess"),
    [
        (0, MERCHANT_HOLDING - 1, 0),
        (0, MERCHANT_HOLDING, 0),
        (0, MERCHANT_HOLDING + 1, 1),
        (29_999, 1, 0),
        (29_999, 2, 1),
        (30_000, 1, 1),
        (30_000, 40_000, 40_000),
        (12_345, 40_000, 22_345),
    ],
)
def test_the_payee_keeps_the_smaller_of_room_and_amount(
    world: World, pay: Pay, held: int, amount: int, excess: int
) -> None:
    world.set_account(MERCHANT, balance=held)
    events = pay(world, ALICE, MERCHANT, amount)

    assert world.balance(MERCHANT) == held + amount - excess
    assert world.balance(BANK_B) == SUPPLY + excess
    assert world.balance(ALICE) == 60_000 - amount
    assert world.account(ALICE).spent_today == amount
    assert len(events) == (3 if excess else 1)


def test_the_events_tell_the_whole_flow_in_order(world: World, pay: Pay) -> None:
    first, second, third = pay(world, ALICE, MERCHANT, MERCHANT_HOLDING + 5)
    assert isinstance(first, Transfer)
    assert isinstance(second, Transfer)
    assert isinstance(third, Waterfall)
    assert (first.payer, first.payee, first.amount_minor) == (ALICE.address, MERCHANT.address, 30_005)
    assert (second.payer, second.payee, second.amount_minor) == (MERCHANT.address, BANK_B.address, 5)
    assert (third.payee, third.bank, third.excess_minor) == (MERCHANT.address, BANK_B.address, 5)


@pytest.mark.parametrize("amount", [1, 20_000])
def test_a_payee_above_its_limit_keeps_what_it_has_and_passes_on_everything(
    world: World, pay: Pay, amount: int
) -> None:
    world.set_account(MERCHANT, balance=25_000)
    world.set_tier(MERCHANT_TIER, 10_000)
    pay(world, ALICE, MERCHANT, amount)
    assert world.balance(MERCHANT) == 25_000
    assert world.balance(BANK_B) == SUPPLY + amount


def test_the_excess_is_exempt_from_every_limit(world: World, pay: Pay) -> None:
    world.set_tier(5, 0, daily=0)
    world.do(bytes([0xA2] * 20), abi.encode_set_participant(2, BANK_B.address, 5, 0b110))
    before = world.account(MERCHANT)
    pay(world, ALICE, MERCHANT, MERCHANT_HOLDING + 7)
    assert world.balance(BANK_B) == SUPPLY + 7
    assert world.account(MERCHANT) == before._replace(balance=MERCHANT_HOLDING)


def test_it_flows_to_the_payees_bank_also_between_customers_of_one_bank(world: World, pay: Pay) -> None:
    bank = world.balance(BANK_A)
    world.set_account(BOB, balance=99_999)
    pay(world, ALICE, BOB, 10)
    assert world.balance(BOB) == 100_000
    assert world.balance(BANK_A) == bank + 9


def test_many_in_one_batch_reach_the_bank_together(world: World) -> None:
    records = [world.sign(ALICE, MERCHANT, 20_000, nonce=nonce) for nonce in range(3)]
    records.append(world.sign(BOB, CAROL, 10))
    assert world.skips(*records) == {}
    assert (world.balance(MERCHANT), world.balance(BANK_B), world.balance(CAROL)) == (
        30_000,
        SUPPLY + 30_000,
        10,
    )


def refused_with(world: World, payer: Person, payee: Person, amount: int, excess: int) -> None:
    """Assert the same refusal on both paths, with nothing moved."""
    balances = [world.balance(each) for each in (payer, payee, BANK_A, BANK_B)]
    assert world.skips(world.sign(payer, payee, amount)) == {0: SkipReason.HoldingLimitExceeded}
    with pytest.raises(Refused) as refusal:
        world.transfer(payer, payee, amount)
    assert refusal.value.code == "HoldingLimitExceeded"
    assert refusal.value.arguments["excess"] == excess
    assert [world.balance(each) for each in (payer, payee, BANK_A, BANK_B)] == balances


def test_without_a_link_it_is_refused(world: World) -> None:
    refused_with(world, ALICE, UNLINKED, MERCHANT_HOLDING + 1, 1)


@pytest.mark.parametrize("flag", [AccountFlag.FROZEN, AccountFlag.CLOSED])
def test_to_a_frozen_or_closed_bank_it_is_refused(world: World, flag: AccountFlag) -> None:
    world.mark(BANK_B, flag)
    refused_with(world, ALICE, MERCHANT, MERCHANT_HOLDING + 3, 3)


def test_funding_above_the_limit_is_refused(world: World) -> None:
    refused_with(world, BANK_A, ALICE, 40_001, 1)
    world.transfer(BANK_A, ALICE, 40_000)
    assert world.balance(ALICE) == 100_000


def test_another_banks_payment_never_flows_on(world: World) -> None:
    refused_with(world, BANK_A, MERCHANT, MERCHANT_HOLDING + 1, 1)


@pytest.mark.parametrize("flag", [AccountFlag.REGISTERED, AccountFlag.LINKED])
def test_an_institution_as_payee_is_refused_above_its_limit(world: World, flag: AccountFlag) -> None:
    """Linked too, if it was a customer once: it would be its own bank."""
    world.mark(BANK_B, flag)
    world.set_tier(0, SUPPLY + 10)
    refused_with(world, ALICE, BANK_B, 11, 1)
    world.transfer(ALICE, BANK_B, 10)


def test_a_replaced_institution_no_longer_receives(world: World) -> None:
    successor = Person.named("bank b's new key")
    world.do(bytes([0xA2] * 20), abi.encode_set_participant(2, successor.address, 0, 0b110))
    world.transfer(ALICE, MERCHANT, MERCHANT_HOLDING + 4)
    assert (world.balance(successor), world.balance(BANK_B)) == (4, SUPPLY)
    # The retired account is an ordinary one now: what it sends may flow on.
    world.transfer(BANK_B, MERCHANT, 6)
    assert world.balance(successor) == 10


def test_the_retail_tier_flows_on_as_well(world: World) -> None:
    world.set_tier(RETAIL_TIER, 60_000)
    world.transfer(ALICE, BOB, 10)
    assert world.balance(BOB) == 60_000
