"""One set of rules: whatever the accounts are like, every form of a batch does what single payments do."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.abi import AccountFlag, AccountWord, Event
from contracts.batch import Record
from contracts.grouping import group
from tests.contracts.forms import (
    Story,
    consecutive,
    hold,
    reasons,
    settle_fan_out,
    settle_grouped,
    story,
    transfer_each,
)
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    MERCHANT,
    RETAIL_TIER,
    STRANGER,
    UNLINKED,
    Person,
    World,
)

PAYERS = (ALICE, BOB, UNLINKED)
PEOPLE = (*PAYERS, CAROL, MERCHANT, BANK_A, BANK_B)
OPTIONAL_FLAGS = (
    AccountFlag.FROZEN,
    AccountFlag.CLOSED,
    AccountFlag.SUSPENDED,
    AccountFlag.SYSTEM,
    AccountFlag.INSTITUTION,
)


class Drawn(NamedTuple):
    """What an account is like; ``held`` is zero for most."""

    balance: int
    spent: int
    is_spent_today: bool
    flags: int
    tier: int
    held: int


FLAGS = st.tuples(
    st.sets(st.sampled_from([AccountFlag.LINKED]), max_size=1),
    st.one_of(st.just(set()), st.just(set()), st.sets(st.sampled_from(OPTIONAL_FLAGS), max_size=1)),
).map(lambda drawn: AccountFlag.REGISTERED | sum(drawn[0] | drawn[1]))
STATES = st.builds(
    Drawn,
    st.sampled_from([0, 1, 99, 100, 101, 199, 200, 1_000]),
    st.sampled_from([0, 0, 99, 100, 2**64 - 101, 2**64 - 1]),
    st.booleans(),
    FLAGS,
    st.sampled_from([RETAIL_TIER, RETAIL_TIER, 9, 77]),
    st.sampled_from([0, 0, 0, 1, 100]),
)
LIMITS = st.tuples(
    st.sampled_from([0, 100, 200, 10_000]),
    st.sampled_from([99, 100, 101, 10_000]),
    st.sampled_from([100, 200, 10_000, 2**64 - 1]),
)
COUNTRIES = st.tuples(
    st.tuples(*[STATES] * len(PAYERS)), st.tuples(STATES, STATES), st.tuples(LIMITS, LIMITS), st.booleans()
)
AMOUNTS = st.sampled_from([0, 1, 50, 99, 100, 101, 200])
PAYEES = st.sampled_from([*PEOPLE, STRANGER])
PAYMENTS = st.lists(
    st.tuples(st.sampled_from([*PAYERS, BANK_A]), PAYEES, AMOUNTS), min_size=1, max_size=8
)  # fmt: skip
ENTRIES = st.lists(st.tuples(PAYEES, AMOUNTS), min_size=1, max_size=8)
BOUNDS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Country = tuple[
    tuple[Drawn, ...],
    tuple[Drawn, Drawn],
    tuple[tuple[int, int, int], tuple[int, int, int]],
    bool,
]
Payments = Sequence[tuple[Person, Person, int]]
Happened = tuple[list[str | None], Story, list[AccountWord]]


def prepare(world: World, country: Country) -> None:
    payers, payees, limits, is_bank_frozen = country
    for tier, (holding, per_payment, daily) in zip((RETAIL_TIER, 9), limits, strict=True):
        world.set_tier(tier, max(holding, per_payment), per_payment, daily)
    today = world.evm.time_s // 86_400
    for person, drawn in zip((*PAYERS, CAROL, MERCHANT), (*payers, *payees), strict=True):
        world.set_account(
            person,
            balance=drawn.balance,
            spent_today=drawn.spent,
            day=today - (not drawn.is_spent_today),
            flags=drawn.flags,
            tier=drawn.tier,
        )
        if drawn.held:
            hold(world, person, drawn.held)
    if is_bank_frozen:
        world.mark(BANK_B, AccountFlag.FROZEN)


def accounts(world: World) -> list[AccountWord]:
    """All but the nonces, which single payments do not use."""
    return [world.account(each)._replace(nonce=0) for each in PEOPLE]


def signed(world: World, payments: Payments) -> list[Record]:
    used: dict[Person, int] = {}
    records = []
    for payer, payee, amount in payments:
        nonce = used.get(payer, world.account(payer).nonce)
        used[payer] = nonce + 1
        records.append(world.sign(payer, payee, amount, nonce=nonce))
    return records


def happened(world: World, events: Sequence[Event], count: int) -> Happened:
    skipped = reasons(events)
    return [skipped.get(index) for index in range(count)], story(events), accounts(world)


def singly(world: World, payments: Payments) -> Happened:
    return *transfer_each(world, payments), accounts(world)


@BOUNDS
@given(country=COUNTRIES, payments=PAYMENTS)
def test_flat_and_grouped_batches_and_single_payments_do_the_same(
    world: World, country: Country, payments: Payments
) -> None:
    start = world.evm.snapshot()
    prepare(world, country)
    prepared = world.evm.snapshot()
    records = signed(world, payments)
    flat = happened(world, world.settle(*records), len(records))
    stored = world.fingerprint()

    world.evm.revert(prepared)
    assert singly(world, payments) == flat
    world.evm.revert(prepared)
    assert happened(world, settle_grouped(world, consecutive(records)), len(records)) == flat
    assert world.fingerprint() == stored
    world.evm.revert(prepared)
    assert happened(world, settle_grouped(world, [[each] for each in records]), len(records)) == flat
    assert world.fingerprint() == stored
    world.evm.revert(prepared)
    half = len(records) // 2
    groups = consecutive(records[:half])
    assert happened(world, settle_grouped(world, groups, records[half:]), len(records)) == flat
    assert world.fingerprint() == stored
    world.evm.revert(start)


@BOUNDS
@given(country=COUNTRIES, payments=PAYMENTS)
def test_a_batch_that_was_put_into_groups_ends_as_it_would_have_in_its_order(
    world: World, country: Country, payments: Payments
) -> None:
    start = world.evm.snapshot()
    prepare(world, country)
    prepared = world.evm.snapshot()
    records = signed(world, payments)
    outcomes, moved, _ = happened(world, world.settle(*records), len(records))
    stored = world.fingerprint()

    world.evm.revert(prepared)
    groups, flat, sources = group(
        [(payer.address, each) for (payer, _, _), each in zip(payments, records, strict=True)]
    )
    events = settle_grouped(world, groups, flat)
    assert reasons(events) == {
        at: outcome for at, source in enumerate(sources) if (outcome := outcomes[source]) is not None
    }
    assert Counter(story(events)) == Counter(moved)
    assert world.fingerprint() == stored
    world.evm.revert(start)


@BOUNDS
@given(country=COUNTRIES, payer=st.sampled_from([*PAYERS, BANK_A]), entries=ENTRIES)
def test_a_fan_out_does_what_its_payers_single_payments_do(
    world: World, country: Country, payer: Person, entries: Sequence[tuple[Person, int]]
) -> None:
    start = world.evm.snapshot()
    prepare(world, country)
    prepared = world.evm.snapshot()
    payments = [(payer, *entry) for entry in entries]
    expected = singly(world, payments)

    world.evm.revert(prepared)
    assert happened(world, settle_fan_out(world, payer, *entries), len(entries)) == expected
    assert world.account(payer).nonce == 1
    world.evm.revert(prepared)
    records = signed(world, payments)
    assert happened(world, settle_grouped(world, consecutive(records)), len(records)) == expected
    world.evm.revert(start)
