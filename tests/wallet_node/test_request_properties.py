"""Requests of every kind, drawn from their own types: what is written is what is read, and nothing more is.

requests
├── of every kind are read as they were written
│   └── also queries
├── with one more field, anywhere, are refused
└── whose bytes were changed are refused, or mean to the node exactly what they say to another parser
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from node_builders import DOMAIN, VALID_BEFORE_S, Home, batch, customers, payment

from contracts.typed_data import payment_digest
from wallet_node import fields, strict_json
from wallet_node.errors import MalformedRequest, WalletNodeError
from wallet_node.intents.requests import PaymentBatch
from wallet_node.intents.typed_intents import PackedEntries, RandomNonce
from wallet_node.keystore.signatures import expand
from wallet_node.keystore.software_key import recover
from wallet_node.node import WalletNode
from wallet_node.transport import queries
from wallet_node.transport.route_table import ROUTES

TAKEN = {f"{method} {path}": (method, route.takes) for (method, path), route in ROUTES.items() if route.takes}
BODIES = {name: takes for name, (method, takes) in TAKEN.items() if method == "POST"}
QUERIES = {name: takes for name, (method, takes) in TAKEN.items() if method == "GET"}
EXAMPLES = 60


def hexes(least: int, most: int, unit: int) -> st.SearchStrategy[str]:
    """So many units of so many bytes, in either case."""
    found = st.binary(min_size=least * unit, max_size=most * unit).map(
        lambda data: "0x" + data[: len(data) // unit * unit].hex()
    )
    return found | found.map(lambda text: "0x" + text[2:].upper())


# Quicker than drawing from their patterns, which are the slowest part of a request.
TEXTS: dict[str | None, st.SearchStrategy[str]] = {
    inspect.type_info(kind).pattern: texts  # type: ignore[attr-defined]
    for kind, texts in (
        (fields.Address, hexes(1, 1, 20)),
        (fields.Identifier, st.uuids().map(str)),
        (fields.HexData, hexes(0, 60, 1)),
        (fields.PackedAddresses, hexes(0, 3, 20)),
        (PackedEntries, hexes(1, 3, 25)),
        (RandomNonce, hexes(1, 1, 32)),
    )
}
WHOLE_CHARACTERS = st.characters(exclude_categories=["Cs"])


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """JSON of a type, as its own limits allow it."""
    match kind:
        case inspect.StructType():
            return structs(kind)
        case inspect.UnionType():
            return st.one_of([values(each) for each in kind.types])
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.LiteralType():
            return st.sampled_from(sorted(kind.values))
        case inspect.IntType():
            return st.integers(kind.ge, kind.le) | st.sampled_from([kind.ge, kind.le])
        case inspect.StrType() if kind.pattern is not None:
            if kind.pattern in TEXTS:
                return TEXTS[kind.pattern]
            return st.from_regex(kind.pattern, fullmatch=True)
        case inspect.StrType():
            most = min(kind.max_length or 40, 40)
            return st.text(WHOLE_CHARACTERS, min_size=kind.min_length or 0, max_size=most)
        case inspect.VarTupleType():
            return st.lists(values(kind.item_type), min_size=kind.min_length or 0, max_size=3)
    raise AssertionError(f"no request has a {kind}")


@st.composite
def structs(draw: st.DrawFn, kind: inspect.StructType) -> dict[str, Any]:
    made = {}
    if kind.tag_field is not None:
        made[kind.tag_field] = kind.tag
    for member in kind.fields:
        if member.required or draw(st.booleans()):
            made[member.encode_name] = draw(values(member.type))
    return made


def documents(takes: Any) -> st.SearchStrategy[Any]:
    return values(inspect.type_info(takes))


@pytest.mark.parametrize("takes", BODIES.values(), ids=BODIES.keys())
def test_every_request_is_read_as_it_was_written(takes: Any) -> None:
    @given(document=documents(takes), escapes=st.booleans())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def holds(document: Any, escapes: bool) -> None:
        body = json.dumps(document, ensure_ascii=escapes).encode()
        read = strict_json.decode(body, takes)
        assert strict_json.decode(msgspec.json.encode(read), takes) == read
        assert is_within(document, json.loads(msgspec.json.encode(read)))

    holds()


def is_within(said: Any, written: Any) -> bool:
    """Whether a document says all that another one says; defaults aside, left out or said (no proof)."""
    if isinstance(said, dict):
        return all(is_within(value, written.get(name)) for name, value in said.items())
    if isinstance(said, list):
        return len(said) == len(written) and all(map(is_within, said, written))
    return type(said) is type(written) and bool(said == written)


@pytest.mark.parametrize("takes", QUERIES.values(), ids=QUERIES.keys())
def test_every_query_is_read_as_it_was_written(takes: Any) -> None:
    @given(document=documents(takes))
    @settings(max_examples=EXAMPLES, deadline=None)
    def holds(document: Any) -> None:
        said = {name: value for name, value in document.items() if value is not None}  # nothing spells null
        read = queries.decode(urlencode(said).encode(), takes)
        assert is_within(said, json.loads(msgspec.json.encode(read)))

    holds()


def objects(document: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, itself among them."""
    if isinstance(document, dict):
        yield document
        for each in document.values():
            yield from objects(each)
    elif isinstance(document, list):
        for each in document:
            yield from objects(each)


