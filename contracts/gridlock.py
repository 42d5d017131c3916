"""Which queued payments can settle together: a gridlock is when none can alone, though some can at once.

Pure: a queue and balances in, a set of payments out. The contract verifies whatever is proposed, so nothing
here is trusted. The problem and its conditions are those of M. Bech and K. Soramäki, "Gridlock Resolution in
Interbank Payment Systems" (Bank of Finland Discussion Papers 9/2001): start from the whole queue, and take
payments out of the queues of those who would end below zero, until nobody does. They take the last of a
queue; we take the largest of the lowest priority, because among equal priorities our queue may be bypassed,
and then put back what still fits.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from contracts.settlement import MAX_RESOLUTION


class QueuedPayment(NamedTuple):
    """A payment that waits, unheld and unexpired. Payer and payee are participants."""

    payment_id: bytes
    payer: int
    payee: int
    amount_minor: int
    priority: int


def find_subset(
    queue: Sequence[QueuedPayment],
    balances: Mapping[int, int],
    barred: Collection[int] = (),
    limit: int = MAX_RESOLUTION,
) -> list[QueuedPayment]:
    """Return payments that settle together, by priority, then time; empty if none can.

    ``queue`` is in the order of submission and holds every payment that waits unheld; ``barred`` are
    participants that may not settle now (suspended ones). At most ``limit`` payments are considered, the
    first by priority, then time.
    """
    ordered = sorted(queue, key=lambda payment: -payment.priority)
    eligible = _without_barred(ordered, frozenset(barred))[:limit]
    funds = dict(balances)
    for payment in eligible:
        _move(funds, payment)
    chosen = _shrink(eligible, funds)
    return _grow(chosen, eligible, funds)


def _without_barred(ordered: Sequence[QueuedPayment], barred: frozenset[int]) -> list[QueuedPayment]:
    """Drop what a barred participant pays or receives, and what may not settle before that."""
    blocked: dict[int, int] = {}
    eligible = []
    for payment in ordered:
        if payment.payer in barred or payment.payee in barred:
            blocked[payment.payer] = max(blocked.get(payment.payer, 0), payment.priority)
        elif payment.priority >= blocked.get(payment.payer, 0):
            eligible.append(payment)
    return eligible


def _shrink(eligible: list[QueuedPayment], funds: dict[int, int]) -> list[QueuedPayment]:
    """Take payments out until nobody is below zero. ``funds`` are what all would leave, and follow."""
    chosen = list(eligible)
    while (payer := min((each for each, held in funds.items() if held < 0), default=None)) is not None:
        own = [payment for payment in chosen if payment.payer == payer]
        lowest = min(payment.priority for payment in own)
        largest = max(
            (payment for payment in own if payment.priority == lowest), key=lambda each: each.amount_minor
        )
        chosen.remove(largest)
        _move(funds, largest, direction=-1)
    return chosen


def _grow(
    chosen: list[QueuedPayment], eligible: list[QueuedPayment], funds: dict[int, int]
) -> list[QueuedPayment]:
    """Put back, in order, what its payer can pay by now and no higher priority of it forbids."""
    taken = {payment.payment_id for payment in chosen}
    has_grown = True
    while has_grown:
        has_grown = False
        left_behind: dict[int, int] = {}
        for payment in eligible:
            if payment.payment_id in taken:
                continue
            is_covered = payment.amount_minor <= funds.get(payment.payer, 0)
            if is_covered and payment.priority >= left_behind.get(payment.payer, 0):
                taken.add(payment.payment_id)
                _move(funds, payment)
                has_grown = True
            else:
                left_behind.setdefault(payment.payer, payment.priority)
    return [payment for payment in eligible if payment.payment_id in taken]


def _move(funds: dict[int, int], payment: QueuedPayment, direction: int = 1) -> None:
    funds[payment.payer] = funds.get(payment.payer, 0) - direction * payment.amount_minor
    funds[payment.payee] = funds.get(payment.payee, 0) + direction * payment.amount_minor
