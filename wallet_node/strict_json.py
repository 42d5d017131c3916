"""JSON as the node reads it: one meaning only.

Two parsers that read a document differently can be played against each other, so whatever leaves room is
refused: duplicate keys, floats in any spelling (`1.0`, `1e2`), `-0`, NaN and Infinity, invalid UTF-8, escapes
that are half of a character. The types then refuse unknown fields, booleans as integers and values out of
range.

Most documents come from programs, and are what this one would write itself: byte for byte what msgspec makes
of what msgspec read. Such a document repeats nothing and spells everything plainly, so it is accepted as it
was read; only the others are taken apart, which costs twice as much. (No type that is read has a float; where
anything may be, both readings refuse one.)
"""

import json
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from wallet_node.errors import MalformedRequest

T = TypeVar("T")

# The C parser recurses: where a library has raised the recursion limit, deep nesting would end the process.
# The largest batch has about a thousand objects, so this bound on all brackets also bounds the depth.
_MOST_BRACKETS = 2_048


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object repeats a key")
    return found


def _integer(text: str) -> int:
    if text == "-0":
        raise ValueError("-0 is not an integer here")
    return int(text)


def _no_float(text: str) -> NoReturn:
    raise ValueError("amounts and numbers are plain integers, without a fraction or an exponent")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float
)


def decode(body: bytes, kind: type[T]) -> T:
    """Read `body` as a `kind`, or raise MalformedRequest naming the place."""
    if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
        raise MalformedRequest("the body has more objects and arrays than any request")
    found = _as_written(body, kind)
    return _taken_apart(body, kind) if found is None else found


def _as_written(body: bytes, kind: type[T]) -> T | None:
    """What `body` says, if it says it in the one way in which it would be written here."""
    try:
        found: T = _decoder(cast("Hashable", kind)).decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None  # the other reading says what is wrong
    return found if _encode(found) == body else None


_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=64)
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast("Any", kind), float_hook=_no_float)


def _taken_apart(body: bytes, kind: type[T]) -> T:
    try:
        document = _DECODER.decode(body.decode("utf-8"))
        if b"\\u" in body:  # nothing else can bring one in
            _require_whole_characters(document)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else _without_input(error)
        raise MalformedRequest(f"the body is not acceptable JSON: {reason}") from None
    return convert(document, kind)


def convert(document: Any, kind: type[T]) -> T:
    """Check an already parsed document against `kind`, strictly."""
    try:
        return msgspec.convert(document, kind, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedRequest(_printable(str(error))) from None


def _require_whole_characters(document: Any) -> None:
    """Raise ValueError for a lone surrogate: such a text has no bytes, and some parsers replace it."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("an escape stands for half of a character") from None


def _without_input(error: ValueError) -> str:
    return _printable(str(error.reason if isinstance(error, UnicodeDecodeError) else error))


def _printable(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")[:300]
