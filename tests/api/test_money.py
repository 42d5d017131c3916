"""Amounts are exact, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.money import (
    CURRENCY_EXPONENTS,
    MAX_AMOUNT_MINOR,
    MalformedAmount,
    format_amount,
    parse_amount,
)


@pytest.mark.parametrize(
    ("text", "exponent", "amount_minor"),
    [
        ("0", 2, 0),
        ("1", 2, 100),
        ("1.5", 2, 150),
        ("1,000.00", 2, 100_000),
        ("21,228,993.60", 2, 2_122_899_360),
        ("1000", 0, 1000),
        ("1.005", 3, 1005),
        ("-14,882.00", 2, -1_488_200),
        ("92233720368547758.07", 2, MAX_AMOUNT_MINOR),
    ],
)
def test_a_text_is_read_exactly(text: str, exponent: int, amount_minor: int) -> None:
    assert parse_amount(text, exponent) == amount_minor


@pytest.mark.parametrize(
    ("text", "exponent"),
    [
        ("1.001", 2),
        ("1.000", 2),
        ("1.0", 0),
        ("1.", 2),
        (".5", 2),
        ("", 2),
        ("1e2", 2),
        ("+1", 2),
        ("1,00", 2),
        ("1000,000", 2),
        ("1 000", 2),
        ("1.0.0", 2),
        ("١", 2),
        ("1\n", 2),
        ("NaN", 2),
        ("92233720368547758.08", 2),
        ("9" * 5000, 2),
    ],
)
def test_a_text_that_is_no_exact_amount_is_refused(text: str, exponent: int) -> None:
    with pytest.raises(MalformedAmount):
        parse_amount(text, exponent)


@given(st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), st.sampled_from([0, 2, 3]))
def test_what_is_written_is_read_back(amount_minor: int, exponent: int) -> None:
    assert parse_amount(format_amount(amount_minor, exponent), exponent) == amount_minor


def test_people_read_groups_and_all_digits() -> None:
    assert format_amount(100_000, 2) == "1,000.00"
    assert format_amount(-5, 2) == "-0.05"
    assert format_amount(1_234_567, 0) == "1,234,567"
    assert format_amount(1, 3) == "0.001"


def test_a_currency_has_the_exponent_of_iso_4217() -> None:
    assert [CURRENCY_EXPONENTS[code] for code in ("JPY", "CZK", "KWD")] == [0, 2, 3]
    assert set(CURRENCY_EXPONENTS.values()) == {0, 2, 3}
