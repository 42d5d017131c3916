"""The journal as an RFC 9162 log: the same roots and proofs as the shared tree, from tiles."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_builders import NOW_S, open_journal, paid

from contracts.merkle import (
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    root_of,
)
from wallet_node.errors import JournalBroken, NotInJournal
from wallet_node.journal.pages import Page
from wallet_node.journal.proofs import Growth, JournalProofs
from wallet_node.store import Store

# The leaves, roots and proofs of the reference implementation's tests (certificate-transparency,
# merkle_tree_test), which are the trees of RFC 9162: the first leaf is empty.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (3, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (2, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LENGTH = 10_000


def log_of(path: Path, leaves: list[bytes]) -> Store:
    """A store whose rows are these leaves, grown page by page of uneven length as the journal grows it."""
    store = Store(path)
    growth, at, step = Growth(0, [[] for _ in range(6)]), 0, 1
    store.connection.execute("BEGIN")
    while at < len(leaves):
        part = leaves[at : at + step]
        store.insert("journal", [(at + place, leaf) for place, leaf in enumerate(part, 1)])
        store.insert("subtrees", growth.extend(list(map(leaf_hash, part))))
        at, step = at + len(part), step * 3 % 701 + 1
    store.connection.execute("COMMIT")
    return store


def hexed(proof: list[bytes]) -> list[str]:
    return [each.hex() for each in proof]


@pytest.fixture
def ct(tmp_path: Path) -> Iterator[JournalProofs]:
    store = log_of(tmp_path / "ct.sqlite3", CT_LEAVES)
    yield JournalProofs(store, lambda: len(CT_LEAVES))
    store.close()


def test_roots_are_those_of_certificate_transparency_from_size_0_and_the_empty_leaf_on(
    ct: JournalProofs,
) -> None:
    assert [ct.root_at(size).hex() for size in range(9)] == CT_ROOTS


@pytest.mark.parametrize("of", CT_INCLUSION, ids=str)
def test_inclusion_proofs_are_those_of_certificate_transparency(
    ct: JournalProofs, of: tuple[int, int]
) -> None:
    assert hexed(ct.inclusion_proof(*of)) == CT_INCLUSION[of]


@pytest.mark.parametrize("of", CT_CONSISTENCY, ids=str)
def test_consistency_proofs_are_those_of_certificate_transparency(
    ct: JournalProofs, of: tuple[int, int]
) -> None:
    assert hexed(ct.consistency_proof(*of)) == CT_CONSISTENCY[of]


@pytest.mark.parametrize("of", [(0, 8), (1, 9), (9, 9), (3, 2), (-1, 8), (1, 0), (0, 0)], ids=str)
def test_there_is_no_proof_beyond_the_log(ct: JournalProofs, of: tuple[int, int]) -> None:
    with pytest.raises(NotInJournal):
        ct.inclusion_proof(*of)
    with pytest.raises(NotInJournal):
        ct.consistency_proof(*of)


@pytest.mark.parametrize("size", [-1, 9])
def test_there_is_no_root_beyond_the_log(ct: JournalProofs, size: int) -> None:
    with pytest.raises(NotInJournal):
        ct.root_at(size)


def test_rows_are_told_from_anywhere_and_none_beyond_the_last(ct: JournalProofs) -> None:
    assert ct.rows(1, 100) == CT_LEAVES
    assert ct.rows(3, 2) == CT_LEAVES[2:4]
    assert ct.rows(8, 5) == CT_LEAVES[7:]
    assert ct.rows(9, 5) == ct.rows(1, 0) == []


def test_all_proofs_of_all_sizes_to_70_are_those_of_the_shared_tree(tmp_path: Path) -> None:
    leaves = [number.to_bytes(4) for number in range(70)]
    hashed = list(map(leaf_hash, leaves))
    store = log_of(tmp_path / "small.sqlite3", leaves)
    proofs = JournalProofs(store, lambda: 70)
    for size in range(71):
        root = proofs.root_at(size)
        assert root == root_of(hashed[:size])
        for other in range(1, size + 1):
            inclusion, consistency = (
                proofs.inclusion_proof(other, size),
                proofs.consistency_proof(other, size),
            )
            assert inclusion == inclusion_proof(hashed[:size], other - 1)
            assert consistency == consistency_proof(hashed[:size], other)
            assert includes(root, size, other - 1, hashed[other - 1], inclusion)
            assert extends(other, root_of(hashed[:other]), size, root, consistency)
    store.close()


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JournalProofs, list[bytes]]]:
    leaves = [number.to_bytes(4) for number in range(LENGTH)]
    store = log_of(tmp_path_factory.mktemp("long") / "long.sqlite3", leaves)
    yield JournalProofs(store, lambda: LENGTH), list(map(leaf_hash, leaves))
    store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_proofs_of_random_sizes_to_ten_thousand_prove(
    long_log: tuple[JournalProofs, list[bytes]], data: st.DataObject
) -> None:
    proofs, hashed = long_log
    edges = st.sampled_from([255, 256, 257, 511, 512, 4096, 8192, 9984, LENGTH])
    size = data.draw(st.one_of(edges, st.integers(1, LENGTH)))
    first = data.draw(st.integers(1, size))
    root = proofs.root_at(size)
    assert root == root_of(hashed[:size])
    inclusion, consistency = proofs.inclusion_proof(first, size), proofs.consistency_proof(first, size)
    assert includes(root, size, first - 1, hashed[first - 1], inclusion)
    assert not includes(root, size, first - 1, leaf_hash(b"another"), inclusion)
    assert extends(first, proofs.root_at(first), size, root, consistency)
    if first < size:
        assert not extends(first, leaf_hash(b"another"), size, root, consistency)


@pytest.fixture(scope="module")
def high_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[bytes]]]:
    leaves = [number.to_bytes(4) for number in range(66_000)]
    store = log_of(tmp_path_factory.mktemp("high") / "high.sqlite3", leaves)
    yield store, list(map(leaf_hash, leaves))
    store.close()


def test_a_tree_of_more_than_65536_rows_has_roots_of_roots(high_log: tuple[Store, list[bytes]]) -> None:
    store, hashed = high_log
    assert store.query("SELECT level, count(*) FROM subtrees GROUP BY level") == [(1, 257), (2, 1)]
    proofs = JournalProofs(store, lambda: 66_000)
    for size in (65_536, 66_000):
        root = proofs.root_at(size)
        assert root == root_of(hashed[:size])
        assert includes(root, size, 70, hashed[70], proofs.inclusion_proof(71, size))
        assert extends(300, proofs.root_at(300), size, root, proofs.consistency_proof(300, size))


def test_no_proof_reads_more_than_a_few_hundred_of_anything(
    high_log: tuple[Store, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither rows nor kept roots; nor does a node that starts."""
    store, _ = high_log
    read: list[int] = []
    whole = store.query

    def counted(sql: str, parameters: tuple[int, ...] = ()) -> list[object]:
        found = whole(sql, parameters)
        read.append(len(found))
        return found

    monkeypatch.setattr(store, "query", counted)
    proofs = JournalProofs(store, lambda: 66_000)
    for act in (
        lambda: proofs.root_at(65_535),
        lambda: proofs.inclusion_proof(40_000, 65_535),
        lambda: proofs.consistency_proof(33_333, 65_535),
        lambda: Growth.read(store, 65_535),
    ):
        read.clear()
        act()
        assert 0 < sum(read) <= 2 * 2 * 256


def test_a_kept_root_that_is_gone_is_said_and_not_made_up(tmp_path: Path) -> None:
    store = log_of(tmp_path / "holed.sqlite3", [number.to_bytes(4) for number in range(600)])
    store.connection.executescript("DROP TRIGGER subtrees_remain; DELETE FROM subtrees WHERE place = 1")
    with pytest.raises(JournalBroken):
        JournalProofs(store, lambda: 600).root_at(600)
    with pytest.raises(JournalBroken):
        Growth.read(store, 600)
    store.close()


def test_the_journals_own_rows_are_such_a_log_page_by_page_and_after_restarts(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    number = 0
    for count in (1, 3, 250, 1, 1, 260, 9):
        page = Page(first_attempts=[paid(number + n, number + n) for n in range(count)])
        journal.write(page, NOW_S)
        number += count
        rows = [row[0] for row in store.query("SELECT entry FROM journal ORDER BY sequence")]
        assert journal.root_at(number) == root_of(map(leaf_hash, rows))
        journal = open_journal(store)
    assert journal.root_at(number + 1) is None
    assert journal.proofs.rows(1, 2_000) == rows
    store.close()
