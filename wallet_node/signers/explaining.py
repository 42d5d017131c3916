"""Why the policy decides as it does: the decision on an intent and every rule's part in it. Pure; nothing is
signed, reserved or journaled.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from wallet_node.deployment import Deployment
from wallet_node.errors import ContradictoryRequest, Refusal
from wallet_node.fields import address_bytes
from wallet_node.intents.call_movements import transaction_movements
from wallet_node.intents.movements import Kind, Movement, Movements, Setting, describe, total_minor
from wallet_node.intents.requests import ExplainRequest, Payment, Transaction, TypedData
from wallet_node.intents.typed_intents import movements, plain_refusals, signer, valid_until_s
from wallet_node.journal.journal import Journal
from wallet_node.keystore.provider import KeyProvider
from wallet_node.policy.policy import DERIVED, OTHER, Part, PaymentFacts, Policy, Spent, TransactionFacts
from wallet_node.policy.spending import Spending
from wallet_node.signers.typed_data_desk import KINDS, judge_validity, payee_groups


class UsedCap(msgspec.Struct, frozen=True):
    """What one ledger had used for one subject, in minor units; `subject` is a wallet, or the institution."""

    ledger: str
    subject: str
    day_minor: int
    week_minor: int


class Explanation(msgspec.Struct, frozen=True):
    """The decision, whom it waits for, and each rule's part; as JSON by `msgspec.to_builtins`."""

    policy: str
    policy_hash: str
    facts: dict[str, Any]
    outcome: str
    refusals: tuple[Refusal, ...]
    proof_needed: bool
    quorum: str | None
    used: tuple[UsedCap, ...]
    rules: tuple[Part, ...]

    @property
    def text(self) -> str:
        """Readable, a line for each thing."""
        lines = [f"{self.outcome} by {self.policy} ({self.policy_hash[:18]})"]
        lines += [f"  {refusal.code}: {refusal.detail}" for refusal in self.refusals]
        for part in self.rules:
            lines.append(f"  rule {part.rule}: {part.outcome}")
            lines += [f"    {reason}" for reason in part.because]
        return "\n".join(lines)


def explain(policy: Policy, facts: PaymentFacts | TransactionFacts, spent: Spent) -> Explanation:
    """What the policy would decide now, with `spent` as of now."""
    if isinstance(facts, PaymentFacts):
        decision = policy.evaluate_payment(facts, spent, explain=True)
        shared, for_each_wallet = policy.payment_caps(facts.payer_role)
        keys = (*shared, *((ledger, facts.payer) for ledger in for_each_wallet))
    else:
        decision = policy.evaluate_transaction(facts, spent, explain=True)
        keys = policy.transaction_caps(facts.key)
    if decision.refusals:
        outcome = "refused"
    else:
        outcome = "allowed" if decision.quorum is None else "waits for officers"
    return Explanation(
        policy=policy.name,
        policy_hash="0x" + policy.digest.hex(),
        facts=_readable(facts),
        outcome=outcome,
        refusals=decision.refusals,
        proof_needed=decision.proof_needed,
        quorum=decision.quorum,
        used=tuple(
            UsedCap(
                ledger, _subject(subject), spent[ledger, subject].day_minor, spent[ledger, subject].week_minor
            )
            for ledger, subject in keys
        ),
        rules=decision.parts,
    )


def _together(
    told: Sequence[tuple[str, Explanation]], plain: Sequence[Refusal], amount_minor: int
) -> Explanation:
    """The explanations of all groups as one; where there are several, each reason says of which it is."""
    (_, first), several = told[0], len(told) > 1
    refusals = dict.fromkeys((*plain, *(each for _, one in told for each in one.refusals)))
    quorums = dict.fromkeys(one.quorum for _, one in told if one.quorum is not None)
    if len(quorums) > 1:
        detail = f"its payees need different quorums ({', '.join(quorums)}); ask for one fan-out each"
        refusals[Refusal("QuorumsDiffer", detail)] = None
    outcome = "refused" if refusals else ("waits for officers" if quorums else "allowed")
    return msgspec.structs.replace(
        first,
        facts=first.facts
        | {"payee_role": " and ".join(role for role, _ in told), "amount_minor": amount_minor},
        outcome=outcome,
        refusals=tuple(refusals),
        proof_needed=any(one.proof_needed for _, one in told),
        quorum=None if refusals else next(iter(quorums), None),
        rules=tuple(_of_group(role, part) if several else part for role, one in told for part in one.rules),
    )


def _of_group(role: str, part: Part) -> Part:
    because = tuple(f"to {role}: {reason}" for reason in part.because) or (f"to {role}",)
    return msgspec.structs.replace(part, because=because)


