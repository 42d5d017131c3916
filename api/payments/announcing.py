"""The task that announces payments: to people, and by webhooks, completely and once.

It follows what others commit. Decisions and failures carry the transaction that wrote them: below the oldest
one that still runs nothing can be added, so what lies between two such points is read once and whole. What is
final, and what came in, are the entries that the indexer books; it writes them one range after the other, so
their ids are a cursor. Nothing is said of blocks that may still be replaced: nobody books them.

The cursor moves in the transaction that writes what is told, and each occasion has a name of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.database import transaction
from api.notifications.telling import notify_all
from api.payments.announcements import NEAR_PERCENT, Announcements
from api.webhooks.events import publish, wanted_events

if TYPE_CHECKING:
    from api.database import Connection, Pool

MOST: Final = 2_000
"""So many payments are announced in one transaction, unless one transaction decided more."""

_LOCK: Final = 0x464C53414944  # "FLSAID": one announcer at a time
_BOOKED_BY_THE_INDEXER: Final = ["payment", "funding", "redemption", "receipt", "forced_transfer"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is announced now.

    Rows of the transactions from `first_xid` on and below `next_xid`, and entries above `after_id` up to
    `last_id`. `is_all`: nothing is left for another stretch, nor waits for others to commit.
    """

    first_xid: int
    next_xid: int
    after_id: int
    last_id: int
    is_empty: bool
    is_all: bool


class Announcing:
    """Announces what became of an institution's payments; any number may run beside each other."""

    def __init__(self, pool: Pool, currency: str) -> None:
        self._pool = pool
        self._currency = currency

    async def run_once(self) -> bool:
        """Announce a stretch; whether there is more already, perhaps behind a transaction that still runs.

        Where nothing is new nothing is written.
        """
        async with transaction(self._pool) as conn:
            if not await conn.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
                return False  # somebody else announces
            stretch = await _stretch(conn)
            if not stretch.is_empty:
                await self._announce(conn, stretch)
            return not stretch.is_all

    async def _announce(self, conn: Connection, stretch: Stretch) -> None:
        wanted = await wanted_events(conn)
        said = Announcements(wanted)
        transactions = (str(stretch.first_xid), str(stretch.next_xid))
        entries = (stretch.after_id, stretch.last_id)
        said.decided(await conn.fetch(_DECIDED, bool(wanted), *transactions))
        said.failed(await conn.fetch(_FAILED, bool(wanted), *transactions))
        said.final(await conn.fetch(_FINAL, bool(wanted), *entries))
        said.received(await conn.fetch(_RECEIVED, bool(wanted), *entries), self._currency)
        said.near(await conn.fetch(_NEAR, *entries, NEAR_PERCENT), self._currency)
        await notify_all(conn, said.notices)
        await publish(conn, said.events)
        await conn.execute(
            "UPDATE payment_announcements SET next_xid = $1::text::xid8, last_entry_id = $2",
            str(stretch.next_xid),
            stretch.last_id,
        )


async def _stretch(conn: Connection) -> Stretch:
    """The next stretch; nobody else may move the cursor."""
    cursor = await conn.fetchrow(
        "SELECT next_xid::text AS next_xid, last_entry_id FROM payment_announcements"
    )
    assert cursor is not None
    first_xid, after_id = int(cursor["next_xid"]), cursor["last_entry_id"]
    limits = await conn.fetchrow(_LIMITS, cursor["next_xid"], MOST)
    assert limits is not None
    horizon = int(limits["horizon"])
    ends = [int(limits[name]) for name in ("decided_end", "failed_end") if limits[name] is not None]
    newest = [int(limits[name]) for name in ("decided_last", "failed_last") if limits[name] is not None]
    # one transaction is never split, however much it wrote
    next_xid = max(first_xid, min([horizon, *[max(end, first_xid + 1) for end in ends]]))
    last = await conn.fetchrow(_LAST_ENTRY, after_id, _BOOKED_BY_THE_INDEXER, str(next_xid), MOST)
    assert last is not None
    return Stretch(
        first_xid,
        next_xid,
        after_id,
        last["last_id"] or after_id,
        is_empty=not newest and last["last_id"] is None,
        is_all=not any(xid >= next_xid for xid in newest) and not last["is_more"],
    )


def _people_of(wallet: str) -> str:
    """Whose wallet it is, and whether they hear of it; nobody's row is read where nobody would."""
    return f"""JOIN wallets w ON w.id = {wallet}
  LEFT JOIN notification_people n ON n.customer_id = w.customer_id"""


_HEARD: Final = "($1 OR n.customer_id IS NOT NULL)"

