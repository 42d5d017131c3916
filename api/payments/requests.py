"""What is asked of the payments room, freed from HTTP: who wants which money to go where, under which name."""

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


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """One payment, funding or redemption to decide. `reference` is the caller's own and unique for the caller.

    `wallet` is the payer's (for a funding: the funded one's) reference or id. `hash` covers what is asked, not by whom.
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
    payee = Payee(body.payee.biller_reference, body.payee.wallet_reference, body.payee.address)
    wallet = body.payer_wallet_reference or body.payer_wallet_id
    assert wallet is not None, "the schema lets exactly one through"
    return _request(
        institution, caller, reference, "payment", wallet, payee, body.amount_minor, body.currency, body.note
    )


def transfer_request(
    institution: Institution, caller: str, reference: str, kind: Kind, body: TransferBody
) -> PaymentRequest:
    """A funding or a redemption as its body describes it."""
    wallet = body.wallet_reference or body.wallet_id
    assert wallet is not None, "the schema lets exactly one through"
    currency = institution.settings.currency
    return _request(institution, caller, reference, kind, wallet, Payee(), body.amount_minor, currency, None)


def _request(
    institution: Institution,
    caller: str,
    reference: str,
    kind: Kind,
    wallet: str | uuid.UUID,
    payee: Payee,
    amount_minor: int,
    currency: str,
    note: str | None,
) -> PaymentRequest:
    content = (
        kind, str(wallet), payee.biller_reference, payee.wallet_reference, payee.address, amount_minor, currency, note,
    )  # fmt: skip
    return PaymentRequest(
        payment_id=institution.id_for("payment", caller, reference),
        caller=caller,
        reference=reference,
        kind=kind,
        wallet=wallet,
        payee=payee,
        amount_minor=amount_minor,
        currency=currency,
        note=note,
        hash=hashlib.sha256(msgspec.json.encode(content)).digest(),
    )
