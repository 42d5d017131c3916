"""Each rule at, above and below its limit, on the batch and on the single path, with one reason for both."""

from collections.abc import Callable

import pytest

from contracts import abi, orders
from contracts.abi import AccountFlag, BatchSettled, Event
from contracts.batch import RULE_ORDER, SkipReason
from tests.contracts.forms import WAYS, reasons
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BOB,
    CAROL,
    COURT,
    MERCHANT,
    MERCHANT_TIER,
    RETAIL_DAILY,
    RETAIL_PER_PAYMENT,
    RETAIL_TIER,
    STRANGER,
    UNLINKED,
    Person,
    Refused,
    World,
)

Pay = Callable[[World, Person, Person, int], str | None]


def pay_in_batch(world: World, payer: Person, payee: Person, amount: int) -> str | None:
    """Pay as the first record of its tiers, which is decided rule by rule; return the code of the refusal."""
    skipped = world.skips(world.sign(payer, payee, amount))
    return skipped[0].name if skipped else None


def pay_later_in_batch(world: World, payer: Person, payee: Person, amount: int) -> str | None:
    """Pay after a record that met the same tiers, so that all rules are asked at once; return the code."""
    nonce = world.account(payer).nonce
    first = world.sign(payer, payee, 0, nonce=nonce)
    skipped = world.skips(first, world.sign(payer, payee, amount, nonce=nonce + 1))
    assert skipped.pop(0) is SkipReason.ZeroAmount
    return skipped[1].name if skipped else None


def pay_singly(world: World, payer: Person, payee: Person, amount: int) -> str | None:
    """Pay, and return the code of the refusal."""
    try:
        world.transfer(payer, payee, amount)
    except Refused as refused:
        return refused.code
    return None


def refusal_by(way: Callable[[World, Person, Person, int], list[Event]]) -> Pay:
    """The same of a grouped batch and of a fan-out: why the last record was skipped."""

    def pay(world: World, payer: Person, payee: Person, amount: int) -> str | None:
        events = way(world, payer, payee, amount)
        settled = events[-1]
        assert isinstance(settled, BatchSettled)
        return reasons(events).get(settled.records - 1)

    pay.__name__ = way.__name__
    return pay


@pytest.fixture(
    params=[pay_in_batch, pay_later_in_batch, pay_singly, *map(refusal_by, WAYS)],
    ids=lambda way: way.__name__,
)
def pay(request: pytest.FixtureRequest) -> Pay:
    chosen: Pay = request.param
    return chosen


def test_zero_is_refused(world: World, pay: Pay) -> None:
    assert pay(world, ALICE, CAROL, 0) == "ZeroAmount"
    assert pay(world, ALICE, CAROL, 1) is None


def test_a_payment_to_oneself_is_refused(world: World, pay: Pay) -> None:
    before = world.balance(ALICE)
    assert pay(world, ALICE, ALICE, 10) == "SelfPayment"
    assert world.balance(ALICE) == before


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (AccountFlag.FROZEN, "PayerFrozen"),
        (AccountFlag.CLOSED, "PayerClosed"),
        (AccountFlag.SUSPENDED, "PayerSuspended"),
    ],
)
def test_a_payer_in_bad_standing_is_refused(world: World, pay: Pay, flag: AccountFlag, code: str) -> None:
    world.mark(ALICE, flag)
    assert pay(world, ALICE, CAROL, 10) == code
    assert world.balance(ALICE) == 60_000


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (AccountFlag.FROZEN, "PayeeFrozen"),
        (AccountFlag.CLOSED, "PayeeClosed"),
        (AccountFlag.SUSPENDED, "PayeeSuspended"),
        (AccountFlag.SYSTEM, "PayeeIsSystem"),
    ],
)
def test_a_payee_in_bad_standing_is_refused(world: World, pay: Pay, flag: AccountFlag, code: str) -> None:
    world.mark(CAROL, flag)
    assert pay(world, ALICE, CAROL, 10) == code
    assert world.balance(CAROL) == 0


def test_a_payee_that_is_not_registered_is_refused(world: World, pay: Pay) -> None:
    assert pay(world, ALICE, STRANGER, 10) == "PayeeNotRegistered"
    assert world.word(STRANGER) == 0


def test_an_unregistered_payer_cannot_pay_singly(world: World) -> None:
    assert pay_singly(world, STRANGER, CAROL, 0) == "PayerNotRegistered"