def _readable(facts: PaymentFacts | TransactionFacts) -> dict[str, Any]:
    return {
        name: "0x" + value.hex() if isinstance(value, bytes) else value
        for name, value in msgspec.structs.asdict(facts).items()
    }


def _subject(subject: bytes) -> str:
    return "0x" + subject.hex() if subject else "institution"


class Explainer:
    """Puts together what the policy looks at, as the signers do, and asks it for every rule's part."""

    def __init__(self, keys: KeyProvider, journal: Journal, spending: Spending) -> None:
        self._keys = keys
        self._journal = journal
        self._spending = spending

    def explain(
        self, request: ExplainRequest, deployment: Deployment, policy: Policy, clock_s: int
    ) -> dict[str, Any]:
        """The explanation as JSON. Raises ContradictoryRequest unless there is exactly one intent.

        A proof is taken to hold: whether it does is not the policy's question.
        """
        now_s = self._journal.now_s(clock_s)
        facts: PaymentFacts | TransactionFacts
        given = (request.payment, request.transaction, request.typed_data)
        if sum(each is not None for each in given) != 1:
            raise ContradictoryRequest("explain has one of payment, transaction and typed_data")
        if request.typed_data is not None:
            return self._explain_structure(request.typed_data, policy, now_s)
        if request.payment is not None:
            facts = self._payment_facts(request.payment, now_s)
            shared, for_each_wallet = policy.payment_caps(facts.payer_role)
            caps = {*shared, *((ledger, facts.payer) for ledger in for_each_wallet)}
            moved: Movements | Refusal = (
                Movement(Kind.PAYMENT, facts.payer, address_bytes(request.payment.payee), facts.amount_minor),
            )
        else:
            assert request.transaction is not None, "one of the three"
            facts, moved = self._call_facts(request.transaction, deployment, now_s)
            caps = set(policy.transaction_caps(facts.key))
        explanation = explain(policy, facts, self._spending.open(caps, now_s).spent)
        says = [moved.detail] if isinstance(moved, Refusal) else [describe(each) for each in moved[:50]]
        return {**msgspec.to_builtins(explanation), "moves": says}

    def _explain_structure(self, asked: TypedData, policy: Policy, now_s: int) -> dict[str, Any]:
        """Each group of payees of one role is judged as it is for signing, and all are told as one."""
        intent, payer = asked.intent, signer(asked.intent)
        role, until_s = self._role(payer), valid_until_s(asked.intent) or 0
        shared, for_each_wallet = policy.payment_caps(role)
        caps = {*shared, *((ledger, payer) for ledger in for_each_wallet)}
        reservations = self._spending.open(caps, now_s)
        told: list[tuple[str, Explanation]] = []
        for payee_role, amount_minor in payee_groups(self._keys, intent, role, policy).items():
            facts = PaymentFacts(
                payer=payer,
                payer_role=role,
                payee_role=payee_role,
                amount_minor=amount_minor,
                now_s=now_s,
                has_proof=asked.proof is not None,
                intent=KINDS[type(intent)],
                valid_for_s=max(until_s - now_s, 0),
            )
            told.append((payee_role, explain(policy, facts, reservations.spent)))
            decision = policy.evaluate_payment(facts, reservations.spent)
            reservations.reserve(decision.reserves, amount_minor)
        plain = (*plain_refusals(intent), *judge_validity(policy, until_s, now_s))
        moved = movements(intent)
        explanation = _together(told, plain, total_minor(moved))
        return {**msgspec.to_builtins(explanation), "moves": [describe(each) for each in moved[:50]]}

    def _payment_facts(self, payment: Payment, now_s: int) -> PaymentFacts:
        payer, payee = address_bytes(payment.payer), address_bytes(payment.payee)
        return PaymentFacts(
            payer=payer,
            payer_role=self._role(payer),
            payee_role=self._role(payee),
            amount_minor=payment.amount_minor,
            now_s=now_s,
            has_proof=payment.proof is not None,
        )

    def _call_facts(
        self, intent: Transaction, deployment: Deployment, now_s: int
    ) -> tuple[TransactionFacts, Movements | Refusal]:
        to, data = address_bytes(intent.to), bytes.fromhex(intent.data[2:])
        target = deployment.target(to)
        caller = self._keys.named.get(intent.key, b"")
        moved = transaction_movements(target, Setting(caller, to), data, intent.value)
        facts = TransactionFacts(
            key=intent.key,
            target=target,
            selector=data[:4],
            value_wei=intent.value,
            gas=intent.gas,
            max_fee_per_gas_wei=intent.max_fee_per_gas,
            now_s=now_s,
            amount_minor=None if isinstance(moved, Refusal) else total_minor(moved),
        )
        return facts, moved

    def _role(self, address: bytes) -> str:
        name = self._keys.name_of(address)
        if name is not None:
            return name
        return DERIVED if self._keys.own_addresses([address]) else OTHER
