"""Call data read back strictly: only the bytes that an encoder writes, and no others with the same meaning.

The ABI lets a caller put a dynamic argument anywhere, let two of them overlap, pad with anything, and add
bytes behind. A contract does not mind. Whoever signs a call minds: it must be read in one way only, so here
every argument has one place, every padding is zero, and nothing is left over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from eth_hash.auto import keccak

from contracts.abi import load_abi

_WORD = 32
_ONE_WORD = ("address", "bytes32", *(f"uint{bits}" for bits in range(8, 257, 8)))


class UnknownCall(ValueError):
    """No function with that selector can be read."""

    code = "UnknownCall"


class MalformedCall(ValueError):
    """The arguments are not exactly what an encoder writes."""

    code = "MalformedCall"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a function, or one member of a structure."""

    name: str
    kind: str
    """As a signature writes it."""
    members: tuple["Parameter", ...] = ()
    """Those of a structure, or of a structure that an array is made of."""

    @property
    def is_array(self) -> bool:
        """An array of elements of a fixed size."""
        return self.kind.endswith("[]")

    @property
    def is_dynamic(self) -> bool:
        """Its place in the head is the offset of what it is."""
        return self.is_array or self.kind == "bytes"

    @property
    def words(self) -> int:
        """How many words an element has."""
        return sum(member.words for member in self.members) or 1

    @property
    def is_readable(self) -> bool:
        """Words, structures of words, arrays of either, bytes: nothing else is called here."""
        if self.members:
            return all(not member.is_dynamic and member.is_readable for member in self.members)
        return self.kind == "bytes" or self.kind.removesuffix("[]") in _ONE_WORD


@dataclass(frozen=True, slots=True)
class Function:
    """What a contract answers."""

    signature: str
    inputs: tuple[Parameter, ...]
    changes_state: bool

    @property
    def is_readable(self) -> bool:
        """Whether ``read_call`` can read its arguments."""
        return all(each.is_readable for each in self.inputs)


class Call(NamedTuple):
    """What call data says. Addresses have 20 bytes, integers are unsigned; structures are by name as well."""

    signature: str
    arguments: dict[str, Any]


@cache
def functions_of(*contracts: str) -> Mapping[bytes, Function]:
    """Return the functions of artifacts by selector; by default the token's, of both halves."""
    described = [_function(entry) for entry in load_abi(*contracts) if entry["type"] == "function"]
    return {keccak(each.signature.encode())[:4]: each for each in described}


def read_call(functions: Mapping[bytes, Function], data: bytes) -> Call:
    """Read call data. Raises UnknownCall and MalformedCall."""
    function = functions.get(data[:4])
    if function is None or not function.is_readable:
        raise UnknownCall(f"no function with the selector 0x{data[:4].hex()} can be read")
    return Call(function.signature, read_arguments(function.inputs, data[4:]))


def read_arguments(parameters: Sequence[Parameter], data: bytes) -> dict[str, Any]:
    """Read the arguments behind a selector, by name. Raises MalformedCall."""
    found: dict[str, Any] = {}
    at = 0
    tail = _WORD * sum(1 if each.is_dynamic else each.words for each in parameters)
    for parameter in parameters:
        if parameter.is_dynamic:
            if _integer(data, at) != tail:
                raise MalformedCall(f"{parameter.name} is not where an encoder puts it")
            found[parameter.name], tail = _read_tail(parameter, data, tail)
            at += _WORD
        else:
            found[parameter.name] = _read_element(parameter, data, at)
            at += _WORD * parameter.words
    if len(data) != tail:
        raise MalformedCall(f"the arguments have {len(data)} bytes, and not {tail}")
    return found


def _read_tail(parameter: Parameter, data: bytes, at: int) -> tuple[Any, int]:
    """A dynamic argument, and where the next one begins."""
    count = _integer(data, at)
    start = at + _WORD
    size = count * (_WORD * parameter.words if parameter.is_array else 1)
    end = start + size + -size % _WORD
    if end > len(data):
        raise MalformedCall(f"the arguments end before {parameter.name} does")
    if parameter.is_array:
        step = _WORD * parameter.words
        return tuple(_read_element(parameter, data, place) for place in range(start, end, step)), end
    if any(data[start + size : end]):
        raise MalformedCall(f"{parameter.name} is padded with something else than zeros")
    return data[start : start + size], end


def _read_element(parameter: Parameter, data: bytes, at: int) -> Any:
    if not parameter.members:
        return _read_word(parameter.name, parameter.kind.removesuffix("[]"), data, at)
    members: dict[str, Any] = {}
    for member in parameter.members:
        members[member.name] = _read_element(member, data, at)
        at += _WORD * member.words
    return members


def _read_word(name: str, kind: str, data: bytes, at: int) -> int | bytes:
    word = _word(data, at)
    if kind == "bytes32":
        return word
    if kind == "address":
        if any(word[:12]):
            raise MalformedCall(f"{name} is no address: its first bytes are not zero")
        return word[12:]
    value = int.from_bytes(word, "big")
    if value >> int(kind.removeprefix("uint")):
        raise MalformedCall(f"{name} does not fit {kind}")
    return value


def _integer(data: bytes, at: int) -> int:
    return int.from_bytes(_word(data, at), "big")


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + _WORD]
    if len(word) != _WORD:
        raise MalformedCall(f"the arguments end at byte {len(data)}, before all are there")
    return word


def _function(entry: Mapping[str, Any]) -> Function:
    inputs = tuple(map(_parameter, entry["inputs"]))
    signature = f"{entry['name']}({','.join(each.kind for each in inputs)})"
    return Function(signature, inputs, entry["stateMutability"] not in ("view", "pure"))


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    members = tuple(map(_parameter, entry.get("components", ())))
    kind: str = entry["type"]
    if members:
        kind = f"({','.join(each.kind for each in members)}){kind.removeprefix('tuple')}"
    return Parameter(entry["name"], kind, members)
