"""The verbs on wallets: request (alone or in bulk), and look up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from api.accounts.errors import UnknownAccount
from api.accounts.queries import accounts_by_reference
from api.addresses import address_text
from api.chain.outbox import Registration, enqueue_registrations
from api.errors import FlorinError, NotFound
from api.idempotency import IdempotencyKeyReused
from api.identity.customers import customer_ids
from api.identity.errors import UnknownCustomer
from api.ledger.chart import open_accounts
from api.wallets import queries
from api.wallets.errors import (
    AccountOfAnotherCustomer,
    AddressOfAnotherParticipant,
    NotAParticipantYet,
    TierNotGranted,
    UnknownTier,
    WalletMoved,
)
from contracts.accounts import AccountFlag

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection
    from api.institution import Institution
    from api.wallets.schemas import WalletBody


class _Known:
    """What a lot of requests needs to be decided: loaded in sets."""

    def __init__(
        self,
        customers: dict[str, uuid.UUID],
        accounts: dict[str, Any],
        wallets: dict[str, Any],
        tiers: tuple[frozenset[int], int | None],
    ) -> None:
        self.customers = customers
        self.accounts = accounts
        self.wallets = wallets
        self.tiers, mask = tiers
        self.is_participant = mask is not None
        self.tier_mask = mask or 0

    def refusal_of(self, line: WalletBody) -> FlorinError | None:
        """Why a wallet cannot be made, or None."""
        if line.customer_reference not in self.customers:
            return UnknownCustomer(line.customer_reference)
        return self._refusal_of_link(line) or self._refusal_of_tier(line.tier)

    def _refusal_of_link(self, line: WalletBody) -> FlorinError | None:
        if line.account_reference is None:
            return None
        account = self.accounts.get(line.account_reference)
        if account is None:
            return UnknownAccount(line.account_reference)
        if account["customer_id"] != self.customers[line.customer_reference]:
            return AccountOfAnotherCustomer(line.account_reference)
        return None

    def _refusal_of_tier(self, tier: int) -> FlorinError | None:
        if not self.is_participant:
            return NotAParticipantYet()
        if tier not in self.tiers:
            return UnknownTier(tier)
        return None if self.tier_mask >> tier & 1 else TierNotGranted(tier)


async def request_wallets(
    conn: Connection, institution: Institution, lines: Sequence[WalletBody]
) -> list[dict[str, Any] | FlorinError]:
    """Request the wallets that are not known yet: key index, memo account, registration. Safe to repeat.

    A wallet whose address another participant has registered is answered with `AddressOfAnotherParticipant`.
    """
    participant_id = institution.settings.participant_id
    known = _Known(
        await customer_ids(conn, sorted({line.customer_reference for line in lines})),
        await accounts_by_reference(
            conn, sorted({line.account_reference for line in lines if line.account_reference})
        ),
        await queries.wallets_by_reference(conn, participant_id, sorted({line.reference for line in lines})),
        await queries.grantable_tiers(conn, participant_id),
    )
    wanted: dict[str, WalletBody] = {}
    for line in lines:
        if line.reference not in known.wallets and known.refusal_of(line) is None:
            wanted.setdefault(line.reference, line)
    if wanted:
        await _insert(conn, institution, [wanted[name] for name in sorted(wanted)], known)
        known.wallets |= await queries.wallets_by_reference(conn, participant_id, list(wanted))
    return [_outcome(line, known) for line in lines]


async def wallet(conn: Connection, institution: Institution, wallet_id: uuid.UUID) -> dict[str, Any]:
    """One wallet with its balance. Raises `NotFound`."""
    row = await queries.wallet_by_id(conn, institution.settings.participant_id, wallet_id)
    if row is None:
        raise NotFound("wallet")
    return wallet_answer(row)


async def wallets(
    conn: Connection, institution: Institution, after: uuid.UUID | None, state: str | None, limit: int
) -> dict[str, Any]:
    """A page of wallets in the order of their ids."""
    rows = await queries.wallets_after(conn, institution.settings.participant_id, after, state, limit)
    next_after = str(rows[-1]["id"]) if len(rows) == limit else None
    return {"wallets": [wallet_answer(row) for row in rows], "next_after": next_after}


async def summary(conn: Connection, institution: Institution) -> dict[str, int]:
    """How many wallets are requested (and not ready yet), are ready, and are with another participant."""
    row = await queries.count_by_state(conn, institution.settings.participant_id)
    ready, elsewhere = row["ready"], row["elsewhere"]
    return {"requested": row["all"] - ready - elsewhere, "ready": ready, "elsewhere": elsewhere}


def wallet_answer(row: Any) -> dict[str, Any]:
    """A wallet's row as callers see it."""
    why = _why_elsewhere(row)
    return {
        "wallet_id": str(row["id"]),
        "reference": row["reference"],
        "customer_id": str(row["customer_id"]),
        "account_id": str(row["account_id"]) if row["account_id"] else None,
        "tier": row["tier"],
        "address": address_text(row["address"]) if row["address"] else None,
        "state": row["state"],
        "reason": why and {"code": why.code, "detail": why.sentence, "participant_id": row["kept_by"]},
        "currency": row["currency"],
        "balance_minor": row["posted_minor"],
        "available_minor": row["available_minor"],
    }


