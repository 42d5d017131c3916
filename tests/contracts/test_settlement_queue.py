"""Gross payments, at once or through the queue, and what their payer may do with those that wait."""

import pytest

from contracts import abi, settlement
from contracts.abi import AccountFlag
from contracts.settlement import PaymentState, Priority
from contracts.settlement_events import (
    PaymentCancelled,
    PaymentExpired,
    PaymentHeld,
    PaymentQueued,
    PaymentReprioritised,
    PaymentResumed,
    PaymentSettled,
    QueueResolved,
)
from tests.contracts.settlement_world import (
    FUNDS,
    SUSPENDED,
    A,
    B,
    C,
    SettlementWorld,
    arguments_of,
    bank_of,
)
from tests.contracts.world import GOVERNOR, NOBODY, PAUSER, STRANGER, Refused

NORMAL, URGENT, HIGHLY_URGENT = Priority


@pytest.fixture
def funded(banks: SettlementWorld) -> SettlementWorld:
    """Participants 1 and 2 have funds."""
    banks.deposit(A)
    banks.deposit(B)
    return banks


def test_it_settles_at_once_when_funds_suffice(funded: SettlementWorld) -> None:
    identifier = settlement.payment_id(A, b"rent")
    event = funded.submit(A, C, FUNDS, URGENT, expiry_s=funded.evm.time_s + 1, identifier=identifier)
    assert isinstance(event, PaymentSettled)
    assert (event.payment_id, event.payer, event.payee) == (identifier, A, C)
    assert (event.amount_minor, event.priority) == (FUNDS, URGENT)
    assert funded.funds() == [0, FUNDS, FUNDS, 0, 0]
    expected = (FUNDS, funded.evm.time_s + 1, A, C, URGENT, PaymentState.SETTLED)
    assert funded.payment(identifier) == expected


def test_one_above_the_balance_is_queued(funded: SettlementWorld) -> None:
    expiry_s = funded.evm.time_s + 9
    event = funded.submit(A, B, FUNDS + 1, URGENT, expiry_s)
    assert isinstance(event, PaymentQueued)
    assert (event.payer, event.payee, event.amount_minor) == (A, B, FUNDS + 1)
    assert (event.priority, event.expiry_s) == (URGENT, expiry_s)
    assert funded.funds([A, B]) == [FUNDS, FUNDS]
    assert funded.participant(A).queued == (0, 1, 0)
    assert funded.payment(event.payment_id).state == PaymentState.QUEUED


def test_a_queued_one_settles_alone_after_new_money(funded: SettlementWorld) -> None:
    waiting = funded.queue(A, B, FUNDS + 1)
    with pytest.raises(Refused) as refusal:
        funded.resolve(waiting)
    assert arguments_of(refusal) == (
        "InsufficientFunds",
        {"participant": A, "balance": FUNDS, "amount": FUNDS + 1},
    )
    funded.deposit(A, 1)
    settled, resolved = funded.resolve(waiting)
    assert isinstance(settled, PaymentSettled)
    assert isinstance(resolved, QueueResolved)
    assert funded.funds([A, B]) == [0, 2 * FUNDS + 1]
    assert funded.participant(A).queued == (0, 0, 0)


@pytest.mark.parametrize(
    ("waiting", "submitted", "waits"),
    [
        (first, second, second <= first)
        for first in (NORMAL, URGENT, HIGHLY_URGENT)
        for second in (NORMAL, URGENT, HIGHLY_URGENT)
    ],
)
def test_it_waits_behind_the_same_and_higher_priorities_only(
    funded: SettlementWorld, waiting: Priority, submitted: Priority, waits: bool
) -> None:
    funded.queue(A, B, FUNDS + 1, waiting)
    event = funded.submit(A, C, 1, submitted)
    assert isinstance(event, PaymentQueued if waits else PaymentSettled)


def test_it_does_not_wait_for_held_ones_nor_for_other_payers(funded: SettlementWorld) -> None:
    funded.queue(B, A, FUNDS + 1, HIGHLY_URGENT)
    waiting = funded.queue(A, B, FUNDS + 1, HIGHLY_URGENT)
    funded.settle_do(bank_of(A), settlement.encode_hold(waiting.payment_id))
    assert isinstance(funded.submit(A, C, 1), PaymentSettled)


