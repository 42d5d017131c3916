"""One payer, many payees, one signature: the payer's word is read once and written once, unseen."""

import pytest

from contracts import abi
from contracts.abi import AccountFlag, BatchSettled, Transfer
from contracts.batch import ENTRY_BYTES, Entry, pack_fan_out
from contracts.typed_data import fan_out_digest
from tests.contracts.forms import compact, hold, reasons, settle_fan_out, sign_fan_out, story
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    MERCHANT,
    MERCHANT_HOLDING,
    PAUSER,
    RETAIL_TIER,
    STRANGER,
    SUPPLY,
    UNLINKED,
    Person,
    Refused,
    World,
)

UNKNOWN = Person.named("whom nobody registered")


def skips(world: World, payer: Person, *entries: tuple[Person, int]) -> dict[int, str]:
    return reasons(settle_fan_out(world, payer, *entries))


def test_each_payee_is_paid_under_one_nonce(world: World) -> None:
    before = world.account(ALICE)
    events = settle_fan_out(world, ALICE, (CAROL, 10), (BOB, 20), (MERCHANT, 30), nonce=4)
    assert story(events) == [
        (ALICE.address, p.address, a) for p, a in ((CAROL, 10), (BOB, 20), (MERCHANT, 30))
    ]
    settled = events[-1]
    assert isinstance(settled, BatchSettled)
    assert (settled.participant, settled.records, settled.executed) == (1, 3, 3)
    today = world.evm.time_s // 86_400
    assert world.account(ALICE) == before._replace(balance=59_940, nonce=5, spent_today=60, day=today)
    assert (world.balance(CAROL), world.balance(BOB), world.balance(MERCHANT)) == (10, 60_020, 30)


def test_salaries_of_500_are_paid(world: World) -> None:
    people = [Person.named(f"employee {index}") for index in range(500)]
    world.register(BANK_A, people, RETAIL_TIER)
    events = settle_fan_out(world, BANK_A, *((each, 1 + at) for at, each in enumerate(people)))
    assert [type(event) for event in events] == [Transfer] * 500 + [BatchSettled]
    assert [world.balance(each) for each in people] == list(range(1, 501))
    assert world.account(BANK_A).nonce == 1


def send(world: World, packed: bytes, nonce: int = 0) -> None:
    """Any bytes, signed by ALICE."""
    digest = fan_out_digest(world.domain.separator, packed, nonce, world.valid_before_s)
    signature = compact(ALICE.key, digest)
    world.do(BANK_A.address, abi.encode_settle_fan_out(packed, nonce, world.valid_before_s, *signature))


@pytest.mark.parametrize("length", [0, 1, ENTRY_BYTES - 1, ENTRY_BYTES + 1, 2 * ENTRY_BYTES - 1])
def test_bytes_that_are_not_whole_entries_revert(world: World, length: int) -> None:
    packed = (pack_fan_out([Entry(CAROL.address, 10)]) * 2)[:length]
    before = world.fingerprint()
    with pytest.raises(Refused) as refusal:
        send(world, packed)
    assert (refusal.value.code, refusal.value.arguments) == ("MalformedBatch", {"length": length})
    assert world.fingerprint() == before


def test_calldata_that_ends_before_the_entries_do_reverts_and_trailing_bytes_change_nothing(
    world: World,
) -> None:
    data = sign_fan_out(world, ALICE, [(CAROL, 10)])
    unpadded = data[: 4 + 192 + ENTRY_BYTES]
    with pytest.raises(Refused, match="EmptyRevert"):
        world.do(BANK_A.address, unpadded[:-1])
    world.do(BANK_A.address, data + b"\xff" * ENTRY_BYTES)
    assert (world.balance(CAROL), world.balance(ALICE)) == (10, 59_990)


