"""The Merkle tree of a log: Certificate Transparency's own vectors, and what its proofs prove."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.merkle import (
    Frontier,
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)

# The leaves and roots of the reference implementation's tests (certificate-transparency, merkle_tree_test).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
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
SIZES = st.integers(1, 70)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(index.to_bytes(4, "big")) for index in range(size)]


def test_roots_are_those_of_certificate_transparency() -> None:
    hashed = list(map(leaf_hash, CT_LEAVES))
    assert [root_of(hashed[:size]).hex() for size in range(9)] == CT_ROOTS


def test_proofs_are_those_of_certificate_transparency() -> None:
    hashed = list(map(leaf_hash, CT_LEAVES))
    assert [each.hex() for each in inclusion_proof(hashed, 5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [each.hex() for each in consistency_proof(hashed, 6)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(size=st.integers(0, 200), cut=st.integers(0, 200))
def test_a_frontier_that_is_written_and_read_goes_on_to_the_same_root(size: int, cut: int) -> None:
    hashed, cut = leaves(size), min(cut, size)
    frontier = Frontier()
    frontier.extend(hashed[:cut])
    restored = Frontier.from_bytes(cut, frontier.to_bytes())
    assert restored.root() == root_of(hashed[:cut])
    restored.extend(hashed[cut:])
    assert (restored.size, restored.root()) == (size, root_of(hashed))


@settings(max_examples=60)
@given(size=SIZES, data=st.data())
def test_an_inclusion_proof_holds_for_its_leaf_place_and_size_alone(size: int, data: st.DataObject) -> None:
    hashed = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    root, proof = root_of(hashed), inclusion_proof(hashed, index)
    assert includes(root, size, index, hashed[index], proof)
    for other in range(-1, size + 1):
        assert includes(root, size, other, hashed[index], proof) == (other == index)
    assert not includes(root, size, index, leaf_hash(b"another"), proof)
    assert not includes(bytes(32), size, index, hashed[index], proof)
    assert not includes(root, size, index, hashed[index], [*proof, bytes(32)])
    if proof:
        assert not includes(root, size, index, hashed[index], proof[:-1])
        assert not includes(root, size, index, hashed[index], [bytes(32), *proof[1:]])


@settings(max_examples=60)
@given(size=SIZES, data=st.data())
def test_a_consistency_proof_holds_for_its_two_trees_alone(size: int, data: st.DataObject) -> None:
    hashed = leaves(size)
    first = data.draw(st.integers(1, size))
    first_root, root = root_of(hashed[:first]), root_of(hashed)
    proof = consistency_proof(hashed, first)
    assert extends(first, first_root, size, root, proof)
    assert not extends(first, leaf_hash(b"another"), size, root, proof)
    assert not extends(first, first_root, size, leaf_hash(b"another"), proof)
    assert not extends(first, first_root, size, root, [*proof, bytes(32)])
    assert not extends(size + 1, first_root, size, root, proof)
    assert not extends(0, first_root, size, root, proof)
    if proof:
        assert not extends(first, first_root, size, root, proof[:-1])
        assert not extends(first, first_root, size, root, [*proof[:-1], bytes(32)])


@given(size=st.integers(2, 40), at=st.integers(0, 39))
def test_a_changed_leaf_changes_every_root_from_its_place_on_and_none_before(size: int, at: int) -> None:
    at %= size
    hashed = leaves(size)
    changed = [*hashed[:at], leaf_hash(b"another"), *hashed[at + 1 :]]
    for upto in range(size + 1):
        assert (root_of(hashed[:upto]) == root_of(changed[:upto])) == (upto <= at)


def test_a_leaf_is_never_a_node() -> None:
    left, right = leaves(2)
    assert leaf_hash(left + right) != node_hash(left, right)
    assert not includes(root_of([left, right]), 1, 0, leaf_hash(left + right), [])


@pytest.mark.parametrize(
    ("size", "peaks"), [(1, []), (0, [bytes(32)]), (3, [bytes(32)]), (1, [bytes(31)]), (-1, [])]
)
def test_what_is_no_frontier_is_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="peaks"):
        Frontier(size, peaks)
    with pytest.raises(ValueError, match="no row of hashes"):
        Frontier.from_bytes(1, bytes(33))


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_a_place_outside_the_log_has_no_proof(index: int) -> None:
    with pytest.raises(ValueError, match="there is no leaf"):
        inclusion_proof(leaves(3), index)


@pytest.mark.parametrize("first", [-1, 0, 4])
def test_a_size_outside_the_log_has_no_consistency_proof(first: int) -> None:
    with pytest.raises(ValueError, match="no beginning"):
        consistency_proof(leaves(3), first)
