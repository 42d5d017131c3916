"""What was prepared for a person to approve: kept with its challenge, taken once, gone when nobody came.

The row binds an id to one content: an approval of anything else under that id is refused here, and by the
signer, whose challenge is the digest of the same content (contracts.customer_approvals).
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from api.chain.deployment import Deployment
from api.chain.errors import UnusableManifest
from api.errors import NotFound
from api.payments import queries
from api.payments.assertions import BoundCredential, RelyingParty, check_assertion
from api.payments.errors import ApprovalExpired, ApprovalMismatch, ApprovalUsed, DeploymentUnknown
from contracts.typed_data import PaymentDomain

if TYPE_CHECKING:
    from pathlib import Path

    from api.database import Connection
    from api.institution import Institution
    from api.proofs import AssertionBody

Kind = Literal["payment", "funding", "redemption", "mandate", "standing order"]

SIGNING_GRACE_S: Final = 900
"""An approval that came in time must still be good when the signer reads it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a person may approve. `expires_at_s` ends that; `signed_until_s` is what is signed as the end."""

    approval_id: uuid.UUID
    kind: Kind
    reference: str
    content_hash: bytes
    payer: bytes
    payee: bytes
    challenge: bytes
    expires_at_s: int

    @property
    def signed_until_s(self) -> int:
        """The end of validity that the person signs."""
        return self.expires_at_s + SIGNING_GRACE_S


@dataclass(frozen=True, slots=True)
class Taken(Prepared):
    """The same, locked until the end of the transaction."""

    is_used: bool
    is_over: bool

    def require_open(self) -> None:
        """Raise `ApprovalUsed` or `ApprovalExpired`."""
        if self.is_used:
            raise ApprovalUsed(self.approval_id)
        if self.is_over:
            raise ApprovalExpired


def expiry_of(institution: Institution) -> int:
    """Until when what is prepared now can be approved."""
    return int(time.time()) + institution.settings.approval_valid_s


def domain_of(institution: Institution) -> PaymentDomain:
    """The currency's EIP-712 domain. Raises `DeploymentUnknown`."""
    try:
        return _domain_at(institution.settings.manifest_path)
    except (OSError, UnusableManifest) as failure:
        raise DeploymentUnknown from failure


@lru_cache(maxsize=16)
def _domain_at(manifest_path: Path) -> PaymentDomain:
    """A deployment never changes: another one has another manifest, and other books."""
    deployment = Deployment.load(manifest_path)
    return PaymentDomain(deployment.domain_name, deployment.chain_id, deployment.contract)


async def keep(conn: Connection, customer_id: uuid.UUID, prepared: Prepared) -> None:
    """Remember what was prepared, anew where it was prepared before. The person's old ones are cleared away.

    Raises `ApprovalMismatch` where the id stands for other content, `ApprovalUsed` where it was decided.
    """
    await conn.execute(
        """DELETE FROM approvals
            WHERE customer_id = $1 AND used_at IS NULL
              AND expires_at_s < extract(epoch FROM now()) - 86400""",
        customer_id,
    )
    kept = await conn.fetchval(
        """INSERT INTO approvals
                  (id, customer_id, kind, reference, content_hash, payer, payee, challenge, expires_at_s)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               ON CONFLICT (id) DO UPDATE
              SET challenge = excluded.challenge, expires_at_s = excluded.expires_at_s
            WHERE approvals.used_at IS NULL AND approvals.content_hash = excluded.content_hash
                  AND approvals.payer = excluded.payer AND approvals.payee = excluded.payee
        RETURNING id""",
        prepared.approval_id,
        customer_id,
        prepared.kind,
        prepared.reference,
        prepared.content_hash,
        prepared.payer,
        prepared.payee,
        prepared.challenge,
        prepared.expires_at_s,
    )
    if kept is None:
        (await take(conn, customer_id, prepared.approval_id, prepared.kind)).require_open()
        raise ApprovalMismatch


async def take(conn: Connection, customer_id: uuid.UUID, approval_id: uuid.UUID, kind: Kind) -> Taken:
    """What was prepared, locked. Raises `NotFound`; another person's looks the same."""
    row = await conn.fetchrow(
        """SELECT reference, content_hash, payer, payee, challenge, expires_at_s, used_at
             FROM approvals WHERE id = $1 AND customer_id = $2 AND kind = $3 FOR UPDATE""",
        approval_id,
        customer_id,
        kind,
    )
    if row is None:
        raise NotFound("prepared approval")
    # read when the lock is held: whoever waited for it may have waited past the end
    is_over = await conn.fetchval("SELECT extract(epoch FROM clock_timestamp()) >= $1", row["expires_at_s"])
    return Taken(
        approval_id, kind, row["reference"], row["content_hash"], row["payer"], row["payee"],
        row["challenge"], row["expires_at_s"], row["used_at"] is not None, is_over,
    )  # fmt: skip


async def mark_used(conn: Connection, approval_id: uuid.UUID) -> None:
    """It was decided: nothing else is, under this id."""
    await conn.execute("UPDATE approvals SET used_at = now() WHERE id = $1", approval_id)


async def credentials_of(conn: Connection, wallet_id: uuid.UUID) -> list[BoundCredential]:
    """The passkeys that approve a wallet's payments."""
    return [BoundCredential.of_json(text) for text in await queries.credentials_of_wallet(conn, wallet_id)]


async def require_assertion(
    conn: Connection,
    institution: Institution,
    wallet_id: uuid.UUID,
    taken: Taken,
    assertion: AssertionBody,
) -> None:
    """Raise `ApprovalMismatch` or `AssertionRefused` unless the wallet's passkey approved just this."""
    if assertion.expires_at_s != taken.signed_until_s:
        raise ApprovalMismatch
    party = RelyingParty(institution.settings.rp_id, institution.settings.origins)
    check_assertion(assertion, await credentials_of(conn, wallet_id), taken.challenge, party)
