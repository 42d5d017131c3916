"""What look-ups cost: a bucket of tokens for each holder, which a miss empties faster than a hit.

A bucket is one moment in the database: when it will be full again. The rule is pure; the row's lock makes it
count right with any number of processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from api.directory.errors import LookupBudgetExhausted

if TYPE_CHECKING:
    from api.database import Connection


@dataclass(frozen=True, slots=True)
class Tariff:
    """A bucket's size in tokens, how long one token takes to come back, and what a look-up costs."""

    capacity: int
    token_every: timedelta
    hit: int
    miss: int

    def most_misses(self, during: timedelta) -> int:
        """How many aliases that nobody has can be tried: from a full bucket, within `during`."""
        return (self.capacity + during // self.token_every) // self.miss


OF_BANKS: Final = Tariff(capacity=2_000, token_every=timedelta(seconds=1), hit=1, miss=20)
"""A bank finds 100 unknown aliases at once and 180 an hour; hits that lead to payments cost nothing."""

OF_CUSTOMERS: Final = Tariff(capacity=60, token_every=timedelta(seconds=60), hit=1, miss=6)
"""A customer finds ten unknown aliases at once and ten an hour."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A bucket, locked for the rest of the transaction: when it is full, and what time it is."""

    holder: str
    full_at: datetime
    now: datetime

    def require(self, tariff: Tariff) -> None:
        """Raise `LookupBudgetExhausted` unless even a miss can be paid: the refusal tells nothing else."""
        wait = self.after(tariff, tariff.miss) - self.now - tariff.capacity * tariff.token_every
        if wait > timedelta():
            raise LookupBudgetExhausted(math.ceil(wait.total_seconds()))

    def after(self, tariff: Tariff, cost: int) -> datetime:
        """When it is full again after paying."""
        return max(self.full_at, self.now) + cost * tariff.token_every


async def open_budget(conn: Connection, holder: str) -> Budget:
    """The holder's bucket, locked; a new holder's is full."""
    await conn.execute(
        "INSERT INTO lookup_budgets (holder, full_at) VALUES ($1, now()) ON CONFLICT (holder) DO NOTHING",
        holder,
    )
    row = await conn.fetchrow("SELECT full_at FROM lookup_budgets WHERE holder = $1 FOR UPDATE", holder)
    assert row is not None, "nothing deletes budgets"
    now = await conn.fetchval("SELECT clock_timestamp()")  # when the lock was got, not when it was asked for
    return Budget(holder, row["full_at"], now)


async def charge(conn: Connection, budget: Budget, tariff: Tariff, cost: int) -> None:
    """Take `cost` tokens from an open bucket."""
    await conn.execute(
        "UPDATE lookup_budgets SET full_at = $2 WHERE holder = $1", budget.holder, budget.after(tariff, cost)
    )


async def give_back(conn: Connection, holder: str, tariff: Tariff, cost: int) -> None:
    """Return `cost` tokens; a full bucket stays as it is."""
    await conn.execute(
        "UPDATE lookup_budgets SET full_at = full_at - $2::interval WHERE holder = $1",
        holder,
        cost * tariff.token_every,
    )
