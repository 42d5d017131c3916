"""A batch grouped by payee: the payee's word is read once and written once, and nobody may notice."""

import pytest

from contracts import abi
from contracts.abi import AccountFlag, BatchSettled, Skipped, Transfer
from contracts.batch import GROUP_HEAD_BYTES, GROUPED_RECORD_BYTES, RECORD_BYTES, Record, pack, pack_grouped
from contracts.grouping import group, is_grouped_cheaper
from tests.contracts.forms import consecutive, hold, reasons, settle_grouped, story
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    GOVERNOR,
    MERCHANT,
    MERCHANT_HOLDING,
    MERCHANT_TIER,
    PAUSER,
    RETAIL_TIER,
    STRANGER,
    SUPPLY,
    UNLINKED,
    Person,
    Refused,
    World,
)

BAD = Record(CAROL.address, 1, 0, bytes(32), bytes(32))


def grouped(world: World, *payments: tuple[Person, Person, int]) -> dict[int, str]:
    """Pay in this order, neighbours of one payee in one group; what was skipped."""
    used: dict[Person, int] = {}
    records = []
    for payer, payee, amount in payments:
        nonce = used.get(payer, world.account(payer).nonce)
        used[payer] = nonce + 1
        records.append(world.sign(payer, payee, amount, nonce=nonce))
    return reasons(settle_grouped(world, consecutive(records)))


def test_each_payment_is_told_in_order_and_the_batch_at_the_end(world: World) -> None:
    records = [world.sign(ALICE, CAROL, 10), world.sign(BOB, CAROL, 20), world.sign(ALICE, BOB, 5, nonce=1)]
    events = settle_grouped(world, [records[:2], records[2:]])
    assert story(events) == [
        (ALICE.address, CAROL.address, 10),
        (BOB.address, CAROL.address, 20),
        (ALICE.address, BOB.address, 5),
    ]
    settled = events[-1]
    assert isinstance(settled, BatchSettled)
    assert (settled.participant, settled.records, settled.executed) == (1, 3, 3)
    assert len(events) == 4
    assert (world.balance(ALICE), world.balance(BOB), world.balance(CAROL)) == (59_985, 59_985, 30)


