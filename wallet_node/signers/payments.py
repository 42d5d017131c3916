"""Signing a batch of payments: load, decide each, journal once, sign, verify a sample."""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from contracts.typed_data import payment_digest
from wallet_node.customers.proof_decisions import PROVED, Disproved, ProofTerms, Unproved
from wallet_node.deployment import Deployment
from wallet_node.errors import NotProposed, Refusal
from wallet_node.fields import MAXIMUM_PAYMENT_NONCE
from wallet_node.intents.movements import Kind, Movement
from wallet_node.intents.requests import Payment, PaymentBatch
from wallet_node.journal.entries import PaymentSigned
from wallet_node.journal.group import JournalGroup
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import (
    PAYMENT,
    KnownIntent,
    PaymentTerms,
    RefusedIntent,
    Space,
    allocate_nonce,
    decide_payment_attempt,
)
from wallet_node.journal.pages import Row
from wallet_node.keystore.provider import KeyProvider
from wallet_node.keystore.signatures import compact, verify
from wallet_node.officers.desk import OfficersDesk, Proposer, Waiting
from wallet_node.policy.policy import ANY, DERIVED, OTHER, Decision, PaymentFacts, Policy
from wallet_node.policy.spending import Spending, charges_of
from wallet_node.signers.payments_desk import (
    Asked,
    Decided,
    Desk,
    Payer,
    Ready,
    Refused,
    caps,
    consent,
    plain_rules,
    prove,
    read,
    refuse,
    validity,
)
from wallet_node.store import Store


class Signed(msgspec.Struct, frozen=True, gc=False):
    """A payment's nonce and its EIP-2098 signature."""

    nonce: int
    signature: bytes


