"""What is asked of the payments room, freed from HTTP: who wants which money to go where, by which name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import uuid

    from api.institution import Institution
    from api.payments.rules import Kind
    from api.payments.schemas import PaymentBody, TransferBody


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is to be paid, as the caller named it; all None: this bank itself, for a redemption."""

    biller_reference: str | None = None
    wallet_reference: str | None = None
    address: bytes | None = None

    def names(self) -> tuple[str | None, str | None, bytes | None]:
        """What the caller wrote."""
        return self.biller_reference, self.wallet_reference, self.address


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """One payment, funding or redemption to decide. `reference` is the caller's own, unique for the caller.

    `wallet` is the payer's (for a funding: the funded one's) reference or id. `hash` covers what is asked,
    not by whom.
    """

    payment_id: uuid.UUID
    caller: str
    reference: str
    kind: Kind
    wallet: str | uuid.UUID
    payee: Payee
    amount_minor: int
    currency: str
    note: str | None
    hash: bytes


def payment_request(
    institution: Institution, caller: str, reference: str, body: PaymentBody
) -> PaymentRequest:
    """A payment as its body describes it."""
    wallet = body.payer_wallet_reference or body.payer_wallet_id
    assert wallet is not None, "the schema lets exactly one through"
    payee = Payee(body.payee.biller_reference, body.payee.wallet_reference, body.payee.address)
    content = ("payment", str(wallet), *payee.names(), body.amount_minor, body.currency, body.note)
    return PaymentRequest(
        payment_id=institution.id_for("payment", caller, reference),
        caller=caller,
        reference=reference,
        kind="payment",
        wallet=wallet,
        payee=payee,
        amount_minor=body.amount_minor,
        currency=body.currency,
        note=body.note,
        hash=_hash_of(content),
    )


def transfer_request(
    institution: Institution, caller: str, reference: str, kind: Kind, body: TransferBody
) -> PaymentRequest:
    """A funding or a redemption as its body describes it."""
    wallet = body.wallet_reference or body.wallet_id
    assert wallet is not None, "the schema lets exactly one through"
    return PaymentRequest(
        payment_id=institution.id_for("payment", caller, reference),
        caller=caller,
        reference=reference,
        kind=kind,
        wallet=wallet,
        payee=Payee(),
        amount_minor=body.amount_minor,
        currency=institution.settings.currency,
        note=None,
        hash=_hash_of((kind, str(wallet), body.amount_minor)),
    )


def _hash_of(content: tuple[object, ...]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(content)).digest()