def test_what_cannot_be_a_payment_is_refused(funded: SettlementWorld) -> None:
    now = funded.evm.time_s
    used = funded.new_id(A)
    funded.submit(A, B, 1, identifier=used)
    foreign, fresh = settlement.payment_id(B, b"x"), settlement.payment_id(A, b"x")
    never = settlement.NEVER_EXPIRES_S
    cases = [
        ((fresh, B, 0, NORMAL, never), "ZeroAmount", {}),
        ((fresh, A, 1, NORMAL, never), "PaymentToSelf", {"participant": A}),
        ((fresh, B, 1, 3, never), "UnknownPriority", {"priority": 3}),
        (
            (fresh, B, 1, NORMAL, now),
            "ExpiryPassed",
            {"paymentId": fresh, "expiry": now, "blockTime": now},
        ),
        (
            (foreign, B, 1, NORMAL, never),
            "PaymentIdOfAnotherParticipant",
            {"paymentId": foreign, "participant": A},
        ),
        (
            (used, B, 1, NORMAL, never),
            "PaymentIdUsed",
            {"paymentId": used, "state": PaymentState.SETTLED},
        ),
        ((fresh, 99, 1, NORMAL, never), "ParticipantNotInStanding", {"participant": 99}),
        ((fresh, 0, 1, NORMAL, never), "ParticipantNotInStanding", {"participant": 0}),
    ]
    before = funded.settlement_root()
    for arguments, code, details in cases:
        with pytest.raises(Refused) as refusal:
            funded.settle_do(bank_of(A), settlement.encode_submit(*arguments))
        assert arguments_of(refusal) == (code, details)
    assert funded.settlement_root() == before
    assert isinstance(funded.submit(A, B, 1, identifier=fresh, expiry_s=now + 1), PaymentSettled)


@pytest.mark.parametrize("flag", [SUSPENDED, AccountFlag.FROZEN, AccountFlag.CLOSED])
def test_a_payee_out_of_standing_is_refused(funded: SettlementWorld, flag: int) -> None:
    funded.mark_institution(B, flag)
    before = funded.settlement_root()
    with pytest.raises(Refused) as refusal:
        funded.submit(A, B, 1)
    assert arguments_of(refusal) == ("ParticipantNotInStanding", {"participant": B})
    assert funded.settlement_root() == before


def test_while_the_currency_is_paused_it_is_refused(funded: SettlementWorld) -> None:
    funded.do(PAUSER, abi.encode_pause())
    before = funded.settlement_root()
    for amount in (1, FUNDS + 1):
        with pytest.raises(Refused, match="CurrencyPaused"):
            funded.submit(A, B, amount)
    assert funded.settlement_root() == before


def test_a_held_payment_waits_for_its_payer(funded: SettlementWorld) -> None:
    waiting = funded.queue(A, B, FUNDS + 1, URGENT)
    (held,) = funded.settle_do(bank_of(A), settlement.encode_hold(waiting.payment_id))
    assert isinstance(held, PaymentHeld)
    assert (held.payment_id, held.payer) == (waiting.payment_id, A)
    assert funded.participant(A).queued == (0, 0, 0)
    funded.deposit(A)
    with pytest.raises(Refused) as refusal:
        funded.resolve(waiting)
    assert arguments_of(refusal) == (
        "PaymentNotQueued",
        {"paymentId": waiting.payment_id, "state": PaymentState.HELD},
    )
    (resumed,) = funded.settle_do(bank_of(A), settlement.encode_resume(waiting.payment_id))
    assert isinstance(resumed, PaymentResumed)
    assert (resumed.payment_id, resumed.payer) == (waiting.payment_id, A)
    assert funded.participant(A).queued == (0, 1, 0)
    funded.resolve(waiting)
    with pytest.raises(Refused, match="PaymentNotQueued"):
        funded.resolve(waiting)
    assert funded.funds([A, B]) == [FUNDS - 1, 2 * FUNDS + 1]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_cancelled_payment_never_settles(funded: SettlementWorld, is_held: bool) -> None:
    waiting = funded.queue(A, B, FUNDS + 1, URGENT)
    if is_held:
        funded.settle_do(bank_of(A), settlement.encode_hold(waiting.payment_id))
    (cancelled,) = funded.settle_do(bank_of(A), settlement.encode_cancel(waiting.payment_id))
    assert isinstance(cancelled, PaymentCancelled)
    assert (cancelled.payment_id, cancelled.payer) == (waiting.payment_id, A)
    assert funded.participant(A).queued == (0, 0, 0)
    funded.deposit(A)
    never_again(funded, waiting.payment_id, PaymentState.CANCELLED)
    assert isinstance(funded.submit(A, B, 1), PaymentSettled)


