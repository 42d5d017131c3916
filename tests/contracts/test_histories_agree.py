"""Random histories of days, orders, suspensions and limits end the same, however the payments are sent."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from contracts import abi, memberships, orders
from contracts.abi import AccountFlag, AccountWord
from contracts.batch import Record
from tests.contracts.depth import bounds
from tests.contracts.forms import (
    Story,
    consecutive,
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
    COURT,
    MERCHANT,
    MERCHANT_TIER,
    RETAIL_TIER,
    SUPERVISOR,
    UNLINKED,
    Person,
    Refused,
    World,
)

BANKS = (BANK_A, BANK_B)
CUSTOMERS = (ALICE, BOB, CAROL, MERCHANT, UNLINKED)
PEOPLE = (*CUSTOMERS, *BANKS)
# Whose payments bank A may send.
PAYERS = st.sampled_from((ALICE, BOB, UNLINKED, BANK_A))
AMOUNTS = st.sampled_from([0, 1, 500, 9_000, 20_000, 29_999, 30_001, 50_000, 50_001])


class Pay(NamedTuple):
    """Payments that can be one batch."""

    payments: list[tuple[Person, Person, int]]


class Act(NamedTuple):
    """What somebody else does meanwhile: ``verb`` names it, the rest is as the verb takes it."""

    verb: str
    person: Person
    other: Person
    amount: int


VERBS = (
    *("freeze", "unfreeze", "hold", "release", "force"),
    *("suspend", "reinstate", "limits", "register", "wait", "mint"),
)
PAYMENTS = st.builds(
    Pay, st.lists(st.tuples(PAYERS, st.sampled_from(PEOPLE), AMOUNTS), min_size=1, max_size=5)
)
ACTS = st.builds(
    Act,
    st.sampled_from(VERBS),
    st.sampled_from(PEOPLE),
    st.sampled_from(PEOPLE),
    st.sampled_from([1, 8_000, 40_000]),
)
HISTORIES = st.lists(st.one_of(PAYMENTS, PAYMENTS, ACTS), min_size=8, max_size=24)

# After a step: why each payment was refused, what moved, each account but for its nonce.
Trace = tuple[list[str | None], Story, list[AccountWord]]
Outcomes = tuple[list[str | None], Story]


def act(world: World, step: Act, order: bytes) -> Outcomes:
    """Do what is no payment of a customer's; refused or not, it is so in each telling of the history."""
    if step.verb == "wait":
        world.wait(step.amount)  # a day turns after three of the longest
        return [], []
    bank = BANKS.index(step.person) + 1 if step.person in BANKS else 1
    tier = RETAIL_TIER if step.amount > 1 else MERCHANT_TIER
    calls: dict[str, Callable[[], tuple[bytes, bytes]]] = {
        "freeze": lambda: (COURT, orders.encode_freeze(order, step.person.address)),
        "unfreeze": lambda: (COURT, orders.encode_unfreeze(order, step.person.address)),
        "hold": lambda: (COURT, orders.encode_hold(order, step.person.address, step.amount)),
        "release": lambda: (COURT, orders.encode_release(order, step.person.address, step.amount)),
        "force": lambda: (
            COURT,
            orders.encode_force_transfer(order, step.person.address, step.other.address, step.amount),
        ),
        "suspend": lambda: (SUPERVISOR, memberships.encode_suspend_participant(bank)),
        "reinstate": lambda: (SUPERVISOR, memberships.encode_reinstate_participant(bank)),
        "register": lambda: (
            BANKS[bank - 1].address,
            abi.encode_register([step.other.address], tier, AccountFlag.LINKED * (step.amount > 1)),
        ),
        "mint": lambda: (BANKS[bank - 1].address, abi.encode_mint(step.amount)),
    }
    try:
        if step.verb == "limits":
            return [], story(
                world.set_tier(RETAIL_TIER, max(step.amount, 30_000), step.amount, 2 * step.amount)
            )
        return [], story(world.do(*calls[step.verb]()))
    except Refused as refused:
        return [refused.code], []


def _records(world: World, payments: Sequence[tuple[Person, Person, int]]) -> list[Record]:
    used: dict[Person, int] = {}
    records = []
    for payer, payee, amount in payments:
        nonce = used.get(payer, world.account(payer).nonce)
        used[payer] = nonce + 1
        records.append(world.sign(payer, payee, amount, nonce=nonce))
    return records


def flat(world: World, payments: Sequence[tuple[Person, Person, int]]) -> Outcomes:
    events = world.settle(*_records(world, payments))
    return [reasons(events).get(index) for index in range(len(payments))], story(events)


def grouped(world: World, payments: Sequence[tuple[Person, Person, int]]) -> Outcomes:
    events = settle_grouped(world, consecutive(_records(world, payments)))
    return [reasons(events).get(index) for index in range(len(payments))], story(events)


def fanned_out(world: World, payments: Sequence[tuple[Person, Person, int]]) -> Outcomes:
    """A fan-out for each run of one payer's payments."""
    outcomes: list[str | None] = []
    moved: Story = []
    place = 0
    while place < len(payments):
        payer = payments[place][0]
        end = place
        while end < len(payments) and payments[end][0] is payer:
            end += 1
        events = settle_fan_out(world, payer, *((payee, amount) for _, payee, amount in payments[place:end]))
        outcomes += [reasons(events).get(index) for index in range(end - place)]
        moved += story(events)
        place = end
    return outcomes, moved


def tell(
    world: World,
    history: Sequence[Pay | Act],
    order: bytes,
    pay: Callable[[World, Sequence[tuple[Person, Person, int]]], Outcomes],
) -> tuple[list[Trace], list[orders.Restriction], int]:
    """Play a history with its payments sent in one form. Last: what orders do to each, and the supply."""
    traces = []
    for step in history:
        if isinstance(step, Act):
            outcomes, moved = act(world, step, order)
        elif world.account(BANK_A).has(AccountFlag.SUSPENDED) or world.account(BANK_A).has(
            AccountFlag.FROZEN
        ):
            continue  # nobody can send the batch; the single path is open, and so not the same history
        else:
            outcomes, moved = pay(world, step.payments)
        accounts = [world.account(each)._replace(nonce=0) for each in PEOPLE]
        traces.append((outcomes, moved, accounts))
    restrictions = [
        orders.decode_restriction(world.read(orders.encode_restriction(each.address))) for each in PEOPLE
    ]
    return traces, restrictions, world.supply()


@bounds(examples=6)
@given(history=HISTORIES)
def test_a_history_ends_the_same_in_every_form(world: World, history: Sequence[Pay | Act]) -> None:
    begin = world.evm.snapshot()
    order = world.register_order(cap=10**9, expiry_s=2**40)
    start = world.evm.snapshot()
    singly = tell(world, history, order, transfer_each)
    for form in (flat, grouped, fanned_out):
        world.evm.revert(start)
        assert tell(world, history, order, form) == singly, form.__name__
    world.evm.revert(begin)
