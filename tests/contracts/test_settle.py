"""A payment of a batch: what moves, what is told, and whose signature counts."""

from dataclasses import replace

import pytest
from coincurve import PublicKey
from eth_hash.auto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import abi
from contracts.abi import AccountFlag, BatchSettled, Skipped, Transfer
from contracts.batch import RECORD_BYTES, Record, SkipReason, pack
from contracts.typed_data import PaymentDomain, payment_digest
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    MERCHANT,
    NOBODY,
    PAUSER,
    RETAIL_TIER,
    STRANGER,
    Person,
    Refused,
    World,
)

LOW_255_BITS = (1 << 255) - 1
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_a_plain_payment_moves_the_amount_advances_the_nonce_and_counts_spending(world: World) -> None:
    before = world.account(CAROL)
    events = world.settle(world.sign(ALICE, CAROL, 1_234))

    alice, carol = world.account(ALICE), world.account(CAROL)
    assert alice.balance == 60_000 - 1_234
    assert alice.nonce == 1
    assert alice.spent_today == 1_234
    assert alice.day == world.evm.time_s // 86_400
    assert (alice.participant, alice.tier) == (1, RETAIL_TIER)
    assert alice.flags == AccountFlag.REGISTERED | AccountFlag.LINKED
    assert carol == before._replace(balance=1_234)
    transfer, settled = events
    assert isinstance(transfer, Transfer)
    assert (transfer.payer, transfer.payee, transfer.amount_minor) == (ALICE.address, CAROL.address, 1_234)
    assert isinstance(settled, BatchSettled)
    assert (settled.participant, settled.records, settled.executed) == (1, 1, 1)


def test_500_payments_of_500_payers_all_execute(world: World) -> None:
    people = [Person.named(f"customer {index}") for index in range(500)]
    world.register(BANK_A, people, RETAIL_TIER)
    world.settle(*(world.sign(BANK_A, each, 5_000, nonce=at) for at, each in enumerate(people)))

    world.set_tier(RETAIL_TIER, 10**9)
    records = [world.sign(payer, CAROL, 1 + at, nonce=0) for at, payer in enumerate(people)]
    events = world.settle(*records)

    assert [type(event) for event in events] == [Transfer] * 500 + [BatchSettled]
    assert world.balance(CAROL) == sum(range(1, 501))
    assert [world.account(each).nonce for each in people] == [1] * 500


@pytest.mark.parametrize("length", [0, 1, RECORD_BYTES - 1, RECORD_BYTES + 1, 2 * RECORD_BYTES - 1])
def test_bytes_that_are_not_whole_records_revert(world: World, length: int) -> None:
    packed = (pack([world.sign(ALICE, CAROL, 10)]) * 2)[:length]
    with pytest.raises(Refused) as refusal:
        world.do(BANK_A.address, abi.encode_settle(packed, world.valid_before_s))
    assert (refusal.value.code, refusal.value.arguments) == ("MalformedBatch", {"length": length})


def test_calldata_that_ends_before_the_records_do_reverts(world: World) -> None:
    data = abi.encode_settle(pack([world.sign(ALICE, CAROL, 10)]), world.valid_before_s)
    unpadded = data[: 4 + 96 + RECORD_BYTES]
    with pytest.raises(Refused, match="EmptyRevert"):
        world.do(BANK_A.address, unpadded[:-1])
    world.do(BANK_A.address, unpadded)
    assert world.balance(CAROL) == 10


def test_trailing_calldata_changes_nothing(world: World) -> None:
    data = abi.encode_settle(pack([world.sign(ALICE, CAROL, 10)]), world.valid_before_s)
    world.do(BANK_A.address, data + b"\xff" * 93)
    assert world.balance(CAROL) == 10


def test_it_executes_strictly_before_valid_before(world: World) -> None:
    expiry = world.evm.time_s + 10
    record = world.sign(ALICE, CAROL, 10, valid_before_s=expiry)
    for late_s in (0, 1, 10**6):
        world.evm.set_time(expiry + late_s)
        with pytest.raises(Refused) as refusal:
            world.settle(record, valid_before_s=expiry)
        assert refusal.value.code == "BatchExpired"
        assert refusal.value.arguments == {"validBefore": expiry, "blockTime": expiry + late_s}
    world.evm.set_time(expiry - 1)
    world.settle(record, valid_before_s=expiry)
    assert world.balance(CAROL) == 10


