"""Whether a customer wants a payment or a mandate: decided over a CustomerView, recorded when it is used.

Deciding and recording are two steps, because a payment that is proved may still be refused for another
reason: only one that will be signed uses up a mandate's cap, or moves an authenticator's counter on.
"""

from hashlib import sha256
from typing import ClassVar

import msgspec

from contracts.customer_approvals import Mandate, payment_approval_digest
from wallet_node.customer_proof import (
    Approval,
    Assertion,
    AssertionProof,
    Proof,
    RelyingParty,
    parse_assertion,
    verify_assertion,
)
from wallet_node.customers.mandates import (
    MandateRegistration,
    MandateTerms,
    decide_mandate,
    decide_registration,
)
from wallet_node.customers.view import CustomerView
from wallet_node.errors import Refusal
from wallet_node.fields import address_bytes, identifier_bytes
from wallet_node.journal.entries import mandate_proof_hash
from wallet_node.journal.nonces import Content
from wallet_node.policy.policy import Policy

NO_PROOF = bytes(32)
"""What stands in a journal row for the hash of a proof that was not there or could not be read."""


class ProofTerms(msgspec.Struct, frozen=True, gc=False):
    """Whose passkeys count, and for which currency: its EIP-712 domain separator."""

    relying_party: RelyingParty
    separator: bytes

    @classmethod
    def of(cls, policy: Policy, separator: bytes) -> "ProofTerms | None":
        """The terms of a policy; None where it names no relying party, so that nothing can be proved."""
        party = policy.file.customer_proof
        return None if party is None else cls(party, separator)


class ProvedByAssertion(msgspec.Struct, frozen=True, gc=False):
    """The customer approved exactly this."""

    kind: ClassVar = "assertion"
    proof_hash: bytes
    wallet: bytes
    credential_id: bytes
    sign_count: int

    def record(self, view: CustomerView) -> None:
        """It is used: the authenticator's counter is kept."""
        view.record_sign_count(self.wallet, self.credential_id, self.sign_count)


class ProvedByMandate(msgspec.Struct, frozen=True, gc=False):
    """The customer approved payments like this one."""

    kind: ClassVar = "mandate"
    proof_hash: bytes
    mandate_id: bytes
    amount_minor: int

    def record(self, view: CustomerView) -> None:
        """It is used: the amount counts in the mandate's period."""
        view.record_spending(self.mandate_id, self.amount_minor)


Proved = ProvedByAssertion | ProvedByMandate
PROVED = (ProvedByAssertion, ProvedByMandate)
"""The same for `isinstance`, which asks a tuple faster than a union."""


class Unproved(msgspec.Struct, frozen=True):
    """There is no proof. Whether the payment is allowed without, the policy says; `refusal` is for its no."""

    proof_hash: bytes = NO_PROOF
    refusal: Refusal = Refusal("ProofMissing", "this payment needs the customer's proof")


class Disproved(msgspec.Struct, frozen=True):
    """There is a proof, and it does not hold: then no allowance helps either."""

    reasons: tuple[Refusal, ...]
    proof_hash: bytes = NO_PROOF


class MandateAccepted(msgspec.Struct, frozen=True):
    """A mandate is registered now, by this proof; or was before, which is the same to the caller."""

    mandate_id: bytes
    terms: MandateTerms
    proof: ProvedByAssertion | None
    digest: bytes = b""
    """What the customer approved of a new one."""

    @property
    def is_new(self) -> bool:
        return self.proof is not None

    def record(self, view: CustomerView) -> None:
        """Keep the mandate, if it is new."""
        if self.proof is not None:
            self.proof.record(view)
            view.record_mandate(self.mandate_id, self.terms, self.proof.proof_hash)


UNPROVED = Unproved()


def decide_proof(
    payment_id: bytes, payment: Content, proof: Proof | None, view: CustomerView, terms: ProofTerms
) -> Proved | Unproved | Disproved:
    """Whether a payment's customer wants it. Asked at an id's first signature only.

    When the payment will be signed, `record(view)` of what is proved must follow.
    """
    if proof is None:
        return UNPROVED
    if not isinstance(proof, AssertionProof):
        return _decide_by_mandate(identifier_bytes(proof.mandate_id), payment, view)
    challenge = payment_approval_digest(
        terms.separator,
        payment_id,
        payment.signer,
        payment.counterparty,
        amount_minor=payment.amount,
        expires_at_s=proof.expires_at_s,
    )
    return decide_approval(payment.signer, challenge, proof, view, terms)