def _why_elsewhere(row: Any) -> FlorinError | None:
    """Why a wallet is with another participant; None where it is not."""
    if row["state"] != "elsewhere":
        return None
    why = WalletMoved if row["was_registered"] else AddressOfAnotherParticipant
    return why(row["reference"], address_text(row["address"]), row["kept_by"])


async def _insert(
    conn: Connection, institution: Institution, bodies: Sequence[WalletBody], known: _Known
) -> None:
    """Insert wallets, in the order of their references; enqueue the registration of those that are new."""
    currency = institution.settings.currency
    ledger_ids = await open_accounts(
        conn, "wallet", [f"wallet:{body.reference}" for body in bodies], currency
    )
    accounts = [known.accounts.get(body.account_reference or "") for body in bodies]
    rows = await conn.fetch(
        """INSERT INTO wallets
                  (id, reference, customer_id, account_id, currency, tier, key_index, ledger_account_id)
           SELECT id, reference, customer_id, account_id, $6, tier, nextval('wallet_key_indices'),
                  ledger_account_id
             FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::integer[], $7::bigint[])
               AS t (id, reference, customer_id, account_id, tier, ledger_account_id)
           ON CONFLICT (reference) DO NOTHING RETURNING id, key_index, tier, account_id, ledger_account_id""",
        [institution.id_for("wallet", body.reference) for body in bodies],
        [body.reference for body in bodies],
        [known.customers[body.customer_reference] for body in bodies],
        [account["id"] if account else None for account in accounts],
        [body.tier for body in bodies],
        currency,
        ledger_ids,
    )
    credentials = {
        institution.id_for("wallet", body.reference): body.credential.as_json()
        for body in bodies
        if body.credential is not None
    }
    deposits = {account["id"]: account["ledger_account_id"] for account in accounts if account}
    await enqueue_registrations(
        conn,
        [
            Registration(
                wallet_id=row["id"],
                key_index=row["key_index"],
                tier=row["tier"],
                flags=int(AccountFlag.LINKED) if row["account_id"] else 0,
                wallet_ledger_account_id=row["ledger_account_id"],
                deposit_ledger_account_id=deposits.get(row["account_id"]),
                credential=credentials.get(row["id"]),
            )
            for row in rows
        ],
    )


def _outcome(line: WalletBody, known: _Known) -> dict[str, Any] | FlorinError:
    row = known.wallets.get(line.reference)
    if row is None:
        refusal = known.refusal_of(line)
        assert refusal is not None, "a wallet that nothing forbids was not made"
        return refusal
    is_same = (
        row["customer_id"] == known.customers.get(line.customer_reference)
        and row["account_reference"] == line.account_reference
        and row["tier"] == line.tier
        and json.loads(row["credential"] or "null") == (line.credential and line.credential.model_dump())
    )
    if not is_same:
        return IdempotencyKeyReused(line.reference, "wallet")
    if row["state"] == "elsewhere" and not row["was_registered"]:
        return AddressOfAnotherParticipant(line.reference, address_text(row["address"]), row["kept_by"])
    return {"reference": line.reference, "wallet_id": str(row["id"]), "state": row["state"]}