@pytest.mark.parametrize("is_held", [False, True])
def test_an_expired_payment_never_settles(funded: SettlementWorld, is_held: bool) -> None:
    expiry_s = funded.evm.time_s + 100
    event = funded.submit(A, B, FUNDS + 1, HIGHLY_URGENT, expiry_s)
    assert isinstance(event, PaymentQueued)
    funded.deposit(A)
    if is_held:
        funded.settle_do(bank_of(A), settlement.encode_hold(event.payment_id))
    expire = settlement.encode_expire([event.payment_id])
    funded.evm.set_time(expiry_s - 1)
    with pytest.raises(Refused) as refusal:
        funded.settle_do(NOBODY, expire)
    times = {"paymentId": event.payment_id, "expiry": expiry_s, "blockTime": expiry_s - 1}
    assert arguments_of(refusal) == ("ExpiryNotPassed", times)

    funded.evm.set_time(expiry_s)
    settle = settlement.encode_resolve([event.payment_id])
    with pytest.raises(Refused) as refusal:
        funded.settle_do(bank_of(A), settlement.encode_resume(event.payment_id) if is_held else settle)
    times = {"paymentId": event.payment_id, "expiry": expiry_s, "blockTime": expiry_s}
    assert arguments_of(refusal) == ("ExpiryPassed", times)
    (expired,) = funded.settle_do(NOBODY, expire)
    assert isinstance(expired, PaymentExpired)
    assert (expired.payment_id, expired.payer) == (event.payment_id, A)
    assert funded.participant(A).queued == (0, 0, 0)
    never_again(funded, event.payment_id, PaymentState.EXPIRED)
    assert isinstance(funded.submit(A, B, 1), PaymentSettled)


def test_it_settles_one_second_before_its_expiry(funded: SettlementWorld) -> None:
    expiry_s = funded.evm.time_s + 100
    event = funded.submit(A, B, FUNDS + 1, expiry_s=expiry_s)
    assert isinstance(event, PaymentQueued)
    funded.deposit(A)
    funded.evm.set_time(expiry_s - 1)
    funded.resolve(event.payment_id)
    assert funded.payment(event.payment_id).state == PaymentState.SETTLED


def never_again(funded: SettlementWorld, identifier: bytes, state: PaymentState) -> None:
    """Whatever anybody says about this payment, it stays what it is."""
    before = funded.settlement_root()
    is_in_state = {"paymentId": identifier, "state": state}
    for data, code in (
        (settlement.encode_submit(identifier, B, 1, NORMAL), "PaymentIdUsed"),
        (settlement.encode_hold(identifier), "PaymentNotQueued"),
        (settlement.encode_resume(identifier), "PaymentNotHeld"),
        (settlement.encode_reprioritise(identifier, NORMAL), "PaymentNotWaiting"),
        (settlement.encode_cancel(identifier), "PaymentNotWaiting"),
        (settlement.encode_expire([identifier]), "PaymentNotWaiting"),
        (settlement.encode_resolve([identifier]), "PaymentNotQueued"),
    ):
        with pytest.raises(Refused) as refusal:
            funded.settle_do(bank_of(A), data)
        assert arguments_of(refusal) == (code, is_in_state)
    assert funded.settlement_root() == before


def test_a_settled_payment_stays_settled(funded: SettlementWorld) -> None:
    at_once = funded.submit(A, B, 1)
    assert isinstance(at_once, PaymentSettled)
    never_again(funded, at_once.payment_id, PaymentState.SETTLED)


