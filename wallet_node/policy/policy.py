"""Policy: an intent and what was spent so far -> allowed, or every reason why not. Pure; no I/O after
loading.

Default deny: an intent that no `allow` rule matches is refused. Deny wins: one matching `deny` rule, or one
cap of any matching rule, refuses whatever else allows it; so a rule that asks for a proof or a quorum is not
lifted by another one that asks for none. Every rule is evaluated and every refusal is reported.
"""

import hashlib
from pathlib import Path

from wallet_node.errors import MalformedPolicy, Refusal
from wallet_node.policy.file import ANY, DERIVED, OTHER, PolicyFile
from wallet_node.policy.reading import read_policy_file
from wallet_node.policy.rules import (
    INSTITUTION,
    CapKey,
    Decision,
    Part,
    PaymentFacts,
    ReadyPaymentRule,
    ReadyTransactionRule,
    Spent,
    TransactionFacts,
    Used,
    denied,
    outside,
    part_of,
    selector,
)
from wallet_node.policy.soundness import require_sound

__all__ = [
    "ANY",
    "DERIVED",
    "INSTITUTION",
    "OTHER",
    "CapKey",
    "Decision",
    "Part",
    "PaymentFacts",
    "Policy",
    "Spent",
    "TransactionFacts",
    "Used",
    "selector",
]

_ALLOWED = Decision(())


