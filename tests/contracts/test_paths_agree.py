"""The batch and the single path are one set of rules: whatever the accounts are like, they do the same."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import abi, orders
from contracts.abi import AccountFlag, BatchSettled, Event, Skipped, Transfer, Waterfall
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    COURT,
    MERCHANT,
    RETAIL_TIER,
    UNLINKED,
    Refused,
    World,
)

INTERESTING = st.sampled_from([0, 1, 2, 99, 100, 101, 199, 200, 201, 1_000])
OPTIONAL_FLAGS = (
    AccountFlag.FROZEN,
    AccountFlag.CLOSED,
    AccountFlag.LINKED,
    AccountFlag.INSTITUTION,
    AccountFlag.SUSPENDED,
    AccountFlag.SYSTEM,
)
FLAGS = st.sets(st.sampled_from(OPTIONAL_FLAGS), max_size=2).map(
    lambda chosen: AccountFlag.REGISTERED | sum(chosen)
)
LIMITS = st.tuples(
    st.sampled_from([0, 100, 200, 10_000]),
    st.sampled_from([99, 100, 101, 10_000]),
    st.sampled_from([100, 200, 10_000, 2**64 - 1]),
)


def story(events: list[Event]) -> list[tuple[bytes, bytes, int] | tuple[bytes, int]]:
    """What moved, without where the logs are."""
    return [
        (event.payer, event.payee, event.amount_minor)
        if isinstance(event, Transfer)
        else (event.bank, event.excess_minor)
        for event in events
        if isinstance(event, Transfer | Waterfall)
    ]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    payer=st.sampled_from([ALICE, BOB, BANK_A]),
    payee=st.sampled_from([ALICE, BOB, CAROL, MERCHANT, UNLINKED, BANK_A, BANK_B]),
    amount=st.sampled_from([0, 1, 99, 100, 101, 200]),
    balances=st.tuples(INTERESTING, INTERESTING),
    spent=st.tuples(st.sampled_from([0, 99, 100, 2**64 - 1]), st.booleans()),
    flags=st.tuples(FLAGS, FLAGS),
    limits=st.tuples(LIMITS, LIMITS),
    held=st.sampled_from([0, 0, 1, 100]),
    is_bank_frozen=st.booleans(),
)
def test_a_payment_does_the_same_in_a_batch_and_singly(
    world: World,
    payer: object,
    payee: object,
    amount: int,
    balances: tuple[int, int],
    spent: tuple[int, bool],
    flags: tuple[int, int],
    limits: tuple[tuple[int, int, int], tuple[int, int, int]],
    held: int,
    is_bank_frozen: bool,
) -> None:
    start = world.evm.snapshot()
    sender = payer if payer is BANK_A else None
    for tier, (holding, per_payment, daily) in zip((RETAIL_TIER, 9), limits, strict=True):
        world.set_tier(tier, max(holding, per_payment), per_payment, daily)
    today = world.evm.time_s // 86_400
    if is_bank_frozen:
        world.mark(BANK_B, AccountFlag.FROZEN)
    for person, balance, person_flags, tier in zip((payee, payer), balances, flags, (9, 1), strict=True):
        kept = AccountFlag.REGISTERED | AccountFlag.INSTITUTION if person is BANK_A else person_flags
        world.set_account(person, balance=balance, flags=kept, tier=tier)
    world.set_account(payer, spent_today=spent[0], day=today - spent[1])
    if held and not world.account(payer).has(AccountFlag.SYSTEM):
        world.do(COURT, orders.encode_hold(world.register_order(), payer.address, held))
    prepared = world.evm.snapshot()

    refusal = None
    try:
        singly = story(world.transfer(payer, payee, amount))
    except Refused as refused:
        refusal, singly = refused.code, []
    accounts = [world.account(each)._replace(nonce=0) for each in (payer, payee, BANK_A, BANK_B)]

    world.evm.revert(prepared)
    events = world.settle(world.sign(payer, payee, amount), sender=sender or BANK_A)
    skipped = next((event.reasons[0].name for event in events if isinstance(event, Skipped)), None)
    assert skipped == refusal
    assert story(events) == singly
    assert [world.account(each)._replace(nonce=0) for each in (payer, payee, BANK_A, BANK_B)] == accounts
    assert isinstance(events[-1], BatchSettled)
    # A second payment in the same batch meets its tier again and takes the plain way.
    world.evm.revert(prepared)
    world.settle(world.sign(payer, payee, 0, nonce=6), world.sign(payer, payee, amount, nonce=7))
    assert [world.account(each)._replace(nonce=0) for each in (payer, payee, BANK_A, BANK_B)] == accounts
    world.evm.revert(start)


def test_a_plain_way_after_a_waterfall_agrees(world: World) -> None:
    """The first record of a tier is decided rule by rule, the next ones all at once."""
    one_by_one = world.evm.snapshot()
    payments = [(ALICE, MERCHANT, 30_000), (BOB, MERCHANT, 1), (ALICE, CAROL, 5), (BOB, CAROL, 6)]
    for payer, payee, amount in payments:
        world.transfer(payer, payee, amount)
    people = (ALICE, BOB, CAROL, MERCHANT, BANK_B)
    expected = [world.balance(each) for each in people]
    world.evm.revert(one_by_one)
    assert (
        world.skips(
            world.sign(ALICE, MERCHANT, 30_000),
            world.sign(BOB, MERCHANT, 1),
            world.sign(ALICE, CAROL, 5, nonce=1),
            world.sign(BOB, CAROL, 6, nonce=1),
        )
        == {}
    )
    assert [world.balance(each) for each in people] == expected
    assert abi.decode_uint(world.read(abi.encode_total_supply())) == 20_000_000