# the oldest transaction that runs, and the transaction at which more rows than wanted would be read
_LIMITS: Final = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon,
       (SELECT written_by::text FROM payments WHERE written_by >= $1::text::xid8
         ORDER BY written_by DESC LIMIT 1) AS decided_last,
       (SELECT closed_by::text FROM outbox_payments WHERE state = 'failed' AND closed_by >= $1::text::xid8
         ORDER BY closed_by DESC LIMIT 1) AS failed_last,
       (SELECT written_by::text FROM payments
         WHERE written_by >= $1::text::xid8 AND written_by < pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY written_by OFFSET $2 LIMIT 1) AS decided_end,
       (SELECT closed_by::text FROM outbox_payments
         WHERE state = 'failed' AND closed_by >= $1::text::xid8
           AND closed_by < pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY closed_by OFFSET $2 LIMIT 1) AS failed_end
"""

# an entry waits for the decision that led to it, so that nobody hears of the end before the beginning
_LAST_ENTRY: Final = """
WITH page AS (
    SELECT id, written_by < $3::text::xid8 AS is_settled FROM ledger_entries
     WHERE id > $1 AND kind = ANY($2::text[]) ORDER BY id LIMIT $4)
SELECT max(id) FILTER (WHERE id < coalesce((SELECT min(id) FROM page WHERE NOT is_settled), id + 1))
           AS last_id,
       count(*) = $4 OR count(*) FILTER (WHERE NOT is_settled) > 0 AS is_more
  FROM page
"""

_PAYMENT: Final = """
SELECT p.id, p.kind, p.amount_minor, p.currency, p.payer_wallet_id, w.customer_id,
       n.customer_id IS NOT NULL AS is_enrolled, coalesce(b.name, q.name, '') AS payee_name
"""

_PAYEE: Final = """
  LEFT JOIN billers b ON b.id = p.biller_id
  LEFT JOIN wallets v ON v.id = p.payee_wallet_id
  LEFT JOIN customers q ON q.id = v.customer_id
"""

_DECIDED: Final = f"""{_PAYMENT}, p.created_at, p.refusals->0->>'code' AS code
  FROM payments p {_people_of("p.payer_wallet_id")} {_PAYEE}
 WHERE p.written_by >= $2::text::xid8 AND p.written_by < $3::text::xid8 AND {_HEARD}
 ORDER BY p.created_at, p.id
"""

_FAILED: Final = f"""{_PAYMENT}, o.final_at, o.outcome_code AS code
  FROM outbox_payments o JOIN payments p ON p.id = o.payment_id {_people_of("p.payer_wallet_id")} {_PAYEE}
 WHERE o.state = 'failed' AND o.closed_by >= $2::text::xid8 AND o.closed_by < $3::text::xid8 AND {_HEARD}
 ORDER BY o.seq
"""

_FINAL: Final = f"""{_PAYMENT}, e.booked_at, NULL AS code
  FROM ledger_entries e JOIN payments p ON p.id = e.business_id {_people_of("p.payer_wallet_id")} {_PAYEE}
 WHERE e.id > $2 AND e.id <= $3 AND e.kind IN ('payment', 'funding', 'redemption') AND {_HEARD}
 ORDER BY e.id
"""

_RECEIVED: Final = f"""
SELECT e.source, e.booked_at, p.id AS payment_id, w.id AS wallet_id, w.customer_id,
       n.customer_id IS NOT NULL AS is_enrolled, -l.amount_minor AS amount_minor,
       coalesce(z.name, '') AS payer_name
  FROM ledger_entries e JOIN ledger_legs l ON l.entry_id = e.id AND l.amount_minor < 0
  JOIN wallets i ON i.ledger_account_id = l.account_id {_people_of("i.id")}
  LEFT JOIN payments p ON p.id = e.business_id
  LEFT JOIN wallets y ON y.id = p.payer_wallet_id
  LEFT JOIN customers z ON z.id = y.customer_id
 WHERE e.id > $2 AND e.id <= $3 AND e.kind IN ('payment', 'receipt', 'forced_transfer') AND {_HEARD}
 ORDER BY e.id, w.id
"""  # noqa: S608 - put together from constants

_NEAR: Final = """
SELECT w.id AS wallet_id, w.customer_id, c.day, n.balance_minor, t.daily_limit_minor::text,
       t.holding_limit_minor::text, CASE WHEN n.spent_day = c.day THEN n.spent_minor ELSE 0 END AS spent_minor
  FROM (SELECT DISTINCT l.account_id FROM ledger_entries e JOIN ledger_legs l ON l.entry_id = e.id
         WHERE e.id > $1 AND e.id <= $2) touched
  JOIN wallets w ON w.ledger_account_id = touched.account_id
  JOIN notification_people k ON k.customer_id = w.customer_id
  JOIN outbox_registrations r ON r.wallet_id = w.id
  JOIN chain_accounts n ON n.address = r.address
  JOIN chain_tiers t ON t.tier = n.tier
 CROSS JOIN (SELECT final_time_s / 86400 AS day FROM chain_cursor) c
 WHERE n.balance_minor * 100 >= t.holding_limit_minor * $3
    OR (n.spent_day = c.day AND n.spent_minor * 100 >= t.daily_limit_minor * $3)
 ORDER BY w.id
"""