@pytest.mark.parametrize("takes", BODIES.values(), ids=BODIES.keys())
def test_one_more_field_anywhere_is_refused(takes: Any) -> None:
    @given(data=st.data(), document=documents(takes), name=st.text(WHOLE_CHARACTERS, max_size=8))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def holds(data: st.DataObject, document: Any, name: str) -> None:
        place = data.draw(st.sampled_from(list(objects(document))))
        known = {member.encode_name for kind in every_struct(takes) for member in kind.fields}
        assume(name not in known | {"type", "kind"})
        place[name] = data.draw(st.none() | st.integers() | st.text(max_size=3))
        with pytest.raises(MalformedRequest):
            strict_json.decode(json.dumps(document).encode(), takes)

    holds()


def every_struct(takes: Any) -> Iterator[inspect.StructType]:
    waiting: list[Any] = [inspect.type_info(takes)]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, inspect.StructType):
            yield kind
            waiting += [member.type for member in kind.fields]
        waiting += getattr(kind, "types", ())
        waiting += [kind.item_type] if hasattr(kind, "item_type") else []


# ------------------------------------------------------------------------------------------ changed bytes


@pytest.fixture(scope="module")
def node() -> Iterator[WalletNode]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "home"
        path.mkdir(mode=0o700)
        home = Home(path).bind()
        yield home.open()
        home.close()


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.sampled_from(["replace", "insert", "delete", "double"]),
        st.sampled_from([*b'0123456789abcdef"{}[],:-. \\ueE+\x00\x80\xff']),
    ),
    min_size=1,
    max_size=4,
)


@given(changes=CHANGES, amounts=st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_changed_bytes_are_refused_or_mean_what_another_parser_reads(
    node: WalletNode, changes: list[tuple[int, str, int]], amounts: list[int]
) -> None:
    payers = customers(node, 3)
    asked = [payment(payers[place], amount_minor=amount) for place, amount in enumerate(amounts)]
    body = bytearray(json.dumps(batch(*asked)).encode())
    for place, what, byte in changes:
        at = place % len(body)
        if what == "replace":
            body[at] = byte
        elif what == "insert":
            body.insert(at, byte)
        elif what == "delete":
            del body[at]
        else:
            body[at:at] = body[at : at + 40]
    try:
        results = node.sign_payments(strict_json.decode(bytes(body), PaymentBatch))["results"]
    except WalletNodeError:
        return
    said = json.loads(bytes(body))
    assert said["contract"].lower() == "0x" + DOMAIN.contract.hex()
    assert (said["chain_id"], said["domain_name"]) == (DOMAIN.chain_id, DOMAIN.name)
    for one, result in zip(said["payments"], results, strict=True):
        assert result["payment_id"] == one["payment_id"]
        if "signature" not in result:
            continue
        payer, payee = (bytes.fromhex(one[name][2:]) for name in ("payer", "payee"))
        until_s = said["valid_before_s"]
        digest = payment_digest(DOMAIN.separator, payee, one["amount_minor"], result["nonce"], until_s)
        assert recover(digest, expand(bytes.fromhex(result["signature"][2:]))) == payer
        assert until_s <= VALID_BEFORE_S + node.policy.file.longest_validity_s