def test_a_payment_that_nobody_submitted_is_nobodys(funded: SettlementWorld) -> None:
    identifier = settlement.payment_id(A, b"none")
    for data in (
        settlement.encode_hold(identifier),
        settlement.encode_resume(identifier),
        settlement.encode_reprioritise(identifier, NORMAL),
        settlement.encode_cancel(identifier),
    ):
        with pytest.raises(Refused) as refusal:
            funded.settle_do(bank_of(A), data)
        assert arguments_of(refusal) == ("NotThePayer", {"paymentId": identifier, "payer": 0, "caller": A})


def test_the_queue_verbs_need_their_state(funded: SettlementWorld) -> None:
    waiting = funded.queue(A, B, FUNDS + 1)
    with pytest.raises(Refused, match="PaymentNotHeld"):
        funded.settle_do(bank_of(A), settlement.encode_resume(waiting.payment_id))
    funded.settle_do(bank_of(A), settlement.encode_hold(waiting.payment_id))
    with pytest.raises(Refused, match="PaymentNotQueued"):
        funded.settle_do(bank_of(A), settlement.encode_hold(waiting.payment_id))


def test_another_priority_changes_what_waits_behind_it(funded: SettlementWorld) -> None:
    waiting = funded.queue(A, B, FUNDS + 1, NORMAL)
    (event,) = funded.settle_do(bank_of(A), settlement.encode_reprioritise(waiting.payment_id, URGENT))
    assert isinstance(event, PaymentReprioritised)
    assert (event.payment_id, event.payer, event.priority) == (waiting.payment_id, A, URGENT)
    assert funded.participant(A).queued == (0, 1, 0)
    assert isinstance(funded.submit(A, C, 1, URGENT), PaymentQueued)
    assert isinstance(funded.submit(A, C, 1, HIGHLY_URGENT), PaymentSettled)
    with pytest.raises(Refused, match="UnknownPriority"):
        funded.settle_do(bank_of(A), settlement.encode_reprioritise(waiting.payment_id, 3))


def test_another_priority_of_a_held_payment_counts_when_it_resumes(funded: SettlementWorld) -> None:
    waiting = funded.queue(A, B, FUNDS + 1, HIGHLY_URGENT)
    for data in (
        settlement.encode_hold(waiting.payment_id),
        settlement.encode_reprioritise(waiting.payment_id, NORMAL),
    ):
        funded.settle_do(bank_of(A), data)
    assert funded.participant(A).queued == (0, 0, 0)
    funded.settle_do(bank_of(A), settlement.encode_resume(waiting.payment_id))
    assert funded.participant(A).queued == (1, 0, 0)
    assert funded.payment(waiting.payment_id).priority == NORMAL


def test_one_bad_id_expires_nothing(funded: SettlementWorld) -> None:
    expiry_s = funded.evm.time_s + 1
    first = funded.submit(A, B, FUNDS + 1, expiry_s=expiry_s)
    assert isinstance(first, PaymentQueued)
    second = funded.queue(A, B, FUNDS + 1)
    funded.evm.set_time(expiry_s)
    before = funded.settlement_root()
    for others in ([second.payment_id], [first.payment_id], [bytes(32)]):
        with pytest.raises(Refused):
            funded.settle_do(NOBODY, settlement.encode_expire([first.payment_id, *others]))
    assert funded.settlement_root() == before


def test_queued_payments_can_be_taken_aside_while_the_currency_is_paused(funded: SettlementWorld) -> None:
    first, second = funded.queue(A, B, FUNDS + 1), funded.queue(A, B, FUNDS + 1)
    funded.do(PAUSER, abi.encode_pause())
    funded.settle_do(bank_of(A), settlement.encode_hold(first.payment_id))
    funded.settle_do(bank_of(A), settlement.encode_cancel(second.payment_id))
    assert funded.participant(A).queued == (0, 0, 0)


def test_an_account_is_its_participants_and_not_its_institutions(funded: SettlementWorld) -> None:
    """Who takes over as institution takes over the queue."""
    waiting = funded.queue(A, B, FUNDS + 1)
    funded.do(GOVERNOR, abi.encode_set_participant(A, STRANGER.address, 0, 0b110))
    funded.settle_do(STRANGER.address, settlement.encode_cancel(waiting.payment_id))
    assert funded.payment(waiting.payment_id).state == PaymentState.CANCELLED
