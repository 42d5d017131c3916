"""One request for payments: what it has loaded, what was decided of it so far, and the rules that need nobody
else's knowledge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from wallet_node.customer_proof import AssertionProof, MandateProof
from wallet_node.customers import view as customers
from wallet_node.customers.proof_decisions import (
    UNPROVED,
    Disproved,
    ProofTerms,
    Proved,
    Unproved,
    decide_proof,
)
from wallet_node.customers.view import CustomerView
from wallet_node.errors import Refusal
from wallet_node.fields import address_bytes, identifier_bytes
from wallet_node.intents.requests import Payment
from wallet_node.journal.entries import AttemptRefused, IdRefused, reasons_of
from wallet_node.journal.nonces import (
    PAYMENT,
    Content,
    Known,
    KnownIntent,
    PaymentTerms,
    RefusedIntent,
    Space,
)
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.provider import SigningKey
from wallet_node.keystore.seals import Seals
from wallet_node.officers.desk import Waiting
from wallet_node.policy.policy import CapKey, Policy
from wallet_node.policy.spending import Reservations
from wallet_node.store import Store


class Refused(msgspec.Struct, frozen=True):
    """Every reason why a payment was not signed; the first one is its code. `proof_hash` is of the proof that
    was given.
    """

    reasons: tuple[Refusal, ...]
    proof_hash: bytes = b""


class Ready(msgspec.Struct, frozen=True, gc=False):
    """Decided: sign this digest with this key, once the page is durable."""

    key: SigningKey
    nonce: int
    digest: bytes


Decided = Ready | Refused | Waiting


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One payment of a request, its id and content as bytes."""

    payment: Payment
    intent_id: bytes
    content: Content


class Payer(msgspec.Struct, frozen=True, gc=False):
    """A key of this node; `looks_at_payee`: the policy judges its payments by whom they go to."""

    role: str
    key: SigningKey
    looks_at_payee: bool


@dataclass(slots=True)
class Desk:
    """What one request has loaded and decided so far; nothing of it outlives a failed write."""

    asked: list[Asked]
    policy: Policy
    space: Space
    separator: bytes
    terms: PaymentTerms
    validity: tuple[Refusal, ...]
    now_s: int
    known: dict[bytes, Known]
    payers: dict[bytes, Payer]
    own_payees: set[bytes]
    reservations: Reservations
    view: CustomerView
    proof_terms: ProofTerms | None
    next_nonces: dict[bytes, int]
    must_name: bool = False
    waiting: dict[bytes, tuple[Content, Waiting]] = field(default_factory=dict)
    page: Page = field(default_factory=Page)


def read(payment: Payment) -> Asked:
    """Texts as bytes, once for all rules."""
    content = Content(address_bytes(payment.payer), address_bytes(payment.payee), payment.amount_minor)
    return Asked(payment, identifier_bytes(payment.payment_id), content)


def caps(policy: Policy, payers: dict[bytes, Payer]) -> set[CapKey]:
    """What spending the policy will look at."""
    of_roles: dict[str, list[bytes]] = {}
    for address, payer in payers.items():
        of_roles.setdefault(payer.role, []).append(address)
    found: set[CapKey] = set()
    for role, addresses in of_roles.items():
        shared, for_each_wallet = policy.payment_caps(role)
        found.update(shared)
        found.update((ledger, address) for ledger in for_each_wallet for address in addresses)
    return found


def consent(store: Store, seals: Seals, asked: Sequence[Asked], now_s: int) -> CustomerView:
    """What customers gave for the payments that carry a proof."""
    wallets, mandates = set(), set()
    for each in asked:
        proof = each.payment.proof
        if isinstance(proof, AssertionProof):
            wallets.add(each.content.signer)
        elif isinstance(proof, MandateProof):
            mandates.add(identifier_bytes(proof.mandate_id))
    return customers.load(store, seals, now_s, wallets, mandates)


def validity(valid_before_s: int, latest_s: int) -> tuple[Refusal, ...]:
    """Why a signature would stay executable for too long."""
    if valid_before_s <= latest_s:
        return ()
    return (Refusal("ValidBeforeTooFar", f"{valid_before_s} is after {latest_s}, the latest allowed"),)


def plain_rules(content: Content) -> Sequence[Refusal]:
    """What is no payment."""
    refusals = []
    if content.amount == 0:
        refusals.append(Refusal("ZeroAmount", "a payment moves at least one minor unit"))
    if content.signer == content.counterparty:
        refusals.append(Refusal("SelfPayment", "payer and payee are the same account"))
    return refusals


def prove(desk: Desk, asked: Asked) -> Proved | Unproved | Disproved:
    """Whether the payment's customer wants it."""
    proof = asked.payment.proof
    if proof is None:
        return UNPROVED
    if desk.proof_terms is None:
        detail = "the policy names no customer_proof, so no proof can be judged"
        return Disproved((Refusal("ProofNotExpected", detail),))
    return decide_proof(asked.intent_id, asked.content, proof, desk.view, desk.proof_terms)


def refuse(desk: Desk, asked: Asked, known: KnownIntent | None, refused: Refused) -> Refused:
    """Journal a refusal: an id seen for the first time stays refused, another one keeps what it has."""
    reasons = reasons_of(refused.reasons)
    if known is None:
        row = Row(asked.intent_id, IdRefused(PAYMENT, asked.content, reasons), refused.proof_hash)
        desk.page.refused.append(row)
        desk.known[asked.intent_id] = RefusedIntent(refused.reasons)
    else:
        row = Row(asked.intent_id, AttemptRefused(PAYMENT, asked.content, reasons))
        desk.page.refused_attempts.append(row)
    return refused
