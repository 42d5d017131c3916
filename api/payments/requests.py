"""What is asked of the payments room, freed from HTTP: who wants which money to go where, by which name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from api.directory.aliases import read_alias
from api.payments.schemas import RedemptionBody

if TYPE_CHECKING:
    import uuid

    from api.institution import Institution
    from api.payments.rules import Kind
    from api.payments.schemas import PaymentBody, RefundBody, TransferBody


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is to be paid, as the caller named it; all None: this bank itself, for a redemption."""

    biller_reference: str | None = None
    wallet_reference: str | None = None
    address: bytes | None = None
    alias: str | None = None
    """In its one form; `address` is what it stands for, once that is looked up."""
    request_token: str | None = None
    """Of the payment request that is paid; `address` is its payee's, once that is looked up."""

    def names(self) -> tuple[str | bytes | None, ...]:
        """What the caller wrote."""
        names = (self.biller_reference, self.wallet_reference, self.address)
        if self.request_token is not None:
            return (None, None, None, None, self.request_token)
        return names if self.alias is None else (None, None, None, self.alias)


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
    mandate_id: uuid.UUID | None = None
    proof: str | None = None
    """The customer's own word for it, as the signer reads it."""


def payment_request(
    institution: Institution, caller: str, reference: str, body: PaymentBody
) -> PaymentRequest:
    """A payment as its body describes it. Raises `AliasUnreadable`."""
    wallet = body.payer_wallet_reference or body.payer_wallet_id
    assert wallet is not None, "the schema lets exactly one through"
    alias = None if body.payee.alias is None else read_alias(body.payee.alias).value
    named = body.payee
    payee = Payee(named.biller_reference, named.wallet_reference, named.address, alias, named.request_token)
    content: tuple[object, ...] = (
        "payment", str(wallet), *payee.names(), body.amount_minor, body.currency, body.note,
    )  # fmt: skip
    proof = _proof_of(body)
    if proof is not None:
        content = (*content, proof)
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
        mandate_id=body.mandate_id,
        proof=proof,
    )


def transfer_request(
    institution: Institution, caller: str, reference: str, kind: Kind, body: TransferBody
) -> PaymentRequest:
    """A funding or a redemption as its body describes it."""
    wallet = body.wallet_reference or body.wallet_id
    assert wallet is not None, "the schema lets exactly one through"
    content: tuple[object, ...] = (kind, str(wallet), body.amount_minor)
    proof = body.proof.as_proof() if isinstance(body, RedemptionBody) and body.proof is not None else None
    if proof is not None:
        content = (*content, proof)
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
        hash=_hash_of(content),
        proof=proof,
    )


def refund_request(
    institution: Institution, caller: str, key: str, body: RefundBody, *, wallet_id: uuid.UUID, payer: bytes
) -> PaymentRequest:
    """The payment that a refund is: from the original's payee back to its payer."""
    content: tuple[object, ...] = ("refund", str(body.original_id), body.amount_minor, body.note)
    proof = None if body.proof is None else body.proof.as_proof()
    if proof is not None:
        content = (*content, proof)
    return PaymentRequest(
        payment_id=institution.id_for("payment", caller, key),
        caller=caller,
        reference=key,
        kind="payment",
        wallet=wallet_id,
        payee=Payee(address=payer),
        amount_minor=body.amount_minor,
        currency=institution.settings.currency,
        note=body.note,
        hash=_hash_of(content),
        proof=proof,
    )


def _proof_of(body: PaymentBody) -> str | None:
    if body.mandate_id is not None:
        return json.dumps({"kind": "mandate", "mandate_id": str(body.mandate_id)})
    return None if body.proof is None else body.proof.as_proof()


def _hash_of(content: tuple[object, ...]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(content)).digest()
