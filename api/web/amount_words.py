"""Amounts in words, as people write them where a digit must not be mistaken: on cheques and approvals.

English names the whole units and writes the rest as a fraction; Chinese uses the capital numerals of banks
(the form that the People's Bank of China prescribes for bills), which cannot be turned into one another.
"""

from __future__ import annotations

from typing import Final

_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_GROUPS: Final = ("", " thousand", " million", " billion", " trillion")
_DIGITS: Final = "零壹贰叁肆伍陆柒捌玖"
_PLACES: Final = ("", "拾", "佰", "仟")
_MYRIADS: Final = ("", "万", "亿")


def amount_in_words(amount_minor: int, exponent: int, currency_name: str, language: str) -> str:
    """A positive amount with the currency's name, in `language`."""
    whole, fraction = divmod(amount_minor, 10**exponent)
    if language == "zh":
        rest = (
            "点" + "".join(_DIGITS[int(digit)] for digit in f"{fraction:0{exponent}d}") if fraction else "整"
        )
        return currency_name + chinese_number(whole) + rest
    rest = f" and {fraction:0{exponent}d}/{10**exponent}" if exponent else ""
    return f"{english_number(whole)}{rest} {currency_name}"


def english_number(number: int) -> str:
    """A whole number from zero to below 10^15."""
    if number < 1000:
        return _below_thousand(number)
    parts = []
    for power, name in enumerate(_GROUPS):
        group = number // 1000**power % 1000
        if group:
            parts.append(_below_thousand(group) + name)
    return " ".join(reversed(parts))


def chinese_number(number: int) -> str:
    """A whole number from zero to below 10^12, in capital numerals."""
    if number == 0:
        return _DIGITS[0]
    words, is_gap = "", False
    for power in reversed(range(len(_MYRIADS))):
        group = number // 10_000**power % 10_000
        if group == 0:
            is_gap = bool(words)
            continue
        if words and (is_gap or group < 1000):
            words += _DIGITS[0]
        words += _below_myriad(group) + _MYRIADS[power]
        is_gap = False
    return words


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_SMALL[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        parts.append(_TENS[tens - 2] + (f"-{_SMALL[ones]}" if ones else ""))
    elif rest or not parts:
        parts.append(_SMALL[rest])
    return " ".join(parts)


def _below_myriad(number: int) -> str:
    words, is_gap = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit == 0:
            is_gap = bool(words)
            continue
        words += (_DIGITS[0] if is_gap else "") + _DIGITS[digit] + _PLACES[place]
        is_gap = False
    return words