def test_one_entry_changed_added_left_out_or_moved_spoils_the_signature(world: World) -> None:
    data = sign_fan_out(world, ALICE, [(CAROL, 10), (BOB, 20)])
    good = pack_fan_out([Entry(CAROL.address, 10), Entry(BOB.address, 20)])
    first, second = good[:ENTRY_BYTES], good[ENTRY_BYTES:]
    before = world.fingerprint()
    for packed in (first, second + first, good + first, first + first, first + second[:-1] + b"\x15"):
        changed = abi.encode_settle_fan_out(packed, 0, world.valid_before_s, data[100:132], data[132:164])
        with pytest.raises(Refused, match="PayerNotOfParticipant"):
            world.do(BANK_A.address, changed)
    assert world.fingerprint() == before
    assert abi.encode_settle_fan_out(good, 0, world.valid_before_s, data[100:132], data[132:164]) == data


def test_a_foreign_payer_and_a_used_nonce_explain_themselves(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        settle_fan_out(world, CAROL, (ALICE, 10))
    assert (refusal.value.code, refusal.value.arguments) == (
        "PayerNotOfParticipant",
        {"payer": CAROL.address, "participant": 2},
    )
    settle_fan_out(world, ALICE, (CAROL, 10), nonce=6)
    for nonce in (0, 6, 2**32 - 1):
        with pytest.raises(Refused) as refusal:
            settle_fan_out(world, ALICE, (CAROL, 10), nonce=nonce)
        assert (refusal.value.code, refusal.value.arguments) == (
            "NonceUsed",
            {"account": ALICE.address, "nonce": nonce, "nextNonce": 7},
        )


def test_a_nonce_is_consumed_even_if_no_entry_executes(world: World) -> None:
    before = world.account(ALICE)
    assert skips(world, ALICE, (STRANGER, 1), (CAROL, 0)) == {0: "PayeeNotRegistered", 1: "ZeroAmount"}
    assert world.account(ALICE) == before._replace(nonce=1)


def test_a_paused_currency_pays_nothing(world: World) -> None:
    data = sign_fan_out(world, ALICE, [(CAROL, 10)])
    world.do(PAUSER, abi.encode_pause())
    with pytest.raises(Refused, match="CurrencyPaused"):
        world.do(BANK_A.address, data)


# The payer's word


@pytest.mark.parametrize("at", range(4))
def test_what_was_paid_before_a_refusal_is_kept(world: World, at: int) -> None:
    entries = [(CAROL, 10), (BOB, 20), (CAROL, 30)]
    entries.insert(at, (STRANGER, 5))
    assert skips(world, ALICE, *entries) == {at: "PayeeNotRegistered"}
    assert (world.balance(ALICE), world.account(ALICE).spent_today) == (59_940, 60)
    assert (world.balance(CAROL), world.balance(BOB)) == (40, 60_020)


@pytest.mark.parametrize("at", range(4))
def test_a_waterfall_among_the_entries_is_paid_in_full(world: World, at: int) -> None:
    entries = [(CAROL, 10), (BOB, 20), (CAROL, 30)]
    entries.insert(at, (MERCHANT, MERCHANT_HOLDING + 7))
    assert skips(world, ALICE, *entries) == {}
    assert world.balance(ALICE) == 60_000 - 60 - MERCHANT_HOLDING - 7
    assert world.account(ALICE).spent_today == 60 + MERCHANT_HOLDING + 7
    assert (world.balance(MERCHANT), world.balance(BANK_B)) == (MERCHANT_HOLDING, SUPPLY + 7)


def test_the_payer_among_the_payees_is_refused_and_keeps_its_money(world: World) -> None:
    assert skips(world, ALICE, (CAROL, 10), (ALICE, 20), (CAROL, 30), (ALICE, 40)) == {
        1: "SelfPayment",
        3: "SelfPayment",
    }
    assert (world.balance(ALICE), world.balance(CAROL)) == (59_960, 40)


def test_the_same_payee_twice_is_paid_twice_and_filled_once(world: World) -> None:
    entries = [(UNLINKED, 20_000), (UNLINKED, 10_001), (CAROL, 1), (UNLINKED, 10_000)]
    assert skips(world, ALICE, *entries) == {1: "HoldingLimitExceeded"}
    assert (world.balance(UNLINKED), world.balance(ALICE)) == (30_000, 29_999)
    world.set_account(ALICE, balance=60_000, spent_today=0)
    assert skips(world, ALICE, (MERCHANT, 20_000), (MERCHANT, 20_000), (MERCHANT, 5_000)) == {}
    assert (world.balance(MERCHANT), world.balance(BANK_B)) == (30_000, SUPPLY + 15_000)


def test_the_bank_that_a_waterfall_reaches_is_a_payee_as_well(world: World) -> None:
    """BOB's bank is the payer's own."""
    bank = world.balance(BANK_A)
    world.set_account(BOB, balance=99_990)
    assert skips(world, ALICE, (BANK_A, 1_000), (BOB, 30), (BANK_A, 2_000), (BOB, 40)) == {}
    assert world.balance(BANK_A) == bank + 3_000 + 20 + 40
    assert world.balance(BOB) == 100_000


def test_a_bank_pays_its_customers_but_never_beyond_their_limits(world: World) -> None:
    bank = world.account(BANK_A)
    assert skips(world, BANK_A, (ALICE, 40_001), (ALICE, 40_000), (CAROL, 7), (BANK_B, 9)) == {
        0: "HoldingLimitExceeded"
    }
    after = world.account(BANK_A)
    assert (after.balance, after.spent_today) == (bank.balance - 40_016, bank.spent_today + 40_016)
    assert world.balance(BANK_B) == SUPPLY + 9


def test_the_balance_runs_out_in_the_middle_and_a_smaller_entry_still_fits(world: World) -> None:
    world.set_account(ALICE, balance=100)
    assert skips(world, ALICE, (CAROL, 60), (CAROL, 41), (CAROL, 40), (CAROL, 1)) == {
        1: "InsufficientBalance",
        3: "InsufficientBalance",
    }
    assert (world.balance(ALICE), world.balance(CAROL)) == (0, 100)


def test_the_daily_limit_is_reached_in_the_middle_and_a_smaller_entry_still_fits(world: World) -> None:
    world.set_account(ALICE, balance=200_000)
    entries = [(BANK_A, 50_000), (BANK_A, 30_001), (CAROL, 30_000), (CAROL, 1)]
    assert skips(world, ALICE, *entries) == {1: "DailyLimitExceeded", 3: "DailyLimitExceeded"}
    assert (world.account(ALICE).spent_today, world.balance(CAROL)) == (80_000, 30_000)


def test_a_daily_limit_lowered_below_what_was_spent_refuses_all(world: World) -> None:
    world.transfer(ALICE, CAROL, 500)
    world.set_tier(RETAIL_TIER, 100_000, daily=400)
    assert skips(world, ALICE, (CAROL, 1), (CAROL, 1)) == dict.fromkeys(range(2), "DailyLimitExceeded")


def test_a_day_that_is_past_counts_no_more(world: World) -> None:
    today = world.evm.time_s // 86_400
    world.set_account(ALICE, spent_today=80_000, day=today - 1)
    assert skips(world, ALICE, (CAROL, 30_000), (CAROL, 30_000)) == {}
    assert (world.account(ALICE).spent_today, world.account(ALICE).day) == (60_000, today)


@pytest.mark.parametrize("start", [2**64 - 35, 2**64 - 31, 2**64 - 30, 2**64 - 25, 2**64 - 11, 2**64 - 1])
def test_without_a_daily_limit_spending_saturates_and_never_refuses(world: World, start: int) -> None:
    world.set_tier(RETAIL_TIER, 2**96 - 1)
    today = world.evm.time_s // 86_400
    world.set_account(ALICE, spent_today=start, day=today)
    before = world.account(ALICE)
    assert skips(world, ALICE, (CAROL, 10), (BOB, 10), (CAROL, 10)) == {}
    spent = min(start + 30, 2**64 - 1)
    assert world.account(ALICE) == before._replace(nonce=1, spent_today=spent, balance=59_970)


def test_a_held_payer_pays_what_is_free(world: World) -> None:
    hold(world, ALICE, 59_900)
    assert skips(world, ALICE, (CAROL, 60), (CAROL, 41), (BOB, 40), (CAROL, 1)) == {
        1: "FundsHeld",
        3: "FundsHeld",
    }
    assert (world.balance(ALICE), world.balance(CAROL), world.balance(BOB)) == (59_900, 60, 60_040)


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (AccountFlag.FROZEN, "PayerFrozen"),
        (AccountFlag.CLOSED, "PayerClosed"),
        (AccountFlag.SUSPENDED, "PayerSuspended"),
    ],
)
def test_a_payer_that_may_not_pay_pays_nobody_and_its_nonce_is_gone(
    world: World, flag: AccountFlag, code: str
) -> None:
    world.mark(ALICE, flag)
    before = world.account(ALICE)
    assert skips(world, ALICE, (CAROL, 1), (BOB, 2)) == {0: code, 1: code}
    assert world.account(ALICE) == before._replace(nonce=1)