def test_payers_advance_and_spend_as_in_a_flat_batch(world: World) -> None:
    grouped(world, (ALICE, CAROL, 10), (ALICE, CAROL, 20), (BOB, CAROL, 5))
    alice = world.account(ALICE)
    assert (alice.nonce, alice.spent_today, alice.day) == (2, 30, world.evm.time_s // 86_400)
    assert world.account(CAROL).nonce == 0


def packed_pair(world: World) -> bytes:
    """Two groups, of two records and of one."""
    records = [world.sign(ALICE, CAROL, 10, nonce=nonce) for nonce in (0, 1)]
    return pack_grouped([records, [world.sign(BOB, ALICE, 5)]])


def with_count(packed: bytes, at: int, count: int) -> bytes:
    return packed[: at + 20] + count.to_bytes(2, "big") + packed[at + GROUP_HEAD_BYTES :]


SECOND_GROUP = GROUP_HEAD_BYTES + 2 * GROUPED_RECORD_BYTES


@pytest.mark.parametrize(
    "malform",
    [
        lambda packed: b"",
        lambda packed: packed[:-1],
        lambda packed: packed + b"\0",
        lambda packed: packed[:GROUP_HEAD_BYTES],
        lambda packed: packed[: GROUP_HEAD_BYTES - 1],
        lambda packed: packed[: SECOND_GROUP + 1],
        lambda packed: packed[: SECOND_GROUP + GROUP_HEAD_BYTES],
        lambda packed: packed + packed[:GROUP_HEAD_BYTES],
        lambda packed: packed + CAROL.address + bytes(2),
        lambda packed: packed + CAROL.address + bytes(2) + bytes(RECORD_BYTES),
        lambda packed: packed + bytes(GROUP_HEAD_BYTES) + bytes(1),
        lambda packed: packed + bytes(GROUP_HEAD_BYTES) + bytes(RECORD_BYTES - 1),
        lambda packed: packed + bytes(GROUP_HEAD_BYTES) + bytes(RECORD_BYTES + 1),
        lambda packed: packed + bytes(GROUP_HEAD_BYTES - 1),
        lambda packed: bytes(GROUP_HEAD_BYTES),
        lambda packed: with_count(packed, 0, 0),
        lambda packed: with_count(packed, 0, 1),
        lambda packed: with_count(packed, 0, 3),
        lambda packed: with_count(packed, 0, 65_535),
        lambda packed: with_count(packed, SECOND_GROUP, 0),
        lambda packed: with_count(packed, SECOND_GROUP, 2),
        lambda packed: bytes(GROUP_HEAD_BYTES) + packed,
    ],
)
def test_a_malformed_batch_reverts(world: World, malform: object) -> None:
    packed = malform(packed_pair(world))  # type: ignore[operator]
    before = world.fingerprint()
    with pytest.raises(Refused) as refusal:
        world.do(BANK_A.address, abi.encode_settle_grouped(packed, world.valid_before_s))
    assert (refusal.value.code, refusal.value.arguments) == ("MalformedBatch", {"length": len(packed)})
    assert world.fingerprint() == before


def test_flat_records_follow_a_head_of_zeros_and_are_numbered_on(world: World) -> None:
    records = [world.sign(ALICE, CAROL, 10, nonce=nonce) for nonce in range(4)]
    bank = world.sign(BANK_A, BOB, 7)
    events = settle_grouped(world, [records[:2]], [records[2], BAD, records[1], bank, records[3]])
    assert reasons(events) == {3: "BadSignature", 4: "NonceUsed"}
    assert story(events) == [(ALICE.address, CAROL.address, 10)] * 3 + [
        (BANK_A.address, BOB.address, 7),
        (ALICE.address, CAROL.address, 10),
    ]
    settled = events[-1]
    assert isinstance(settled, BatchSettled)
    assert (settled.records, settled.executed) == (7, 5)


def test_a_head_of_zeros_may_come_first_or_last(world: World) -> None:
    assert reasons(settle_grouped(world, [], [world.sign(ALICE, CAROL, 10), BAD])) == {1: "BadSignature"}
    packed = pack_grouped([[world.sign(ALICE, CAROL, 10)]]) + bytes(GROUP_HEAD_BYTES)
    world.do(BANK_A.address, abi.encode_settle_grouped(packed, world.valid_before_s))
    assert world.balance(CAROL) == 20


def test_a_payee_of_a_group_pays_and_receives_flat_behind_it(world: World) -> None:
    world.set_account(BOB, balance=0)
    records = [world.sign(ALICE, BOB, 10, nonce=nonce) for nonce in range(3)]
    flat = [world.sign(BOB, CAROL, 20), world.sign(BOB, CAROL, 1, nonce=1), records[2]]
    assert reasons(settle_grouped(world, [records[:2]], flat)) == {3: "InsufficientBalance"}
    assert (world.balance(BOB), world.balance(CAROL), world.account(BOB).nonce) == (10, 20, 2)


def test_calldata_that_ends_before_the_groups_do_reverts_and_trailing_bytes_change_nothing(
    world: World,
) -> None:
    packed = packed_pair(world)
    data = abi.encode_settle_grouped(packed, world.valid_before_s)
    unpadded = data[: 4 + 96 + len(packed)]
    with pytest.raises(Refused, match="EmptyRevert"):
        world.do(BANK_A.address, unpadded[:-1])
    world.do(BANK_A.address, data + b"\xff" * GROUPED_RECORD_BYTES)
    assert (world.balance(CAROL), world.balance(ALICE)) == (20, 60_000 - 20 + 5)


def test_a_paused_currency_settles_nothing(world: World) -> None:
    groups = [[world.sign(ALICE, CAROL, 10)]]
    world.do(PAUSER, abi.encode_pause())
    with pytest.raises(Refused, match="CurrencyPaused"):
        settle_grouped(world, groups)
    world.do(PAUSER, abi.encode_unpause())
    settle_grouped(world, groups)


def test_what_is_skipped_is_numbered_over_all_groups(world: World) -> None:
    first = [world.sign(ALICE, CAROL, 1, nonce=nonce) for nonce in range(9)]
    first[7] = BAD
    second = [BAD._replace(payee=BOB.address), world.sign(ALICE, BOB, 1, nonce=9)]
    third = [world.sign(CAROL, ALICE, 1, nonce=0)]
    events = settle_grouped(world, [first, second, third])
    assert reasons(events) == {7: "BadSignature", 9: "BadSignature", 11: "PayerNotOfParticipant"}
    skipped, settled = events[-2:]
    assert isinstance(skipped, Skipped)
    assert isinstance(settled, BatchSettled)
    assert (settled.records, settled.executed) == (12, 9)
    assert (world.balance(CAROL), world.balance(BOB)) == (8, 60_001)


# The payee's word


@pytest.mark.parametrize("at", range(4))
def test_what_a_payee_received_before_a_refusal_is_kept(world: World, at: int) -> None:
    """Wherever in the group the record is that ends the plain run."""
    payments = [(BOB, CAROL, 10)] * 3
    payments.insert(at, (ALICE, CAROL, 50_001))
    assert grouped(world, *payments) == {at: "PerPaymentLimitExceeded"}
    assert (world.balance(CAROL), world.account(BOB).nonce, world.account(ALICE).nonce) == (30, 3, 1)


@pytest.mark.parametrize("at", range(4))
def test_a_waterfall_inside_a_group_leaves_the_payee_full_and_the_rest_flows_on(
    world: World, at: int
) -> None:
    payments = [(BOB, MERCHANT, 9_000)] * 3
    payments.insert(at, (ALICE, MERCHANT, 20_000))
    assert grouped(world, *payments) == {}
    assert world.balance(MERCHANT) == MERCHANT_HOLDING
    assert world.balance(BANK_B) == SUPPLY + 47_000 - MERCHANT_HOLDING


def test_a_payee_that_pays_in_between_is_read_again(world: World) -> None:
    assert grouped(world, (ALICE, BOB, 40_000), (BOB, CAROL, 50_000), (ALICE, BOB, 10_000)) == {}
    assert (world.balance(BOB), world.balance(CAROL)) == (60_000, 50_000)
    assert (world.account(BOB).nonce, world.account(BOB).spent_today) == (1, 50_000)


def test_a_payee_spends_what_its_group_brought(world: World) -> None:
    world.set_account(BOB, balance=0)
    assert grouped(world, (ALICE, BOB, 7), (ALICE, BOB, 3), (BOB, CAROL, 10), (BOB, CAROL, 1)) == {
        3: "InsufficientBalance"
    }
    assert (world.balance(BOB), world.balance(CAROL), world.account(BOB).nonce) == (0, 10, 2)


def test_a_payee_that_is_a_refused_payer_of_its_own_group_keeps_both(world: World) -> None:
    """Its nonce is written past the word that the group holds."""
    payments = [(ALICE, BOB, 10), (BOB, BOB, 5), (ALICE, BOB, 20), (BOB, BOB, 5), (ALICE, BOB, 30)]
    assert grouped(world, *payments) == {1: "SelfPayment", 3: "SelfPayment"}
    assert (world.balance(BOB), world.account(BOB).nonce, world.balance(ALICE)) == (60_060, 2, 59_940)


def test_a_group_fills_a_payee_to_its_limit_and_not_beyond(world: World) -> None:
    payments = [(ALICE, UNLINKED, 20_000), (BOB, UNLINKED, 10_001), (BOB, UNLINKED, 10_000)]
    assert grouped(world, *payments) == {1: "HoldingLimitExceeded"}
    assert world.balance(UNLINKED) == MERCHANT_HOLDING
    assert grouped(world, (ALICE, UNLINKED, 1)) == {0: "HoldingLimitExceeded"}


def test_a_group_of_which_nothing_executes_leaves_its_payee(world: World) -> None:
    before = world.fingerprint()
    events = settle_grouped(world, [[BAD] * 300, [BAD._replace(payee=STRANGER.address)] * 2])
    assert reasons(events) == dict.fromkeys(range(302), "BadSignature")
    assert world.fingerprint() == before


def test_a_payee_has_several_groups(world: World) -> None:
    records = [world.sign(ALICE, CAROL, 10, nonce=nonce) for nonce in range(3)]
    assert reasons(settle_grouped(world, [[record] for record in records])) == {}
    assert world.balance(CAROL) == 30


# The bank of a waterfall


def test_the_bank_that_a_waterfall_reaches_pays_in_the_same_batch(world: World) -> None:
    """Bob's bank is his payer and the payee of his excess."""
    bank = world.balance(BANK_A)
    payments = [(ALICE, BOB, 45_000), (BANK_A, CAROL, 1_000), (BANK_A, CAROL, 2_000), (ALICE, BOB, 1)]
    assert grouped(world, *payments) == {}
    assert world.balance(BOB) == 100_000
    assert world.balance(BANK_A) == bank + 5_000 + 1 - 3_000
    assert (world.account(BANK_A).nonce, world.account(BANK_A).spent_today) == (2, 60_000 * 2 + 3_000)


def test_the_bank_that_a_waterfall_reaches_receives_in_the_same_batch(world: World) -> None:
    bank = world.balance(BANK_A)
    payments = [
        (ALICE, BANK_A, 100),
        (BOB, BANK_A, 200),
        (ALICE, BOB, 45_000),
        (ALICE, BANK_A, 400),
        (BOB, BANK_A, 800),
    ]
    assert grouped(world, *payments) == {}
    assert world.balance(BANK_A) == bank + 1_500 + 4_800
    assert world.balance(BOB) == 100_000 - 800


def test_a_funding_that_only_an_excess_pays_for_comes_after_it(world: World) -> None:
    world.set_account(BANK_A, balance=0)
    payments = [(BANK_A, CAROL, 5_000), (ALICE, BOB, 45_000), (BANK_A, CAROL, 5_000)]
    assert grouped(world, *payments) == {0: "InsufficientBalance"}
    assert (world.balance(BANK_A), world.balance(CAROL)) == (0, 5_000)


def test_funding_in_a_group_never_flows_on(world: World) -> None:
    assert grouped(world, (ALICE, BOB, 1), (BANK_A, BOB, 40_000), (BANK_A, BOB, 39_999)) == {
        1: "HoldingLimitExceeded"
    }
    assert world.balance(BOB) == 100_000


# Tiers and standing


def test_tiers_that_a_batch_meets_late_and_tier_0_are_their_own(world: World) -> None:
    world.set_tier(9, 500, 400, 450)
    world.set_account(CAROL, tier=9)
    world.set_account(BOB, tier=9)
    payments = [
        (ALICE, BANK_B, 50_000),  # tier 0 as payee
        (BANK_A, MERCHANT, 30_000),  # tier 0 as payer
        (ALICE, CAROL, 400),
        (BOB, CAROL, 401),
        (BOB, UNLINKED, 400),
        (BOB, UNLINKED, 51),
        (BOB, UNLINKED, 50),
    ]
    assert grouped(world, *payments) == {3: "PerPaymentLimitExceeded", 5: "DailyLimitExceeded"}
    assert (world.balance(CAROL), world.balance(UNLINKED), world.balance(MERCHANT)) == (400, 450, 30_000)


def test_a_tier_that_was_never_set_neither_pays_nor_holds(world: World) -> None:
    world.set_account(BOB, tier=77)
    payments = [(BOB, UNLINKED, 1), (ALICE, UNLINKED, 1), (BOB, UNLINKED, 1)]
    assert grouped(world, *payments) == {0: "PerPaymentLimitExceeded", 2: "PerPaymentLimitExceeded"}
    world.set_account(UNLINKED, tier=77)
    assert grouped(world, (ALICE, UNLINKED, 1), (ALICE, UNLINKED, 1)) == {
        0: "HoldingLimitExceeded",
        1: "HoldingLimitExceeded",
    }


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (AccountFlag.FROZEN, "PayerFrozen"),
        (AccountFlag.CLOSED, "PayerClosed"),
        (AccountFlag.SUSPENDED, "PayerSuspended"),
    ],
)
def test_a_payer_that_may_not_pay_is_refused_within_a_group(
    world: World, flag: AccountFlag, code: str
) -> None:
    world.mark(BOB, flag)
    assert grouped(world, (ALICE, CAROL, 1), (BOB, CAROL, 2), (ALICE, CAROL, 4)) == {1: code}
    assert (world.balance(CAROL), world.account(BOB).nonce) == (5, 1)


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (AccountFlag.FROZEN, "PayeeFrozen"),
        (AccountFlag.CLOSED, "PayeeClosed"),
        (AccountFlag.SUSPENDED, "PayeeSuspended"),
        (AccountFlag.SYSTEM, "PayeeIsSystem"),
    ],
)
def test_a_payee_that_may_not_receive_refuses_its_whole_group(
    world: World, flag: AccountFlag, code: str
) -> None:
    world.mark(CAROL, flag)
    payments = [(ALICE, CAROL, 1), (BOB, CAROL, 2), (ALICE, BOB, 4)]
    assert grouped(world, *payments) == {0: code, 1: code}
    assert (world.balance(CAROL), world.balance(BOB)) == (0, 60_004)


