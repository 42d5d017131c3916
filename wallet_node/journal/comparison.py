"""The tables by which the node decides, held against what the rows tell: no row more, none less."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from contracts.customer_approvals import NO_CREDENTIAL, Credential
from wallet_node.errors import JournalBroken
from wallet_node.journal.periods import oldest_hour
from wallet_node.journal.told import Told, hash_description
from wallet_node.store import Store

_SAME: dict[str, tuple[str, int]] = {
    "mandates": (
        "mandate_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s, proof_hash, is_revoked",
        1,
    ),
    "mandate_revocations": ("mandate_id, revoked_at_s", 1),
    "mandate_spending": ("mandate_id, period_start_s, spent_minor", 2),
    "operation_statements": (
        "officer, statement_hash, operation_id, verb, policy_hash, expires_at_s, stated_at_s",
        2,
    ),
}
"""Tables that the rows tell as they are: their columns, and how many of these are the key."""


def compare(store: Store, told: Told, last_seen_s: int) -> None:
    """Raises JournalBroken, which names the table and the first row that differs."""
    for table, (columns, width) in _SAME.items():
        statement = f"SELECT {columns} FROM {table} ORDER BY {columns}"  # noqa: S608 - from this file
        _compare(table, width, told.rows(statement), _rows(store, statement))
    _compare(
        "credentials",
        2,
        told.rows("SELECT wallet, hash, is_first, is_bound FROM credentials ORDER BY wallet, hash"),
        _credentials(store),
    )
    _compare(
        "credential_changes",
        1,
        told.rows("SELECT * FROM credential_changes ORDER BY change_id"),
        _credential_changes(store),
    )
    _compare("operations", 1, told.rows("SELECT * FROM operations ORDER BY operation_id"), _operations(store))
    _compare(
        "rolling_spending",
        3,
        told.rows("SELECT ledger, subject, hour, spent_minor FROM rolling_spending ORDER BY 1, 2, 3"),
        _rolling_spending(store, oldest_hour(last_seen_s)),
    )
    _require_wallets(store, told)


def _compare(
    table: str, width: int, said: Iterable[tuple[Any, ...]], kept: Iterable[tuple[Any, ...]]
) -> None:
    """Two streams in the order of their keys, the first `width` members."""
    ours, theirs = iter(said), iter(kept)
    expected, found = next(ours, None), next(theirs, None)
    while expected is not None or found is not None:
        if expected == found:
            expected, found = next(ours, None), next(theirs, None)
        elif found is None or (expected is not None and expected[:width] < found[:width]):
            assert expected is not None, "one of the two is there"
            raise JournalBroken(f"the table of {table} lacks {_named(expected[:width])}, which the rows tell")
        elif expected is None or found[:width] < expected[:width]:
            raise JournalBroken(f"the table of {table} has {_named(found[:width])}, of which no row tells")
        else:
            raise JournalBroken(
                f"the table of {table} says of {_named(found[:width])} {_named(found[width:])}, the rows"
                f" {_named(expected[width:])}"
            )


def _credentials(store: Store) -> Iterator[tuple[Any, ...]]:
    """Of each wallet in the order of the credentials' hashes, which is how rows name them."""
    stored = _rows(
        store,
        "SELECT wallet, credential_id, algorithm, public_key, is_first, is_bound FROM credentials"
        " ORDER BY wallet, credential_id",
    )
    for wallet, group in groupby(stored, itemgetter(0)):
        yield from sorted((wallet, Credential(*row[1:4]).struct_hash(), *row[4:]) for row in group)


def _credential_changes(store: Store) -> Iterator[tuple[Any, ...]]:
    """With the hash of what was unbound, which the table names by its id."""
    for change_id, content in _rows(
        store, "SELECT change_id, content FROM credential_changes ORDER BY change_id"
    ):
        try:
            wallet, bound, unbound_id, ends_mandates = msgspec.msgpack.decode(
                content, type=tuple[bytes, bytes | None, bytes | None, bool]
            )
        except msgspec.DecodeError:
            raise JournalBroken(
                f"the table of credential_changes cannot be read at {change_id.hex()}"
            ) from None
        unbound = NO_CREDENTIAL
        if unbound_id is not None:
            found = store.query(
                "SELECT credential_id, algorithm, public_key FROM credentials"
                " WHERE wallet = ? AND credential_id = ?",
                (wallet, unbound_id),
            )
            unbound = Credential(*found[0]).struct_hash() if found else b""
        yield change_id, wallet, bound or NO_CREDENTIAL, unbound, ends_mandates


def _operations(store: Store) -> Iterator[tuple[Any, ...]]:
    for row in _rows(
        store,
        "SELECT operation_id, kind, digest, description, quorum, initiator, proposed_at_s, expires_at_s,"
        " state, ended_at_s FROM operations ORDER BY operation_id",
    ):
        yield (*row[:3], hash_description(row[3]), *row[4:])


def _rolling_spending(store: Store, first_hour: int) -> Iterable[tuple[Any, ...]]:
    """What a window still reaches: older buckets are swept at start-up, and nobody looks at them."""
    return _rows(
        store,
        "SELECT coalesce(name, ''), subject, hour, spent_minor FROM rolling_spending"  # noqa: S608 - an integer
        f" LEFT JOIN spending_ledgers USING (ledger) WHERE hour >= {first_hour:d} ORDER BY 1, 2, 3",
    )


def _require_wallets(store: Store, told: Told) -> None:
    """A wallet that was made with a credential is a wallet of this node."""
    for (wallet,) in told.rows("SELECT wallet FROM credentials WHERE is_first = 1"):
        if not store.query("SELECT 1 FROM derived_keys WHERE address = ?", (wallet,)):
            raise JournalBroken(f"the table of derived_keys lacks 0x{wallet.hex()}, which the rows tell")


def _named(members: tuple[Any, ...]) -> str:
    shown = ("0x" + each.hex() if isinstance(each, bytes) else str(each) for each in members)
    return " ".join(each for each in shown) or "nothing else"


def _rows(store: Store, statement: str) -> Iterator[Any]:
    return store.connection.execute(statement)
