"""Signing a batch of payments: load, decide each, journal once, sign, verify a sample."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from contracts.typed_data import PaymentDomain, payment_digest
from wallet_node.deployment import Deployment
from wallet_node.errors import Refusal
from wallet_node.intents import MAXIMUM_PAYMENT_NONCE, Payment, PaymentBatch, address_bytes, identifier_bytes
from wallet_node.journal import Journal
from wallet_node.journal_entries import AttemptRefused, IdRefused, PaymentSigned, reasons_of
from wallet_node.journal_pages import Page, Row
from wallet_node.keystore.provider import KeyProvider, SigningKey
from wallet_node.nonces import (
    PAYMENT,
    Content,
    Known,
    KnownIntent,
    PaymentTerms,
    RefusedIntent,
    Signing,
    Space,
    allocate_nonce,
    decide_payment_attempt,
)
from wallet_node.policy import ANY, DERIVED, OTHER, PaymentFacts, Policy
from wallet_node.signing import compact, verify


class Signed(msgspec.Struct, frozen=True):
    """A payment's nonce and its EIP-2098 signature."""

    nonce: int
    signature: bytes


class Refused(msgspec.Struct, frozen=True):
    """Every reason why a payment was not signed; the first one is its code."""

    reasons: tuple[Refusal, ...]


@dataclass(slots=True)
class _Desk:
    """What one request has loaded and decided so far; nothing of it outlives a failed write."""

    space: Space
    separator: bytes
    terms: PaymentTerms
    now_s: int
    known: dict[bytes, Known]
    keys: dict[bytes, tuple[str, SigningKey]]
    own_payees: set[bytes]
    spent_minor: dict[str, int]
    next_nonces: dict[bytes, int]
    page: Page = field(default_factory=Page)


class _Ready(msgspec.Struct, frozen=True):
    """Decided: sign this digest with this key, once the page is durable."""

    key: SigningKey
    nonce: int
    digest: bytes


class PaymentSigner:
    """Signs payments of customers' keys and of the institution's own."""

    def __init__(self, keys: KeyProvider, journal: Journal, policy: Policy) -> None:
        self._keys = keys
        self._journal = journal
        self._policy = policy

    def sign(self, batch: PaymentBatch, deployment: Deployment, clock_s: int) -> list[Signed | Refused]:
        """The answers in the order asked. Raises JournalUnavailable (nothing signed) or
        SignatureCheckFailed.
        """
        desk = self._load(batch, deployment, clock_s)
        decided = [self._decide(desk, payment) for payment in batch.payments]
        self._journal.write(desk.page, desk.now_s)
        return _sign_all(decided)

    def _load(self, batch: PaymentBatch, deployment: Deployment, clock_s: int) -> _Desk:
        now_s = self._journal.now_s(clock_s)
        keys = self._payers({address_bytes(payment.payer) for payment in batch.payments})
        looked_at = {payer for payer, (role, _) in keys.items() if self._policy.looks_at_payee(role)}
        payees = {address_bytes(p.payee) for p in batch.payments if address_bytes(p.payer) in looked_at}
        space = Space(deployment.chain_id, deployment.contract, PAYMENT)
        return _Desk(
            space=space,
            separator=PaymentDomain(
                deployment.domain_name, deployment.chain_id, deployment.contract
            ).separator,
            terms=PaymentTerms(batch.valid_before_s),
            now_s=now_s,
            known=self._journal.known({identifier_bytes(payment.payment_id) for payment in batch.payments}),
            keys=keys,
            own_payees=self._keys.own_addresses(payees),
            spent_minor=self._journal.spent_on(now_s),
            next_nonces=self._journal.next_nonces(space, keys),
        )

    def _payers(self, addresses: set[bytes]) -> dict[bytes, tuple[str, SigningKey]]:
        found: dict[bytes, tuple[str, SigningKey]] = {}
        for address in addresses:
            name = self._keys.name_of(address)
            if name is not None:
                found[address] = (name, self._keys.named_key(name))
        derived = self._keys.customer_keys(addresses - found.keys())
        found.update((address, (DERIVED, key)) for address, key in derived.items())
        return found

    def _decide(self, desk: _Desk, payment: Payment) -> _Ready | Refused:
        intent_id = identifier_bytes(payment.payment_id)
        content = Content(address_bytes(payment.payer), address_bytes(payment.payee), payment.amount_minor)
        known = desk.known.get(intent_id)
        if isinstance(known, RefusedIntent):
            return Refused(known.reasons)
        payer = desk.keys.get(content.signer)
        if payer is None:
            detail = f"{payment.payer} is not a key of this node"
            return _refuse(desk, intent_id, content, known, (Refusal("UnknownPayer", detail),))
        role, key = payer
        if known is None:
            decided = self._first_signing(desk, payment, content, role)
        else:
            decided = self._repeated_signing(desk, payment, content, role, known)
        if isinstance(decided, Refused):
            return _refuse(desk, intent_id, content, known, decided.reasons)
        assert isinstance(decided.terms, PaymentTerms)
        digest = payment_digest(
            desk.separator, content.counterparty, content.amount, decided.nonce, desk.terms.valid_before_s
        )
        if decided.is_new:
            signed = PaymentSigned(desk.space, content, decided.nonce, decided.attempt, decided.terms, digest)
            if known is None:
                known = desk.known[intent_id] = KnownIntent(content, desk.space, decided.nonce)
                desk.page.first_attempts.append(Row(intent_id, signed))
            else:
                desk.page.later_attempts.append(Row(intent_id, signed))
            known.attempts[decided.attempt] = decided.terms
        return _Ready(key, decided.nonce, digest)

    def _first_signing(self, desk: _Desk, payment: Payment, content: Content, role: str) -> Signing | Refused:
        reasons = list(_plain_rules(content))
        reasons += self._validity(desk)
        facts = PaymentFacts(role, self._payee_role(desk, role, content.counterparty), content.amount, True)
        decision = self._policy.evaluate_payment(facts, desk.spent_minor)
        reasons += decision.refusals
        nonce = allocate_nonce(
            desk.next_nonces[content.signer],
            payment.nonce_floor,
            self._policy.file.nonces.longest_payment_jump,
            MAXIMUM_PAYMENT_NONCE,
        )
        if isinstance(nonce, Refusal):
            reasons.append(nonce)
        if reasons or isinstance(nonce, Refusal):
            return Refused(tuple(reasons))
        desk.next_nonces[content.signer] = nonce + 1
        for cap in decision.reserves:
            desk.spent_minor[cap] = desk.spent_minor.get(cap, 0) + content.amount
            desk.page.spent[cap] = desk.page.spent.get(cap, 0) + content.amount
        return Signing(nonce, payment.attempt, desk.terms, is_new=True)

    def _repeated_signing(
        self, desk: _Desk, payment: Payment, content: Content, role: str, known: KnownIntent
    ) -> Signing | Refused:
        decided = decide_payment_attempt(known, content, desk.space, payment.attempt, desk.terms)
        if isinstance(decided, Refusal):
            return Refused((decided,))
        if decided.is_new:
            facts = PaymentFacts(
                role, self._payee_role(desk, role, content.counterparty), content.amount, False
            )
            decision = self._policy.evaluate_payment(facts, desk.spent_minor)
            reasons = (*self._validity(desk), *decision.refusals)
            if reasons:
                return Refused(reasons)
        return decided

    def _payee_role(self, desk: _Desk, payer_role: str, payee: bytes) -> str:
        if not self._policy.looks_at_payee(payer_role):
            return ANY
        name = self._keys.name_of(payee)
        if name is not None:
            return name
        return DERIVED if payee in desk.own_payees else OTHER

    def _validity(self, desk: _Desk) -> tuple[Refusal, ...]:
        latest_s = desk.now_s + self._policy.file.longest_validity_s
        if desk.terms.valid_before_s <= latest_s:
            return ()
        return (
            Refusal(
                "ValidBeforeTooFar", f"{desk.terms.valid_before_s} is after {latest_s}, the latest allowed"
            ),
        )


