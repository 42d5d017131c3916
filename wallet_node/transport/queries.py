"""A GET request's parameters with one meaning only: known names, each once, numbers in plain spelling."""

from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from wallet_node.errors import MalformedRequest

T = TypeVar("T")

_MOST_PARAMETERS = 32


def decode(query: bytes, kind: type[T]) -> T:
    """Read a query string as a `kind`: a struct of integers and texts. Raises MalformedRequest."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise MalformedRequest("the query string cannot be read") from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise MalformedRequest("the query string repeats a parameter")
    try:
        found = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise MalformedRequest(str(error).encode("ascii", "backslashreplace").decode()[:300]) from None
    understood = msgspec.to_builtins(found)
    for name, text in given.items():
        if str(understood[name]) != text:  # 1.0 and 1e0 are other spellings of 1
            raise MalformedRequest(f"the parameter {name} is not written in its plain form")
    return found


def require_none(query: bytes) -> None:
    """Raise MalformedRequest where a route without parameters is given some."""
    if query:
        raise MalformedRequest("this route takes no query parameters")
