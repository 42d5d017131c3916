"""Call data of the contracts beside the token: words, and one level of dynamic data."""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from contracts.abi import load_artifact
from contracts.words import pad


class Tail(NamedTuple):
    """A dynamic argument, encoded; the call's head gets its offset."""

    encoded: bytes


@cache
def selectors_of(contract: str) -> dict[str, bytes]:
    """Return the selectors of an artifact by signature."""
    identifiers = load_artifact(contract)["methodIdentifiers"]
    return {signature: bytes.fromhex(selector) for signature, selector in identifiers.items()}


def creation_code(contract: str, *arguments: int | bytes | Tail) -> bytes:
    """Return the data of the transaction that creates an artifact's contract."""
    return bytes.fromhex(load_artifact(contract)["bytecode"][2:]) + encode_arguments(*arguments)


def encode_arguments(*arguments: int | bytes | Tail) -> bytes:
    """Encode integers, addresses, 32-byte values and tails. Raises ValueError for what does not fit."""
    head, tail = b"", b""
    for argument in arguments:
        if isinstance(argument, Tail):
            head += encode_argument(32 * len(arguments) + len(tail))
            tail += argument.encoded
        else:
            head += encode_argument(argument)
    return head + tail


def encode_argument(value: int | bytes) -> bytes:
    """Encode an integer (negative ones in two's complement), an address or 32 bytes."""
    if isinstance(value, int):
        return (value % (1 << 256)).to_bytes(32, "big") if -(1 << 255) <= value < 1 << 256 else _refuse(value)
    if len(value) not in (20, 32):
        return _refuse(value)
    return bytes(32 - len(value)) + value


def _refuse(value: object) -> bytes:
    raise ValueError(f"{value!r} is not one word: an integer, 20 or 32 bytes")


def encode_bytes(data: bytes) -> Tail:
    """Encode ``bytes``."""
    return Tail(encode_argument(len(data)) + pad(data))


def encode_words(values: Iterable[int | bytes]) -> Tail:
    """Encode an array of words."""
    words = [encode_argument(value) for value in values]
    return Tail(encode_argument(len(words)) + b"".join(words))


def require_fits(value: int, bits: int, name: str) -> int:
    """Return an unsigned value. Raises ValueError, naming it, where it does not fit its place."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name} {value} does not fit {bits} bits")
    return value
