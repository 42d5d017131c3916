"""What was spent in the last 24 and 168 hours, by ledger and subject: loaded in sets, reserved in memory
while a batch is decided, durable with the page that the batch writes.

Amounts are kept in buckets of an hour. A window counts its oldest bucket whole, so it is never shorter than
it says: 24 hours are 24 to 25, 168 are 168 to 169. A bucket of a later hour than now counts as well. Times
are the journal's, max(clock, last seen); a clock that was ahead while nothing was written goes back there,
and then everything is read anew. So no clock frees what was spent, but one that runs ahead and stays there.

This is the one writer of its tables, so a wallet that was seen lately costs no query.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

import msgspec

from wallet_node.journal.entries import Charge
from wallet_node.journal.periods import HOURS_A_WEEK, SECONDS_A_BUCKET, oldest_hour
from wallet_node.policy.policy import INSTITUTION, CapKey, Used
from wallet_node.store import Changes, Store, together

HOURS_A_DAY = 24
_KEPT_IN_MEMORY = 50_000
_VALUES_IN_ONE_QUERY = 1_000

_ADD = (
    "INSERT INTO rolling_spending VALUES # ON CONFLICT (ledger, subject, hour)"
    " DO UPDATE SET spent_minor = spent_minor + excluded.spent_minor"
)


class _Window(msgspec.Struct, gc=False):
    """One subject's buckets in ascending order of their hours, and the sums of those that still count.

    `day_from` and `week_from` are the places of the first bucket of each window.
    """

    hours: list[int]
    amounts: list[int]
    hour: int = 0
    day_minor: int = 0
    week_minor: int = 0
    day_from: int = 0
    week_from: int = 0

    def turn_to(self, hour: int) -> None:
        """Let go of what is past as of `hour`; each bucket is let go of once."""
        self.hour = hour
        hours, count = self.hours, len(self.hours)
        while self.day_from < count and hours[self.day_from] < hour - HOURS_A_DAY:
            self.day_minor -= self.amounts[self.day_from]
            self.day_from += 1
        while self.week_from < count and hours[self.week_from] < hour - HOURS_A_WEEK:
            self.week_minor -= self.amounts[self.week_from]
            self.week_from += 1
        if self.week_from > HOURS_A_WEEK:
            del hours[: self.week_from], self.amounts[: self.week_from]
            self.day_from -= self.week_from
            self.week_from = 0

    def add(self, hour: int, amount_minor: int) -> None:
        """Count an amount; in the last bucket, where there is one of a later hour already."""
        if self.hours and self.hours[-1] >= hour:
            self.amounts[-1] += amount_minor
        else:
            self.hours.append(hour)
            self.amounts.append(amount_minor)
        self.day_minor += amount_minor
        self.week_minor += amount_minor


def charges_of(keys: Iterable[CapKey], amount_minor: int) -> tuple[Charge, ...]:
    """What a row says of an amount that was reserved under these keys."""
    return tuple([(ledger, subject != INSTITUTION, amount_minor) for ledger, subject in keys])


class Reservations:
    """What one batch sees and adds. `spent` is what the policy looks at, this batch's own included."""

    __slots__ = ("_added", "_hour", "_ledgers", "_windows", "spent")

    def __init__(
        self, hour: int, ledgers: dict[str, int], windows: dict[CapKey, _Window], spent: dict[CapKey, Used]
    ) -> None:
        self._hour = hour
        self._ledgers = ledgers
        self._windows = windows
        self._added: dict[CapKey, int] = {}
        self.spent = spent

    def reserve(self, keys: Iterable[CapKey], amount_minor: int) -> None:
        """Count an amount under each key of a decision's `reserves`, from now on in this batch."""
        for key in keys:
            used = self.spent[key]
            used.day_minor += amount_minor
            used.week_minor += amount_minor
            self._added[key] = self._added.get(key, 0) + amount_minor

    def charges(self) -> tuple[Charge, ...]:
        """All that was reserved, where that is for one signature: for its row."""
        return tuple(
            (ledger, subject != INSTITUTION, amount_minor)
            for (ledger, subject), amount_minor in self._added.items()
            if amount_minor
        )

    def changes(self) -> Changes:
        """What goes into the page, to be durable with the rows that it pays for."""
        hour, ledgers = self._hour, self._ledgers
        rows = [
            (ledgers[ledger], subject, hour, amount_minor)
            for (ledger, subject), amount_minor in self._added.items()
            if amount_minor
        ]
        return together(_ADD, rows)

    def keep(self) -> None:
        """Remember what was reserved, for whoever decides next. The journal says where the page is not
        written after all (`Journal.when_undone`), and then all is forgotten.
        """
        for key, amount_minor in self._added.items():
            self._windows[key].add(self._hour, amount_minor)
        self._added = {}


