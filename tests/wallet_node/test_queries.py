"""A GET request's parameters: strict, and with one spelling."""

from typing import Annotated

import msgspec
import pytest
from http_calls import call
from hypothesis import given
from hypothesis import strategies as st
from node_builders import Home

from wallet_node.errors import MalformedRequest
from wallet_node.transport import queries


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As a route may ask for them."""

    from_: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(name="from")
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    kind: str | None = None


def test_parameters_are_read_by_name_in_any_order() -> None:
    assert queries.decode(b"count=5&from=0", Rows) == Rows(0, 5)
    assert queries.decode(b"from=7", Rows) == Rows(7)
    assert queries.decode(b"from=7&kind=a%20b%26", Rows) == Rows(7, kind="a b&")


@given(st.integers(0, 2**63), st.integers(1, 1_000), st.text(min_size=1))
def test_what_is_written_plainly_is_read_as_written(start: int, count: int, kind: str) -> None:
    from urllib.parse import urlencode

    try:
        query = urlencode({"from": start, "count": count, "kind": kind}).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate cannot be sent
    assert queries.decode(query, Rows) == Rows(start, count, kind)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"count=1",
        b"from",
        b"from=",
        b"from=1&",
        b"from=1&from=1",
        b"from=1&from=2",
        b"from=1&unknown=1",
        b"FROM=1",
        b"from=-1",
        b"from=-0",
        b"from=+1",
        b"from=01",
        b"from=1.0",
        b"from=1e0",
        b"from=%201",
        b"from=1_0",
        b"from=0x1",
        b"from=true",
        b"from=%D9%A1",
        b"from=%FF",
        b"from=1&kind=%FF",
        b"from=\xff",
        b"from=" + b"9" * 5_000,
        b"from=1&count=0",
        b"from=1&count=1001",
        b"&".join(b"a%d=1" % number for number in range(100)),
    ],
)
def test_anything_else_is_refused(query: bytes) -> None:
    with pytest.raises(MalformedRequest) as refused:
        queries.decode(query, Rows)
    assert refused.value.detail.isascii()


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/keys"), ("POST", "/v1/keys:derive")])
async def test_a_route_without_parameters_takes_none(home: Home, method: str, path: str) -> None:
    body = b'{"indices": [0]}' if method == "POST" else b""
    assert (await call(home.open(), method, path, body))[0] == 200
    status, _, problem = await call(home.open(), method, path, body, query="x=1")
    assert (status, problem["code"]) == (400, "MalformedRequest")
