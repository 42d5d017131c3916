"""One request for a structure's signature, and what is decided about it: by the policy, of each group of
payees; by the customer's proof; by what the node refuses whatever the policy says.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.batch import unpack_fan_out
from contracts.customer_approvals import FanOutApproval
from wallet_node.customer_proof import AssertionProof
from wallet_node.customers.proof_decisions import (
    UNPROVED,
    Disproved,
    ProofTerms,
    ProvedByAssertion,
    Unproved,
    decide_approval,
)
from wallet_node.customers.view import CustomerView
from wallet_node.errors import Refusal
from wallet_node.fields import address_bytes
from wallet_node.intents.movements import Movements
from wallet_node.intents.requests import TypedData
from wallet_node.intents.typed_intents import (
    AccountMove,
    CancelAuthorization,
    FanOut,
    NonceUse,
    Permit,
    ReceiveWithAuthorization,
    TransferWithAuthorization,
    TypedIntent,
)
from wallet_node.journal.entries import AttemptRefused, IdRefused, reasons_of
from wallet_node.journal.nonces import Content, KnownIntent, PaymentTerms, Space
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.provider import KeyProvider, SigningKey
from wallet_node.policy.policy import ANY, DERIVED, OTHER, PaymentFacts, Policy
from wallet_node.policy.spending import Reservations

KINDS: Mapping[type[TypedIntent], str] = {
    FanOut: "fan_out",
    Permit: "permit",
    TransferWithAuthorization: "authorization",
    ReceiveWithAuthorization: "authorization",
    CancelAuthorization: "authorization",
    AccountMove: "account_move",
}
"""What a policy calls them."""

FOR_EVER = PaymentTerms(0)
"""The terms of what has no time: a cancellation."""


@dataclass(slots=True)
class Desk:
    """One request, and what has been decided of it so far."""

    asked: TypedData
    policy: Policy
    now_s: int
    intent_id: bytes
    separator: bytes
    use: NonceUse
    space: Space
    content: Content
    terms: PaymentTerms
    moved: Movements
    role: str
    key: SigningKey | None
    groups: Mapping[str, int]
    reservations: Reservations
    view: CustomerView
    page: Page
    must_name: bool

    @property
    def kind(self) -> str:
        return KINDS[type(self.asked.intent)]


def counterparty(intent: TypedIntent) -> bytes:
    """Who may get the money, where it is one."""
    match intent:
        case Permit():
            return address_bytes(intent.spender)
        case TransferWithAuthorization() | ReceiveWithAuthorization():
            return address_bytes(intent.payee)
    return b""


def payee_groups(
    keys: KeyProvider, intent: TypedIntent, payer_role: str, policy: Policy
) -> Mapping[str, int]:
    """What goes to payees of each role, in minor units; what has no payee counts as going elsewhere."""
    sums: Counter[bytes] = Counter()
    match intent:
        case FanOut():
            for entry in unpack_fan_out(bytes.fromhex(intent.payments[2:])):
                sums[entry.payee] += entry.amount_minor
        case Permit() | TransferWithAuthorization() | ReceiveWithAuthorization():
            sums[counterparty(intent)] = intent.amount_minor
    if not policy.looks_at_payee(payer_role):
        return {ANY: sums.total()}
    if not sums:
        return {OTHER: 0}
    own, groups = keys.own_addresses(list(sums)), Counter[str]()
    for payee, amount_minor in sums.items():
        groups[keys.name_of(payee) or (DERIVED if payee in own else OTHER)] += amount_minor
    return groups


def judge(
    desk: Desk, known: KnownIntent | None, *, has_proof: bool
) -> tuple[tuple[Refusal, ...], str | None]:
    """Every reason of the policy, and the quorum that it asks for. Each group of payees is judged, with what
    the groups before it take already counted: a cap sees the whole sum.
    """
    refusals: dict[Refusal, None] = {}
    quorums: dict[str, None] = {}
    for payee_role, amount_minor in desk.groups.items():
        facts = PaymentFacts(
            payer=desk.content.signer,
            payer_role=desk.role,
            payee_role=payee_role,
            amount_minor=amount_minor,
            now_s=desk.now_s,
            is_first_signature=known is None,
            has_proof=has_proof,
            intent=desk.kind,
            valid_for_s=max(desk.terms.valid_before_s - desk.now_s, 0),
            first_signed_s=desk.now_s if known is None else known.first_signed_s,
        )
        decision = desk.policy.evaluate_payment(facts, desk.reservations.spent)
        refusals |= dict.fromkeys(decision.refusals)
        desk.reservations.reserve(decision.reserves, amount_minor)
        if decision.quorum is not None:
            quorums[decision.quorum] = None
    if len(quorums) > 1:
        detail = f"its payees need different quorums ({', '.join(quorums)}); ask for one fan-out each"
        refusals[Refusal("QuorumsDiffer", detail)] = None
    return tuple(refusals), next(iter(quorums), None)


def prove(desk: Desk) -> ProvedByAssertion | Unproved | Disproved:
    """Whether the customer approved it, where there is a word of the customer."""
    proof, intent = desk.asked.proof, desk.asked.intent
    if proof is None:
        return UNPROVED
    if not isinstance(intent, FanOut):
        detail = f"a {type(intent).__name__} takes no proof: customers approve payments and fan-outs"
        return Disproved((Refusal("ProofNotExpected", detail),))
    terms = ProofTerms.of(desk.policy, desk.separator)
    if terms is None:
        detail = "the policy names no customer_proof, so no proof can be judged"
        return Disproved((Refusal("ProofNotExpected", detail),))
    if not isinstance(proof, AssertionProof):
        detail = "a mandate covers payments to its payee one by one, and no fan-out"
        return Disproved((Refusal("MandateNotForFanOut", detail),))
    approved = FanOutApproval(
        desk.intent_id, desk.content.signer, bytes.fromhex(intent.payments[2:]), proof.expires_at_s
    )
    return decide_approval(desk.content.signer, approved.digest(terms.separator), proof, desk.view, terms)


def validity(desk: Desk) -> tuple[Refusal, ...]:
    return judge_validity(desk.policy, desk.terms.valid_before_s, desk.now_s)


def judge_validity(policy: Policy, until_s: int, now_s: int) -> tuple[Refusal, ...]:
    """Why a signature would stay executable for too long."""
    latest_s = now_s + policy.file.longest_validity_s
    if until_s <= latest_s:
        return ()
    return (Refusal("ValidBeforeTooFar", f"{until_s} is after {latest_s}, the latest allowed"),)


def one_attempt(desk: Desk) -> tuple[Refusal, ...]:
    """What goes with a nonce of the caller's own."""
    if desk.use.random is None:
        return ()
    refusals: tuple[Refusal, ...] = ()
    if desk.asked.attempt != 1:
        refusals = (Refusal("AttemptNotExpected", "what has a random nonce has one attempt, the first"),)
    if desk.asked.nonce_floor:
        detail = "a random nonce does not count, so it has no floor"
        refusals = (*refusals, Refusal("NonceFloorNotExpected", detail))
    return refusals


def refuse(desk: Desk, known: KnownIntent | None, refused: Disproved) -> None:
    """Journal a refusal: an id seen for the first time stays refused, another one keeps what it has."""
    reasons = reasons_of(refused.reasons)
    if known is None:
        row = Row(desk.intent_id, IdRefused(desk.kind, desk.content, reasons), refused.proof_hash)
        desk.page.refused.append(row)
    else:
        row = Row(desk.intent_id, AttemptRefused(desk.kind, desk.content, reasons))
        desk.page.refused_attempts.append(row)