class Spending:
    """The ledgers of one store."""

    def __init__(self, store: Store, kept_in_memory: int = _KEPT_IN_MEMORY) -> None:
        self._store = store
        self._ledgers: dict[str, int] = dict(store.query("SELECT name, ledger FROM spending_ledgers"))
        # Two generations stand for an order of last use: what was used since the last turn is in the first
        # one, and what was not used for a whole generation is forgotten.
        self._recent: dict[CapKey, _Window] = {}
        self._older: dict[CapKey, _Window] = {}
        self._most_kept = kept_in_memory
        self._last_hour = 0

    def know(self, names: Iterable[str]) -> None:
        """Make the ledgers that a policy names. Raises JournalUnavailable."""
        new = [name for name in names if name not in self._ledgers]
        if not new:
            return
        with self._store.transaction() as connection:
            connection.executemany(
                "INSERT INTO spending_ledgers (name) VALUES (?)", [(name,) for name in new]
            )
        self._ledgers = dict(self._store.query("SELECT name, ledger FROM spending_ledgers"))

    def open(self, keys: Iterable[CapKey], now_s: int) -> Reservations:
        """What was spent under each of these keys, as of `now_s`: for one batch, to reserve on."""
        hour = now_s // SECONDS_A_BUCKET
        if hour < self._last_hour:  # what is in memory has let go of buckets that count again
            self.forget()
        self._last_hour = hour
        if len(self._recent) >= self._most_kept:
            self._older, self._recent = self._recent, {}
        recent, older = self._recent, self._older
        windows: dict[CapKey, _Window] = {}
        missing: list[CapKey] = []
        for key in keys:
            window = recent.get(key)
            if window is None:
                window = older.pop(key, None)
                if window is None:
                    missing.append(key)
                    continue
                recent[key] = window
            windows[key] = window
        if missing:
            windows |= self._load(missing, hour)
        spent: dict[CapKey, Used] = {}
        for key, window in windows.items():
            if window.hour < hour:
                window.turn_to(hour)
            spent[key] = Used(window.day_minor, window.week_minor)
        return Reservations(hour, self._ledgers, windows, spent)

    def forget(self) -> None:
        """Read everything anew: after a page that failed, only the store knows what is durable."""
        self._recent, self._older = {}, {}

    def sweep(self, now_s: int) -> None:
        """Delete the buckets that no window reaches any more; for start-up, since it reads all of them.

        `now_s` is the last time that the journal has seen: a clock may be ahead, and go back.
        """
        oldest = oldest_hour(now_s)
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM rolling_spending WHERE hour < ?", (oldest,))

    def _load(self, keys: list[CapKey], hour: int) -> dict[CapKey, _Window]:
        loaded: dict[CapKey, _Window] = {}
        for name, group in groupby(sorted(keys), key=itemgetter(0)):
            ledger = self._ledgers[name]
            subjects = [subject for _, subject in group]
            found: dict[bytes, _Window] = {subject: _Window([], []) for subject in subjects}
            for at in range(0, len(subjects), _VALUES_IN_ONE_QUERY):
                part = subjects[at : at + _VALUES_IN_ONE_QUERY]
                where = f"ledger = {ledger:d} AND subject IN (#) AND hour >= {hour - HOURS_A_WEEK:d}"
                rows = self._store.query_in(
                    "SELECT subject, hour, spent_minor FROM rolling_spending"  # noqa: S608 - two integers
                    f" WHERE {where} ORDER BY ledger, subject, hour",
                    part,
                )
                for subject, then, spent_minor in rows:
                    found[subject].add(then, spent_minor)
            loaded |= {(name, subject): window for subject, window in found.items()}
        self._recent.update(loaded)
        return loaded