def _refuse(
    desk: _Desk, intent_id: bytes, content: Content, known: KnownIntent | None, reasons: tuple[Refusal, ...]
) -> Refused:
    """Journal a refusal: an id seen for the first time stays refused, another one keeps what it has."""
    if known is None:
        row = Row(intent_id, IdRefused(PAYMENT, content, reasons_of(reasons)))
        desk.page.refused.append(row)
        desk.known[intent_id] = RefusedIntent(reasons)
    else:
        row = Row(intent_id, AttemptRefused(PAYMENT, content, reasons_of(reasons)))
        desk.page.refused_attempts.append(row)
    return Refused(reasons)


def _plain_rules(content: Content) -> Sequence[Refusal]:
    refusals = []
    if content.amount == 0:
        refusals.append(Refusal("ZeroAmount", "a payment moves at least one minor unit"))
    if content.signer == content.counterparty:
        refusals.append(Refusal("SelfPayment", "payer and payee are the same account"))
    return refusals


def _sign_all(decided: Sequence[_Ready | Refused]) -> list[Signed | Refused]:
    answers: list[Signed | Refused] = []
    samples: list[tuple[_Ready, bytes]] = []
    for item in decided:
        if isinstance(item, Refused):
            answers.append(item)
            continue
        signature = item.key.sign_digest(item.digest)
        samples.append((item, signature))
        answers.append(Signed(item.nonce, compact(signature)))
    if samples:
        item, signature = samples[secrets.randbelow(len(samples))]
        verify(item.key, item.digest, signature)
    return answers


def answer_fields(payment: Payment, answer: Signed | Refused) -> dict[str, Any]:
    """One line of the answer as JSON fields."""
    if isinstance(answer, Signed):
        return {
            "payment_id": payment.payment_id,
            "nonce": answer.nonce,
            "signature": "0x" + answer.signature.hex(),
        }
    first = answer.reasons[0]
    return {
        "payment_id": payment.payment_id,
        "refusal": {"code": first.code, "detail": first.detail, "reasons": answer.reasons},
    }
