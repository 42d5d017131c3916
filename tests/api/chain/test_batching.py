"""Which payments go together, and until when they are valid.

the chosen batch
├── takes the leading payments under one new time
├── keeps the time of payments that were asked for before, apart from the others
├── gives a later time to what has less than two minutes left
│   └── even if the chain's clock went back
└── never has more records than a block has gas for
the call
├── is grouped by payee where that is cheaper, and says where each payment went
└── is flat in the order of the queue where it is not
its access list
├── names payers and payees, all of them for the largest batch
├── is none for a few payments
└── depends on who pays whom alone, not on the form
a time is the next whole minute at least ten minutes away
fees rise by more than a tenth, and always cover the base fee
"""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from api.chain.batching import (
    MAX_RECORDS,
    QueuedPayment,
    choose_batch,
    encode_settlement,
    list_accounts,
    max_fee,
    max_records,
    max_registrations,
    priority_fee,
    raised_fee,
    register_gas,
    settle_gas,
    valid_before,
)
from contracts.abi import encode_settle, encode_settle_grouped
from contracts.batch import Record, pack, pack_grouped

NOW_S = 1_700_000_000
FRESH_S = valid_before(NOW_S)


def queued(valid_before_s: int | None = None) -> QueuedPayment:
    return QueuedPayment(uuid.uuid4(), "payment", None, b"\x01" * 20, b"\x02" * 20, 1, 1, valid_before_s, 0)


@given(st.integers(0, 2**40))
def test_a_time_is_the_next_whole_minute_at_least_ten_minutes_away(block_time_s: int) -> None:
    time_s = valid_before(block_time_s)
    assert time_s % 60 == 0
    assert 600 <= time_s - block_time_s < 660


def test_new_payments_share_one_new_time() -> None:
    payments = [queued() for _ in range(3)]
    assert choose_batch(payments, NOW_S, 500) == (FRESH_S, payments)


def test_payments_asked_for_before_keep_their_time_apart_from_the_others() -> None:
    asked = NOW_S + 300
    payments = [queued(asked), queued(asked), queued(), queued(asked)]
    assert choose_batch(payments, NOW_S, 500) == (asked, payments[:2])
    assert choose_batch(payments[2:], NOW_S, 500) == (FRESH_S, payments[2:3])


def test_what_is_nearly_over_gets_a_later_time_with_the_new_ones() -> None:
    payments = [queued(NOW_S + 119), queued(), queued(NOW_S - 1000)]
    assert choose_batch(payments, NOW_S, 500) == (FRESH_S, payments)


def test_a_time_with_two_minutes_left_is_kept() -> None:
    assert choose_batch([queued(NOW_S + 120)], NOW_S, 500)[0] == NOW_S + 120


@given(asked=st.integers(NOW_S - 5000, NOW_S + 5000), now_s=st.integers(NOW_S - 5000, NOW_S + 5000))
def test_a_new_attempt_always_ends_later_than_the_last(asked: int, now_s: int) -> None:
    chosen, _ = choose_batch([queued(asked)], now_s, 500)
    assert chosen == asked or chosen > asked
    assert chosen >= now_s + 120


def test_a_batch_never_has_more_records_than_a_block_has_gas_for() -> None:
    assert max_records(2_000_000_000) == 500
    assert max_records(10_000_000) < 500
    assert settle_gas(max_records(10_000_000)) <= 10_000_000
    assert max_records(1) == 1
    assert settle_gas(max_records(2_000_000_000)) <= 2**24  # EIP-7825
    assert register_gas(max_registrations(2_000_000_000)) <= 2**24
    assert register_gas(max_registrations(10_000_000)) <= 10_000_000
    assert len(choose_batch([queued() for _ in range(9)], NOW_S, 4)[1]) == 4


def signed(payer: int, payee: int) -> tuple[bytes, Record]:
    return bytes([payer] * 20), Record(bytes([payee] * 20), payer, 0, b"\x01" * 32, b"\x02" * 32)


def test_payments_to_one_payee_are_called_by_payee_with_what_they_wait_for_first() -> None:
    pairs = [(1, 200), (9, 2), (2, 200), (3, 201), (4, 200), (5, 200), (6, 200), (7, 200)]
    payments = [signed(*pair) for pair in pairs]
    call, order = encode_settlement(payments, 77)
    records = [payments[at][1] for at in order]
    assert order == [1, 0, 2, 4, 5, 6, 7, 3]
    assert call == encode_settle_grouped(pack_grouped([records[:1], records[1:7]], records[7:]), 77)


def test_payments_to_different_payees_are_called_flat_in_their_order() -> None:
    payments = [signed(at, 100 + at) for at in (5, 3, 4)]
    call, order = encode_settlement(payments, 77)
    assert order == [0, 1, 2]
    assert call == encode_settle(pack(record for _, record in payments), 77)


def test_full_lots_fit_a_public_chains_block() -> None:
    assert settle_gas(500) < 30_000_000
    assert register_gas(500) < 30_000_000


@given(paid=st.integers(1, 10**15), base=st.integers(0, 10**15))
def test_fees_rise_by_more_than_a_tenth_and_cover_the_base_fee(paid: int, base: int) -> None:
    fee = max_fee(paid)
    raised = raised_fee(fee, base)
    assert raised * 100 >= fee * 110
    assert raised > base
    assert priority_fee(raised) * 100 >= priority_fee(fee) * 110
    assert priority_fee(raised) <= raised


def pay_pairs(pairs: list[tuple[int, int]]) -> list[tuple[bytes, Record]]:
    """One payment for each (payer, payee)."""
    return [
        (payer.to_bytes(20, "big"), Record(payee.to_bytes(20, "big"), 1, 0, b"\x01" * 32, b"\x02" * 32))
        for payer, payee in pairs
    ]


def test_the_list_of_the_largest_batch_names_every_payer_and_payee() -> None:
    payments = pay_pairs([(2 * index + 1, 2 * index + 2) for index in range(MAX_RECORDS)])
    call, _ = encode_settlement(payments, FRESH_S)
    listed = list_accounts(payments, call)
    assert listed == b"".join(index.to_bytes(20, "big") for index in range(1, 2 * MAX_RECORDS + 1))


def test_few_payments_have_no_list() -> None:
    payments = pay_pairs([(index, 100 + index) for index in range(1, 12)])
    assert list_accounts(payments, b"") == b""
    assert list_accounts([*payments, *pay_pairs([(12, 112)])], b"") != b""


def test_an_account_is_listed_once_however_often_it_pays_or_is_paid() -> None:
    around = [(index, index % 30 + 1) for index in range(1, 31)]
    shop = [(index, 1) for index in range(2, 31)]
    both = list_accounts(pay_pairs(around + shop), b"")
    assert (
        both == list_accounts(pay_pairs(shop), b"") == b"".join(n.to_bytes(20, "big") for n in range(1, 31))
    )
