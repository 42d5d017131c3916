"""Why the policy decides as it does: the decision on an intent and every rule's part in it. Pure; nothing is
signed, reserved or journaled.
"""

from typing import Any

import msgspec

from wallet_node.errors import Refusal
from wallet_node.policy import Part, PaymentFacts, Policy, Spent, TransactionFacts


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


def _readable(facts: PaymentFacts | TransactionFacts) -> dict[str, Any]:
    return {
        name: "0x" + value.hex() if isinstance(value, bytes) else value
        for name, value in msgspec.structs.asdict(facts).items()
    }


def _subject(subject: bytes) -> str:
    return "0x" + subject.hex() if subject else "institution"