Answer = Signed | Refused | Waiting


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

    def sign(
        self,
        batch: PaymentBatch,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        *,
        must_name: bool = False,
    ) -> list[Answer]:
        """The answers in the order asked; with `must_name`, what waits for officers has an initiator.

        Raises JournalUnavailable (nothing signed) or SignatureCheckFailed.
        """
        desk, decided = self._decide_all(batch, deployment, policy, clock_s, must_name=must_name)
        self._journal.write(desk.page, desk.now_s)
        return _sign_all(decided)

    async def sign_together(
        self,
        batch: PaymentBatch,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        group: JournalGroup,
        *,
        must_name: bool = False,
    ) -> list[Answer]:
        """The same, in one commit with whatever else is under way."""
        desk, decided = self._decide_all(batch, deployment, policy, clock_s, must_name=must_name)
        await group.write(desk.page, desk.now_s)
        return _sign_all(decided)

    def _decide_all(
        self, batch: PaymentBatch, deployment: Deployment, policy: Policy, clock_s: int, *, must_name: bool
    ) -> tuple[Desk, list[Decided]]:
        desk = self._load(batch, deployment, policy, clock_s, must_name=must_name)
        decided = [self._decide(desk, asked) for asked in desk.asked]
        desk.page.changes += desk.reservations.changes()
        desk.page.changes += desk.view.changes
        desk.reservations.keep()
        return desk, decided

    def _load(
        self, batch: PaymentBatch, deployment: Deployment, policy: Policy, clock_s: int, *, must_name: bool
    ) -> Desk:
        now_s = self._journal.now_s(clock_s)
        asked = [read(payment) for payment in batch.payments]
        payers = self._payers({each.content.signer for each in asked}, policy)
        looking = {address for address, payer in payers.items() if payer.looks_at_payee}
        payees = {each.content.counterparty for each in asked if each.content.signer in looking}
        space = Space(deployment.chain_id, deployment.contract, PAYMENT)
        separator = deployment.domain.separator
        return Desk(
            asked=asked,
            policy=policy,
            space=space,
            separator=separator,
            terms=PaymentTerms(batch.valid_before_s),
            validity=validity(batch.valid_before_s, now_s + policy.file.longest_validity_s),
            now_s=now_s,
            known=self._journal.known({each.intent_id for each in asked}),
            payers=payers,
            own_payees=self._keys.own_addresses(payees),
            reservations=self._spending.open(caps(policy, payers), now_s),
            view=consent(self._store, self._keys.seals, asked, now_s),
            proof_terms=ProofTerms.of(policy, separator),
            next_nonces=self._journal.next_nonces(space, payers),
            must_name=must_name,
        )

    def _payers(self, addresses: set[bytes], policy: Policy) -> dict[bytes, Payer]:
        found: dict[bytes, Payer] = {}
        for address in addresses:
            name = self._keys.name_of(address)
            if name is not None:
                found[address] = Payer(name, self._keys.named_key(name), policy.looks_at_payee(name))
        looks_at_payee = policy.looks_at_payee(DERIVED)
        for address, key in self._keys.customer_keys(addresses - found.keys()).items():
            found[address] = Payer(DERIVED, key, looks_at_payee)
        return found

    # ------------------------------------------------------------------------------------------ deciding

    def _decide(self, desk: Desk, asked: Asked) -> Decided:
        known = desk.known.get(asked.intent_id)
        if isinstance(known, RefusedIntent):
            return Refused(known.reasons)
        payer = desk.payers.get(asked.content.signer)
        if payer is None:
            detail = f"{asked.payment.payer} is not a key of this node"
            return refuse(desk, asked, known, Refused((Refusal("UnknownPayer", detail),)))
        if known is None:
            return self._first_signing(desk, asked, payer)
        return self._repeated_signing(desk, asked, payer, known)

    def _first_signing(self, desk: Desk, asked: Asked, payer: Payer) -> Decided:
        content = asked.content
        reasons = [*plain_rules(content), *desk.validity]
        proved = prove(desk, asked)
        if isinstance(proved, Disproved):
            reasons += proved.reasons
        is_proved = isinstance(proved, PROVED)
        decision = self._judge(desk, asked, payer, None, has_proof=is_proved)
        reasons += decision.refusals
        nonce = allocate_nonce(
            desk.next_nonces[content.signer],
            asked.payment.nonce_floor,
            desk.policy.file.nonces.longest_payment_jump,
            MAXIMUM_PAYMENT_NONCE,
        )
        if isinstance(nonce, Refusal):
            reasons.append(nonce)
        if not reasons and decision.quorum is not None:
            try:
                said = self._ask_officers(desk, asked, decision.quorum)
            except NotProposed as error:
                return Refused(error.reasons)  # without a row: the id stays free
            if isinstance(said, Waiting):
                return said
            reasons += said
        proof_hash = b"" if isinstance(proved, Unproved) else proved.proof_hash
        if reasons or isinstance(nonce, Refusal):
            return refuse(desk, asked, None, Refused(tuple(reasons), proof_hash))
        desk.next_nonces[content.signer] = nonce + 1
        desk.reservations.reserve(decision.reserves, content.amount)
        if isinstance(proved, PROVED):
            proved.record(desk.view)
        attempt, ready = asked.payment.attempt, _ready(desk, asked, payer, nonce)
        charges = charges_of(decision.reserves, content.amount) if decision.reserves else ()
        signed = PaymentSigned(desk.space, content, nonce, attempt, desk.terms, ready.digest, charges)
        desk.known[asked.intent_id] = KnownIntent(
            content,
            desk.space,
            nonce,
            {attempt: desk.terms},
            is_proved=is_proved,
            first_signed_s=desk.now_s,
        )
        desk.page.first_attempts.append(Row(asked.intent_id, signed, proof_hash))
        return ready

    def _repeated_signing(self, desk: Desk, asked: Asked, payer: Payer, known: KnownIntent) -> Decided:
        content, attempt = asked.content, asked.payment.attempt
        decided = decide_payment_attempt(known, content, desk.space, attempt, desk.terms)
        if isinstance(decided, Refusal):
            return refuse(desk, asked, known, Refused((decided,)))
        ready = _ready(desk, asked, payer, decided.nonce)
        if decided.is_new:
            decision = self._judge(desk, asked, payer, known, has_proof=known.is_proved)
            reasons = (*desk.validity, *decision.refusals)
            if reasons:
                return refuse(desk, asked, known, Refused(reasons))
            signed = PaymentSigned(desk.space, content, decided.nonce, attempt, desk.terms, ready.digest)
            known.attempts[attempt] = desk.terms
            desk.page.later_attempts.append(Row(asked.intent_id, signed))
        return ready

    def _judge(
        self, desk: Desk, asked: Asked, payer: Payer, known: KnownIntent | None, *, has_proof: bool
    ) -> Decision:
        content = asked.content
        facts = PaymentFacts(
            payer=content.signer,
            payer_role=payer.role,
            payee_role=self._payee_role(desk, content.counterparty) if payer.looks_at_payee else ANY,
            amount_minor=content.amount,
            now_s=desk.now_s,
            is_first_signature=known is None,
            has_proof=has_proof,
            valid_for_s=desk.terms.valid_before_s - desk.now_s,
            first_signed_s=desk.now_s if known is None else known.first_signed_s,
        )
        return desk.policy.evaluate_payment(facts, desk.reservations.spent)

    def _payee_role(self, desk: Desk, payee: bytes) -> str:
        name = self._keys.name_of(payee)
        if name is not None:
            return name
        return DERIVED if payee in desk.own_payees else OTHER

    def _ask_officers(self, desk: Desk, asked: Asked, quorum: str) -> Waiting | tuple[Refusal, ...]:
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
            proposer=Proposer(asked.payment.initiator, desk.must_name),
        )
        if isinstance(said, Waiting):
            desk.waiting[intent_id] = content, said
        return said


def _ready(desk: Desk, asked: Asked, payer: Payer, nonce: int) -> Ready:
    content = asked.content
    digest = payment_digest(
        desk.separator, content.counterparty, content.amount, nonce, desk.terms.valid_before_s
    )
    return Ready(payer.key, nonce, digest)


def _sign_all(decided: Sequence[Decided]) -> list[Answer]:
    answers: list[Answer] = []
    samples: list[tuple[Ready, bytes]] = []
    for item in decided:
        if not isinstance(item, Ready):
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
