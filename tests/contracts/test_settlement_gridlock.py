"""The resolution of gridlock: the classic cases in one transaction each, and what changes nothing."""

import pytest
from eth_hash.auto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import abi, settlement
from contracts.abi import AccountFlag
from contracts.gridlock import QueuedPayment, find_subset
from contracts.settlement import MAX_RESOLUTION, PaymentState, Priority
from contracts.settlement_events import PaymentQueued, PaymentSettled, QueueResolved
from tests.contracts.settlement_world import (
    DEPLOYER,
    IDS,
    SUSPENDED,
    A,
    B,
    C,
    D,
    E,
    SettlementWorld,
    arguments_of,
    bank_of,
)
from tests.contracts.world import PAUSER, Refused

NORMAL, URGENT, HIGHLY_URGENT = Priority


def balances(banks: SettlementWorld) -> dict[int, int]:
    return dict(zip(IDS, banks.funds(), strict=True))


def propose(banks: SettlementWorld, *queue: QueuedPayment) -> list[QueuedPayment]:
    """Find what can settle, settle it, and return it."""
    found = find_subset(queue, balances(banks))
    banks.resolve(*found)
    return found


def test_two_banks_that_owe_each_other(banks: SettlementWorld) -> None:
    banks.deposit(A, 10)
    first, second = banks.queue(A, B, 100), banks.queue(B, A, 95)
    assert propose(banks, first, second) == [first, second]
    assert banks.funds([A, B]) == [5, 5]
    assert banks.participant(A).queued == banks.participant(B).queued == (0, 0, 0)


def test_a_circle_of_three_without_any_money(banks: SettlementWorld) -> None:
    circle = [banks.queue(A, B, 100), banks.queue(B, C, 100), banks.queue(C, A, 100)]
    assert propose(banks, *circle) == circle
    assert banks.funds() == [0] * 5
    assert all(banks.payment(each.payment_id).state == PaymentState.SETTLED for each in circle)


def test_a_subset_clears_and_the_rest_waits(banks: SettlementWorld) -> None:
    circle = [banks.queue(A, B, 100), banks.queue(B, C, 100), banks.queue(C, A, 100)]
    too_large = banks.queue(A, D, 1_000)
    with pytest.raises(Refused, match="InsufficientFunds"):
        banks.resolve(*circle, too_large)
    assert propose(banks, *circle, too_large) == circle
    assert banks.participant(A).queued == (1, 0, 0)
    assert banks.payment(too_large.payment_id).state == PaymentState.QUEUED


def test_where_nothing_clears_the_solver_says_so_and_the_contract_refuses(banks: SettlementWorld) -> None:
    banks.deposit(A, 10)
    queue = [banks.queue(A, B, 100), banks.queue(B, C, 100), banks.queue(C, D, 100)]
    assert find_subset(queue, balances(banks)) == []
    before = banks.settlement_root()
    for proposal in (queue, queue[:2], queue[1:], queue[:1]):
        with pytest.raises(Refused, match="InsufficientFunds"):
            banks.resolve(*proposal)
    assert banks.settlement_root() == before


def test_a_longer_circle_with_priorities(banks: SettlementWorld) -> None:
    banks.deposit(A, 5)
    queue = [
        banks.queue(A, B, 100, NORMAL),
        banks.queue(A, C, 40, URGENT),
        banks.queue(B, C, 90, HIGHLY_URGENT),
        banks.queue(C, D, 130, NORMAL),
        banks.queue(D, E, 120, URGENT),
        banks.queue(E, A, 135, NORMAL),
        banks.queue(E, A, 300, NORMAL),
    ]
    assert find_subset(queue, balances(banks)) == []
    banks.deposit(E, 15)
    settled = propose(banks, *queue)
    assert settled == [queue[2], queue[1], queue[4], queue[0], queue[3], queue[5]]
    assert banks.funds() == [0, 10, 0, 10, 0]
    assert banks.participant(E).queued == (1, 0, 0)