def test_a_held_payer_pays_what_is_free_within_a_group(world: World) -> None:
    hold(world, BOB, 59_950)
    payments = [(ALICE, CAROL, 1), (BOB, CAROL, 51), (BOB, CAROL, 50), (BOB, CAROL, 1), (ALICE, CAROL, 2)]
    assert grouped(world, *payments) == {1: "FundsHeld", 3: "FundsHeld"}
    assert (world.balance(BOB), world.balance(CAROL)) == (59_950, 53)


def test_without_a_daily_limit_spending_saturates_within_a_group(world: World) -> None:
    world.set_tier(RETAIL_TIER, 2**96 - 1)
    world.set_account(ALICE, spent_today=2**64 - 15, day=world.evm.time_s // 86_400)
    assert grouped(world, *[(ALICE, CAROL, 10)] * 4) == {}
    assert (world.account(ALICE).spent_today, world.balance(CAROL)) == (2**64 - 1, 40)


def test_a_day_that_is_past_counts_no_more_within_a_group(world: World) -> None:
    world.set_account(ALICE, spent_today=80_000, day=world.evm.time_s // 86_400 - 1)
    assert grouped(world, *[(ALICE, BANK_A, 30_000)] * 2) == {}
    assert (world.account(ALICE).spent_today, world.account(ALICE).day) == (
        60_000,
        world.evm.time_s // 86_400,
    )


def test_a_daily_limit_is_met_in_the_middle_of_a_group(world: World) -> None:
    world.set_account(ALICE, balance=200_000)
    payments = [(ALICE, BANK_A, 50_000), (ALICE, BANK_A, 30_001), (ALICE, BANK_A, 30_000), (ALICE, BANK_A, 1)]
    assert grouped(world, *payments) == {1: "DailyLimitExceeded", 3: "DailyLimitExceeded"}
    assert world.account(ALICE).spent_today == 80_000


# Cost


@pytest.mark.parametrize(("payers", "payees"), [(2, 1), (3, 2), (5, 3), (6, 4), (8, 8), (12, 3), (40, 25)])
def test_the_rule_says_that_groups_are_cheaper_just_when_their_gas_is_less(
    world: World, payers: int, payees: int
) -> None:
    """All accounts and tiers have been met before, as on a chain that has run for a day."""
    shops = [Person.named(f"shop {index}") for index in range(payees)]
    people = [Person.named(f"payer {index}") for index in range(payers)]
    world.register(BANK_A, people + shops, RETAIL_TIER)
    for each in people:
        world.set_account(each, balance=1_000)
    pairs = [(payer, shops[index % payees]) for index, payer in enumerate(people)]
    records = [world.sign(payer, payee, 100, nonce=0) for payer, payee in pairs]
    grouping = group([(payer.address, each) for (payer, _), each in zip(pairs, records, strict=True)])
    start = world.evm.snapshot()
    flat = world.attempt(BANK_A.address, abi.encode_settle(pack(records), world.valid_before_s))
    world.evm.revert(start)
    data = abi.encode_settle_grouped(pack_grouped(grouping.groups, grouping.flat), world.valid_before_s)
    by_payee = world.attempt(BANK_A.address, data)
    assert flat.is_success
    assert by_payee.is_success
    assert is_grouped_cheaper(grouping) == (by_payee.gas_used < flat.gas_used)


def test_500_payments_of_500_payers_to_100_payees_all_execute(world: World) -> None:
    people = [Person.named(f"customer {index}") for index in range(500)]
    shops = [Person.named(f"shop {index}") for index in range(100)]
    world.register(BANK_A, people, RETAIL_TIER)
    world.register(BANK_A, shops, MERCHANT_TIER)
    world.settle(*(world.sign(BANK_A, each, 500, nonce=at) for at, each in enumerate(people)))
    records = [(p.address, world.sign(p, shops[at % 100], 1 + at, nonce=0)) for at, p in enumerate(people)]
    groups, flat, sources = group(records)
    assert (len(groups), flat) == (100, [])
    events = settle_grouped(world, groups)
    transfers = [event for event in events if isinstance(event, Transfer)]
    assert [each.amount_minor - 1 for each in transfers] == sources
    assert [world.balance(shop) for shop in shops] == [
        sum(1 + at for at in range(shop, 500, 100)) for shop in range(100)
    ]


def test_a_participants_institution_may_be_replaced_between_batches(world: World) -> None:
    """What one batch has learnt of tiers and accounts is gone with it."""
    grouped(world, (ALICE, MERCHANT, 40_000))
    successor = Person.named("bank b's new key")
    world.do(GOVERNOR, abi.encode_set_participant(2, successor.address, 0, 0b110))
    grouped(world, (ALICE, MERCHANT, 5))
    assert (world.balance(successor), world.balance(BANK_B)) == (5, SUPPLY + 10_000)


def test_nonces_on_both_sides_of_half_their_range_are_consumed_alike(world: World) -> None:
    nonces = (0, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
    records = [world.sign(ALICE, CAROL, 10, nonce=nonce) for nonce in nonces]
    assert reasons(settle_grouped(world, [records])) == {5: "NonceUsed"}
    alice = world.account(ALICE)
    assert (alice.balance, alice.nonce, alice.spent_today) == (60_000 - 50, 2**32 - 1, 50)


def test_limits_are_reached_exactly_and_not_passed_by_one(world: World) -> None:
    world.set_tier(RETAIL_TIER, 10**9, per_payment=100, daily=250)
    payments = [(ALICE, CAROL, amount) for amount in (1, 100, 101, 100, 49, 1)]
    assert grouped(world, *payments) == {2: "PerPaymentLimitExceeded", 5: "DailyLimitExceeded"}
    assert (world.account(ALICE).spent_today, world.account(ALICE).nonce) == (250, 6)
