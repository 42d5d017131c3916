"""The books recomputed from the append-only journal alone, and every difference from what is stored.

No balance row is trusted: posted balances come from the legs, held ones from the holds without a
resolution, and the journal itself is held against its own rules again, as if the triggers and constraints
had been off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from api.database import Connection


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the books do not hold: what was checked, of what, and the two values."""

    check: str
    subject: str
    expected: str
    found: str


_CHECKS: Final[dict[str, str]] = {
    "posted balance": """
        SELECT a.code || ' ' || a.currency, coalesce(j.posted, 0)::text,
               coalesce(b.posted_minor::text, 'no balance row')
          FROM ledger_accounts a
          LEFT JOIN ledger_balances b ON b.account_id = a.id
          LEFT JOIN (SELECT account_id, sum(amount_minor) AS debit FROM ledger_legs GROUP BY account_id) l
                 ON l.account_id = a.id
         CROSS JOIN LATERAL (SELECT l.debit * a.normal_side AS posted) j
         WHERE b.posted_minor IS DISTINCT FROM coalesce(j.posted, 0)
         ORDER BY a.id""",
    "held balance": """
        SELECT a.code || ' ' || a.currency, coalesce(h.held, 0)::text,
               coalesce(b.held_minor::text, 'no balance row')
          FROM ledger_accounts a
          LEFT JOIN ledger_balances b ON b.account_id = a.id
          LEFT JOIN (SELECT account_id, sum(amount_minor) AS held FROM ledger_holds h
                      WHERE NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id)
                      GROUP BY account_id) h ON h.account_id = a.id
         WHERE b.held_minor IS DISTINCT FROM coalesce(h.held, 0)
         ORDER BY a.id""",
    "balance below zero": """
        SELECT a.code || ' ' || a.currency, 'zero or more', (l.debit * a.normal_side)::text
          FROM (SELECT account_id, sum(amount_minor) AS debit FROM ledger_legs GROUP BY account_id) l
          JOIN ledger_accounts a ON a.id = l.account_id
         WHERE l.debit * a.normal_side < 0 AND a.kind <> 'in_transit'
         ORDER BY a.id""",
    "trial balance": """
        SELECT a.class || ' ' || l.currency, '0', sum(l.amount_minor)::text
          FROM ledger_legs l LEFT JOIN ledger_accounts a ON a.id = l.account_id
         GROUP BY a.class, l.currency HAVING sum(l.amount_minor) <> 0""",
    "entry balances": """
        SELECT 'entry ' || l.entry_id || ' ' || a.class || ' ' || l.currency, '0', sum(l.amount_minor)::text
          FROM ledger_legs l JOIN ledger_accounts a ON a.id = l.account_id
         GROUP BY l.entry_id, a.class, l.currency HAVING sum(l.amount_minor) <> 0
         ORDER BY l.entry_id""",
    "leg has its account": """
        SELECT 'entry ' || l.entry_id, 'an account in ' || l.currency, 'account ' || l.account_id
          FROM ledger_legs l
         WHERE NOT EXISTS (SELECT FROM ledger_accounts a WHERE a.id = l.account_id AND a.currency =
         l.currency)""",
    "leg has its entry": """
        SELECT 'entry ' || l.entry_id, 'an entry', 'legs of ' || count(*) || ' accounts'
          FROM ledger_legs l
         WHERE NOT EXISTS (SELECT FROM ledger_entries e WHERE e.id = l.entry_id)
         GROUP BY l.entry_id""",
    "entry has legs": """
        SELECT 'entry ' || e.id, 'legs', 'none' FROM ledger_entries e
         WHERE NOT EXISTS (SELECT FROM ledger_legs l WHERE l.entry_id = e.id)
         ORDER BY e.id""",
    "source is unique": """
        SELECT source, '1', count(*)::text FROM ledger_entries GROUP BY source HAVING count(*) > 1""",
    "hold has its account": """
        SELECT 'hold ' || h.id, 'an account', 'account ' || h.account_id FROM ledger_holds h
         WHERE NOT EXISTS (SELECT FROM ledger_accounts a WHERE a.id = h.account_id)""",
    "resolution has its hold": """
        SELECT 'resolution of hold ' || r.hold_id, 'a hold', 'none' FROM ledger_hold_resolutions r
         WHERE NOT EXISTS (SELECT FROM ledger_holds h WHERE h.id = r.hold_id)""",
    "posted hold has its entry": """
        SELECT 'resolution of hold ' || r.hold_id, 'an entry', coalesce('entry ' || r.entry_id, 'none')
          FROM ledger_hold_resolutions r
         WHERE (r.outcome = 'posted') <> EXISTS (SELECT FROM ledger_entries e WHERE e.id = r.entry_id)""",
}


async def verify_ledger(conn: Connection) -> list[Difference]:
    """Every difference in the books, as of one moment; empty when they hold."""
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        return [
            Difference(check, *row) for check, query in _CHECKS.items() for row in await conn.fetch(query)
        ]
