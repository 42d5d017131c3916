"""The journal as an auditor reads it over HTTP: rows, and proofs against a root that is kept elsewhere."""

from hashlib import sha256
from typing import Any

import pytest
from http_calls import call
from node_builders import NO_PROOF, Home, batch, customers, payment, sign

from contracts.merkle import extends, includes, leaf_hash, root_of
from wallet_node.callers import Peer
from wallet_node.journal.entries import PaymentSigned, decode
from wallet_node.journal.proofs import MAXIMUM_ROWS
from wallet_node.node import WalletNode


def bytes_of(text: str) -> bytes:
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


async def get(node: WalletNode, path: str, **query: Any) -> Any:
    """The content of an answer that must be there."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    status, _, content = await call(node, "GET", f"/v1/journal{path}", query=asked)
    assert status == 200, content
    return content


async def refused(node: WalletNode, path: str, query: str) -> tuple[int, str]:
    status, _, problem = await call(node, "GET", f"/v1/journal{path}", query=query)
    return status, problem["code"]


@pytest.fixture
async def anchored(home: Home) -> tuple[WalletNode, dict[int, bytes]]:
    """A node with 11 rows, and its roots as they were told on the way."""
    node = home.open(NO_PROOF)
    payer = customers(node, 1)[0]
    roots = {}
    for count in (1, 4, 6):
        sign(node, batch(*(payment(payer) for _ in range(count))))
        head = await get(node, "")
        roots[head["size"]] = bytes_of(head["root"])
    assert list(roots) == [1, 5, 11]
    return node, roots


async def test_each_row_is_proved_against_each_root_that_covers_it(
    anchored: tuple[WalletNode, dict[int, bytes]],
) -> None:
    node, roots = anchored
    for size, root in roots.items():
        for sequence in range(1, size + 1):
            told = await get(node, "/inclusion", sequence=sequence, size=size)
            row, proof = bytes_of(told["row"]), [bytes_of(each) for each in told["proof"]]
            assert includes(root, size, sequence - 1, leaf_hash(row), proof)
            assert not includes(root, size, sequence - 1, leaf_hash(row + b"\0"), proof)
            assert not includes(sha256(root).digest(), size, sequence - 1, leaf_hash(row), proof)


async def test_each_tree_is_shown_to_begin_the_later_ones(
    anchored: tuple[WalletNode, dict[int, bytes]],
) -> None:
    node, roots = anchored
    for first in roots:
        for second in roots:
            if first > second:
                continue
            told = await get(node, "/consistency", first=first, second=second)
            proof = [bytes_of(each) for each in told["proof"]]
            assert extends(first, roots[first], second, roots[second], proof)
            if first < second:
                assert not extends(first, bytes(32), second, roots[second], proof)


async def test_rows_are_told_as_they_are_hashed(anchored: tuple[WalletNode, dict[int, bytes]]) -> None:
    node, roots = anchored
    told = [bytes_of(row) for row in (await get(node, "/rows", **{"from": 1, "count": 1_000}))["rows"]]
    assert root_of(map(leaf_hash, told)) == roots[11]
    for sequence, row in enumerate(told, 1):
        entry = decode(row, sequence)
        assert entry.sequence == sequence
        assert isinstance(entry.decision, PaymentSigned)
    middle = await get(node, "/rows", **{"from": 4, "count": 3})
    assert [bytes_of(row) for row in middle["rows"]] == told[3:6]
    assert (await get(node, "/rows", **{"from": 11, "count": 5}))["rows"] == ["0x" + told[10].hex()]
    assert await get(node, "/rows", **{"from": 12, "count": 5}) == {"rows": []}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/inclusion", "sequence=12&size=11"),
        ("/inclusion", "sequence=1&size=12"),
        ("/inclusion", "sequence=6&size=5"),
        ("/consistency", "first=5&second=12"),
        ("/consistency", "first=6&second=5"),
    ],
)
async def test_what_never_was_is_not_found(
    anchored: tuple[WalletNode, dict[int, bytes]], path: str, query: str
) -> None:
    assert await refused(anchored[0], path, query) == (404, "NotInJournal")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/inclusion", ""),
        ("/inclusion", "sequence=1"),
        ("/inclusion", "sequence=0&size=1"),
        ("/inclusion", "sequence=01&size=1"),
        ("/inclusion", "sequence=1&size=1&size=2"),
        ("/inclusion", "sequence=1&size=9223372036854775808"),
        ("/consistency", "first=0&second=1"),
        ("/consistency", "first=1&second=1&third=1"),
        ("/rows", "from=0&count=1"),
        ("/rows", "from=1"),
        ("/rows", f"from=1&count={MAXIMUM_ROWS + 1}"),
        ("/rows", "from=1&count=0"),
        ("/rows", "first=1&count=1"),
        ("", "size=1"),
    ],
)
async def test_a_query_that_is_not_as_described_is_refused(home: Home, path: str, query: str) -> None:
    assert await refused(home.open(), path, query) == (400, "MalformedRequest")


async def test_whoever_reads_may_read_all_of_it(home: Home) -> None:
    node = home.open()
    for caller in ("api", "officers"):
        for path in ("", "/rows?from=1&count=1"):
            at, _, query = path.partition("?")
            status, _, _ = await call(node, "GET", f"/v1/journal{at}", query=query, peer=Peer(caller))
            assert status == 200
