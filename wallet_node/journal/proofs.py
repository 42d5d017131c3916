"""The journal as an RFC 9162 log: its root at any size, and the proofs that it only grows.

Nothing here reads the whole log. The roots of all full subtrees of 256, 65,536, .. rows are kept in a table;
every hash that a proof needs is made of at most 255 of these, or of 255 rows, at each level.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from contracts.merkle import HASH_BYTES, NODE_PREFIX, leaf_hash, node_hash
from wallet_node.errors import JournalBroken, NotInJournal
from wallet_node.store import Store

EMPTY_ROOT: Final = sha256(b"").digest()
MAXIMUM_ROWS: Final = 1_000

_BITS_A_LEVEL: Final = 8
_FAN_OUT: Final = 1 << _BITS_A_LEVEL
_HIGHEST_LEVEL: Final = 5

Subtree = tuple[int, int, bytes]
"""Level (1: 256 rows), place among those of its level, root."""


class Growth:
    """What of the tree is still open while the log grows: fewer than 256 hashes at each level."""

    def __init__(self, size: int, levels: Sequence[list[bytes]]) -> None:
        self._size = size
        self._levels = [list(level) for level in levels]

    @classmethod
    def read(cls, store: Store, size: int) -> "Growth":
        """Where a log of `size` rows goes on. Raises JournalBroken."""
        levels = []
        for level in range(_HIGHEST_LEVEL + 1):
            full = size >> _BITS_A_LEVEL * level
            open_from = full & ~(_FAN_OUT - 1)
            levels.append(_nodes(store, level, open_from, full - open_from))
        return cls(size, levels)

    def copy(self) -> "Growth":
        """The same, to be grown in its place: where a write fails, the one before is still there."""
        return Growth(self._size, self._levels)

    def extend(self, hashed_leaves: Sequence[bytes]) -> list[Subtree]:
        """Add leaves; the subtrees that became full with them."""
        filled: list[Subtree] = []
        at = 0
        while at < len(hashed_leaves):
            part = hashed_leaves[at : at + _FAN_OUT - len(self._levels[0])]
            self._levels[0].extend(part)
            self._size += len(part)
            at += len(part)
            level = 0
            while len(self._levels[level]) == _FAN_OUT:
                root = _full_root(self._levels[level])
                self._levels[level] = []
                level += 1
                filled.append((level, (self._size >> _BITS_A_LEVEL * level) - 1, root))
                self._levels[level].append(root)
        return filled


class JournalProofs:
    """Roots and proofs of the first `length()` rows of a store."""

    def __init__(self, store: Store, length: Callable[[], int]) -> None:
        self._store = store
        self._length = length

    def root_at(self, size: int) -> bytes:
        """The Merkle tree hash of the first `size` rows. Raises NotInJournal, JournalBroken."""
        if not 0 <= size <= self._length():
            raise NotInJournal(f"the journal has {self._length()} rows, it has no root of {size}")
        return self._hash(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, sequence: int, size: int) -> list[bytes]:
        """The siblings of row `sequence`, upwards, in the tree of the first `size` rows.

        RFC 9162, section 2.1.3; the leaf's index there is `sequence` - 1. Raises NotInJournal.
        """
        if not 1 <= sequence <= size <= self._length():
            raise NotInJournal(f"row {sequence} is not among the first {size} of {self._length()} rows")
        return [self._hash(*span) for span in inclusion_path(sequence - 1, size)]

    def consistency_proof(self, first: int, second: int) -> list[bytes]:
        """What shows that the tree of `first` rows is the beginning of that of `second`.

        RFC 9162, section 2.1.4, which knows none from an empty tree: that one begins every other. Raises
        NotInJournal.
        """
        if not 1 <= first <= second <= self._length():
            raise NotInJournal(f"{first} rows are no beginning of {second} of {self._length()} rows")
        return [self._hash(*span) for span in consistency_path(first, second)]

    def rows(self, first: int, count: int) -> list[bytes]:
        """Rows as they are stored and hashed, from `first` on, at most 1,000 of them."""
        last = min(first + min(count, MAXIMUM_ROWS) - 1, self._length())
        found = self._store.query(
            "SELECT entry FROM journal WHERE sequence BETWEEN ? AND ? ORDER BY sequence", (first, last)
        )
        return [row[0] for row in found]

    def _hash(self, first: int, last: int) -> bytes:
        """The hash of the subtree of leaves `first` (where a full one of that height begins) to `last`."""
        count = last - first
        height = count.bit_length() - 1
        full = 1 << height
        hashed = self._full(height, first >> height)
        if count == full:
            return hashed
        return node_hash(hashed, self._hash(first + full, last))

    def _full(self, height: int, place: int) -> bytes:
        level = min(height // _BITS_A_LEVEL, _HIGHEST_LEVEL)
        above = height - level * _BITS_A_LEVEL
        return _full_root(_nodes(self._store, level, place << above, 1 << above))


def inclusion_path(index: int, size: int) -> list[tuple[int, int]]:
    """The spans of leaves whose hashes prove leaf `index` in a tree of `size`, from the leaf upwards."""
    spans = []
    first, last = 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            spans.append((middle, last))
            last = middle
        else:
            spans.append((first, middle))
            first = middle
    return spans[::-1]


def consistency_path(first_size: int, size: int) -> list[tuple[int, int]]:
    """The spans of leaves whose hashes prove that a tree of `first_size` leaves begins one of `size`."""
    spans = []
    first, last, is_known = 0, size, True
    while last != first_size:
        middle = first + _split(last - first)
        if first_size <= middle:
            spans.append((middle, last))
            last = middle
        else:
            spans.append((first, middle))
            first, is_known = middle, False
    if not is_known:
        spans.append((first, last))
    return spans[::-1]


def _nodes(store: Store, level: int, first: int, count: int) -> list[bytes]:
    """So many hashes of one level, from the rows (level 0) or from the kept roots."""
    if count == 0:
        return []
    if level == 0:
        found = store.query(
            "SELECT entry FROM journal WHERE sequence BETWEEN ? AND ? ORDER BY sequence",
            (first + 1, first + count),
        )
        hashes = [leaf_hash(row[0]) for row in found]
    else:
        found = store.query(
            "SELECT root FROM subtrees WHERE level = ? AND place BETWEEN ? AND ? ORDER BY place",
            (level, first, first + count - 1),
        )
        hashes = [row[0] for row in found]
    if len(hashes) != count or any(len(each) != HASH_BYTES for each in hashes):
        raise JournalBroken(f"of {count} hashes of level {level} from {first} on, {len(hashes)} are there")
    return hashes


def _full_root(hashes: Sequence[bytes]) -> bytes:
    """`contracts.merkle.root_of` for a power of two, in half its time."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [sha256(NODE_PREFIX + left + right).digest() for left, right in pairs]
    return hashes[0]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
