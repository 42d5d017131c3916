"""Amounts of money: whole minor units of one currency, never a float.

The exponent says how many decimal digits a currency's minor unit stands for (ISO 4217, column "Minor unit").
An amount is an `int` everywhere; text is parsed and formatted only at the edges that people see.
"""

from __future__ import annotations

import re
from typing import Final

from api.errors import FlorinError

MAX_AMOUNT_MINOR: Final = 2**63 - 1
"""The largest amount that the books can hold (PostgreSQL's bigint)."""

CURRENCY_EXPONENTS: Final[dict[str, int]] = {
    "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2,
    "GBP": 2, "HKD": 2, "HUF": 2, "IDR": 2, "ILS": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KES": 2,
    "KRW": 0, "KWD": 3, "MXN": 2, "NGN": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PHP": 2, "PLN": 2, "RON": 2,
    "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TND": 3, "TRY": 2, "UAH": 2, "USD": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip
"""A sample of ISO 4217 (list one): alphabetic code -> exponent."""

_AMOUNT = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.(?P<fraction>[0-9]+))?")


class MalformedAmount(FlorinError):
    """A text or a JSON value that is not an exact amount of the currency."""

    def __init__(self, value: object, why: str) -> None:
        text = str(value)
        shown = text if len(text) <= 40 else f"{text[:40]}…"  # one that repeats it all helps nobody
        super().__init__("MalformedAmount", 400, f"{shown!r} is not an amount: {why}.", value=shown)


class UnknownCurrency(FlorinError):
    """A currency code that the table does not hold, or that this institution does not carry."""

    def __init__(self, currency: str) -> None:
        super().__init__(
            "UnknownCurrency", 422, f"The currency {currency!r} is not known here.", currency=currency
        )


def parse_amount(text: str, exponent: int) -> int:
    """The minor units of a decimal text such as `"1,000.00"`, exactly.

    Groups of three digits may be set off by commas; fewer fraction digits than `exponent` are filled with
    zeros. Raises `MalformedAmount` for any other character, for more fraction digits than the currency
    has (even zeros: they name a unit that does not exist), and beyond `MAX_AMOUNT_MINOR`.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise MalformedAmount(text, "write digits, with a point before the fraction")
    fraction = match["fraction"] or ""
    if len(fraction) > exponent:
        raise MalformedAmount(text, f"the currency has {exponent} decimal digits")
    digits = match["whole"].replace(",", "") + fraction.ljust(exponent, "0")
    if len(digits) > 40 or int(digits) > MAX_AMOUNT_MINOR:
        raise MalformedAmount(text, "it is larger than the books can hold")
    return -int(digits) if match["sign"] else int(digits)


def format_amount(amount_minor: int, exponent: int) -> str:
    """The text that people read, such as `"1,000.00"`: the inverse of `parse_amount`."""
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    return f"{sign}{whole:,}.{fraction:0{exponent}d}" if exponent else f"{sign}{whole:,}"
