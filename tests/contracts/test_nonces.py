"""The nonce rule: one nonce executes at most once, and a skipped record never blocks its successors."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.abi import AccountFlag
from contracts.batch import Record, SkipReason
from tests.contracts.world import ALICE, BANK_B, BOB, CAROL, Refused, World

LAST = 2**32 - 1


def test_a_gap_is_allowed_and_ends_every_lower_nonce(world: World) -> None:
    lower = [world.sign(ALICE, CAROL, 10, nonce=nonce) for nonce in (0, 5, 6)]
    world.settle(world.sign(ALICE, CAROL, 1, nonce=6))
    assert world.account(ALICE).nonce == 7
    before = world.fingerprint()
    assert world.skips(*lower) == dict.fromkeys(range(3), SkipReason.NonceUsed)
    assert world.fingerprint() == before
    assert world.skips(world.sign(ALICE, CAROL, 1, nonce=7)) == {}


def test_the_same_record_twice_in_a_batch_pays_once(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    assert world.skips(record, record, record) == {1: SkipReason.NonceUsed, 2: SkipReason.NonceUsed}
    assert world.balance(CAROL) == 10


def test_a_replay_in_a_later_batch_changes_nothing(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    world.settle(record)
    before = world.fingerprint()
    assert world.skips(record) == {0: SkipReason.NonceUsed}
    assert world.fingerprint() == before


def test_two_payments_under_one_nonce_pay_once(world: World) -> None:
    assert world.skips(world.sign(ALICE, CAROL, 10), world.sign(ALICE, BOB, 20)) == {1: SkipReason.NonceUsed}


def test_a_payment_refused_by_a_rule_consumes_its_nonce_and_its_successor_executes(world: World) -> None:
    refused = world.sign(ALICE, CAROL, 50_001, nonce=3)
    assert world.skips(refused, world.sign(ALICE, CAROL, 5, nonce=4)) == {
        0: SkipReason.PerPaymentLimitExceeded
    }
    assert world.account(ALICE).nonce == 5


def test_a_refusal_changes_only_the_nonce(world: World) -> None:
    before = world.account(ALICE)
    world.skips(world.sign(ALICE, CAROL, 50_001, nonce=3))
    assert world.account(ALICE) == before._replace(nonce=4)
    assert world.skips(world.sign(ALICE, CAROL, 50_001, nonce=3)) == {0: SkipReason.NonceUsed}


def test_a_frozen_payers_nonce_is_consumed(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    world.mark(ALICE, AccountFlag.FROZEN)
    assert world.skips(record) == {0: SkipReason.PayerFrozen}
    world.set_account(ALICE, flags=AccountFlag.REGISTERED | AccountFlag.LINKED)
    assert world.skips(record) == {0: SkipReason.NonceUsed}


def test_a_bad_signature_another_participant_and_a_revert_keep_the_nonce(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    world.skips(Record(CAROL.address, 10, 0, bytes(32), bytes(32)))
    world.skips(record, sender=BANK_B)
    with pytest.raises(Refused, match="BatchExpired"):
        world.settle(record, valid_before_s=world.evm.time_s)
    assert world.account(ALICE).nonce == 0
    assert world.skips(record) == {}


def test_the_last_usable_nonce_is_the_one_before_the_highest(world: World) -> None:
    highest = world.sign(ALICE, CAROL, 10, nonce=LAST)
    before = world.fingerprint()
    assert world.skips(highest) == {0: SkipReason.NonceUsed}
    assert world.fingerprint() == before
    assert world.skips(world.sign(ALICE, CAROL, 10, nonce=LAST - 1)) == {}
    account = world.account(ALICE)
    assert (account.nonce, account.spent_today, account.participant) == (LAST, 10, 1)
    assert world.skips(highest) == {0: SkipReason.NonceUsed}
    assert world.account(ALICE) == account


def test_the_highest_nonce_is_as_unusable_for_a_later_record_of_a_batch(world: World) -> None:
    first, highest = world.sign(ALICE, CAROL, 10), world.sign(ALICE, CAROL, 10, nonce=LAST)
    assert world.skips(first, highest) == {1: SkipReason.NonceUsed}
    account = world.account(ALICE)
    assert (account.nonce, account.spent_today, account.balance) == (1, 10, 59_990)


def test_single_payments_leave_the_nonce(world: World) -> None:
    world.transfer(ALICE, CAROL, 10)
    assert world.account(ALICE).nonce == 0


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(attempts=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1, 7, 50_001])), max_size=15))
def test_random_batches_follow_the_rule(world: World, attempts: list[tuple[int, int]]) -> None:
    world.set_account(ALICE, nonce=0, balance=60_000, spent_today=0)
    world.set_account(CAROL, balance=0)
    expected: dict[int, SkipReason] = {}
    floor = paid = 0
    for index, (nonce, amount) in enumerate(attempts):
        if nonce < floor:
            expected[index] = SkipReason.NonceUsed
            continue
        floor = nonce + 1
        if amount > 50_000:
            expected[index] = SkipReason.PerPaymentLimitExceeded
        else:
            paid += amount
    if attempts:
        records = [world.sign(ALICE, CAROL, amount, nonce=nonce) for nonce, amount in attempts]
        assert world.skips(*records) == expected
    assert (world.account(ALICE).nonce, world.balance(CAROL)) == (floor, paid)
