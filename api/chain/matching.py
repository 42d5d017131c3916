"""Which payment each event was: the records of one's own settlements beside the events of their transactions.

Pure: what money moved is in the events, which payment it was follows from the record's place and the skipped
bitmap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from api.chain.errors import EventMismatch
from contracts.abi import BatchSettled, Event, Skipped, Transfer, Waterfall
from contracts.batch import SkipReason

LogKey = tuple[bytes, int]
"""(block hash, log index): where an event is, once and for all."""


@dataclass(frozen=True, slots=True)
class BatchedPayment:
    """A record of one's own settlement, as the outbox knows it."""

    payment_id: UUID
    kind: str
    serves_payment_id: UUID | None
    payer: bytes
    payee: bytes
    amount_minor: int
    nonce: int
    record_index: int
    state: str


@dataclass(frozen=True, slots=True)
class Executed:
    """A record that paid, and its transfer."""

    payment: BatchedPayment
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was skipped."""

    payment: BatchedPayment
    reason: SkipReason
    block_number: int


def key_of(event: Event) -> LogKey:
    """Where an event is."""
    return event.block_hash, event.log_index


def excess_transfers(events: Iterable[Event]) -> dict[LogKey, Waterfall]:
    """The transfers from a payee to its bank that waterfalls announce.

    Each comes just before its Waterfall.
    """
    return {(each.block_hash, each.log_index - 1): each for each in events if isinstance(each, Waterfall)}


def match_settlement(
    transaction_id: UUID, payments: Sequence[BatchedPayment], events: Sequence[Event]
) -> tuple[list[Executed], list[Refused]]:
    """What became of each record of a settlement that was mined without reverting.

    `payments` in the order of their records, `events` all logs of the transaction in order. Raises
    `EventMismatch` when they do not fit: nothing is guessed about money.
    """
    settled = events[-1] if events else None
    if not isinstance(settled, BatchSettled) or settled.records != len(payments):
        raise EventMismatch(str(transaction_id), "it does not end with a BatchSettled of its own records")
    reasons: dict[int, SkipReason] = {}
    for event in events:
        if isinstance(event, Skipped):
            reasons = event.reasons
    excess = excess_transfers(events)
    transfers = [each for each in events if isinstance(each, Transfer) and key_of(each) not in excess]
    if len(transfers) != settled.executed or len(transfers) + len(reasons) != len(payments):
        raise EventMismatch(
            str(transaction_id), f"{len(transfers)} transfers and {len(reasons)} skipped records"
        )
    executed: list[Executed] = []
    refused: list[Refused] = []
    following = iter(transfers)
    for index, payment in enumerate(payments):
        if payment.record_index != index:
            raise EventMismatch(str(transaction_id), f"record {index} is not stored")
        if index in reasons:
            refused.append(Refused(payment, reasons[index], settled.block_number))
            continue
        transfer = next(following)
        if (transfer.payer, transfer.payee, transfer.amount_minor) != (
            payment.payer,
            payment.payee,
            payment.amount_minor,
        ):
            raise EventMismatch(str(transaction_id), f"record {index} paid something else than was asked")
        executed.append(Executed(payment, transfer))
    return executed, refused
