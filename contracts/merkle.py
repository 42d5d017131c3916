"""The Merkle tree of a log that only grows: RFC 6962, section 2.1, with SHA-256.

A leaf is hashed behind a zero byte and a node behind a one, so that neither can stand for the other. The tree
of the first n leaves is fixed by n alone, so its root commits to the whole history and to its order.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """Return what stands for a leaf in the tree."""
    return sha256(LEAF_PREFIX + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return what stands for two subtrees in the one above them."""
    return sha256(NODE_PREFIX + left + right).digest()


class Frontier:
    """All that is needed of a log to append to it: the roots of its full subtrees, the largest first.

    There is one for each bit that is set in the size, so a million leaves need at most twenty.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Take up where another one stopped. Raises ValueError if the peaks cannot be of that size."""
        if size < 0 or len(peaks) != size.bit_count() or any(len(each) != HASH_BYTES for each in peaks):
            raise ValueError(f"{len(peaks)} peaks cannot be those of {size} leaves")
        self.size = size
        self._peaks = list(peaks)

    @staticmethod
    def from_bytes(size: int, packed: bytes) -> "Frontier":
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        if len(packed) % HASH_BYTES:
            raise ValueError(f"{len(packed)} bytes are no row of hashes")
        return Frontier(size, [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)])

    def to_bytes(self) -> bytes:
        """Return the peaks, one after the other; the size is not in them."""
        return b"".join(self._peaks)

    def append(self, hashed_leaf: bytes) -> None:
        """Add one leaf, by its hash."""
        peaks, hashed, carry = self._peaks, hashed_leaf, self.size
        while carry & 1:
            hashed = node_hash(peaks.pop(), hashed)
            carry >>= 1
        peaks.append(hashed)
        self.size += 1

    def extend(self, hashed_leaves: Iterable[bytes]) -> None:
        """Add leaves, by their hashes, in their order."""
        for hashed_leaf in hashed_leaves:
            self.append(hashed_leaf)

    def root(self) -> bytes:
        """Return the root of all leaves so far; of none it is the hash of nothing."""
        if not self._peaks:
            return sha256(b"").digest()
        hashed = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            hashed = node_hash(peak, hashed)
        return hashed


def root_of(hashed_leaves: Iterable[bytes]) -> bytes:
    """Return the root of these leaves, given by their hashes."""
    frontier = Frontier()
    frontier.extend(hashed_leaves)
    return frontier.root()


# ------------------------------------------------------------------------------------------ inclusion


def inclusion_proof(hashed_leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the siblings from leaf ``index`` upwards, in the tree of all the given leaves."""
    if not 0 <= index < len(hashed_leaves):
        raise ValueError(f"there is no leaf {index} among {len(hashed_leaves)}")
    if len(hashed_leaves) == 1:
        return []
    split = _split(len(hashed_leaves))
    if index < split:
        return [*inclusion_proof(hashed_leaves[:split], index), root_of(hashed_leaves[split:])]
    return [*inclusion_proof(hashed_leaves[split:], index - split), root_of(hashed_leaves[:split])]


def includes(root: bytes, size: int, index: int, hashed_leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether the tree of ``size`` leaves has this leaf at ``index`` (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, hashed = index, size - 1, hashed_leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            hashed = node_hash(sibling, hashed)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            hashed = node_hash(hashed, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and hashed == root


# ------------------------------------------------------------------------------------------ consistency


def consistency_proof(hashed_leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return what shows that the tree of the first ``first`` leaves is the beginning of the whole one."""
    if not 0 < first <= len(hashed_leaves):
        raise ValueError(f"{first} leaves are no beginning of {len(hashed_leaves)}")
    return _subproof(hashed_leaves, first, is_known=True)


def _subproof(hashed_leaves: Sequence[bytes], first: int, *, is_known: bool) -> list[bytes]:
    if first == len(hashed_leaves):
        return [] if is_known else [root_of(hashed_leaves)]
    split = _split(len(hashed_leaves))
    if first <= split:
        left = _subproof(hashed_leaves[:split], first, is_known=is_known)
        return [*left, root_of(hashed_leaves[split:])]
    right = _subproof(hashed_leaves[split:], first - split, is_known=False)
    return [*right, root_of(hashed_leaves[:split])]


def extends(
    first_size: int, first_root: bytes, second_size: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether the second tree begins with the first one (RFC 9162, section 2.1.4.2)."""
    if not 0 < first_size <= second_size:
        return False
    if first_size == second_size:
        return not proof and first_root == second_root
    siblings = list(proof) if first_size & (first_size - 1) else [first_root, *proof]
    if not siblings:
        return False
    place, last = first_size - 1, second_size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    first = second = siblings[0]
    for sibling in siblings[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and (first, second) == (first_root, second_root)


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1
