"""What payment codes are made of: ids and lengths of two digits, values, and what proves them whole.

The names of api.payments.qr_errors say what is wrong; a field inside of a template is `<template>.<id>`.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from api.payments.qr_errors import QrFieldInvalid, QrFieldRepeated, QrTooLong, QrUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NUMERIC: Final[dict[str, str]] = {
    "AUD": "036", "BHD": "048", "BRL": "986", "CAD": "124", "CHF": "756", "CLP": "152", "CNY": "156",
    "CZK": "203", "DKK": "208", "EUR": "978", "GBP": "826", "HKD": "344", "HUF": "348", "IDR": "360",
    "ILS": "376", "INR": "356", "ISK": "352", "JOD": "400", "JPY": "392", "KES": "404", "KRW": "410",
    "KWD": "414", "MXN": "484", "NGN": "566", "NOK": "578", "NZD": "554", "OMR": "512", "PHP": "608",
    "PLN": "985", "RON": "946", "SAR": "682", "SEK": "752", "SGD": "702", "THB": "764", "TND": "788",
    "TRY": "949", "UAH": "980", "USD": "840", "VND": "704", "ZAR": "710",
}  # fmt: skip
"""ISO 4217: alphabetic code -> numeric code, for every currency of `CURRENCY_EXPONENTS`."""

_OBJECT: Final = re.compile(r"([0-9]{2})([0-9]{2})")
_PRINTABLE: Final = re.compile(r"[ -~]+")
_LONGEST_VALUE: Final = 99
_DIGEST_CHARACTERS: Final = 8


def read_objects(text: str, template: str | None) -> dict[str, str]:
    """The values by id; `template` is the one that they stand in.

    Raises `QrUnreadable`, `QrFieldInvalid` and `QrFieldRepeated`.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        head = _OBJECT.match(text, at)
        if head is None:
            raise QrUnreadable("an id or a length is not two digits")
        key, length = head[1], int(head[2])
        value = text[at + 4 : at + 4 + length]
        name = key if template is None else f"{template}.{key}"
        if length == 0 or len(value) != length:
            raise QrFieldInvalid(name, "is not as long as it says")
        if key in found:
            raise QrFieldRepeated(name)
        found[key] = value
        at += 4 + length
    return found


def write_objects(field_id: str | None, objects: Iterable[tuple[str, str]]) -> str:
    """Objects as text. Raises `QrTooLong`."""
    text = ""
    for key, value in objects:
        if len(value) > _LONGEST_VALUE:
            raise QrTooLong(f"The field {key}", len(value), _LONGEST_VALUE)
        text += f"{key}{len(value):02}{value}"
    if field_id is not None and len(text) > _LONGEST_VALUE:
        raise QrTooLong(f"The field {field_id}", len(text), _LONGEST_VALUE)
    return text


def checksum_of(text: str) -> str:
    """CRC-16/CCITT-FALSE (polynomial 1021, starting from FFFF) of the UTF-8 bytes, as four capitals."""
    checksum: int = binascii.crc_hqx(text.encode(), 0xFFFF)
    return f"{checksum:04X}"


def digest_of(objects: Mapping[str, str]) -> str | None:
    """What tells changed letters beyond ASCII; None where there are none."""
    values = [f"{key}{value}" for key, value in sorted(objects.items()) if not value.isascii()]
    if not values:
        return None
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def require(holds: bool, name: str, why: str) -> None:
    """Raises `QrFieldInvalid` unless it holds."""
    if not holds:
        raise QrFieldInvalid(name, why)


def require_printable(name: str, value: str, limit: int) -> None:
    """At most `limit` visible ASCII characters (the standard's format ans). Raises `QrFieldInvalid`."""
    require(_PRINTABLE.fullmatch(value) is not None, name, "has characters that do not belong there")
    require(len(value) <= limit, name, f"is longer than {limit} characters")


def require_text(name: str, value: str) -> None:
    """Precomposed characters that can be seen (the standard's format S). Raises `QrFieldInvalid`."""
    is_text = unicodedata.normalize("NFC", value) == value and value.isprintable()
    require(is_text, name, "has characters that cannot be shown, or not in their composed form")