def test_a_paused_currency_settles_nothing_until_it_is_unpaused(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    world.do(PAUSER, abi.encode_pause())
    before = world.fingerprint()
    with pytest.raises(Refused, match="CurrencyPaused"):
        world.settle(record)
    assert world.fingerprint() == before
    world.do(PAUSER, abi.encode_unpause())
    world.settle(record)
    assert world.balance(CAROL) == 10


@pytest.mark.parametrize("sender", [ALICE, STRANGER, Person(b"", NOBODY)])
def test_only_an_institution_settles(world: World, sender: Person) -> None:
    with pytest.raises(Refused) as refusal:
        world.settle(world.sign(ALICE, CAROL, 10), sender=sender)
    assert (refusal.value.code, refusal.value.arguments) == ("NotAParticipant", {"caller": sender.address})


@pytest.mark.parametrize("flag", [AccountFlag.FROZEN, AccountFlag.CLOSED])
def test_a_frozen_institution_settles_nothing(world: World, flag: AccountFlag) -> None:
    world.mark(BANK_A, flag)
    with pytest.raises(Refused) as refusal:
        world.settle(world.sign(ALICE, CAROL, 10))
    assert (refusal.value.code, refusal.value.arguments) == ("ParticipantFrozen", {"participant": 1})


def test_another_participants_customer_is_skipped_and_keeps_the_nonce(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    before = world.fingerprint()
    assert world.skips(record, sender=BANK_B) == {0: SkipReason.PayerNotOfParticipant}
    assert world.fingerprint() == before
    assert world.skips(record) == {}


def test_an_unregistered_payer_is_skipped(world: World) -> None:
    assert world.skips(world.sign(STRANGER, CAROL, 10, nonce=0)) == {0: SkipReason.PayerNotOfParticipant}


def foreign_domains(world: World) -> list[PaymentDomain]:
    return [
        replace(world.domain, chain_id=world.domain.chain_id + 1),
        replace(world.domain, contract=world.implementation),
        replace(world.domain, name="Other"),
    ]


@pytest.mark.parametrize("which", range(3))
def test_a_signature_for_another_chain_contract_or_name_pays_nobody(world: World, which: int) -> None:
    record = world.sign(ALICE, CAROL, 10, domain=foreign_domains(world)[which])
    before = world.fingerprint()
    # Some other key is recovered; nobody holds it.
    assert world.skips(record) == {0: SkipReason.PayerNotOfParticipant}
    assert world.fingerprint() == before


@pytest.mark.parametrize(
    "change",
    [{"payee": BOB.address}, {"amount_minor": 11}, {"amount_minor": 9}, {"nonce": 1}],
    ids=["payee", "amount above", "amount below", "nonce"],
)
def test_a_changed_field_pays_nobody(world: World, change: dict[str, object]) -> None:
    record = world.sign(ALICE, CAROL, 10)._replace(**change)  # type: ignore[arg-type]
    before = world.fingerprint()
    assert world.skips(record) == {0: SkipReason.PayerNotOfParticipant}
    assert world.fingerprint() == before


def test_a_batch_under_another_expiry_pays_nobody(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    before = world.fingerprint()
    world.settle(record, valid_before_s=world.valid_before_s + 60)
    assert world.fingerprint() == before


def signer_of(world: World, record: Record) -> Person:
    """Whoever a signature would be of: nobody knows the key, but the address can be registered."""
    digest = payment_digest(
        world.domain.separator, record.payee, record.amount_minor, record.nonce, world.valid_before_s
    )
    vs = int.from_bytes(record.vs, "big")
    signature = record.r + (vs & LOW_255_BITS).to_bytes(32, "big") + bytes([vs >> 255])
    key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    return Person(b"", keccak(key.format(compressed=False)[1:])[12:])


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize(("above_half", "reason"), [(0, None), (1, SkipReason.BadSignature)])
def test_a_high_s_is_refused_whoever_signed(
    world: World, place: int, parity: int, above_half: int, reason: SkipReason | None
) -> None:
    """255 bits hold an s above half the order, so the twin of somebody's signature could be sent."""
    s = ORDER // 2 + above_half
    record = world.sign(BOB, CAROL, 10)._replace(vs=(s | parity << 255).to_bytes(32, "big"))
    signer = signer_of(world, record)
    world.register(BANK_A, [signer], RETAIL_TIER)
    world.transfer(BANK_A, signer, 1_000)
    skipped = world.skips(*[world.sign(ALICE, CAROL, 0)] * place, record)
    assert skipped.get(place) is reason
    assert world.balance(signer) == (990 if reason is None else 1_000)


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (0, 0), (ORDER, 1), (ORDER + 1, 1), (2**256 - 1, 1), (5, 1)]
)
def test_impossible_r_or_s_is_a_bad_signature(world: World, r: int, s: int) -> None:
    """5 is not the x of a point."""
    record = Record(CAROL.address, 10, 0, r.to_bytes(32, "big"), s.to_bytes(32, "big"))
    before = world.fingerprint()
    assert world.skips(record) == {0: SkipReason.BadSignature}
    assert world.fingerprint() == before


@pytest.mark.parametrize("nonce", [0, 1, 2])
def test_a_failed_recovery_pays_neither_from_the_last_payer_nor_from_the_last_payee(
    world: World, nonce: int
) -> None:
    """Both are the bank's customers with money, and their addresses are still in memory."""
    good = world.sign(ALICE, BOB, 10)
    bad = Record(CAROL.address, 10, nonce, bytes(32), bytes(32))
    assert world.skips(good, bad, bad) == {1: SkipReason.BadSignature, 2: SkipReason.BadSignature}
    assert (world.balance(ALICE), world.balance(BOB), world.balance(CAROL)) == (59_990, 60_010, 0)
    assert (world.account(ALICE).nonce, world.account(BOB).nonce) == (1, 0)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    noise=st.integers(1, 4).flatmap(lambda n: st.binary(min_size=n * RECORD_BYTES, max_size=n * RECORD_BYTES))
)
def test_random_records_move_nothing(world: World, noise: bytes) -> None:
    before = world.fingerprint()
    world.do(BANK_A.address, abi.encode_settle(noise, world.valid_before_s))
    assert world.fingerprint() == before


