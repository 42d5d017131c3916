"""The journal: reserve -> post | void, in batches.

A `Posting` locks the accounts once, in id order, decides in memory on the locked rows, and writes
everything with one COPY per table and one UPDATE. It lives inside the caller's transaction. The trigger
and the CHECKs of the schema refuse again whatever slips through here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

from api.ledger.errors import (
    BalanceTooLarge,
    BalanceWouldBeNegative,
    DuplicateSource,
    HoldsMoved,
    InsufficientAvailable,
    UnbalancedEntry,
    UnknownLedgerAccount,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from api.database import Connection


MAX_BALANCE_MINOR: Final = 2**63 - 1
"""What a bigint holds."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry: debit positive, credit negative, never zero."""

    account_id: int
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, once: `source` names the cause (such as a chain event's key) and is unique for ever."""

    kind: str
    source: str
    business_id: UUID | None
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside on an account for a business that is not decided yet."""

    account_id: int
    amount_minor: int
    business_id: UUID


@dataclass(frozen=True, slots=True)
class Written:
    """The ids that `write` gave, in the order in which entries were posted and holds reserved."""

    entry_ids: tuple[int, ...] = ()
    hold_ids: tuple[int, ...] = ()


@dataclass(slots=True)
class _Account:
    """A locked balance row, and what this posting makes of it."""

    currency: str
    account_class: str
    normal_side: int
    may_be_negative: bool
    posted_minor: int
    held_minor: int
    is_changed: bool = False


@dataclass(slots=True)
class _OpenHold:
    """An unresolved hold: stored, or reserved by this posting (at a place among the new ones)."""

    hold: Hold
    stored_id: int | None
    new_index: int | None


@dataclass(slots=True)
class _Pending:
    """What `write` has yet to copy. A resolution is (hold, outcome, index of its entry)."""

    entries: list[Entry] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    resolutions: list[tuple[_OpenHold, str, int | None]] = field(default_factory=list)


class Posting:
    """A unit of work on locked accounts, inside the caller's transaction. Make it with `Posting.open`.

    Each verb either takes effect in memory or raises and changes nothing, so that one refused request
    leaves the rest of its batch alone. Nothing reaches the database before `write`.
    """

    def __init__(
        self,
        conn: Connection,
        accounts: dict[int, _Account],
        open_holds: dict[UUID, list[_OpenHold]],
        businesses: Collection[UUID],
    ) -> None:
        self._conn = conn
        self._accounts = accounts
        self._open_holds = open_holds
        self._businesses = set(businesses)
        self._sources: set[str] = set()
        self._pending = _Pending()

    @classmethod
    async def open(
        cls, conn: Connection, account_ids: Iterable[int], for_businesses: Collection[UUID] = ()
    ) -> Posting:
        """Lock the accounts, and those of the businesses' unresolved holds, and load both.

        Raises `UnknownLedgerAccount`, or `HoldsMoved` when a hold appeared on an account that was not locked.
        """
        wanted = set(account_ids)
        businesses = list(dict.fromkeys(for_businesses))
        if businesses:
            wanted.update(row["account_id"] for row in await _unresolved(conn, businesses))
        accounts = await _lock(conn, wanted)
        missing = wanted - accounts.keys()
        if missing:
            raise UnknownLedgerAccount(missing)
        open_holds: dict[UUID, list[_OpenHold]] = defaultdict(list)
        # read again: what was resolved while this transaction waited for its locks is no longer open
        for row in await _unresolved(conn, businesses) if businesses else ():
            if row["account_id"] not in accounts:
                raise HoldsMoved
            hold = Hold(row["account_id"], row["amount_minor"], row["business_id"])
            open_holds[hold.business_id].append(_OpenHold(hold, row["id"], None))
        return cls(conn, accounts, open_holds, businesses)

    def posted(self, account_id: int) -> int:
        """The posted balance on the account's normal side, with what this posting did so far."""
        return self._account(account_id).posted_minor

    def available(self, account_id: int) -> int:
        """Posted less held, which `reserve` may take; negative where final events went past the holds."""
        account = self._account(account_id)
        return account.posted_minor - account.held_minor

    def account_class(self, account_id: int) -> str:
        """`own` or `memo`."""
        return self._account(account_id).account_class

    def reserve(self, hold: Hold) -> None:
        """Set money aside. Raises `InsufficientAvailable`."""
        available_minor = self.available(hold.account_id)
        if hold.amount_minor > available_minor:
            raise InsufficientAvailable(hold.account_id, available_minor, hold.amount_minor)
        self.reserve_posted(hold)

    def reserve_posted(self, hold: Hold) -> None:
        """Set aside money that a final event has just brought: what is available is not asked."""
        account = self._account(hold.account_id)
        if hold.amount_minor <= 0:
            raise ValueError(f"a hold must be above zero, not {hold.amount_minor}")
        account.held_minor += hold.amount_minor
        account.is_changed = True
        self._businesses.add(hold.business_id)
        self._open_holds[hold.business_id].append(_OpenHold(hold, None, len(self._pending.holds)))
        self._pending.holds.append(hold)

    def post(self, entry: Entry, resolves: UUID | None = None) -> tuple[Hold, ...]:
        """Book the entry, and resolve every unresolved hold of the business `resolves` as posted.

        Returns the holds that it resolved. Raises `UnbalancedEntry`, `DuplicateSource` (for a source that
        this posting holds already; `write` finds older ones), `BalanceWouldBeNegative` or `BalanceTooLarge`.
        """
        if entry.source in self._sources:
            raise DuplicateSource(entry.source)
        if resolves is not None:
            self._require_loaded(resolves)
        changes = self._balanced_changes(entry)
        for account_id, change_minor in changes.items():
            account = self._accounts[account_id]
            is_short = change_minor < 0 and account.posted_minor + change_minor < 0
            if is_short and not account.may_be_negative:
                raise BalanceWouldBeNegative(account_id, account.posted_minor, change_minor)
            if abs(account.posted_minor + change_minor) > MAX_BALANCE_MINOR:
                raise BalanceTooLarge(account_id, account.posted_minor, change_minor)
        for account_id, change_minor in changes.items():
            account = self._accounts[account_id]
            account.posted_minor += change_minor
            account.is_changed = True
        self._sources.add(entry.source)
        self._pending.entries.append(entry)
        return () if resolves is None else self._resolve(resolves, "posted", len(self._pending.entries) - 1)

    def void(self, business_id: UUID) -> tuple[Hold, ...]:
        """Free every unresolved hold of the business; returns them."""
        self._require_loaded(business_id)
        return self._resolve(business_id, "voided", None)

    async def write(self) -> Written:
        """Copy what was decided into the journal and bring the balances along. Call it once, at the end.

        Raises `DuplicateSource`; the caller's transaction is then aborted.
        """
        pending, self._pending = self._pending, _Pending()
        entry_ids = await _next_ids(self._conn, "ledger_entry_ids", len(pending.entries))
        hold_ids = await _next_ids(self._conn, "ledger_hold_ids", len(pending.holds))
        await self._copy_entries(pending.entries, entry_ids)
        await _copy(
            self._conn,
            "ledger_holds",
            ("id", "account_id", "amount_minor", "business_id"),
            [
                (hold_id, hold.account_id, hold.amount_minor, hold.business_id)
                for hold_id, hold in zip(hold_ids, pending.holds, strict=True)
            ],
        )
        await _copy(
            self._conn,
            "ledger_hold_resolutions",
            ("hold_id", "outcome", "entry_id"),
            [
                (
                    hold_ids[resolved.new_index] if resolved.new_index is not None else resolved.stored_id,
                    outcome,
                    None if entry_index is None else entry_ids[entry_index],
                )
                for resolved, outcome, entry_index in pending.resolutions
            ],
        )
        await self._update_balances()
        return Written(tuple(entry_ids), tuple(hold_ids))

    async def _copy_entries(self, entries: Sequence[Entry], entry_ids: Sequence[int]) -> None:
        numbered = list(zip(entry_ids, entries, strict=True))
        try:
            await _copy(
                self._conn,
                "ledger_entries",
                ("id", "kind", "source", "business_id"),
                [(entry_id, entry.kind, entry.source, entry.business_id) for entry_id, entry in numbered],
            )
        except asyncpg.UniqueViolationError as failure:
            known = (failure.detail or "").partition("(source)=(")[2].rpartition(")")[0]
            raise DuplicateSource(known) from failure
        await _copy(
            self._conn,
            "ledger_legs",
            ("entry_id", "account_id", "currency", "amount_minor"),
            [
                (entry_id, leg.account_id, leg.currency, leg.amount_minor)
                for entry_id, entry in numbered
                for leg in entry.legs
            ],
        )

    async def _update_balances(self) -> None:
        changed = [(key, account) for key, account in self._accounts.items() if account.is_changed]
        if not changed:
            return
        await self._conn.execute(
            """UPDATE ledger_balances b SET posted_minor = n.posted_minor, held_minor = n.held_minor
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
                      AS n (account_id, posted_minor, held_minor)
                WHERE b.account_id = n.account_id""",
            [key for key, _ in changed],
            [account.posted_minor for _, account in changed],
            [account.held_minor for _, account in changed],
        )
        for _, account in changed:
            account.is_changed = False

    def _account(self, account_id: int) -> _Account:
        try:
            return self._accounts[account_id]
        except KeyError:
            raise ValueError(f"the account {account_id} was not locked by this posting") from None

    def _require_loaded(self, business_id: UUID) -> None:
        if business_id not in self._businesses:
            raise ValueError(f"the holds of the business {business_id} were not loaded by this posting")

    def _balanced_changes(self, entry: Entry) -> dict[int, int]:
        """What the entry changes on each account's normal side, after checking that its legs balance."""
        changes: dict[int, int] = defaultdict(int)
        differences: dict[tuple[str, str], int] = defaultdict(int)
        if not entry.legs:
            raise UnbalancedEntry(entry.source, "it has no legs")
        for leg in entry.legs:
            account = self._account(leg.account_id)
            if leg.currency != account.currency:
                raise UnbalancedEntry(
                    entry.source, f"account {leg.account_id} is not carried in {leg.currency}"
                )
            if leg.amount_minor == 0:
                raise UnbalancedEntry(entry.source, f"the leg on account {leg.account_id} is zero")
            changes[leg.account_id] += leg.amount_minor * account.normal_side
            differences[leg.currency, account.account_class] += leg.amount_minor
        for (currency, account_class), difference in differences.items():
            if difference:
                raise UnbalancedEntry(
                    entry.source, f"its {account_class} legs in {currency} differ by {difference}"
                )
        return changes

    def _resolve(self, business_id: UUID, outcome: str, entry_index: int | None) -> tuple[Hold, ...]:
        resolved = self._open_holds.pop(business_id, [])
        for open_hold in resolved:
            account = self._accounts[open_hold.hold.account_id]
            account.held_minor -= open_hold.hold.amount_minor
            account.is_changed = True
            self._pending.resolutions.append((open_hold, outcome, entry_index))
        return tuple(open_hold.hold for open_hold in resolved)


async def _lock(conn: Connection, account_ids: Collection[int]) -> dict[int, _Account]:
    """Lock the balance rows in id order and load them as they are once the locks are held.

    The locks are taken as rows leave the sort, above the join (LockRows is the plan's topmost node).
    """
    if not account_ids:
        return {}
    rows = await conn.fetch(
        """SELECT b.account_id, a.currency, a.class, a.normal_side, b.may_be_negative,
                  b.posted_minor, b.held_minor
             FROM ledger_balances b JOIN ledger_accounts a ON a.id = b.account_id
            WHERE b.account_id = ANY($1::bigint[])
            ORDER BY b.account_id FOR NO KEY UPDATE OF b""",
        list(account_ids),
    )
    return {
        row[0]: _Account(row[1], row[2], row[3], row[4], posted_minor=row[5], held_minor=row[6])
        for row in rows
    }


async def _unresolved(conn: Connection, businesses: Collection[UUID]) -> list[asyncpg.Record]:
    return await conn.fetch(
        """SELECT h.id, h.account_id, h.amount_minor, h.business_id FROM ledger_holds h
            WHERE h.business_id = ANY($1::uuid[])
              AND NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id)
            ORDER BY h.id""",
        list(businesses),
    )


async def _next_ids(conn: Connection, sequence: str, count: int) -> list[int]:
    if not count:
        return []
    rows = await conn.fetch(
        "SELECT nextval($1::text::regclass) FROM generate_series(1, $2::integer)", sequence, count
    )
    return [row[0] for row in rows]


async def _copy(
    conn: Connection, table: str, columns: Sequence[str], records: Sequence[tuple[object, ...]]
) -> None:
    if records:
        await conn.copy_records_to_table(table, columns=columns, records=records)
