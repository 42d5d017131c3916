"""The shapes that request bodies are made of: strict, closed, and refused with one word for each mistake.

A body's unknown field is `UnknownField`; an amount that is no positive whole number is `AmountNotInteger`,
`AmountNotPositive` or `AmountTooLarge`; everything else that cannot be read is `MalformedRequest`, naming
the field.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.addresses import address_text, parse_address
from api.errors import FlorinError, MalformedRequest, UnknownField, validation_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

MAX_PAYMENT_MINOR: Final = 2**40 - 1
"""The largest amount that one signed payment can carry: the packed record gives it five bytes."""

MAX_BOOK_MINOR: Final = 2**53 - 1
"""The largest amount of one booking: every JSON reader holds it exactly, a balance a thousand of them."""

_AMOUNT_CODES: Final = {
    "greater_than_equal": "AmountNotPositive",
    "less_than_equal": "AmountTooLarge",
    "int_type": "AmountNotInteger",
    "int_from_float": "AmountNotInteger",
    "int_parsing_size": "AmountTooLarge",
}


class Body(BaseModel):
    """A request's body: no field that its schema does not know, no value of a neighbouring type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answer(BaseModel):
    """An answer's body: documented in OpenAPI, built by us and therefore not checked again."""

    model_config = ConfigDict(frozen=True)


Reference = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
"""A caller's own name for a thing: visible ASCII without spaces."""

_UNSEEN: Final = r"\p{Cc}\p{Zl}\p{Zp}\u{200B}\u{200E}\u{200F}\u{202A}-\u{202E}\u{2060}-\u{206F}\u{FEFF}"
"""Controls, line breaks, and what is invisible or turns the text around it (Unicode TR 36, 3.2); the joiners
U+200C and U+200D are not among them, as some scripts need them."""

DisplayName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=200, pattern=rf"^[^{_UNSEEN}]*[\p{{L}}\p{{N}}\p{{P}}\p{{S}}][^{_UNSEEN}]*$"
    ),
]
"""A name that people read: any script, and something to see."""

Note = Annotated[str, StringConstraints(max_length=140, pattern=rf"^[^{_UNSEEN}]*$")]
"""A remark that travels with a payment inside the bank; never on chain."""

CurrencyCode = Annotated[str, StringConstraints(min_length=1, max_length=10)]
"""A currency's alphabetic code; whether it is carried here is decided by the verb (`UnknownCurrency`)."""


class _Address:
    """Tells pydantic to take `0x` and 40 hexadecimal digits (EIP-55 if mixed) and to give 20 bytes."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            parse_address,
            core_schema.str_schema(strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(address_text),
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}


class _Whole:
    """Tells pydantic to take JSON integers between two bounds and nothing that merely looks like one."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.int_schema(strict=True, ge=self.least, le=self.most)


Identifier = Annotated[uuid.UUID, Field(strict=False)]
"""An id in a body: JSON has only texts for it."""

Address = Annotated[bytes, _Address()]
PaymentAmount = Annotated[int, _Whole(1, MAX_PAYMENT_MINOR)]
BookAmount = Annotated[int, _Whole(1, MAX_BOOK_MINOR)]
BookAmountOrZero = Annotated[int, _Whole(0, MAX_BOOK_MINOR)]
ParticipantNumber = Annotated[int, _Whole(1, 65535)]
TierNumber = Annotated[int, _Whole(0, 255)]
TierMask = Annotated[int, _Whole(0, 2**256 - 1)]
HoldingLimit = Annotated[int, _Whole(0, 2**96 - 1)]
SpendingLimit = Annotated[int, _Whole(0, 2**64 - 1)]
MomentInSeconds = Annotated[int, _Whole(1, 2**40 - 1)]
"""Seconds since 1970 (UTC)."""


class DuplicateField(FlorinError):
    """A JSON object that names a field twice: readers differ in which of the two they believe."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "DuplicateField", 400, "A field stands twice in one object: send it once.", field=field
        )


def refuse_duplicate_fields(text: bytes) -> None:
    """Raises `DuplicateField`, and `MalformedRequest` for JSON that is not UTF-8 (RFC 8259, 8.1).

    What is no JSON at all passes: its reader says so better.
    """
    if not json.detect_encoding(text).startswith("utf-8"):
        raise MalformedRequest("Send JSON as UTF-8.")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DuplicateField(twice[:100].encode("ascii", "backslashreplace").decode())
        return found

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(text, object_pairs_hook=unique)


class AmountRefused(FlorinError):
    """An amount that is not a positive whole number of minor units within the bounds of its field."""

    def __init__(self, code: str, field: str, problem: str) -> None:
        super().__init__(code, 400, f"{field}: {problem}.", field=field)


def refusal_of(found: Sequence[Mapping[str, Any]]) -> FlorinError:
    """What pydantic found (its `errors()`) as one typed refusal: unknown fields, then amounts, then the rest.

    The rejected values are not repeated: they may be secrets.
    """
    general = validation_error(found)
    if isinstance(general, UnknownField):
        return general
    for item in found:
        field = str(item["loc"][-1]) if item["loc"] else ""
        code = _AMOUNT_CODES.get(str(item["type"]))
        if code is not None and field.endswith("_minor"):
            return AmountRefused(code, field, str(item["msg"]))
    return general