@pytest.mark.parametrize(("difference", "code"), [(-1, None), (0, None), (1, "PerPaymentLimitExceeded")])
def test_per_payment_limit(world: World, pay: Pay, difference: int, code: str | None) -> None:
    assert pay(world, ALICE, BANK_A, RETAIL_PER_PAYMENT + difference) == code


@pytest.mark.parametrize(("difference", "code"), [(-1, None), (0, None), (1, "DailyLimitExceeded")])
def test_daily_limit(world: World, pay: Pay, difference: int, code: str | None) -> None:
    world.set_account(ALICE, balance=90_000)
    assert pay(world, ALICE, BANK_A, 50_000) is None
    assert pay(world, ALICE, BANK_A, RETAIL_DAILY - 50_000 + difference) == code
    assert world.account(ALICE).spent_today == 50_000 + (0 if code else RETAIL_DAILY - 50_000 + difference)


def test_the_daily_limit_counts_both_paths_together(world: World) -> None:
    world.set_account(ALICE, balance=90_000)
    assert pay_in_batch(world, ALICE, BANK_A, 50_000) is None
    assert pay_singly(world, ALICE, BANK_A, 30_001) == "DailyLimitExceeded"
    assert pay_singly(world, ALICE, BANK_A, 30_000) is None
    assert pay_in_batch(world, ALICE, BANK_A, 1) == "DailyLimitExceeded"


