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
from wallet_node.journal import PAYMENT, Attempt, Journal, Page
from wallet_node.keystore.provider import KeyProvider, SigningKey
from wallet_node.nonces import (
    Content,
    KnownIntent,
    PaymentTerms,
    Signing,
    allocate_nonce,
    decide_payment_attempt,
)
from wallet_node.policy import ANY, DERIVED, OTHER, CapKey, Decision, PaymentFacts, Policy
from wallet_node.signing import compact, verify
from wallet_node.spending import Reservations, Spending


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

    domain: int
    separator: bytes
    terms: PaymentTerms
    now_s: int
    known: dict[bytes, KnownIntent]
    keys: dict[bytes, tuple[str, SigningKey]]
    own_payees: set[bytes]
    spending: Reservations
    page: Page = field(default_factory=Page)
    next_nonces: dict[bytes, int] = field(default_factory=dict)


class _Ready(msgspec.Struct, frozen=True):
    """Decided: sign this digest with this key, once the page is durable."""

    key: SigningKey
    nonce: int
    digest: bytes


class PaymentSigner:
    """Signs payments of customers' keys and of the institution's own."""

    def __init__(self, keys: KeyProvider, journal: Journal, policy: Policy, spending: Spending) -> None:
        self._keys = keys
        self._journal = journal
        self._policy = policy
        self._spending = spending
        spending.know(policy.ledgers)

    def sign(self, batch: PaymentBatch, deployment: Deployment, clock_s: int) -> list[Signed | Refused]:
        """The answers in the order asked. Raises JournalUnavailable (nothing signed) or
        SignatureCheckFailed.
        """
        desk = self._load(batch, deployment, clock_s)
        decided = [self._decide(desk, payment) for payment in batch.payments]
        if not desk.page.is_empty:
            desk.page.changes += desk.spending.changes()
            try:
                self._journal.write(desk.page, desk.now_s)
            except BaseException:
                self._spending.forget()
                raise
            desk.spending.keep()
        return _sign_all(decided)

    def _load(self, batch: PaymentBatch, deployment: Deployment, clock_s: int) -> _Desk:
        now_s = self._journal.now_s(clock_s)
        keys = self._payers({address_bytes(payment.payer) for payment in batch.payments})
        looked_at = {payer for payer, (role, _) in keys.items() if self._policy.looks_at_payee(role)}
        payees = {address_bytes(p.payee) for p in batch.payments if address_bytes(p.payer) in looked_at}
        return _Desk(
            domain=self._journal.domain(deployment.chain_id, deployment.contract, PAYMENT),
            separator=PaymentDomain(
                deployment.domain_name, deployment.chain_id, deployment.contract
            ).separator,
            terms=PaymentTerms(batch.valid_before_s),
            now_s=now_s,
            known=self._journal.known({identifier_bytes(payment.payment_id) for payment in batch.payments}),
            keys=keys,
            own_payees=self._keys.own_addresses(payees),
            spending=self._spending.open(self._caps(keys), now_s),
        )

    def _caps(self, keys: dict[bytes, tuple[str, SigningKey]]) -> set[CapKey]:
        caps: set[CapKey] = set()
        for payer, (role, _) in keys.items():
            shared, for_each_wallet = self._policy.payment_caps(role)
            caps.update(shared)
            caps.update((ledger, payer) for ledger in for_each_wallet)
        return caps

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
        payer = desk.keys.get(address_bytes(payment.payer))
        if payer is None:
            return Refused((Refusal("UnknownPayer", f"{payment.payer} is not a key of this node"),))
        role, key = payer
        content = Content(key.address, address_bytes(payment.payee), payment.amount_minor)
        intent_id = identifier_bytes(payment.payment_id)
        known = desk.known.get(intent_id)
        if known is None:
            decided = self._first_signing(desk, payment, content, role)
        else:
            decided = self._repeated_signing(desk, payment, content, role, known)
        if isinstance(decided, Refused):
            return decided
        digest = payment_digest(
            desk.separator, content.counterparty, content.amount, decided.nonce, desk.terms.valid_before_s
        )
        if decided.is_new:
            entry = Attempt(
                intent_id, desk.domain, decided.nonce, content, decided.attempt, decided.terms, digest
            )
            if known is None:
                known = desk.known[intent_id] = KnownIntent(content, desk.domain, decided.nonce)
                desk.page.first_attempts.append(entry)
            else:
                desk.page.later_attempts.append(entry)
            known.attempts[decided.attempt] = decided.terms
        return _Ready(key, decided.nonce, digest)

    def _first_signing(self, desk: _Desk, payment: Payment, content: Content, role: str) -> Signing | Refused:
        reasons = list(_plain_rules(content))
        reasons += self._validity(desk)
        decision = self._judge(desk, content, role, is_first_signature=True)
        reasons += decision.refusals
        if decision.quorum is not None:
            detail = f"it needs the approvals of the quorum {decision.quorum!r}"
            reasons.append(Refusal("ApprovalsRequired", detail))
        own_next = desk.next_nonces.get(content.signer)
        if own_next is None:
            own_next = self._journal.next_nonce(desk.domain, content.signer)
        nonce = allocate_nonce(
            own_next,
            payment.nonce_floor,
            self._policy.file.nonces.longest_payment_jump,
            MAXIMUM_PAYMENT_NONCE,
        )
        if isinstance(nonce, Refusal):
            reasons.append(nonce)
        if reasons or isinstance(nonce, Refusal):
            return Refused(tuple(reasons))
        desk.next_nonces[content.signer] = nonce + 1
        desk.spending.reserve(decision.reserves, content.amount)
        return Signing(nonce, payment.attempt, desk.terms, is_new=True)

    def _repeated_signing(
        self, desk: _Desk, payment: Payment, content: Content, role: str, known: KnownIntent
    ) -> Signing | Refused:
        decided = decide_payment_attempt(known, content, desk.domain, payment.attempt, desk.terms)
        if isinstance(decided, Refusal):
            return Refused((decided,))
        if decided.is_new:
            decision = self._judge(desk, content, role, is_first_signature=False)
            reasons = (*self._validity(desk), *decision.refusals)
            if reasons:
                return Refused(reasons)
        return decided

    def _judge(self, desk: _Desk, content: Content, role: str, *, is_first_signature: bool) -> Decision:
        facts = PaymentFacts(
            payer=content.signer,
            payer_role=role,
            payee_role=self._payee_role(desk, role, content.counterparty),
            amount_minor=content.amount,
            now_s=desk.now_s,
            is_first_signature=is_first_signature,
        )
        return self._policy.evaluate_payment(facts, desk.spending.spent)

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
