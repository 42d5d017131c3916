"""After a lost device: a new passkey approves for a person's wallets, once the signer's officers agree."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from api.chain.outbox import CredentialChangeIntent, enqueue_credential_change
from api.identity.confirming import require_person
from api.identity.passkeys import credential_of_passkey
from api.identity.recovering import last_lost_device
from api.wallets.errors import NoDeviceLost

if TYPE_CHECKING:
    from api.database import Connection
    from api.identity.sessions import SignedIn


async def file_credential_changes(
    conn: Connection, person: SignedIn, passkey_id: uuid.UUID
) -> list[dict[str, Any]]:
    """Ask for this passkey, in the place of the lost one, for each wallet; what was asked, by wallet.

    One change for each wallet and recovery: what was filed before stays, unless it was refused. Raises what
    `require_person` does, `NoDeviceLost`, and `NotFound` for a passkey that is not this person's.
    """
    await require_person(conn, person)
    recovery_id = await last_lost_device(conn, person.customer_id)
    if recovery_id is None:
        raise NoDeviceLost
    bind = await credential_of_passkey(conn, person.customer_id, passkey_id)
    for wallet in await conn.fetch(_BOUND, person.customer_id):
        if wallet["credential_id"] == bind["credential_id"]:
            continue
        intent = CredentialChangeIntent(
            change_id=uuid.uuid4(),
            wallet_id=wallet["id"],
            recovery_id=recovery_id,
            address=wallet["address"],
            bind=json.dumps(bind),
            unbind=wallet["credential_id"],
        )
        await enqueue_credential_change(conn, intent)
    return await credential_changes(conn, person)


async def credential_changes(conn: Connection, person: SignedIn) -> list[dict[str, Any]]:
    """What a person has asked for, the newest first."""
    rows = await conn.fetch(
        """SELECT c.change_id, c.wallet_id, c.bind ->> 'credential_id' AS credential_id, c.state,
                  c.outcome_code, c.filed_at
             FROM outbox_credential_changes c JOIN wallets w ON w.id = c.wallet_id
            WHERE w.customer_id = $1 ORDER BY c.seq DESC""",
        person.customer_id,
    )
    return [
        {
            "change_id": str(row["change_id"]),
            "wallet_id": str(row["wallet_id"]),
            "credential_id": row["credential_id"],
            "state": row["state"],
            "outcome_code": row["outcome_code"],
            "filed_at": row["filed_at"].isoformat(),
        }
        for row in rows
    ]


_BOUND: Final = """
SELECT w.id, r.address, coalesce(
         (SELECT c.bind ->> 'credential_id' FROM outbox_credential_changes c
           WHERE c.wallet_id = w.id AND c.state = 'done' ORDER BY c.seq DESC LIMIT 1),
         r.credential ->> 'credential_id') AS credential_id
  FROM wallets w JOIN outbox_registrations r ON r.wallet_id = w.id
 WHERE w.customer_id = $1 AND r.address IS NOT NULL ORDER BY w.key_index
"""
