"""Changes of lost credentials from the outbox to the signer, whose officers decide."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from api.chain.errors import ApprovalPending, SignerRefused
from api.chain.signer_client import CredentialChangeToAsk
from api.database import transaction

if TYPE_CHECKING:
    from api.chain.signer_client import SignerClient
    from api.database import Pool

LOT: Final = 50
ASK_AGAIN_AFTER: Final = timedelta(seconds=5)
"""Officers take minutes at the least."""


class CredentialChanging:
    """Asks, and asks again while officers think about it."""

    def __init__(self, pool: Pool, signer: SignerClient) -> None:
        self._pool = pool
        self._signer = signer

    async def ask(self) -> int:
        """Ask for what is due; how many were decided. Safe to repeat after a crash."""
        rows = await self._pool.fetch(
            """SELECT change_id, address, bind, unbind FROM outbox_credential_changes
                WHERE state IN ('queued', 'waiting') AND ask_at <= now() ORDER BY ask_at, seq LIMIT $1""",
            LOT,
        )
        decided = 0
        for row in rows:
            change = CredentialChangeToAsk(*row)
            state, code = await self._answer(change)
            decided += state != "waiting"
            async with transaction(self._pool) as connection:
                await connection.execute(
                    """UPDATE outbox_credential_changes
                          SET state = $2, outcome_code = $3, ask_at = now() + $4::interval
                        WHERE change_id = $1""",
                    change.change_id,
                    state,
                    code,
                    ASK_AGAIN_AFTER,
                )
        return decided

    async def _answer(self, change: CredentialChangeToAsk) -> tuple[str, str | None]:
        try:
            await self._signer.change_credential(change)
        except ApprovalPending:
            return "waiting", None
        except SignerRefused as refused:
            return "refused", refused.refusal
        return "done", None
