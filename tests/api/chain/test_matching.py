"""Which payment each transfer was.

the events of a settlement
├── belong to its records in order, without those that were skipped
├── hold excess transfers that are no record's own
└── are refused whole when they
    ├── do not end with this settlement's summary
    ├── pay something else than was asked
    ├── are too few or too many
    └── come with a record missing
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pytest

from api.chain.errors import EventMismatch
from api.chain.matching import BatchedPayment, match_settlement
from contracts.abi import BatchSettled, Event, Skipped, Transfer, Waterfall
from contracts.batch import SkipReason

BANK = b"\x09" * 20


def payments(count: int) -> list[BatchedPayment]:
    return [
        BatchedPayment(uuid.uuid4(), "payment", None, bytes([i]) * 20, b"\x08" * 20, 100 + i, i, i, "batched")
        for i in range(count)
    ]


def events_of(*bodies: Any) -> list[Event]:
    """The bodies (class and fields) as the logs of one transaction."""
    place = {"block_number": 5, "block_hash": b"\x05" * 32, "transaction_hash": b"\x06" * 32}
    return [body[0](*body[1:], log_index=index, **place) for index, body in enumerate(bodies)]


def paid(payment: BatchedPayment) -> tuple[Any, ...]:
    return Transfer, payment.payer, payment.payee, payment.amount_minor


def test_events_belong_to_records_in_order_without_the_skipped_ones() -> None:
    records = payments(3)
    reasons = {1: SkipReason.DailyLimitExceeded}
    events = events_of(paid(records[0]), paid(records[2]), (Skipped, reasons), (BatchSettled, 1, 3, 2))

    executed, refused = match_settlement(uuid.uuid4(), records, events)

    assert [(each.payment, each.transfer.log_index) for each in executed] == [
        (records[0], 0),
        (records[2], 1),
    ]
    assert [(each.payment, each.reason) for each in refused] == [(records[1], SkipReason.DailyLimitExceeded)]


def test_an_excess_transfer_is_no_records_own() -> None:
    records = payments(2)
    excess = (Transfer, records[0].payee, BANK, 40)
    waterfall = (Waterfall, records[0].payee, BANK, 40)
    events = events_of(paid(records[0]), excess, waterfall, paid(records[1]), (BatchSettled, 1, 2, 2))

    executed, _ = match_settlement(uuid.uuid4(), records, events)

    assert [each.transfer.log_index for each in executed] == [0, 3]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda records, events: (records, events[:-1]),
        lambda records, events: (records, []),
        lambda records, events: (records[:1], events),
        lambda records, events: (records, events[1:]),
        lambda records, events: (records, [dataclasses.replace(events[0], amount_minor=1), *events[1:]]),
        lambda records, events: (records, [dataclasses.replace(events[0], payee=BANK), *events[1:]]),
        lambda records, events: ([records[1], records[0]], events),
        lambda records, events: ([dataclasses.replace(records[0], record_index=7), records[1]], events),
        lambda records, events: (records, [*events[:-1], dataclasses.replace(events[-1], records=3)]),
    ],
)
def test_events_that_do_not_fit_are_refused_whole(spoil: Any) -> None:
    records = payments(2)
    events = events_of(paid(records[0]), paid(records[1]), (BatchSettled, 1, 2, 2))
    match_settlement(uuid.uuid4(), records, events)

    with pytest.raises(EventMismatch):
        match_settlement(uuid.uuid4(), *spoil(records, events))