def test_events_name_payments_participants_and_the_batch(banks: SettlementWorld) -> None:
    banks.deposit(A, 10)
    first, second = banks.queue(A, B, 100, URGENT), banks.queue(B, A, 95)
    *settled, resolved = banks.resolve(first, second)
    assert all(isinstance(event, PaymentSettled) for event in settled)
    assert [
        (event.payment_id, event.payer, event.payee, event.amount_minor, event.priority)  # type: ignore[attr-defined]
        for event in settled
    ] == [tuple(first), tuple(second)]
    assert isinstance(resolved, QueueResolved)
    assert resolved.batch_id == keccak(first.payment_id + second.payment_id)
    assert (resolved.proposer, resolved.payments) == (DEPLOYER, 2)


@pytest.fixture
def mutual(banks: SettlementWorld) -> tuple[SettlementWorld, QueuedPayment, QueuedPayment]:
    """A good proposal: two banks that owe each other."""
    banks.deposit(A, 10)
    return banks, banks.queue(A, B, 100, URGENT), banks.queue(B, A, 95, URGENT)


Mutual = tuple[SettlementWorld, QueuedPayment, QueuedPayment]


def is_refused(
    banks: SettlementWorld, *proposal: QueuedPayment | bytes, code: str, **arguments: object
) -> None:
    """And changes nothing."""
    before = banks.settlement_root()
    with pytest.raises(Refused) as refusal:
        banks.resolve(*proposal)
    assert arguments_of(refusal) == (code, arguments)
    assert banks.settlement_root() == before


def test_an_empty_proposal_and_one_too_long_are_refused(mutual: Mutual) -> None:
    banks, first, _ = mutual
    is_refused(banks, code="ResolutionSize", payments=0, limit=MAX_RESOLUTION)
    too_many = [first] * (MAX_RESOLUTION + 1)
    is_refused(banks, *too_many, code="ResolutionSize", payments=MAX_RESOLUTION + 1, limit=MAX_RESOLUTION)


@pytest.mark.parametrize("order", [(0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 0)])
def test_a_payment_named_twice_is_refused(mutual: Mutual, order: tuple[int, ...]) -> None:
    banks, *payments = mutual
    proposal = [payments[place] for place in order]
    twice = next(each for each in proposal if proposal.count(each) == 2)
    is_refused(
        banks, *proposal, code="PaymentNotQueued", paymentId=twice.payment_id, state=PaymentState.SETTLED
    )


def test_payments_that_do_not_wait_are_refused(mutual: Mutual) -> None:
    banks, first, second = mutual
    unknown = settlement.payment_id(A, b"unknown")
    is_refused(
        banks, first, second, unknown, code="PaymentNotQueued", paymentId=unknown, state=PaymentState.NONE
    )
    for encode, state in (
        (settlement.encode_hold, PaymentState.HELD),
        (settlement.encode_cancel, PaymentState.CANCELLED),
    ):
        banks.settle_do(bank_of(B), encode(second.payment_id))
        is_refused(banks, first, second, code="PaymentNotQueued", paymentId=second.payment_id, state=state)


def test_an_expired_payment_is_refused(banks: SettlementWorld) -> None:
    banks.deposit(A, 10)
    first = banks.queue(A, B, 100)
    expiry_s = banks.evm.time_s + 50
    second = banks.submit(B, A, 95, expiry_s=expiry_s)
    assert isinstance(second, PaymentQueued)
    banks.evm.set_time(expiry_s)
    is_refused(
        banks,
        first,
        second.payment_id,
        code="ExpiryPassed",
        paymentId=second.payment_id,
        expiry=expiry_s,
        blockTime=expiry_s,
    )
    banks.evm.set_time(expiry_s - 1)
    banks.resolve(first, second.payment_id)


def test_whoever_would_be_below_zero_is_named(mutual: Mutual) -> None:
    banks, first, second = mutual
    is_refused(banks, first, code="InsufficientFunds", participant=A, balance=10, amount=100)
    is_refused(banks, second, code="InsufficientFunds", participant=B, balance=0, amount=95)
    third = banks.queue(A, C, 6, URGENT)
    is_refused(banks, first, second, third, code="InsufficientFunds", participant=A, balance=10, amount=11)


