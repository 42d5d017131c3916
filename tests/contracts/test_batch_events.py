"""A deployment whose batches emit no Transfer: the same money moves, and the call tells of it."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import abi
from contracts.abi import BatchSettled, Event, Skipped, Transfer, Waterfall
from contracts.batch import MalformedBatch, Record, SkipReason, pack, pack_grouped
from contracts.batch_reading import ExecutedPayment, NotABatch, decode_batch
from contracts.local_evm import Snapshot
from tests.contracts.forms import consecutive, sign_fan_out, story
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    MERCHANT,
    STRANGER,
    SUPPLY,
    UNLINKED,
    Person,
    World,
)


@pytest.fixture(scope="session")
def built_quiet() -> tuple[World, Snapshot]:
    """The other deployment, at the same addresses."""
    quiet = World(emits_transfers=False)
    return quiet, quiet.evm.snapshot()


@pytest.fixture
def quiet(built_quiet: tuple[World, Snapshot]) -> Iterator[World]:
    """A fresh one."""
    world, snapshot = built_quiet
    world.evm.revert(snapshot)
    yield world
    world.evm.revert(snapshot)


def told(events: Sequence[Event]) -> list[ExecutedPayment]:
    """The payments of which Transfers tell: all but what flows on, which comes just before its Waterfall."""
    flowed = {event.log_index - 1 for event in events if isinstance(event, Waterfall)}
    return [
        ExecutedPayment(event.payer, event.payee, event.amount_minor)
        for event in events
        if isinstance(event, Transfer) and event.log_index not in flowed
    ]


def without_transfers(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """All other events, without where they are."""
    return [
        (event.bank, event.payee, event.excess_minor)
        if isinstance(event, Waterfall)
        else (event.reasons,)
        if isinstance(event, Skipped)
        else (event.participant, event.records, event.executed)
        for event in events
        if isinstance(event, Waterfall | Skipped | BatchSettled)
    ]


def skipped_in(events: Sequence[Event]) -> dict[int, SkipReason]:
    return next((event.reasons for event in events if isinstance(event, Skipped)), {})


def agree(world: World, quiet: World, data: bytes) -> list[ExecutedPayment]:
    """Assert that both deployments do the same with a batch, and that the call tells what Transfers tell."""
    loud_events, quiet_events = (each.do(BANK_A.address, data) for each in (world, quiet))
    assert not any(isinstance(event, Transfer) for event in quiet_events)
    assert without_transfers(loud_events) == without_transfers(quiet_events)
    assert world.fingerprint() == quiet.fingerprint()
    payments = decode_batch(data, skipped_in(quiet_events), quiet.domain)
    assert payments == told(loud_events)
    return payments


def test_the_deployments_say_which_they_are_and_are_otherwise_equal(world: World, quiet: World) -> None:
    signature = "emitsTransfers()"
    assert abi.decode_uint(world.read(abi.SELECTORS[signature])) == 1
    assert abi.decode_uint(quiet.read(abi.SELECTORS[signature])) == 0
    assert world.currency == quiet.currency
    assert world.fingerprint() == quiet.fingerprint()


def test_a_batch_is_told_by_its_call(world: World, quiet: World) -> None:
    records = [
        world.sign(ALICE, CAROL, 10),
        world.sign(BOB, CAROL, 50_001),
        world.sign(ALICE, MERCHANT, 30_005, nonce=1),
        Record(BOB.address, 7, 0, bytes(32), bytes(32)),
        world.sign(BOB, CAROL, 20, nonce=1),
    ]
    expected = [
        (ALICE.address, CAROL.address, 10),
        (ALICE.address, MERCHANT.address, 30_005),
        (BOB.address, CAROL.address, 20),
    ]
    start = world.evm.snapshot(), quiet.evm.snapshot()
    assert agree(world, quiet, abi.encode_settle(pack(records), world.valid_before_s)) == expected
    world.evm.revert(start[0])
    quiet.evm.revert(start[1])
    grouped = pack_grouped(consecutive(records[:3]), records[3:])
    assert agree(world, quiet, abi.encode_settle_grouped(grouped, world.valid_before_s)) == expected


def test_a_fan_out_is_told_by_its_call(world: World, quiet: World) -> None:
    entries = [(CAROL, 10), (STRANGER, 5), (MERCHANT, 30_005), (BOB, 20)]
    assert agree(world, quiet, sign_fan_out(world, ALICE, entries)) == [
        (ALICE.address, CAROL.address, 10),
        (ALICE.address, MERCHANT.address, 30_005),
        (ALICE.address, BOB.address, 20),
    ]


def test_a_waterfall_of_a_batch_is_told_by_waterfall_alone(quiet: World) -> None:
    waterfall, settled = quiet.settle(quiet.sign(ALICE, MERCHANT, 30_005))
    assert isinstance(waterfall, Waterfall)
    assert (waterfall.payee, waterfall.bank, waterfall.excess_minor) == (MERCHANT.address, BANK_B.address, 5)
    assert isinstance(settled, BatchSettled)
    assert quiet.balance(BANK_B) == SUPPLY + 5


def test_single_payments_are_told_by_transfers_in_both(world: World, quiet: World) -> None:
    for each in (world, quiet):
        assert story(each.transfer(ALICE, MERCHANT, 30_005)) == [
            (ALICE.address, MERCHANT.address, 30_005),
            (MERCHANT.address, BANK_B.address, 5),
            (BANK_B.address, 5),
        ]


PAYERS = st.sampled_from([ALICE, BOB, UNLINKED, BANK_A, CAROL])
PAYEES = st.sampled_from([ALICE, BOB, CAROL, MERCHANT, UNLINKED, BANK_A, BANK_B, STRANGER])
AMOUNTS = st.sampled_from([0, 1, 20_000, 40_000, 50_001])
BOUNDS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@BOUNDS
@given(
    payments=st.lists(st.tuples(PAYERS, PAYEES, AMOUNTS), min_size=1, max_size=8),
    spoiled=st.sets(st.integers(0, 7), max_size=2),
)
def test_random_batches_agree(
    world: World, quiet: World, payments: list[tuple[Person, Person, int]], spoiled: set[int]
) -> None:
    start = world.evm.snapshot(), quiet.evm.snapshot()
    nonces: dict[Person, int] = {}
    records = []
    for index, (payer, payee, amount) in enumerate(payments):
        nonce = nonces.get(payer, world.account(payer).nonce)
        nonces[payer] = nonce + 1
        record = world.sign(payer, payee, amount, nonce=nonce)
        records.append(record._replace(r=bytes(32)) if index in spoiled else record)
    flat = agree(world, quiet, abi.encode_settle(pack(records), world.valid_before_s))
    world.evm.revert(start[0])
    quiet.evm.revert(start[1])
    grouped = pack_grouped(consecutive(records))
    assert agree(world, quiet, abi.encode_settle_grouped(grouped, world.valid_before_s)) == flat
    world.evm.revert(start[0])
    quiet.evm.revert(start[1])


@BOUNDS
@given(
    payer=st.sampled_from([ALICE, BOB, UNLINKED, BANK_A]),
    entries=st.lists(st.tuples(PAYEES, AMOUNTS), min_size=1, max_size=8),
)
def test_random_fan_outs_agree(
    world: World, quiet: World, payer: Person, entries: list[tuple[Person, int]]
) -> None:
    start = world.evm.snapshot(), quiet.evm.snapshot()
    agree(world, quiet, sign_fan_out(world, payer, entries))
    world.evm.revert(start[0])
    quiet.evm.revert(start[1])


# What cannot be read


def test_a_call_that_is_no_batch_is_refused(world: World) -> None:
    for data in (b"", b"\x01", abi.encode_transfer(CAROL.address, 1)):
        with pytest.raises(NotABatch):
            decode_batch(data, {}, world.domain)


def test_records_that_other_callers_put_elsewhere_are_found(world: World) -> None:
    """The ABI lets the bytes be anywhere behind the head."""
    records = pack([world.sign(ALICE, CAROL, 10)])
    head = (96).to_bytes(32, "big") + world.valid_before_s.to_bytes(32, "big") + b"\xee" * 32
    data = abi.SELECTORS["settle(bytes,uint64)"] + head + len(records).to_bytes(32, "big") + records
    events = world.do(BANK_A.address, data)
    assert decode_batch(data, {}, world.domain) == told(events) == [(ALICE.address, CAROL.address, 10)]


def test_a_call_that_could_not_have_succeeded_is_refused(world: World) -> None:
    record = world.sign(ALICE, CAROL, 10)
    good = abi.encode_settle(pack([record]), world.valid_before_s)
    unsigned = abi.encode_settle(pack([record._replace(r=bytes(32))]), world.valid_before_s)
    for data, skipped in (
        (good[: 4 + 96 + 92], {}),
        (good[:4], {}),
        (abi.encode_settle(bytes(92), world.valid_before_s), {}),
        (abi.encode_settle_grouped(b"\x01" * 22, world.valid_before_s), {}),
        (unsigned, {}),
        (good, {1: SkipReason.NonceUsed}),
    ):
        with pytest.raises(MalformedBatch):
            decode_batch(data, skipped, world.domain)
    assert decode_batch(unsigned, {0: SkipReason.BadSignature}, world.domain) == []
