"""Payment codes: EMVCo's merchant-presented QR, made and read (EMV QRCPS Merchant-Presented Mode, v1.1).

A code is a list of data objects: an id of two digits, a length of two digits, a value. Lengths count
characters, also where a value has letters beyond ASCII (the standard's own sample: `64280002ZH0104...`); the
checksum (63) is a CRC-16 over the UTF-8 bytes of all that stands before its own value.

A CRC of 16 bits sees every change of one ASCII character, but not every change of one Chinese one, which is
three bytes. A code with letters beyond ASCII therefore carries a digest of them in a template of our own.

Pure: texts in, values out. Reading is strict: what this module does not know is kept (`others`), what is
known has exactly its form, and nothing stands twice.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from api.money import CURRENCY_EXPONENTS
from api.payments.qr_errors import (
    QrChecksumWrong,
    QrFieldInvalid,
    QrFieldMissing,
    QrFieldRepeated,
    QrNotPayable,
    QrTooLong,
    QrUnreadable,
)
from api.payments.qr_objects import (
    NUMERIC,
    checksum_of,
    digest_of,
    read_objects,
    require,
    require_printable,
    require_text,
    write_objects,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FLORIN: Final = "247b368d59fd52a1af9af319775cf790"
"""The globally unique id of Florin's templates, for ever: a UUID without hyphens, as the standard has it."""

LONGEST: Final = 512
"""Characters of a code."""

REFERENCE_LABEL: Final = "05"
"""The id of the payee's own reference in the additional data (62)."""

_ALPHABETIC: Final = {number: code for code, number in NUMERIC.items()}
_INITIATIONS: Final[dict[str, Literal["static", "dynamic"]]] = {"11": "static", "12": "dynamic"}
_KNOWN: Final = frozenset({"00", "01", "52", "53", "54", "58", "59", "60", "62", "63", "64"})
_ACCOUNTS: Final = frozenset(f"{number:02}" for number in range(26, 52))
_OWN_TEMPLATES: Final = frozenset(f"{number:02}" for number in range(80, 100))
_TIPS: Final = ("55", "56", "57")
_AMOUNT: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_ADDRESS_BYTES: Final = 22  # two of the participant, twenty of the address


@dataclass(frozen=True, slots=True)
class AliasPayee:
    """Whoever an alias stands for, as it was written: the payer's bank looks it up."""

    alias: str


@dataclass(frozen=True, slots=True)
class AccountPayee:
    """An address, and the participant that it is with."""

    participant: int
    address: bytes


Payee = AliasPayee | AccountPayee