def test_a_higher_priority_left_behind_is_refused(mutual: Mutual) -> None:
    banks, first, second = mutual
    urgent = banks.queue(A, C, 1_000, HIGHLY_URGENT)
    is_refused(banks, first, second, code="HigherPriorityLeftBehind", payer=A, settledPriority=URGENT)
    banks.settle_do(bank_of(A), settlement.encode_hold(urgent.payment_id))
    banks.resolve(first, second)


def test_the_lowest_priority_that_a_payer_settles_is_what_counts(banks: SettlementWorld) -> None:
    """In whatever order they are proposed."""
    banks.deposit(A, 10)
    banks.deposit(B, 10)
    high = banks.queue(A, B, 20, HIGHLY_URGENT)
    left = banks.queue(A, B, 1_000, URGENT)
    low = banks.queue(A, B, 5, NORMAL)
    back = banks.queue(B, A, 30, NORMAL)
    for proposal in ((high, low, back), (low, high, back), (back, low, high)):
        is_refused(banks, *proposal, code="HigherPriorityLeftBehind", payer=A, settledPriority=NORMAL)
    banks.resolve(back, high)
    assert banks.participant(A).queued == (1, 1, 0)
    banks.settle_do(bank_of(A), settlement.encode_cancel(left.payment_id))
    banks.resolve(low)


def test_the_same_priority_may_be_bypassed(banks: SettlementWorld) -> None:
    banks.deposit(A, 10)
    earlier = banks.queue(A, B, 1_000)
    later = banks.queue(A, B, 10)
    banks.resolve(later)
    assert banks.payment(earlier.payment_id).state == PaymentState.QUEUED


@pytest.mark.parametrize("flag", [SUSPENDED, AccountFlag.FROZEN, AccountFlag.CLOSED])
@pytest.mark.parametrize("number", [A, B])
def test_neither_side_may_be_out_of_standing(mutual: Mutual, number: int, flag: int) -> None:
    """At once: no copy is asked, so none can be stale."""
    banks, first, second = mutual
    banks.mark_institution(number, flag)
    assert banks.participant(A).is_in_standing is True
    is_refused(banks, first, second, code="ParticipantNotInStanding", participant=number)
    banks.reinstate(number)
    banks.resolve(first, second)


def test_a_participant_whose_positions_cancel_out_must_be_in_standing(banks: SettlementWorld) -> None:
    circle = [banks.queue(A, B, 100), banks.queue(B, C, 100), banks.queue(C, A, 100)]
    banks.suspend(C)
    is_refused(banks, *circle, code="ParticipantNotInStanding", participant=C)


def test_while_the_currency_is_paused_nothing_settles(mutual: Mutual) -> None:
    banks, first, second = mutual
    banks.do(PAUSER, abi.encode_pause())
    is_refused(banks, first, second, code="CurrencyPaused")


def test_resolutions_do_not_see_each_other(banks: SettlementWorld) -> None:
    """Positions are forgotten when a resolution ends, and when it fails."""
    banks.deposit(A, 100)
    first = banks.queue(A, B, 150)
    with pytest.raises(Refused, match="InsufficientFunds"):
        banks.resolve(first)
    second = banks.queue(B, A, 60)
    banks.resolve(first, second)
    third, fourth = banks.queue(A, B, 20), banks.queue(B, A, 91)
    with pytest.raises(Refused, match="InsufficientFunds"):
        banks.resolve(third)
    banks.resolve(third, fourth)
    assert banks.funds([A, B]) == [81, 19]


def test_as_many_payments_as_are_allowed_fit_a_transaction(banks: SettlementWorld) -> None:
    pairs = [(A, B), (B, C), (C, D), (D, E), (E, A)]
    queue = [banks.queue(*pairs[place % 5], 100, place % 3) for place in range(MAX_RESOLUTION - 1)]
    queue.append(banks.queue(A, B, 100))
    banks.deposit(A, 200)
    outcome = banks.evm.send(
        DEPLOYER, banks.settlement, settlement.encode_resolve([each.payment_id for each in queue])
    )
    assert outcome.is_success, abi.decode_revert(outcome.returned)
    assert outcome.gas_used < 5_000_000
    assert sum(banks.funds()) == 200


