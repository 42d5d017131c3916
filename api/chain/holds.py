"""Holds against what is still under way: each must belong to something that will end it.

Money that is held for a business that nobody works on any more is money that its owner can never use again,
and no balance shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.ledger.verify import Difference

if TYPE_CHECKING:
    from api.database import Connection

_CHECKS: Final[dict[str, str]] = {
    "hold is for something under way": """
        SELECT a.code || ' for ' || h.business_id, '0', h.amount_minor::text
          FROM ledger_holds h JOIN ledger_accounts a ON a.id = h.account_id
         WHERE a.kind <> 'reserves_of'
           AND NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id)
           AND NOT EXISTS (SELECT FROM outbox_payments o
                            WHERE o.payment_id = h.business_id AND o.state IN ('queued', 'batched'))
           AND NOT EXISTS (SELECT FROM chain_transactions t
                            WHERE t.id = h.business_id AND t.state IN ('prepared', 'signed'))
         ORDER BY h.id""",
    "payment under way has its hold": """
        SELECT o.kind || ' ' || o.payment_id, 'a hold', 'none' FROM outbox_payments o
         WHERE o.state IN ('queued', 'batched')
           AND NOT EXISTS (SELECT FROM outbox_payments f WHERE f.serves_payment_id = o.payment_id)
           AND NOT EXISTS (SELECT FROM ledger_holds h
                            WHERE h.business_id = o.payment_id
                              AND NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id))
         ORDER BY o.seq""",
    "held for minting = allowance": """
        SELECT a.code, (p.mint_allowance_minor + coalesce(u.raised, 0))::text, coalesce(h.held, 0)::text
          FROM participants i JOIN ledger_accounts a ON a.id = i.reserves_account_id
         CROSS JOIN LATERAL (
               SELECT coalesce(max(c.mint_allowance_minor), 0) AS mint_allowance_minor
                 FROM chain_participants c WHERE c.participant = i.id) p
          LEFT JOIN (SELECT h.account_id, sum(h.amount_minor) AS held FROM ledger_holds h
                      WHERE NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id)
                      GROUP BY h.account_id) h ON h.account_id = a.id
          LEFT JOIN (SELECT n.participant_id, sum(n.amount_minor) AS raised
                       FROM issuances n JOIN chain_transactions t ON t.id = n.id
                      WHERE n.kind = 'approval' AND t.state IN ('prepared', 'signed')
                      GROUP BY n.participant_id) u ON u.participant_id = i.id
         WHERE coalesce(h.held, 0) <> p.mint_allowance_minor + coalesce(u.raised, 0)""",
}


async def verify_holds(conn: Connection) -> list[Difference]:
    """Every hold without a business, business without its hold, and allowance without its reserves.

    Reads in the caller's snapshot, where there is one.
    """
    return [Difference(check, *row) for check, query in _CHECKS.items() for row in await conn.fetch(query)]