def test_payees_that_may_not_receive_harm_no_other(world: World) -> None:
    flags = (AccountFlag.FROZEN, AccountFlag.CLOSED, AccountFlag.SUSPENDED, AccountFlag.SYSTEM)
    people = [Person.named(f"payee {index}") for index in range(5)]
    world.register(BANK_B, people, RETAIL_TIER)
    for person, flag in zip(people, flags, strict=False):
        world.mark(person, flag)
    assert skips(world, ALICE, (CAROL, 1), *((each, 10) for each in people), (STRANGER, 5), (CAROL, 2)) == {
        1: "PayeeFrozen",
        2: "PayeeClosed",
        3: "PayeeSuspended",
        4: "PayeeIsSystem",
        6: "PayeeNotRegistered",
    }
    assert [world.balance(each) for each in (CAROL, *people)] == [3, 0, 0, 0, 0, 10]


def test_tiers_that_a_fan_out_meets_late_are_their_own(world: World) -> None:
    world.set_tier(9, 500, 400, 450)
    world.set_account(CAROL, tier=9)
    world.set_account(BOB, tier=77)  # never set
    entries = [(BANK_A, 1), (MERCHANT, 2), (CAROL, 501), (CAROL, 500), (BOB, 3), (CAROL, 1)]
    world.set_account(CAROL, flags=AccountFlag.REGISTERED)
    world.set_account(BOB, flags=AccountFlag.REGISTERED, balance=0)
    assert skips(world, ALICE, *entries) == {
        2: "HoldingLimitExceeded",
        4: "HoldingLimitExceeded",
        5: "HoldingLimitExceeded",
    }
    world.set_account(CAROL, balance=500)
    world.set_account(CAROL, participant=1)
    assert skips(world, CAROL, (ALICE, 401), (ALICE, 400), (UNLINKED, 51), (UNLINKED, 50)) == {
        0: "PerPaymentLimitExceeded",
        2: "DailyLimitExceeded",
    }


def test_a_payer_of_a_tier_that_was_never_set_pays_nobody(world: World) -> None:
    world.set_account(ALICE, tier=77)
    assert skips(world, ALICE, (CAROL, 1), (CAROL, 1)) == dict.fromkeys(range(2), "PerPaymentLimitExceeded")


@pytest.mark.parametrize("last", [(CAROL, 30), (ALICE, 30), (UNKNOWN, 30)], ids=["plain", "self", "unknown"])
def test_the_payers_account_is_as_before_but_for_what_it_paid(world: World, last: tuple[Person, int]) -> None:
    before = world.account(ALICE)
    settle_fan_out(world, ALICE, (CAROL, 10), (ALICE, 20), (BOB, 5), (UNKNOWN, 5), last)
    paid = 15 + (30 if last[0] is CAROL else 0)
    after = before._replace(balance=60_000 - paid, nonce=1, spent_today=paid, day=world.evm.time_s // 86_400)
    assert world.account(ALICE) == after
