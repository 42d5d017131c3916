"""Signing a batch of payments: load, decide each, journal once, sign, verify a sample."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from contracts.typed_data import PaymentDomain, payment_digest
from wallet_node import customers
from wallet_node.customer_proof import AssertionProof, MandateProof
from wallet_node.customers import CustomerView
from wallet_node.deployment import Deployment
from wallet_node.errors import Refusal
from wallet_node.fields import MAXIMUM_PAYMENT_NONCE, address_bytes, identifier_bytes
from wallet_node.intents import Payment, PaymentBatch
from wallet_node.journal import Journal
from wallet_node.journal_entries import AttemptRefused, IdRefused, PaymentSigned, reasons_of
from wallet_node.journal_group import JournalGroup
from wallet_node.journal_pages import Page, Row
from wallet_node.keystore.provider import KeyProvider, SigningKey
from wallet_node.movements import Kind, Movement
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
from wallet_node.officers_desk import OfficersDesk, Waiting
from wallet_node.policy import ANY, DERIVED, OTHER, CapKey, Decision, PaymentFacts, Policy
from wallet_node.proof_decisions import (
    PROVED,
    UNPROVED,
    Disproved,
    ProofTerms,
    Proved,
    Unproved,
    decide_proof,
)
from wallet_node.signing import compact, verify
from wallet_node.spending import Reservations, Spending
from wallet_node.store import Store


class Signed(msgspec.Struct, frozen=True):
    """A payment's nonce and its EIP-2098 signature."""

    nonce: int
    signature: bytes


class Refused(msgspec.Struct, frozen=True):
    """Every reason why a payment was not signed; the first one is its code. `proof_hash` is of the proof that
    was given.
    """

    reasons: tuple[Refusal, ...]
    proof_hash: bytes = b""


Answer = Signed | Refused | Waiting


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """One payment of a request, its id and content as bytes."""

    payment: Payment
    intent_id: bytes
    content: Content


@dataclass(slots=True)
class _Desk:
    """What one request has loaded and decided so far; nothing of it outlives a failed write."""

    asked: list[_Asked]
    policy: Policy
    space: Space
    separator: bytes
    terms: PaymentTerms
    validity: tuple[Refusal, ...]
    now_s: int
    known: dict[bytes, Known]
    keys: dict[bytes, tuple[str, SigningKey]]
    own_payees: set[bytes]
    reservations: Reservations
    view: CustomerView
    proof_terms: ProofTerms | None
    next_nonces: dict[bytes, int]
    waiting: dict[bytes, tuple[Content, Waiting]] = field(default_factory=dict)
    page: Page = field(default_factory=Page)


class _Ready(msgspec.Struct, frozen=True):
    """Decided: sign this digest with this key, once the page is durable."""

    key: SigningKey
    nonce: int
    digest: bytes