def test_the_day_ends_at_midnight_utc(world: World, pay: Pay) -> None:
    world.set_account(ALICE, balance=90_000)
    midnight = (world.evm.time_s // 86_400 + 1) * 86_400
    world.evm.set_time(midnight - 1)
    assert pay(world, ALICE, BANK_A, 50_000) is None
    assert pay(world, ALICE, BANK_A, 30_001) == "DailyLimitExceeded"
    world.evm.set_time(midnight)
    assert pay(world, ALICE, BANK_A, 40_000) is None
    account = world.account(ALICE)
    assert (account.spent_today, account.day) == (40_000, midnight // 86_400)


def test_a_new_day_leaves_no_bit_of_the_old_one(world: World, pay: Pay) -> None:
    today = world.evm.time_s // 86_400
    earlier = (1 << (today.bit_length() - 1)) - 1
    assert earlier >> 8 & ~(today >> 8), "the day's upper byte has a bit that is gone today"
    world.set_account(ALICE, spent_today=2**64 - 1, day=earlier)
    assert pay(world, ALICE, BANK_A, 40_000) is None
    account = world.account(ALICE)
    assert (account.spent_today, account.day) == (40_000, today)


def test_days_are_counted_on_when_their_16_bits_end(world: World, pay: Pay) -> None:
    world.evm.set_time((2**17 + 3) * 86_400)  # they end in 2149 and again in 2328
    assert pay(world, ALICE, BANK_A, 50_000) is None
    assert pay(world, ALICE, BANK_A, 30_001) is not None
    account = world.account(ALICE)
    assert (account.day, account.spent_today, account.participant) == (3, 50_000, 1)


@pytest.mark.parametrize("start", [2**64 - 11, 2**64 - 10, 2**64 - 2, 2**64 - 1])
def test_without_a_daily_limit_spending_saturates_and_never_refuses(
    world: World, pay: Pay, start: int
) -> None:
    world.set_tier(RETAIL_TIER, 2**96 - 1)
    world.set_account(ALICE, spent_today=start, day=world.evm.time_s // 86_400)
    before = world.account(ALICE)
    assert pay(world, ALICE, CAROL, 10) is None
    after = world.account(ALICE)
    assert after.spent_today == min(start + 10, 2**64 - 1)
    assert (after.day, after.participant, after.tier) == (before.day, before.participant, before.tier)


def test_a_daily_limit_of_one_less_than_none_refuses(world: World, pay: Pay) -> None:
    world.set_tier(RETAIL_TIER, 2**96 - 1, daily=2**64 - 2)
    world.set_account(ALICE, spent_today=2**64 - 2, day=world.evm.time_s // 86_400)
    assert pay(world, ALICE, CAROL, 1) == "DailyLimitExceeded"


@pytest.mark.parametrize(("difference", "code"), [(-1, None), (0, None), (1, "InsufficientBalance")])
def test_balance(world: World, pay: Pay, difference: int, code: str | None) -> None:
    world.set_account(ALICE, balance=100)
    assert pay(world, ALICE, CAROL, 100 + difference) == code
    assert world.balance(ALICE) == (100 if code else -difference)


@pytest.mark.parametrize(("difference", "code"), [(-1, None), (0, None), (1, "FundsHeld")])
def test_what_orders_hold_is_not_paid(world: World, pay: Pay, difference: int, code: str | None) -> None:
    for name, amount in (("first", 30_000), ("second", 29_900)):
        order = world.register_order(name)
        world.do(COURT, orders.encode_hold(order, ALICE.address, amount))
    assert pay(world, ALICE, CAROL, 100 + difference) == code
    assert world.balance(ALICE) == (60_000 if code else 59_900 - difference)


@pytest.mark.parametrize(("difference", "code"), [(-1, None), (0, None), (1, "HoldingLimitExceeded")])
def test_holding_limit_without_a_link(world: World, pay: Pay, difference: int, code: str | None) -> None:
    world.set_account(UNLINKED, balance=20_000)
    assert pay(world, ALICE, UNLINKED, 10_000 + difference) == code
    assert world.balance(UNLINKED) == (20_000 if code else 30_000 + difference)


def test_a_payee_above_its_limit_without_a_link_is_refused_even_one(world: World, pay: Pay) -> None:
    world.set_account(UNLINKED, balance=30_001)
    assert pay(world, ALICE, UNLINKED, 1) == "HoldingLimitExceeded"


def test_a_tier_that_was_never_set_can_neither_pay_nor_hold(world: World, pay: Pay) -> None:
    world.set_account(BOB, tier=77)
    assert pay(world, BOB, CAROL, 1) == "PerPaymentLimitExceeded"
    world.set_account(UNLINKED, tier=77)
    assert pay(world, ALICE, UNLINKED, 1) == "HoldingLimitExceeded"


def test_a_limit_raised_is_in_force_at_once(world: World, pay: Pay) -> None:
    assert pay(world, ALICE, CAROL, RETAIL_PER_PAYMENT + 1) == "PerPaymentLimitExceeded"
    world.set_tier(RETAIL_TIER, 100_000)
    assert pay(world, ALICE, CAROL, RETAIL_PER_PAYMENT + 1) is None


def test_an_institution_is_bound_by_its_own_tier(world: World, pay: Pay) -> None:
    world.set_tier(0, 2**96 - 1, per_payment=100, daily=150)
    assert pay(world, BANK_A, ALICE, 101) == "PerPaymentLimitExceeded"
    world.set_account(BANK_A, spent_today=0)
    assert pay(world, BANK_A, ALICE, 100) is None
    assert pay(world, BANK_A, ALICE, 51) == "DailyLimitExceeded"


def test_redemption_counts_as_spending(world: World, pay: Pay) -> None:
    assert pay(world, ALICE, BANK_A, 123) is None
    assert world.account(ALICE).spent_today == 123


def hold_all_but(world: World, person: Person, left: int) -> None:
    """Hold what somebody has by a real order, but for ``left``."""
    amount = world.balance(person) - left
    world.do(COURT, orders.encode_hold(world.register_order(), person.address, amount))


def break_rule(world: World, rule: SkipReason) -> None:
    """Make a payment of 100 from BOB to UNLINKED break one more rule."""
    changes: dict[SkipReason, Callable[[], object]] = {
        SkipReason.PayerFrozen: lambda: world.mark(BOB, AccountFlag.FROZEN),
        SkipReason.PayerClosed: lambda: world.mark(BOB, AccountFlag.CLOSED),
        SkipReason.PayerSuspended: lambda: world.mark(BOB, AccountFlag.SUSPENDED),
        SkipReason.PayeeNotRegistered: lambda: world.set_account(UNLINKED, flags=0),
        SkipReason.PayeeFrozen: lambda: world.mark(UNLINKED, AccountFlag.FROZEN),
        SkipReason.PayeeClosed: lambda: world.mark(UNLINKED, AccountFlag.CLOSED),
        SkipReason.PayeeSuspended: lambda: world.mark(UNLINKED, AccountFlag.SUSPENDED),
        SkipReason.PayeeIsSystem: lambda: world.mark(UNLINKED, AccountFlag.SYSTEM),
        SkipReason.PerPaymentLimitExceeded: lambda: world.set_tier(RETAIL_TIER, 99, daily=99),
        SkipReason.DailyLimitExceeded: lambda: world.set_tier(RETAIL_TIER, 1_000, daily=99),
        SkipReason.InsufficientBalance: lambda: world.set_account(BOB, balance=99),
        SkipReason.FundsHeld: lambda: hold_all_but(world, BOB, 99),
        SkipReason.HoldingLimitExceeded: lambda: world.set_tier(MERCHANT_TIER, 99),
    }
    changes[rule]()


@pytest.mark.parametrize("first", range(2, len(RULE_ORDER)))
def test_the_first_broken_rule_gives_the_reason(world: World, pay: Pay, first: int) -> None:
    """All from this one on are broken, so the order of RULE_ORDER is the contract's."""
    broken = RULE_ORDER[first:]
    for rule in reversed(broken):
        break_rule(world, rule)
    assert pay(world, BOB, UNLINKED, 100) == broken[0].name


def test_zero_and_oneself_come_first(world: World, pay: Pay) -> None:
    world.mark(ALICE, AccountFlag.FROZEN)
    assert pay(world, ALICE, ALICE, 0) == "ZeroAmount"
    assert pay(world, ALICE, ALICE, 1) == "SelfPayment"


@pytest.mark.parametrize(
    ("payer", "payee", "amount", "code", "arguments"),
    [
        (ALICE, ALICE, 5, "SelfPayment", {"account": ALICE.address}),
        (STRANGER, ALICE, 5, "PayerNotRegistered", {"payer": STRANGER.address}),
        (ALICE, STRANGER, 5, "PayeeNotRegistered", {"payee": STRANGER.address}),
        (
            ALICE,
            CAROL,
            50_001,
            "PerPaymentLimitExceeded",
            {"payer": ALICE.address, "amount": 50_001, "limit": 50_000},
        ),
        (CAROL, ALICE, 7, "InsufficientBalance", {"payer": CAROL.address, "balance": 0, "amount": 7}),
        (
            ALICE,
            UNLINKED,
            30_007,
            "HoldingLimitExceeded",
            {"payee": UNLINKED.address, "excess": 7, "limit": 30_000},
        ),
    ],
)
def test_a_single_payments_error_explains_itself(
    world: World, payer: Person, payee: Person, amount: int, code: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(Refused) as refusal:
        world.transfer(payer, payee, amount)
    assert (refusal.value.code, refusal.value.arguments) == (code, arguments)


def test_the_error_of_held_funds_tells_what_is_available(world: World) -> None:
    hold_all_but(world, ALICE, 40)
    with pytest.raises(Refused) as refusal:
        world.transfer(ALICE, CAROL, 41)
    assert refusal.value.arguments == {"payer": ALICE.address, "available": 40, "amount": 41}


def test_the_daily_error_tells_what_would_have_been_spent(world: World) -> None:
    world.transfer(ALICE, MERCHANT, 20_000)
    world.set_tier(RETAIL_TIER, 100_000, daily=30_000)
    with pytest.raises(Refused) as refusal:
        world.transfer(ALICE, MERCHANT, 10_001)
    assert refusal.value.arguments == {
        "payer": ALICE.address,
        "wouldHaveSpent": 30_001,
        "limit": 30_000,
    }


@pytest.mark.parametrize("amount", [2**64, 2**96, 2**160, 2**256 - 1])
def test_absurd_amounts_are_refused_singly(world: World, amount: int) -> None:
    world.set_tier(RETAIL_TIER, 2**96 - 1)
    with pytest.raises(Refused, match="PerPaymentLimitExceeded"):
        world.transfer(ALICE, CAROL, amount)


def test_a_paused_currency_refuses_single_payments(world: World) -> None:
    world.do(ALICE.address, abi.encode_approve(BOB.address, 10))
    world.do(bytes([0xA4] * 20), abi.encode_pause())
    for sender, data in (
        (ALICE, abi.encode_transfer(CAROL.address, 1)),
        (BOB, abi.encode_transfer_from(ALICE.address, CAROL.address, 1)),
        (BANK_A, abi.encode_mint(1)),
        (BANK_A, abi.encode_burn(1)),
    ):
        with pytest.raises(Refused, match="CurrencyPaused"):
            world.do(sender.address, data)
