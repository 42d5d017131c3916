"""What this institution wants to happen on chain: written in the caller's transaction, with the business
change.

The relay reads these rows in the order of `seq`. Rows of one payer are enqueued while the payer's balance row
is locked, so their order is the order in which they were accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from api.database import Connection

CHANNEL: Final = "florin_outbox"

PaymentKind = Literal["payment", "funding", "redemption"]


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """A payment to sign and settle. `payment_id` is also the business id of its holds.

    A funding that covers a payment's shortfall names that payment in `serves_payment_id` and comes before it.
    `proof` is the customer's own word for it, as JSON in the form that the signer reads.
    """

    payment_id: UUID
    kind: PaymentKind
    serves_payment_id: UUID | None
    payer: bytes
    payee: bytes
    amount_minor: int
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """A wallet to derive and to register on chain.

    `credential` is the customer's first one, as JSON: the signer binds it when it derives the key, and at no
    other time.
    """

    wallet_id: UUID
    key_index: int
    tier: int
    flags: int
    wallet_ledger_account_id: int
    deposit_ledger_account_id: int | None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class MandateIntent:
    """A customer's standing authority, to be given to the signer: so much to one payee in each period.

    `period` is day, week or month; `approval` the customer's assertion, as JSON.
    """

    mandate_id: UUID
    wallet_id: UUID
    payer: bytes
    payee: bytes
    cap_minor: int
    period: str
    starts_at_s: int
    expires_at_s: int
    approval: str


@dataclass(frozen=True, slots=True)
class CredentialChangeIntent:
    """Another credential for a wallet whose owner lost theirs, for the officers at the signer to allow.

    `bind` is a credential as the signer reads it, as JSON; `unbind` the id of the lost one, if there was any.
    """

    change_id: UUID
    wallet_id: UUID
    recovery_id: UUID
    address: bytes
    bind: str
    unbind: str | None


@dataclass(frozen=True, slots=True)
class TransactionIntent:
    """A call of the contract that its kind names (`Deployment.target_of`).

    `transaction_id` is also the business id of its holds, where it has any. `key` names the signer's key
    that sends it; `gas` 0 leaves the limit to the relay.
    """

    transaction_id: UUID
    key: str
    kind: str
    data: bytes
    gas: int = 0


async def enqueue_credential_change(connection: Connection, intent: CredentialChangeIntent) -> bool:
    """Add a change of a credential; False where one is filed for this wallet and recovery already."""
    done = await connection.execute(
        """INSERT INTO outbox_credential_changes (change_id, wallet_id, recovery_id, address, bind, unbind)
           VALUES ($1, $2, $3, $4, $5::jsonb, $6)
           ON CONFLICT (wallet_id, recovery_id) WHERE state <> 'refused' DO NOTHING""",
        intent.change_id,
        intent.wallet_id,
        intent.recovery_id,
        intent.address,
        intent.bind,
        intent.unbind,
    )
    await _notify(connection)
    return done == "INSERT 0 1"


async def enqueue_payments(connection: Connection, intents: Sequence[PaymentIntent]) -> None:
    """Add payments, in their order."""
    if not intents:
        return
    await connection.execute(
        """
        INSERT INTO outbox_payments (payment_id, kind, serves_payment_id, payer, payee, amount_minor, proof)
        SELECT payment_id, kind, serves_payment_id, payer, payee, amount_minor, proof
          FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::bytea[], $6::bigint[], $7::jsonb[])
               WITH ORDINALITY AS intent (payment_id, kind, serves_payment_id, payer, payee, amount_minor,
               proof, place)
         ORDER BY place
        """,
        [intent.payment_id for intent in intents],
        [intent.kind for intent in intents],
        [intent.serves_payment_id for intent in intents],
        [intent.payer for intent in intents],
        [intent.payee for intent in intents],
        [intent.amount_minor for intent in intents],
        [intent.proof for intent in intents],
    )
    await _notify(connection)


async def enqueue_registrations(connection: Connection, registrations: Sequence[Registration]) -> None:
    """Add wallets to derive and register."""
    if not registrations:
        return
    await connection.execute(
        """
        INSERT INTO outbox_registrations
               (wallet_id, key_index, tier, flags, wallet_ledger_account_id, deposit_ledger_account_id,
                credential)
        SELECT wallet_id, key_index, tier, flags, wallet_ledger_account_id, deposit_ledger_account_id,
               credential
          FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::bigint[], $6::bigint[], $7::jsonb[])
               WITH ORDINALITY
               AS wanted (wallet_id, key_index, tier, flags, wallet_ledger_account_id,
               deposit_ledger_account_id, credential, place)
         ORDER BY place
        """,
        [each.wallet_id for each in registrations],
        [each.key_index for each in registrations],
        [each.tier for each in registrations],
        [each.flags for each in registrations],
        [each.wallet_ledger_account_id for each in registrations],
        [each.deposit_ledger_account_id for each in registrations],
        [each.credential for each in registrations],
    )
    await _notify(connection)


async def enqueue_mandates(connection: Connection, mandates: Sequence[MandateIntent]) -> None:
    """Add mandates, in their order. An id that is there already stays as it is."""
    if not mandates:
        return
    await connection.execute(
        """
        INSERT INTO outbox_mandates
               (mandate_id, wallet_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s, approval)
        SELECT mandate_id, wallet_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s, approval
          FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::bigint[], $6::text[],
                      $7::bigint[], $8::bigint[], $9::jsonb[])
               WITH ORDINALITY
               AS wanted (mandate_id, wallet_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s,
               approval, place)
         ORDER BY place
            ON CONFLICT (mandate_id) DO NOTHING
        """,
        [each.mandate_id for each in mandates],
        [each.wallet_id for each in mandates],
        [each.payer for each in mandates],
        [each.payee for each in mandates],
        [each.cap_minor for each in mandates],
        [each.period for each in mandates],
        [each.starts_at_s for each in mandates],
        [each.expires_at_s for each in mandates],
        [each.approval for each in mandates],
    )
    await _notify(connection)


async def revoke_mandate(connection: Connection, mandate_id: UUID) -> bool:
    """Have the signer forget an authority; whether there was one that still counted."""
    updated = await connection.execute(
        """UPDATE outbox_mandates SET state = 'revoking'
            WHERE mandate_id = $1 AND state IN ('queued', 'active')""",
        mandate_id,
    )
    await _notify(connection)
    return bool(updated == "UPDATE 1")


async def enqueue_transaction(connection: Connection, intent: TransactionIntent) -> None:
    """Add one call of the contract."""
    await connection.execute(
        "INSERT INTO chain_transactions (id, key_name, kind, data, gas) VALUES ($1, $2, $3, $4, $5)",
        intent.transaction_id,
        intent.key,
        intent.kind,
        intent.data,
        intent.gas,
    )
    await _notify(connection)


async def _notify(connection: Connection) -> None:
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
