"""Mandates from the outbox to the signer, which judges them by the customer's own approval; and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.chain.signer_client import MandateToRegister
from api.database import transaction

if TYPE_CHECKING:
    from api.chain.signer_client import SignerClient
    from api.database import Pool

LOT: Final = 500

_QUEUED = """
SELECT mandate_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s, approval
  FROM outbox_mandates WHERE state = 'queued' ORDER BY seq LIMIT $1
"""

_DECIDED = """
UPDATE outbox_mandates o
   SET state = CASE WHEN d.code IS NULL THEN 'active' ELSE 'refused' END, outcome_code = d.code
  FROM unnest($1::uuid[], $2::text[]) AS d (mandate_id, code)
 WHERE o.mandate_id = d.mandate_id AND o.state = 'queued'
"""


class Mandating:
    """Gives the signer what customers have authorised, and takes it away again."""

    def __init__(self, pool: Pool, signer: SignerClient) -> None:
        self._pool = pool
        self._signer = signer

    async def register(self) -> int:
        """Give one lot of new mandates to the signer; how many there were. Safe to repeat after a crash."""
        rows = await self._pool.fetch(_QUEUED, LOT)
        if not rows:
            return 0
        codes = await self._signer.register_mandates([MandateToRegister(*row) for row in rows])
        async with transaction(self._pool) as connection:
            await connection.execute(_DECIDED, [row["mandate_id"] for row in rows], codes)
        return len(rows)

    async def revoke(self) -> int:
        """Have the signer forget one lot of revoked mandates; how many there were."""
        rows = await self._pool.fetch(
            "SELECT mandate_id FROM outbox_mandates WHERE state = 'revoking' ORDER BY seq LIMIT $1", LOT
        )
        ids = [row["mandate_id"] for row in rows]
        if ids:
            await self._signer.revoke_mandates(ids)
            async with transaction(self._pool) as connection:
                await connection.execute(
                    """UPDATE outbox_mandates SET state = 'revoked'
                        WHERE mandate_id = ANY($1::uuid[]) AND state = 'revoking'""",
                    ids,
                )
        return len(ids)