class PaymentSigner:
    """Signs payments of customers' keys and of the institution's own."""

    def __init__(
        self, keys: KeyProvider, store: Store, journal: Journal, spending: Spending, officers: OfficersDesk
    ) -> None:
        self._keys = keys
        self._store = store
        self._journal = journal
        self._spending = spending
        self._officers = officers

    def sign(self, batch: PaymentBatch, deployment: Deployment, policy: Policy, clock_s: int) -> list[Answer]:
        """The answers in the order asked. Raises JournalUnavailable (nothing signed) or
        SignatureCheckFailed.
        """
        desk, decided = self._decide_all(batch, deployment, policy, clock_s)
        self._journal.write(desk.page, desk.now_s)
        return _sign_all(decided)

    async def sign_together(
        self, batch: PaymentBatch, deployment: Deployment, policy: Policy, clock_s: int, group: JournalGroup
    ) -> list[Answer]:
        """The same, in one commit with whatever else is under way."""
        desk, decided = self._decide_all(batch, deployment, policy, clock_s)
        await group.write(desk.page, desk.now_s)
        return _sign_all(decided)

    def _decide_all(
        self, batch: PaymentBatch, deployment: Deployment, policy: Policy, clock_s: int
    ) -> tuple[_Desk, list[_Ready | Refused | Waiting]]:
        desk = self._load(batch, deployment, policy, clock_s)
        decided = [self._decide(desk, asked) for asked in desk.asked]
        desk.page.changes += desk.reservations.changes()
        desk.page.changes += desk.view.changes
        desk.reservations.keep()
        return desk, decided

    def _load(self, batch: PaymentBatch, deployment: Deployment, policy: Policy, clock_s: int) -> _Desk:
        now_s = self._journal.now_s(clock_s)
        asked = [_read(payment) for payment in batch.payments]
        keys = self._payers({each.content.signer for each in asked})
        looked_at = {payer for payer, (role, _) in keys.items() if policy.looks_at_payee(role)}
        payees = {each.content.counterparty for each in asked if each.content.signer in looked_at}
        space = Space(deployment.chain_id, deployment.contract, PAYMENT)
        separator = PaymentDomain(deployment.domain_name, deployment.chain_id, deployment.contract).separator
        return _Desk(
            asked=asked,
            policy=policy,
            space=space,
            separator=separator,
            terms=PaymentTerms(batch.valid_before_s),
            validity=_validity(batch.valid_before_s, now_s + policy.file.longest_validity_s),
            now_s=now_s,
            known=self._journal.known({each.intent_id for each in asked}),
            keys=keys,
            own_payees=self._keys.own_addresses(payees),
            reservations=self._spending.open(_caps(policy, keys), now_s),
            view=_consent(self._store, asked, now_s),
            proof_terms=ProofTerms.of(policy, separator),
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

    def _decide(self, desk: _Desk, asked: _Asked) -> _Ready | Refused | Waiting:
        intent_id, content = asked.intent_id, asked.content
        known = desk.known.get(intent_id)
        if isinstance(known, RefusedIntent):
            return Refused(known.reasons)
        payer = desk.keys.get(content.signer)
        if payer is None:
            detail = f"{asked.payment.payer} is not a key of this node"
            return _refuse(desk, asked, known, Refused((Refusal("UnknownPayer", detail),)))
        role, key = payer
        proof_hash = b""
        if known is None:
            first = self._first_signing(desk, asked, role)
            if isinstance(first, Waiting):
                return first
            decided, proof_hash = first
        else:
            decided = self._repeated_signing(desk, asked, role, known)
        if isinstance(decided, Refused):
            return _refuse(desk, asked, known, decided)
        assert isinstance(decided.terms, PaymentTerms)
        nonce, attempt = decided.nonce, decided.attempt
        digest = payment_digest(
            desk.separator, content.counterparty, content.amount, nonce, decided.terms.valid_before_s
        )
        if decided.is_new:
            signed = PaymentSigned(desk.space, content, nonce, attempt, decided.terms, digest)
            if known is None:
                desk.known[intent_id] = KnownIntent(content, desk.space, nonce, {attempt: decided.terms})
                desk.page.first_attempts.append(Row(intent_id, signed, proof_hash))
            else:
                known.attempts[attempt] = decided.terms
                desk.page.later_attempts.append(Row(intent_id, signed))
        return _Ready(key, nonce, digest)

    def _first_signing(
        self, desk: _Desk, asked: _Asked, role: str
    ) -> tuple[Signing | Refused, bytes] | Waiting:
        """What is decided, and the hash of the proof that allowed it."""
        payment, content = asked.payment, asked.content
        reasons = [*_plain_rules(content), *desk.validity]
        proved = _prove(desk, asked)
        if isinstance(proved, Disproved):
            reasons += proved.reasons
        decision = self._judge(
            desk, content, role, is_first_signature=True, has_proof=isinstance(proved, PROVED)
        )
        reasons += decision.refusals
        nonce = allocate_nonce(
            desk.next_nonces[content.signer],
            payment.nonce_floor,
            desk.policy.file.nonces.longest_payment_jump,
            MAXIMUM_PAYMENT_NONCE,
        )
        if isinstance(nonce, Refusal):
            reasons.append(nonce)
        if not reasons and decision.quorum is not None:
            waiting = self._ask_officers(desk, asked, decision.quorum)
            if isinstance(waiting, Waiting):
                return waiting
            reasons += waiting
        proof_hash = b"" if isinstance(proved, Unproved) else proved.proof_hash
        if reasons or isinstance(nonce, Refusal):
            return Refused(tuple(reasons), proof_hash), proof_hash
        desk.next_nonces[content.signer] = nonce + 1
        desk.reservations.reserve(decision.reserves, content.amount)
        if isinstance(proved, PROVED):
            proved.record(desk.view)
        return Signing(nonce, payment.attempt, desk.terms, is_new=True), proof_hash

    def _repeated_signing(
        self, desk: _Desk, asked: _Asked, role: str, known: KnownIntent
    ) -> Signing | Refused:
        decided = decide_payment_attempt(known, asked.content, desk.space, asked.payment.attempt, desk.terms)
        if isinstance(decided, Refusal):
            return Refused((decided,))
        if decided.is_new:
            decision = self._judge(desk, asked.content, role, is_first_signature=False, has_proof=False)
            reasons = (*desk.validity, *decision.refusals)
            if reasons:
                return Refused(reasons)
        return decided

    def _judge(
        self, desk: _Desk, content: Content, role: str, *, is_first_signature: bool, has_proof: bool
    ) -> Decision:
        facts = PaymentFacts(
            payer=content.signer,
            payer_role=role,
            payee_role=self._payee_role(desk, role, content.counterparty),
            amount_minor=content.amount,
            now_s=desk.now_s,
            is_first_signature=is_first_signature,
            has_proof=has_proof,
        )
        return desk.policy.evaluate_payment(facts, desk.reservations.spent)

    def _ask_officers(self, desk: _Desk, asked: _Asked, quorum: str) -> Waiting | tuple[Refusal, ...]:
        intent_id, content = asked.intent_id, asked.content
        if intent_id in desk.waiting:  # earlier in this batch; of that the store knows nothing yet
            earlier, waiting = desk.waiting[intent_id]
            reused = Refusal("OperationIdReused", "this operation id already stands for other content")
            return waiting if earlier == content else (reused,)
        movement = Movement(Kind.PAYMENT, content.signer, content.counterparty, content.amount)
        said = self._officers.ask_to_sign(
            desk.page,
            desk.policy,
            desk.now_s,
            intent_id,
            kind=PAYMENT,
            content=msgspec.msgpack.encode((desk.space, content)),
            movements=(movement,),
            quorum=quorum,
        )
        if isinstance(said, Waiting):
            desk.waiting[intent_id] = content, said
        return said

    def _payee_role(self, desk: _Desk, payer_role: str, payee: bytes) -> str:
        if not desk.policy.looks_at_payee(payer_role):
            return ANY
        name = self._keys.name_of(payee)
        if name is not None:
            return name
        return DERIVED if payee in desk.own_payees else OTHER


def _read(payment: Payment) -> _Asked:
    content = Content(address_bytes(payment.payer), address_bytes(payment.payee), payment.amount_minor)
    return _Asked(payment, identifier_bytes(payment.payment_id), content)


def _caps(policy: Policy, keys: dict[bytes, tuple[str, SigningKey]]) -> set[CapKey]:
    payers: dict[str, list[bytes]] = {}
    for payer, (role, _) in keys.items():
        payers.setdefault(role, []).append(payer)
    caps: set[CapKey] = set()
    for role, of_role in payers.items():
        shared, for_each_wallet = policy.payment_caps(role)
        caps.update(shared)
        caps.update((ledger, payer) for ledger in for_each_wallet for payer in of_role)
    return caps


def _consent(store: Store, asked: Sequence[_Asked], now_s: int) -> CustomerView:
    """What customers gave for the payments that carry a proof."""
    wallets, mandates = set(), set()
    for each in asked:
        proof = each.payment.proof
        if isinstance(proof, AssertionProof):
            wallets.add(each.content.signer)
        elif isinstance(proof, MandateProof):
            mandates.add(identifier_bytes(proof.mandate_id))
    return customers.load(store, now_s, wallets, mandates)


def _prove(desk: _Desk, asked: _Asked) -> Proved | Unproved | Disproved:
    proof = asked.payment.proof
    if proof is None:
        return UNPROVED
    if desk.proof_terms is None:
        detail = "the policy names no customer_proof, so no proof can be judged"
        return Disproved((Refusal("ProofNotExpected", detail),))
    return decide_proof(asked.intent_id, asked.content, proof, desk.view, desk.proof_terms)


def _refuse(desk: _Desk, asked: _Asked, known: KnownIntent | None, refused: Refused) -> Refused:
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


def _validity(valid_before_s: int, latest_s: int) -> tuple[Refusal, ...]:
    if valid_before_s <= latest_s:
        return ()
    return (Refusal("ValidBeforeTooFar", f"{valid_before_s} is after {latest_s}, the latest allowed"),)


def _plain_rules(content: Content) -> Sequence[Refusal]:
    refusals = []
    if content.amount == 0:
        refusals.append(Refusal("ZeroAmount", "a payment moves at least one minor unit"))
    if content.signer == content.counterparty:
        refusals.append(Refusal("SelfPayment", "payer and payee are the same account"))
    return refusals


def _sign_all(decided: Sequence[_Ready | Refused | Waiting]) -> list[Answer]:
    answers: list[Answer] = []
    samples: list[tuple[_Ready, bytes]] = []
    for item in decided:
        if not isinstance(item, _Ready):
            answers.append(item)
            continue
        signature = item.key.sign_digest(item.digest)
        samples.append((item, signature))
        answers.append(Signed(item.nonce, compact(signature)))
    if samples:
        item, signature = samples[secrets.randbelow(len(samples))]
        verify(item.key, item.digest, signature)
    return answers


def answer_fields(payment: Payment, answer: Answer) -> dict[str, Any]:
    """One line of the answer as JSON fields."""
    if isinstance(answer, Signed):
        return {
            "payment_id": payment.payment_id,
            "nonce": answer.nonce,
            "signature": "0x" + answer.signature.hex(),
        }
    if isinstance(answer, Waiting):
        return {"payment_id": payment.payment_id, "pending": answer.fields()}
    first = answer.reasons[0]
    return {
        "payment_id": payment.payment_id,
        "refusal": {"code": first.code, "detail": first.detail, "reasons": answer.reasons},
    }