class Policy:
    """One loaded policy file. `digest` is the SHA-256 of its bytes; it goes into every journal row."""

    def __init__(self, source: bytes) -> None:
        """Raises MalformedPolicy, which names the rule, the field and what is allowed."""
        self.source = source
        self.digest = hashlib.sha256(source).digest()
        self.file: PolicyFile = read_policy_file(source)
        require_sound(self.file)
        self._calls = tuple(map(ReadyTransactionRule, self.file.transactions))
        self._payments = tuple(map(ReadyPaymentRule, self.file.payments))
        self._matching: dict[tuple[str, str, str], tuple[ReadyPaymentRule, ...]] = {}
        self._looks_at_payee: dict[str, bool] = {}
        self._caps: dict[str, tuple[tuple[CapKey, ...], tuple[str, ...]]] = {}

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy file. Raises MalformedPolicy."""
        try:
            source = path.read_bytes()
        except OSError as error:
            raise MalformedPolicy(f"cannot read the policy {path.name}: {error.strerror}") from None
        return cls(source)

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def ledgers(self) -> tuple[str, ...]:
        """Every ledger in which this policy counts spending. They are kept by the rules' names: a rule that
        is renamed begins anew."""
        payments = (limit.ledger for rule in self._payments for limit in (*rule.limits, *rule.allowances))
        calls = (rule.limit.ledger for rule in self._calls if rule.limit is not None)
        return tuple(dict.fromkeys((*payments, *calls)))

    def looks_at_payee(self, payer_role: str) -> bool:
        """Whether a payment of this payer can only be judged once the payee's role is known."""
        looks = self._looks_at_payee.get(payer_role)
        if looks is None:
            looks = any(rule.payee != ANY for rule in self.file.payments if rule.payer in (ANY, payer_role))
            self._looks_at_payee[payer_role] = looks
        return looks

    def payment_caps(self, payer_role: str) -> tuple[tuple[CapKey, ...], tuple[str, ...]]:
        """What must be in `Spent` to judge payments of this role: the keys that all payers share, and the
        ledgers that are kept for each wallet (their keys are `(ledger, payer)`)."""
        found = self._caps.get(payer_role)
        if found is None:
            limits = [
                limit
                for rule in self._payments
                if rule.rule.payer in (ANY, payer_role)
                for limit in (*rule.limits, *rule.allowances)
            ]
            shared = tuple(limit.shared_key for limit in limits if limit.shared_key is not None)
            found = shared, tuple(limit.ledger for limit in limits if limit.shared_key is None)
            self._caps[payer_role] = found
        return found

    def transaction_caps(self, key: str) -> tuple[CapKey, ...]:
        """What must be in `Spent` to judge a transaction of this key."""
        return tuple(
            (rule.limit.ledger, INSTITUTION)
            for rule in self._calls
            if rule.limit is not None and rule.rule.key in (ANY, key)
        )

    def evaluate_payment(self, facts: PaymentFacts, spent: Spent, *, explain: bool = False) -> Decision:
        """Judge one payment. With `explain`, the decision has every rule's part."""
        refusals: list[Refusal] = []
        reserves: list[CapKey] = []
        elsewhen: list[Refusal] = []
        quorum: str | None = None
        is_allowed = proof_needed = False
        matching = self._matching.get((facts.payer_role, facts.payee_role, facts.intent))
        for rule in self._match(facts) if matching is None else matching:
            if rule.hours is not None and not rule.is_open(facts.now_s):
                elsewhen += [] if rule.is_deny else [outside(rule.rule)]
                continue
            if rule.is_deny:
                refusals.append(denied(rule.rule))
                continue
            is_allowed = True
            if rule.judge(facts, spent, refusals, reserves):
                proof_needed = True
            if rule.rule.quorum is not None:
                quorum = rule.rule.quorum
        if not is_allowed:
            what = f"a {facts.intent} from {facts.payer_role} to {facts.payee_role}"
            refusals += elsewhen or [Refusal("NoRuleAllows", f"no rule of {self.name!r} allows {what}")]
        parts = self._payment_parts(facts, spent) if explain else ()
        return _decision(facts, refusals, reserves, proof_needed=proof_needed, quorum=quorum, parts=parts)

    def evaluate_transaction(
        self, facts: TransactionFacts, spent: Spent, *, explain: bool = False
    ) -> Decision:
        """Judge one transaction by its key, target, selector, amount, value, gas and fee."""
        refusals: list[Refusal] = []
        reserves: list[CapKey] = []
        elsewhen: list[Refusal] = []
        quorum: str | None = None
        is_allowed = False
        for rule in self._calls:
            if rule.mismatches(facts):
                continue
            if not rule.is_open(facts.now_s):
                elsewhen += [] if rule.is_deny else [outside(rule.rule)]
                continue
            if rule.is_deny:
                refusals.append(denied(rule.rule))
                continue
            is_allowed = True
            rule.judge(facts, spent, refusals, reserves)
            quorum = rule.rule.quorum or quorum
        if not is_allowed:
            target = "another address" if facts.target == OTHER else f"the {facts.target}"
            what = f"{facts.key} to call 0x{facts.selector.hex()} on {target}"
            refusals += elsewhen or [Refusal("NoRuleAllows", f"no rule of {self.name!r} allows {what}")]
        parts = self._call_parts(facts, spent) if explain else ()
        return _decision(facts, refusals, reserves, proof_needed=False, quorum=quorum, parts=parts)

    def evaluate_derivation(self, highest_index: int) -> Decision:
        """Judge a request to derive customer keys."""
        terms = self.file.customers
        if terms is None:
            return Decision((Refusal("NoRuleAllows", f"{self.name!r} allows no customer keys"),))
        if highest_index > terms.highest_index:
            detail = f"index {highest_index} is above {terms.highest_index}, the highest that is allowed"
            return Decision((Refusal("KeyIndexTooHigh", detail),))
        return _ALLOWED

    def _match(self, facts: PaymentFacts) -> tuple[ReadyPaymentRule, ...]:
        found = tuple(rule for rule in self._payments if not rule.mismatches(facts))
        self._matching[facts.payer_role, facts.payee_role, facts.intent] = found
        return found

    def _payment_parts(self, facts: PaymentFacts, spent: Spent) -> tuple[Part, ...]:
        parts = []
        for rule in self._payments:
            refusals: list[Refusal] = []
            because = rule.mismatches(facts)
            is_match = not because and rule.is_open(facts.now_s)
            if is_match and not rule.is_deny:
                rule.judge(facts, spent, refusals, [])
            parts.append(part_of(rule.rule, because, refusals, is_match=is_match))
        return tuple(parts)

    def _call_parts(self, facts: TransactionFacts, spent: Spent) -> tuple[Part, ...]:
        parts = []
        for rule in self._calls:
            refusals: list[Refusal] = []
            because = rule.mismatches(facts)
            is_match = not because and rule.is_open(facts.now_s)
            if is_match and not rule.is_deny:
                rule.judge(facts, spent, refusals, [])
            parts.append(part_of(rule.rule, because, refusals, is_match=is_match))
        return tuple(parts)


def _decision(
    facts: PaymentFacts | TransactionFacts,
    refusals: list[Refusal],
    reserves: list[CapKey],
    *,
    proof_needed: bool,
    quorum: str | None,
    parts: tuple[Part, ...],
) -> Decision:
    if refusals:
        return Decision(tuple(refusals), (), proof_needed, None, parts)
    # a later attempt is what was approved already, under its nonce
    return Decision((), tuple(reserves), False, quorum if facts.is_first_signature else None, parts)