# ------------------------------------------------------------------------------------------ the solver


def queued(payer: int, payee: int, amount: int, priority: int = 0) -> QueuedPayment:
    reference = f"{payer}>{payee} {amount} {priority}".encode()
    return QueuedPayment(settlement.payment_id(payer, reference), payer, payee, amount, priority)


def test_the_solver_orders_by_priority_then_time() -> None:
    queue = [queued(A, B, 1), queued(A, B, 2, URGENT), queued(A, B, 3), queued(A, B, 4, HIGHLY_URGENT)]
    assert find_subset(queue, {A: 100}) == [queue[3], queue[1], queue[0], queue[2]]


def test_the_solver_leaves_no_higher_priority_behind() -> None:
    queue = [queued(A, B, 50, URGENT), queued(A, B, 1)]
    assert find_subset(queue, {A: 49}) == []
    assert find_subset(queue, {A: 50}) == queue[:1]


def test_the_solver_takes_out_the_largest_first_and_puts_back_what_fits() -> None:
    queue = [queued(A, B, 50), queued(A, B, 70), queued(A, B, 60), queued(B, A, 20)]
    assert find_subset(queue, {A: 90, B: 0}) == [queue[0], queue[2], queue[3]]
    assert find_subset(queue, {A: 80, B: 0}) == [queue[0], queue[3]]


def test_the_solver_leaves_out_barred_participants_and_what_waits_behind() -> None:
    queue = [queued(A, B, 5, URGENT), queued(A, C, 5), queued(C, A, 5), queued(B, C, 5)]
    assert find_subset(queue, {A: 50, B: 50, C: 50}, barred=[B]) == [queue[2]]
    assert find_subset(queue, {A: 50, B: 50, C: 50}, barred=[A, B]) == []


def test_the_solver_considers_no_more_than_its_limit() -> None:
    queue = [queued(A, B, amount, amount % 3) for amount in range(1, 20)]
    chosen = find_subset(queue, {A: 10_000}, limit=7)
    assert chosen == sorted(queue, key=lambda each: -each.priority)[:7]
    assert find_subset([], {}) == []


PAYMENTS = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.integers(1, 4),
        st.integers(1, 40),
        st.sampled_from(list(Priority)),
        st.sampled_from(["queued"] * 5 + ["held"]),
    ),
    min_size=1,
    max_size=14,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    funds=st.lists(st.integers(0, 60), min_size=5, max_size=5),
    payments=PAYMENTS,
    barred=st.sets(st.sampled_from(IDS), max_size=1),
)
def test_the_contract_accepts_what_the_solver_proposes(
    banks: SettlementWorld,
    funds: list[int],
    payments: list[tuple[int, int, int, Priority, str]],
    barred: set[int],
) -> None:
    start = banks.evm.snapshot()
    queue = []
    for payer, step, amount, priority, state in payments:
        payee = 1 + (payer - 1 + step) % len(IDS)
        waiting = banks.queue(payer, payee, amount, priority)
        if state == "held":
            banks.settle_do(bank_of(payer), settlement.encode_hold(waiting.payment_id))
        else:
            queue.append(waiting)
    for number, amount in zip(IDS, funds, strict=True):
        if amount:
            banks.deposit(number, amount)
    for number in barred:
        banks.suspend(number)

    found = find_subset(queue, dict(zip(IDS, funds, strict=True)), barred)
    expected = dict(zip(IDS, funds, strict=True))
    for payment in found:
        expected[payment.payer] -= payment.amount_minor
        expected[payment.payee] += payment.amount_minor
    if found:
        banks.resolve(*found)
    assert balances(banks) == expected
    for payment in queue:
        is_settled = banks.payment(payment.payment_id).state == PaymentState.SETTLED
        assert is_settled is (payment in found)
        # It is maximal as far as one payment goes: none that is left could settle alone now.
        if not is_settled:
            with pytest.raises(Refused):
                banks.resolve(payment)
    banks.evm.revert(start)