@dataclass(frozen=True, slots=True)
class LocalText:
    """Name and city in another script; `language` by ISO 639, in capitals."""

    language: str
    name: str
    city: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says. `initiation` None: it does not say whether it is for one payment or for many.

    `request` is the payee's opaque id of what is to be paid: a Florin code has one exactly if it is dynamic.
    `amount_minor` None: the payer enters it. `additional` and `others` are values by id, as they stand there.
    """

    initiation: Literal["static", "dynamic"] | None
    payee: Payee | None
    category: str
    currency: str
    country: str
    name: str
    city: str
    amount_minor: int | None = None
    request: str | None = None
    additional: Mapping[str, str] = field(default_factory=dict)
    local: LocalText | None = None
    others: Mapping[str, str] = field(default_factory=dict)

    def require_payable(self, currency: str) -> Payee:
        """Whom to pay in `currency`. Raises `QrNotPayable`."""
        if self.payee is None:
            raise QrNotPayable("it is of another payment scheme")
        if self.currency != currency:
            raise QrNotPayable(f"it asks for {self.currency}, and the wallet holds {currency}")
        if any(each in self.others for each in _TIPS):
            raise QrNotPayable("it asks for a tip or a fee beside the amount")
        return self.payee


def make(code: Code) -> str:
    """The text of a code, to be shown as a QR symbol.

    Raises `QrTooLong`, and whatever `parse` would refuse about it.
    """
    objects = dict(code.others)
    objects["00"] = "01"
    if code.initiation is not None:
        objects["01"] = "11" if code.initiation == "static" else "12"
    if code.payee is not None:
        objects[_free(objects, _ACCOUNTS)] = _payee_template(code.payee, code.request)
    objects["52"], objects["53"] = code.category, _numeric(code.currency)
    if code.amount_minor is not None:
        objects["54"] = _amount_text(code.amount_minor, code.currency)
    objects["58"], objects["59"], objects["60"] = code.country, code.name, code.city
    if code.additional:
        objects["62"] = write_objects("62", sorted(code.additional.items()))
    if code.local is not None:
        parts = {"00": code.local.language, "01": code.local.name}
        if code.local.city is not None:
            parts["02"] = code.local.city
        objects["64"] = write_objects("64", parts.items())
    digest = digest_of(objects)
    if code.payee is not None and digest is not None:
        objects[_free(objects, _OWN_TEMPLATES)] = write_objects("80", [("00", FLORIN), ("01", digest)])
    text = write_objects(None, sorted(objects.items())) + "6304"
    text += checksum_of(text)
    if len(text) > LONGEST:
        raise QrTooLong("The code", len(text), LONGEST)
    if parse(text) != code:
        raise QrFieldInvalid("00", "cannot say that: an id of `others` is one of its own")
    return text


def parse(text: str) -> Code:
    """What a code's text says.

    Raises `QrUnreadable`, `QrChecksumWrong`, `QrFieldRepeated`, `QrFieldMissing` and `QrFieldInvalid`.
    """
    objects = _checked_objects(text)
    for required in ("00", "52", "53", "58", "59", "60"):
        if required not in objects:
            raise QrFieldMissing(required)
    require(
        next(iter(objects)) == "00" and objects["00"] == "01", "00", "does not say format 01 at its start"
    )
    initiation = objects.get("01")
    require(initiation is None or initiation in _INITIATIONS, "01", "is neither 11 nor 12")
    require(re.fullmatch(r"[0-9]{4}", objects["52"]) is not None, "52", "is not four digits")
    require(objects["53"] in _ALPHABETIC, "53", "names a currency that is not known here")
    require(re.fullmatch(r"[A-Z]{2}", objects["58"]) is not None, "58", "is not a country's two letters")
    require_printable("59", objects["59"], 25)
    require_printable("60", objects["60"], 15)
    currency = _ALPHABETIC[objects["53"]]
    own = _own_template(objects, _ACCOUNTS)
    digested = _own_template(objects, _OWN_TEMPLATES)
    payee, request = (None, None) if own is None else _read_payee(own, objects.get(own, ""))
    if own is not None:
        require((request is None) == (initiation != "12"), "01", "does not go with the request in the code")
    _require_digest(objects, digested, is_own=own is not None)
    return Code(
        initiation=None if initiation is None else _INITIATIONS[initiation],
        payee=payee,
        category=objects["52"],
        currency=currency,
        country=objects["58"],
        name=objects["59"],
        city=objects["60"],
        amount_minor=_read_amount(objects["54"], currency) if "54" in objects else None,
        request=request,
        additional=_read_additional(objects["62"]) if "62" in objects else {},
        local=_read_local(objects["64"]) if "64" in objects else None,
        others={key: value for key, value in objects.items() if key not in _KNOWN | {own, digested}},
    )


def _checked_objects(text: str) -> dict[str, str]:
    """The data objects by id, the checksum left out, once it is known to be the text's."""
    if len(text) > LONGEST:
        raise QrUnreadable("it is longer than a code can be")
    if len(text) < 12 or text[-8:-4] != "6304" or re.fullmatch(r"[0-9A-F]{4}", text[-4:]) is None:
        raise QrUnreadable("it does not end with its checksum")
    try:
        found = checksum_of(text[:-4])
    except UnicodeEncodeError as broken:
        raise QrUnreadable("it has half of a character") from broken
    if found != text[-4:]:
        raise QrChecksumWrong
    objects = read_objects(text[:-8], None)
    for key, value in objects.items():
        if key in _OWN_TEMPLATES or key == "64" or "65" <= key <= "79":
            require_text(key, value)
        else:
            require_printable(key, value, 99)
    if "63" in objects:
        raise QrFieldRepeated("63")
    return objects


def _free(objects: Mapping[str, str], ids: frozenset[str]) -> str:
    free = sorted(ids - objects.keys())
    if not free:
        raise QrTooLong("The list of templates", len(ids) + 1, len(ids))
    return free[0]