def decide_mandate_registration(
    asked: MandateRegistration, view: CustomerView, terms: ProofTerms
) -> MandateAccepted | Disproved:
    """Whether a mandate is one, and the customer's. `record(view)` must follow when it is accepted."""
    mandate_id = identifier_bytes(asked.mandate_id)
    content = MandateTerms(
        address_bytes(asked.payer),
        address_bytes(asked.payee),
        asked.cap_minor,
        asked.period,
        asked.starts_at_s,
        asked.expires_at_s,
    )
    edited = view.refuse_edited(mandate_id)
    if edited is not None:
        return Disproved((edited,))
    kept = view.mandates.get(mandate_id)
    known = None if kept is None else kept.terms
    decided = decide_registration(content, known, mandate_id in view.revoked, view.now_s)
    if decided is False:
        return MandateAccepted(mandate_id, content, None)
    if decided is not True:
        return Disproved(decided)
    approved = Mandate(
        mandate_id,
        content.payer,
        content.payee,
        content.cap_minor,
        content.period,
        content.starts_at_s,
        content.expires_at_s,
        asked.approval.expires_at_s,
    )
    digest = approved.digest(terms.separator)
    proved = decide_approval(content.payer, digest, asked.approval, view, terms)
    if isinstance(proved, Disproved):
        return proved
    return MandateAccepted(mandate_id, content, proved, digest)


def decide_approval(
    wallet: bytes, challenge: bytes, approval: Approval, view: CustomerView, terms: ProofTerms
) -> ProvedByAssertion | Disproved:
    """Whether a wallet's customer approved what has this digest, with a credential that is bound now."""
    assertion = parse_assertion(approval)
    if isinstance(assertion, Refusal):
        return Disproved((assertion,))
    proof_hash = _hash_assertion(assertion, approval.expires_at_s)
    edited = view.refuse_edited(wallet)
    if edited is not None:
        return Disproved((edited,), proof_hash)
    if view.now_s >= approval.expires_at_s:
        detail = f"the customer's approval was good until {approval.expires_at_s}, and it is {view.now_s}"
        return Disproved((Refusal("ProofExpired", detail),), proof_hash)
    kept = view.bound_credential(wallet, assertion.credential_id)
    if kept is None:
        detail = f"the credential is not bound to 0x{wallet.hex()}"
        return Disproved((Refusal("CredentialUnknown", detail),), proof_hash)
    sign_count = verify_assertion(assertion, kept.credential, challenge, terms.relying_party, kept.sign_count)
    if isinstance(sign_count, Refusal):
        return Disproved((sign_count,), proof_hash)
    return ProvedByAssertion(proof_hash, wallet, assertion.credential_id, sign_count)


def _decide_by_mandate(
    mandate_id: bytes, payment: Content, view: CustomerView
) -> ProvedByMandate | Disproved:
    proof_hash = mandate_proof_hash(mandate_id)
    edited = view.refuse_edited(mandate_id)
    if edited is not None:
        return Disproved((edited,), proof_hash)
    kept = view.mandates.get(mandate_id)
    content, spent_minor = (None, 0) if kept is None else (kept.terms, kept.spent_minor)
    reasons = decide_mandate(content, mandate_id in view.revoked, payment, spent_minor, view.now_s)
    if reasons:
        return Disproved(reasons, proof_hash)
    return ProvedByMandate(proof_hash, mandate_id, payment.amount)


def _hash_assertion(assertion: Assertion, expires_at_s: int) -> bytes:
    """What a journal row keeps of it: each member behind its length, so that none can be read as another."""
    members = (
        assertion.credential_id,
        assertion.authenticator_data,
        assertion.client_data,
        assertion.signature,
    )
    framed = b"".join(len(member).to_bytes(4) + member for member in members)
    return sha256(b"florin-proof/1\0assertion\0" + expires_at_s.to_bytes(8) + framed).digest()
