"""What became of an approval, a minting or a return: as far as its transaction has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.errors import NotFound
from api.settlement import queries

if TYPE_CHECKING:
    import uuid

    from api.database import Connection

_STATES: Final = {"prepared": "accepted", "final": "final", "reverted": "failed", "refused": "failed"}


async def issuance_state(conn: Connection, issuance_id: uuid.UUID) -> dict[str, Any]:
    """The state of one. Raises `NotFound`."""
    row = await queries.issuance(conn, issuance_id)
    if row is None:
        raise NotFound("issuance")
    seen = "submitted" if row["block_number"] is None else "included"
    return {
        "issuance_id": str(row["id"]),
        "kind": row["kind"],
        "participant_id": row["participant_id"],
        "amount_minor": row["amount_minor"],
        "state": _STATES.get(row["state"], seen),
        "code": row["outcome_code"],
        "block_number": row["block_number"],
        "transaction_hash": None if row["hash"] is None else "0x" + row["hash"].hex(),
        "created_at": row["created_at"].isoformat(),
    }
