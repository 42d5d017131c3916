"""The generated book: the same form, the same bytes from the same seed, within the sample's tiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.orders.book import FILES, read_book
from scripts.orders.sample_book import (
    LARGEST_ACCOUNT_TOTAL_MINOR,
    LARGEST_ORDER_MINOR,
    SampleSize,
    write_sample_book,
)


def contents(directory: Path) -> list[bytes]:
    return [(directory / file).read_bytes() for file in FILES]


def test_it_has_the_asked_size_and_reads_back_without_a_bad_row(tmp_path: Path) -> None:
    write_sample_book(tmp_path)
    book = read_book(tmp_path)
    assert (len(book.clients), len(book.accounts), len(book.orders), book.skipped) == (300, 240, 500, ())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_sample_book(tmp_path / name, seed=seed)
    assert contents(tmp_path / "first") == contents(tmp_path / "again")
    assert contents(tmp_path / "first") != contents(tmp_path / "other")


@pytest.mark.parametrize("size", [SampleSize(), SampleSize(20, 40), SampleSize(1, 1)])
def test_ample_deposits_let_every_order_through_and_both_sides_of_the_waterfall_run(
    tmp_path: Path, size: SampleSize
) -> None:
    write_sample_book(tmp_path, size)
    book = read_book(tmp_path)
    facts = book.facts()
    assert facts.largest_order_minor == LARGEST_ORDER_MINOR
    assert facts.largest_account_total_minor <= LARGEST_ACCOUNT_TOTAL_MINOR
    if size.orders > 1:
        assert facts.payees < facts.orders, "some payee is paid more than once"
        assert any(order.amount_minor <= 100_000 for order in book.orders)


def test_it_is_written_in_the_form_of_the_real_book(tmp_path: Path) -> None:
    write_sample_book(tmp_path, SampleSize(5, 3))
    header, first, *_ = (tmp_path / "order.csv").read_bytes().split(b"\r\n")
    assert header == b'"order_id";"account_id";"bank_to";"account_to";"amount";"k_symbol"'
    order_id, account_id, bank_to, account_to, amount, purpose = first.split(b";")
    assert (order_id, account_id.isdigit()) == (b"29401", True)
    assert all(text[:1] == text[-1:] == b'"' for text in (bank_to, account_to, purpose))
    assert amount[-3:-2] == b"."


def test_more_orders_than_the_accounts_can_pay_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too many"):
        write_sample_book(tmp_path, SampleSize(1, 1_000))