def test_skips_are_told_by_bitmap_across_bytes_and_leave_the_others_alone(world: World) -> None:
    bad = Record(CAROL.address, 1, 0, bytes(32), bytes(32))
    foreign = world.sign(CAROL, ALICE, 1, nonce=0)
    records = []
    expected = {}
    for index in range(20):
        if index in {0, 7, 8, 15, 19}:
            records.append(bad if index % 2 else foreign)
            expected[index] = SkipReason.BadSignature if index % 2 else SkipReason.PayerNotOfParticipant
        else:
            records.append(world.sign(ALICE, CAROL, 1, nonce=index))
    events = world.settle(*records)

    skipped, settled = events[-2:]
    assert isinstance(skipped, Skipped)
    assert skipped.reasons == expected
    assert isinstance(settled, BatchSettled)
    assert (settled.records, settled.executed) == (20, 15)
    assert world.balance(CAROL) == 15


def test_skips_are_not_told_when_there_are_none(world: World) -> None:
    events = world.settle(world.sign(ALICE, CAROL, 1))
    assert not any(isinstance(event, Skipped) for event in events)


def test_a_batch_in_which_everything_is_skipped_says_so(world: World) -> None:
    bad = Record(CAROL.address, 1, 0, bytes(32), bytes(32))
    skipped, settled = world.settle(*[bad] * 300)
    assert isinstance(skipped, Skipped)
    assert isinstance(settled, BatchSettled)
    assert skipped.reasons == dict.fromkeys(range(300), SkipReason.BadSignature)
    assert (settled.records, settled.executed) == (300, 0)


def test_funding_and_redemption_are_payments_from_and_to_the_institution(world: World) -> None:
    world.settle(world.sign(BANK_A, ALICE, 500), world.sign(ALICE, BANK_A, 700))
    assert world.balance(ALICE) == 60_000 + 500 - 700


def test_a_chain_of_payments_in_one_batch_sees_its_predecessors(world: World) -> None:
    first = world.sign(ALICE, BOB, 30_000)
    second = world.sign(BOB, ALICE, 50_000)
    third = world.sign(BOB, ALICE, 29_999, nonce=1)
    fourth = world.sign(BOB, MERCHANT, 1, nonce=2)
    assert world.skips(first, second, third, fourth) == {}
    # Alice would hold 109,999, which is 9,999 too many.
    assert (world.balance(ALICE), world.balance(BOB), world.balance(MERCHANT)) == (100_000, 10_000, 1)


def test_nonces_on_both_sides_of_half_their_range_are_consumed_alike(world: World) -> None:
    nonces = (0, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
    records = [world.sign(ALICE, CAROL, 10, nonce=nonce) for nonce in nonces]
    assert world.skips(*records) == {5: SkipReason.NonceUsed}
    alice = world.account(ALICE)
    assert (alice.balance, alice.nonce, alice.spent_today) == (60_000 - 50, 2**32 - 1, 50)


def test_a_payer_whose_money_is_gone_pays_nothing_twice(world: World) -> None:
    world.set_account(ALICE, balance=30)
    records = [world.sign(BOB, CAROL, 1)]
    records += [
        world.sign(ALICE, CAROL, amount, nonce=at) for amount, at in ((30, 0), (30, 0), (0, 0), (1, 1))
    ]
    assert world.skips(*records) == {
        2: SkipReason.NonceUsed,
        3: SkipReason.NonceUsed,
        4: SkipReason.InsufficientBalance,
    }
    assert world.balance(CAROL) == 31


def test_limits_are_reached_exactly_and_not_passed_by_one(world: World) -> None:
    world.set_tier(RETAIL_TIER, 10**9, per_payment=100, daily=250)
    amounts = (1, 100, 101, 100, 49, 1)
    assert world.skips(
        *(world.sign(ALICE, CAROL, amount, nonce=at) for at, amount in enumerate(amounts))
    ) == {
        2: SkipReason.PerPaymentLimitExceeded,
        5: SkipReason.DailyLimitExceeded,
    }
    assert (world.account(ALICE).spent_today, world.account(ALICE).nonce) == (250, 6)
