"""Mandates: a customer's standing authority for one payee. The signer holds it and keeps its cap."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from api.addresses import address_text
from api.chain.outbox import MandateIntent, enqueue_mandates, revoke_mandate
from api.errors import NotFound
from api.idempotency import IdempotencyKeyReused
from api.payments import queries
from api.payments.errors import UnknownPayee, WalletWithoutAddress
from api.wallets.errors import UnknownWallet

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection
    from api.errors import FlorinError
    from api.institution import Institution
    from api.payments.schemas import MandateBody

_STATES: Final = {"queued": "requested", "revoking": "revoked"}


class _Parties:
    """The wallets and billers that a lot of mandates names."""

    def __init__(self, wallets: Sequence[Any], billers: dict[str, Any]) -> None:
        self._wallets = {row["reference"]: row for row in wallets} | {row["id"]: row for row in wallets}
        self._billers = billers

    @classmethod
    async def load(cls, conn: Connection, lines: Sequence[MandateBody]) -> _Parties:
        """Everything that `lines` name."""
        references = {line.payer_wallet_reference for line in lines if line.payer_wallet_reference}
        references |= {line.payee.wallet_reference for line in lines if line.payee.wallet_reference}
        ids = {line.payer_wallet_id for line in lines if line.payer_wallet_id}
        named = {line.payee.biller_reference for line in lines if line.payee.biller_reference}
        return cls(
            await queries.wallets_named(conn, references, ids), await queries.billers_named(conn, named)
        )

    def intent(self, line: MandateBody) -> MandateIntent | FlorinError:
        """What a line asks for, or why it cannot be."""
        name = line.payer_wallet_reference or line.payer_wallet_id
        wallet = self._wallets.get(name)
        if wallet is None:
            return UnknownWallet(str(name))
        payee = self._payee(line)
        if payee is None:
            return UnknownPayee()
        if wallet["address"] is None:
            return WalletWithoutAddress(wallet["reference"])
        return MandateIntent(
            line.mandate_id, wallet["id"], wallet["address"], payee, line.cap_minor, line.period,
            line.starts_at_s, line.expires_at_s, line.approval.as_approval(),
        )  # fmt: skip

    def _payee(self, line: MandateBody) -> bytes | None:
        if line.payee.biller_reference is not None:
            biller = self._billers.get(line.payee.biller_reference)
            return biller["address"] if biller else None
        if line.payee.wallet_reference is not None:
            wallet = self._wallets.get(line.payee.wallet_reference)
            return wallet["address"] if wallet else None
        return line.payee.address


async def request_mandates(
    conn: Connection, institution: Institution, lines: Sequence[MandateBody]
) -> list[dict[str, Any] | FlorinError]:
    """Pass the mandates on that are not known yet; answer each line in order. Safe to repeat."""
    del institution  # the same for every room; a mandate needs nothing of it
    parties = await _Parties.load(conn, lines)
    intents = [parties.intent(line) for line in lines]
    wanted: dict[uuid.UUID, MandateIntent] = {}
    for intent in intents:
        if isinstance(intent, MandateIntent):
            wanted.setdefault(intent.mandate_id, intent)
    await enqueue_mandates(conn, [wanted[mandate_id] for mandate_id in sorted(wanted)])
    known = await queries.mandates_named(conn, list(wanted))
    return [
        _outcome(intent, known[intent.mandate_id]) if isinstance(intent, MandateIntent) else intent
        for intent in intents
    ]


async def revoke(conn: Connection, mandate_id: uuid.UUID) -> dict[str, Any]:
    """End a mandate; ending it again changes nothing. Raises `NotFound`."""
    await revoke_mandate(conn, mandate_id)
    return await mandate(conn, mandate_id)


async def mandate(conn: Connection, mandate_id: uuid.UUID) -> dict[str, Any]:
    """One mandate. Raises `NotFound`."""
    row = (await queries.mandates_named(conn, [mandate_id])).get(mandate_id)
    if row is None:
        raise NotFound("mandate")
    return mandate_answer(row)


async def mandates_of(conn: Connection, wallet_id: uuid.UUID) -> list[dict[str, Any]]:
    """A wallet's mandates, newest first; `payee_name` where it is a biller that this bank knows."""
    rows = await queries.mandates_of_wallet(conn, wallet_id)
    return [{**mandate_answer(row), "payee_name": row["payee_name"]} for row in rows]


async def summary(conn: Connection) -> dict[str, dict[str, int]]:
    """Mandates counted by state."""
    states: Counter[str] = Counter()
    for row in await queries.count_mandates(conn):
        states[_STATES.get(row["state"], row["state"])] += row["count"]
    return {"states": dict(states)}


def _outcome(intent: MandateIntent, row: Any) -> dict[str, Any] | FlorinError:
    # not the approval: an authenticator never gives the same one twice, and the first one is what counts
    is_same = all(
        row[name] == getattr(intent, name)
        for name in ("wallet_id", "payer", "payee", "cap_minor", "period", "starts_at_s", "expires_at_s")
    )
    return mandate_answer(row) if is_same else IdempotencyKeyReused(str(intent.mandate_id), "mandate")


def mandate_answer(row: Any) -> dict[str, Any]:
    """A mandate's row as callers see it."""
    return {
        "mandate_id": str(row["mandate_id"]),
        "state": _STATES.get(row["state"], row["state"]),
        "code": row["outcome_code"],
        "payer_wallet_id": str(row["wallet_id"]),
        "payee": address_text(row["payee"]),
        "cap_minor": row["cap_minor"],
        "period": row["period"],
        "starts_at_s": row["starts_at_s"],
        "expires_at_s": row["expires_at_s"],
    }
