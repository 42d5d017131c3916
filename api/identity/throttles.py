"""Growing delays for whoever tries again and again: an account, an address.

An attempt is counted before it is judged, in a transaction that has ended by then: a hundred guesses at once
are a hundred. What turned out right is taken back.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from api.database import TransactionConflict
from api.identity.errors import TooManyAttempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.database import Connection
    from api.identity.people_key import PeopleKey

FORGOTTEN_AFTER: Final = timedelta(hours=24)
"""So long after the last attempt, nothing of them counts any more."""


@dataclass(frozen=True, slots=True)
class Growth:
    """`free` attempts without delay, then `first_s` seconds, doubled with each further one up to `most_s`."""

    free: int
    first_s: int
    most_s: int

    def delay_s(self, counted: int) -> int:
        """How long nothing may be tried after the attempt number `counted`."""
        beyond = counted - self.free
        if beyond <= 0:
            return 0
        return min(self.first_s << min(beyond - 1, 32), self.most_s)


PER_ACCOUNT: Final = Growth(free=4, first_s=2, most_s=900)
PER_ADDRESS: Final = Growth(free=30, first_s=2, most_s=900)
PER_SECOND_FACTOR: Final = Growth(free=5, first_s=30, most_s=3600)
SENT_TO_CONTACT: Final = Growth(free=2, first_s=60, most_s=14_400)
SENT_FOR_ADDRESS: Final = Growth(free=20, first_s=60, most_s=3600)


@dataclass(frozen=True, slots=True)
class Counted:
    """Whose attempts are counted together: a keyed hash, and how the delays grow."""

    subject: bytes
    growth: Growth


def counted_as(key: PeopleKey, what: str, whose: str, growth: Growth) -> Counted:
    """The attempts at `what` (`"sign-in"`) of one account or address."""
    return Counted(key.hash_of("throttle", what, whose), growth)


def network_of(host: str | None) -> str:
    """What counts as one address: an IPv4 address, or the /64 that an IPv6 customer is given."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


async def count_attempt(conn: Connection, attempts: Sequence[Counted]) -> int:
    """Count one attempt for each; how many the first had before.

    Raises `TooManyAttempts`, and counts nothing, while one of them has to wait. The rows are locked
    in one order everywhere. Old ones are cleared away.
    """
    growth_of = {each.subject: each.growth for each in attempts}
    subjects = sorted(growth_of)
    await conn.execute(
        """DELETE FROM throttles WHERE subject IN (SELECT subject FROM throttles
            WHERE counted_at < now() - $1::interval AND subject <> ALL($2)
            LIMIT 100 FOR UPDATE SKIP LOCKED)""",
        FORGOTTEN_AFTER,
        subjects,
    )
    await conn.execute(
        """INSERT INTO throttles (subject, counted, counted_at, blocked_until)
           SELECT asked, 0, now(), now() FROM unnest($1::bytea[]) AS asked ORDER BY asked
           ON CONFLICT (subject) DO NOTHING""",
        subjects,
    )
    rows = await conn.fetch(
        """SELECT subject, counted, counted_at, blocked_until, clock_timestamp() AS at FROM throttles
            WHERE subject = ANY($1) ORDER BY subject FOR UPDATE""",
        subjects,
    )
    if len(rows) != len(subjects):
        raise TransactionConflict  # another one has just cleared an old row away
    at: datetime = max(row["at"] for row in rows)
    wait_s = max((row["blocked_until"] - at).total_seconds() for row in rows)
    if wait_s > 0:
        raise TooManyAttempts(math.ceil(wait_s))
    before = {
        row["subject"]: 0 if at - row["counted_at"] > FORGOTTEN_AFTER else row["counted"] for row in rows
    }
    await conn.execute(
        """UPDATE throttles t SET counted = g.counted, counted_at = $1, blocked_until = g.blocked_until
             FROM unnest($2::bytea[], $3::integer[], $4::timestamptz[]) AS g (subject, counted, blocked_until)
            WHERE t.subject = g.subject""",
        at,
        subjects,
        [before[each] + 1 for each in subjects],
        [at + timedelta(seconds=growth_of[each].delay_s(before[each] + 1)) for each in subjects],
    )
    return before[attempts[0].subject]


async def take_back(conn: Connection, attempt: Counted) -> None:
    """Uncount one attempt that turned out right; an address may belong to others who guess."""
    await conn.execute(
        """UPDATE throttles SET counted = greatest(counted - 1, 0), blocked_until = counted_at
            WHERE subject = $1""",
        attempt.subject,
    )


async def forgive(conn: Connection, attempt: Counted) -> None:
    """Forget all attempts of an account whose owner has come."""
    await conn.execute(
        "UPDATE throttles SET counted = 0, blocked_until = counted_at WHERE subject = $1", attempt.subject
    )