def _own_template(objects: Mapping[str, str], ids: frozenset[str]) -> str | None:
    """The id of Florin's template among `ids`. Raises `QrFieldRepeated` where there are two."""
    found = [key for key, value in objects.items() if key in ids and value.startswith(f"0032{FLORIN}")]
    if len(found) > 1:
        raise QrFieldRepeated(found[1])
    return found[0] if found else None


def _payee_template(payee: Payee, request: str | None) -> str:
    parts = {"00": FLORIN}
    if isinstance(payee, AliasPayee):
        parts["01"] = payee.alias
    else:
        packed = payee.participant.to_bytes(2, "big") + payee.address
        parts["02"] = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if request is not None:
        parts["03"] = request
    return write_objects("26", parts.items())


def _read_payee(template: str, text: str) -> tuple[Payee, str | None]:
    parts = read_objects(text, template)
    unknown = parts.keys() - {"00", "01", "02", "03"}
    require(not unknown, template, "has more in it than this version knows")
    require(("01" in parts) != ("02" in parts), template, "names not exactly one payee")
    request = parts.get("03")
    require(request is None or _TOKEN.fullmatch(request) is not None, f"{template}.03", "is no request's id")
    if "01" in parts:
        return AliasPayee(parts["01"]), request
    return _read_account(f"{template}.02", parts["02"]), request


def _read_account(name: str, text: str) -> AccountPayee:
    try:
        packed = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        packed = b""
    canonical = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    require(len(packed) == _ADDRESS_BYTES and canonical == text, name, "is no account")
    participant, address = int.from_bytes(packed[:2], "big"), packed[2:]
    require(participant > 0 and any(address), name, "is no account")
    return AccountPayee(participant, address)


def _numeric(currency: str) -> str:
    number = NUMERIC.get(currency)
    if number is None:
        raise QrFieldInvalid("53", "names a currency that is not known here")
    return number


def _amount_text(amount_minor: int, currency: str) -> str:
    exponent = CURRENCY_EXPONENTS[currency]
    whole, fraction = divmod(amount_minor, 10**exponent)
    text = f"{whole}.{fraction:0{exponent}d}" if exponent else str(whole)
    if len(text) > 13:
        raise QrTooLong("The amount", len(text), 13)
    return text


def _read_amount(text: str, currency: str) -> int:
    exponent = CURRENCY_EXPONENTS[currency]
    require(len(text) <= 13 and _AMOUNT.fullmatch(text) is not None, "54", "is no amount")
    whole, _, fraction = text.partition(".")
    require(len(fraction) <= exponent, "54", f"has more decimal digits than {currency}")
    amount_minor: int = int(whole) * 10**exponent + int(fraction.ljust(exponent, "0") or "0")
    require(amount_minor > 0, "54", "asks for nothing")
    return amount_minor


def _read_additional(text: str) -> dict[str, str]:
    parts = read_objects(text, "62")
    for key, value in parts.items():
        require_printable(f"62.{key}", value, 25 if key <= "08" else 99)
    return dict(sorted(parts.items()))


def _read_local(text: str) -> LocalText:
    parts = read_objects(text, "64")
    for required in ("00", "01"):
        if required not in parts:
            raise QrFieldMissing(f"64.{required}")
    require(not parts.keys() - {"00", "01", "02"}, "64", "has more in it than the standard knows")
    require(re.fullmatch(r"[A-Z]{2}", parts["00"]) is not None, "64.00", "is not a language's two letters")
    require(len(parts["01"]) <= 25, "64.01", "is longer than 25 characters")
    require(len(parts.get("02", "")) <= 15, "64.02", "is longer than 15 characters")
    return LocalText(parts["00"], parts["01"], parts.get("02"))


def _require_digest(objects: Mapping[str, str], digested: str | None, *, is_own: bool) -> None:
    """A code of ours has the digest exactly if it needs one. Another scheme's has none."""
    if not is_own and digested is None:
        return
    expected = digest_of({key: value for key, value in objects.items() if key != digested})
    found = None
    if digested is not None:
        parts = read_objects(objects[digested], digested)
        require(parts.keys() == {"00", "01"}, digested, "is not a digest")
        found = parts["01"]
    if found != expected:
        raise QrChecksumWrong
