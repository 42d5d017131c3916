"""The rules of a policy, made ready at loading: what each says about one intent. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec
import sha3

from wallet_node.errors import Refusal
from wallet_node.policy.file import ANY, DAYS, Hours, PaymentRule, TransactionRule

CapKey = tuple[str, bytes]
"""Whose spending is counted where: a rule's ledger, and the payer's 20 bytes or b"" for all together."""
INSTITUTION = b""
_SECONDS_AN_HOUR, _HOURS_A_WEEK = 3600, 168
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday


class Used(msgspec.Struct, gc=False):
    """What was spent in the last 24 and the last 168 hours, in minor units."""

    day_minor: int = 0
    week_minor: int = 0


Spent = Mapping[CapKey, Used]
"""Holds every key that the policy names for what is judged: a missing one is a KeyError, not zero."""


class PaymentFacts(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at. Caps count a payment once, at its first signature; there, too, it needs its
    proof. `has_proof` says that a customer's proof was verified, not only given; of a later attempt, that one
    was when it was first signed. `valid_for_s`: how far ahead the signature ends; `first_signed_s`: when a
    later attempt's first signature was journaled. Of a fan-out each group of payees of one role is judged,
    with the group's sum.
    """

    payer: bytes
    payer_role: str
    payee_role: str
    amount_minor: int
    now_s: int
    is_first_signature: bool = True
    has_proof: bool = False
    intent: str = "payment"
    valid_for_s: int = 0
    first_signed_s: int = 0


class TransactionFacts(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at; `target` is the bound contract's name or `other`, `selector` may be empty.

    `amount_minor` is what the call moves, or None where its data could not be read as a movement.
    """

    key: str
    target: str
    selector: bytes
    value_wei: int
    gas: int
    max_fee_per_gas_wei: int
    now_s: int
    amount_minor: int | None = None
    is_first_signature: bool = True


Outcome = Literal["no match", "allowed", "refused", "denied"]


class Part(msgspec.Struct, frozen=True):
    """What one rule said, for people."""

    rule: str
    outcome: Outcome
    because: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Allowed when there is no refusal; then the amount is to be reserved under each key of `reserves`.

    `proof_needed`: among the refusals is one that a customer's proof would lift. `quorum`: what is allowed
    still waits for the approvals of this quorum; nothing may be signed before.
    """

    refusals: tuple[Refusal, ...]
    reserves: tuple[CapKey, ...] = ()
    proof_needed: bool = False
    quorum: str | None = None
    parts: tuple[Part, ...] = ()


class Limit:
    """The caps of one ledger for one kind of subject, ready to be compared."""

    __slots__ = ("day_code", "day_minor", "ledger", "shared_key", "week_code", "week_minor", "whose")

    def __init__(self, ledger: str, day: int | None, week: int | None, *, is_wallet: bool) -> None:
        self.ledger = ledger
        self.shared_key: CapKey | None = None if is_wallet else (ledger, INSTITUTION)
        # no cap is one that no amount reaches: a comparison is cheaper than a question
        self.day_minor: float = float("inf") if day is None else day
        self.week_minor: float = float("inf") if week is None else week
        self.whose = "the wallet's" if is_wallet else "the institution's"
        self.day_code = "WalletDailyCapExceeded" if is_wallet else "DailyCapExceeded"
        self.week_code = "WalletWeeklyCapExceeded" if is_wallet else "WeeklyCapExceeded"

    def exceeded(self, used: Used, amount_minor: int) -> list[Refusal]:
        """A refusal for each window in which the amount does not fit."""
        windows = (
            (self.day_code, used.day_minor, self.day_minor, "24 hours"),
            (self.week_code, used.week_minor, self.week_minor, "168 hours"),
        )
        return [
            Refusal(
                code,
                f"{spent} of {self.whose} {cap} are used in {window}; {amount_minor} more do not fit"
                f" ({self.ledger})",
            )
            for code, spent, cap, window in windows
            if spent + amount_minor > cap
        ]


class ReadyPaymentRule:
    """One payment rule, made ready at loading."""

    __slots__ = (
        "allowances",
        "hours",
        "is_deny",
        "limits",
        "needs_proof",
        "per_payment",
        "rule",
        "unproved_attempts_s",
        "unproved_cap",
        "unproved_validity_s",
    )

    def __init__(self, rule: PaymentRule) -> None:
        self.rule = rule
        self.is_deny = rule.effect == "deny"
        self.hours = _hours_mask(rule.hours)
        self.per_payment: float = _or_infinite(rule.per_payment_cap_minor)
        self.needs_proof = rule.proof is not None
        limits, allowances = [], []
        if rule.caps is not None:
            if rule.caps.day_minor is not None or rule.caps.week_minor is not None:
                limits.append(Limit(rule.name, rule.caps.day_minor, rule.caps.week_minor, is_wallet=False))
            if rule.caps.wallet is not None:
                wallet = rule.caps.wallet
                limits.append(Limit(rule.name, wallet.day_minor, wallet.week_minor, is_wallet=True))
        self.unproved_cap: float | None = None
        self.unproved_validity_s: float = float("inf")
        self.unproved_attempts_s: float = float("inf")
        if rule.unproved is not None:
            self.unproved_validity_s = _or_infinite(rule.unproved.longest_validity_s)
            self.unproved_attempts_s = _or_infinite(rule.unproved.attempts_within_s)
            self.unproved_cap = rule.unproved.per_payment_cap_minor
            ledger = f"{rule.name}/unproved"
            for caps, is_wallet in ((rule.unproved.institution, False), (rule.unproved.wallet, True)):
                allowances.append(Limit(ledger, caps.day_minor, caps.week_minor, is_wallet=is_wallet))
        self.limits = tuple(limits)
        self.allowances = tuple(allowances)

    def mismatches(self, facts: PaymentFacts) -> list[str]:
        """Why the rule does not speak about this payment; empty where it does, hours aside."""
        rule, because = self.rule, []
        for field, wanted, found in (
            ("payer", rule.payer, facts.payer_role),
            ("payee", rule.payee, facts.payee_role),
        ):
            if wanted not in (ANY, found):
                because.append(f"the {field} is {found}, not {wanted}")
        if facts.intent not in rule.intents:
            because.append(f"the intent is {facts.intent}, not {' or '.join(rule.intents)}")
        return because

    def is_open(self, now_s: int) -> bool:
        return self.hours is None or bool(self.hours >> _hour_of_week(now_s) & 1)

    def judge(
        self, facts: PaymentFacts, spent: Spent, refusals: list[Refusal], reserves: list[CapKey]
    ) -> bool:
        """Add what this allow rule refuses and reserves; whether a proof is missing."""
        amount_minor = facts.amount_minor
        if amount_minor > self.per_payment:
            name = self.rule.name
            refusals.append(
                Refusal("PerPaymentCapExceeded", f"{amount_minor} is above {self.per_payment} ({name})")
            )
        is_missing = False
        if facts.valid_for_s > self.unproved_validity_s and not facts.has_proof:
            is_missing = True
            detail = f"{facts.valid_for_s} s are more than {self.unproved_validity_s}, the longest"
            detail += f" that is signed without the customer's proof ({self.rule.name}); ask for less"
            refusals.append(Refusal("UnprovedValidityTooLong", detail))
        if not facts.is_first_signature:
            self._judge_age(facts, refusals)
            return is_missing
        for limit in self.limits:
            key = limit.shared_key or (limit.ledger, facts.payer)
            used = spent[key]
            if used.day_minor + amount_minor > limit.day_minor or (
                used.week_minor + amount_minor > limit.week_minor
            ):
                refusals += limit.exceeded(used, amount_minor)
            reserves.append(key)
        if not self.needs_proof or facts.has_proof:
            return False
        cap = self.unproved_cap
        if cap is None:
            refusals.append(
                Refusal("ProofRequired", f"the customer's own proof is needed ({self.rule.name})")
            )
            return True
        if amount_minor > cap:
            is_missing = True
            detail = f"{amount_minor} is above {cap}, the most that needs no proof of the customer"
            refusals.append(Refusal("ProofRequired", f"{detail} ({self.rule.name})"))
        for limit in self.allowances:
            key = limit.shared_key or (limit.ledger, facts.payer)
            used = spent[key]
            if used.day_minor + amount_minor > limit.day_minor or (
                used.week_minor + amount_minor > limit.week_minor
            ):
                is_missing = True
                refusals += [
                    Refusal("ProofRequired", refusal.detail) for refusal in limit.exceeded(used, amount_minor)
                ]
            reserves.append(key)
        return is_missing

    def _judge_age(self, facts: PaymentFacts, refusals: list[Refusal]) -> None:
        """Refuse a later attempt of what had no proof when it took its allowance long ago."""
        age_s = facts.now_s - facts.first_signed_s
        if age_s > self.unproved_attempts_s and not facts.has_proof:
            detail = f"it was first signed {age_s} s ago, without the customer's proof, and is signed again"
            detail += f" for {self.unproved_attempts_s} s only ({self.rule.name}); ask for a new payment"
            refusals.append(Refusal("UnprovedAttemptTooLate", detail))


class ReadyTransactionRule:
    """One transaction rule, made ready at loading."""

    __slots__ = ("hours", "is_deny", "limit", "rule", "selectors")

    def __init__(self, rule: TransactionRule) -> None:
        self.rule = rule
        self.is_deny = rule.effect == "deny"
        self.hours = _hours_mask(rule.hours)
        self.selectors = frozenset(selector(call) for call in rule.calls)
        caps = rule.caps
        self.limit = (
            None if caps is None else Limit(rule.name, caps.day_minor, caps.week_minor, is_wallet=False)
        )

    def mismatches(self, facts: TransactionFacts) -> list[str]:
        """Why the rule does not speak about this call; empty where it does, hours aside."""
        rule, because = self.rule, []
        if rule.key not in (ANY, facts.key):
            because.append(f"the key is {facts.key}, not {rule.key}")
        if rule.to not in (ANY, facts.target):
            because.append(f"the target is {facts.target}, not {rule.to}")
        if facts.selector not in self.selectors:
            because.append(f"0x{facts.selector.hex()} is none of its calls")
        return because

    def is_open(self, now_s: int) -> bool:
        return self.hours is None or bool(self.hours >> _hour_of_week(now_s) & 1)

    def judge(
        self, facts: TransactionFacts, spent: Spent, refusals: list[Refusal], reserves: list[CapKey]
    ) -> None:
        """Add what this allow rule refuses and reserves."""
        rule = self.rule
        for code, field, asked, most in (
            ("ValueNotAllowed", "value", facts.value_wei, rule.maximum_value_wei),
            ("GasTooHigh", "gas", facts.gas, rule.maximum_gas),
            ("FeeTooHigh", "max_fee_per_gas", facts.max_fee_per_gas_wei, rule.maximum_fee_per_gas_wei),
        ):
            if most is not None and asked > most:
                refusals.append(Refusal(code, f"{field} {asked} is above {most} ({rule.name})"))
        if rule.per_call_cap_minor is None and self.limit is None:
            return
        amount_minor = facts.amount_minor
        if amount_minor is None:
            detail = f"what the call moves cannot be read from its data, and is capped ({rule.name})"
            refusals.append(Refusal("AmountUnknown", detail))
            return
        if rule.per_call_cap_minor is not None and amount_minor > rule.per_call_cap_minor:
            detail = f"{amount_minor} is above {rule.per_call_cap_minor} ({rule.name})"
            refusals.append(Refusal("PerCallCapExceeded", detail))
        if self.limit is not None and facts.is_first_signature:
            key = (rule.name, INSTITUTION)
            refusals += self.limit.exceeded(spent[key], amount_minor)
            reserves.append(key)


def selector(signature: str) -> bytes:
    """The first four bytes of the keccak-256 of a Solidity signature."""
    digest: bytes = sha3.keccak_256(signature.encode("ascii")).digest()
    return digest[:4]


def denied(rule: PaymentRule | TransactionRule) -> Refusal:
    return Refusal(rule.code or "DeniedByRule", f"denied by the rule {rule.name!r}")


def outside(rule: PaymentRule | TransactionRule) -> Refusal:
    return Refusal("OutsideHours", f"the rule {rule.name!r} allows it at other hours: {hours_text(rule)}")


def part_of(
    rule: PaymentRule | TransactionRule, because: list[str], refusals: list[Refusal], *, is_match: bool
) -> Part:
    if not is_match:
        return Part(rule.name, "no match", tuple(because) or (f"it speaks of {hours_text(rule)}",))
    if rule.effect == "deny":
        return Part(rule.name, "denied", (denied(rule).detail,))
    if refusals:
        reasons = tuple(f"{refusal.code}: {refusal.detail}" for refusal in refusals)
        return Part(rule.name, "refused", reasons)
    return Part(rule.name, "allowed", () if rule.quorum is None else (f"with the quorum {rule.quorum!r}",))


def hours_text(rule: PaymentRule | TransactionRule) -> str:
    windows = [
        f"{' '.join(hours.days)} {hours.first_hour:02}:00-{hours.end_hour:02}:00 UTC"
        for hours in rule.hours or ()
    ]
    return ", ".join(windows)


def _hours_mask(windows: tuple[Hours, ...] | None) -> int | None:
    """The hours of a week, Monday's first the lowest bit; None for all of them."""
    if windows is None:
        return None
    mask = 0
    for window in windows:
        for day in window.days:
            for hour in range(window.first_hour, window.end_hour):
                mask |= 1 << DAYS.index(day) * 24 + hour
    return mask


def _hour_of_week(now_s: int) -> int:
    return (now_s // _SECONDS_AN_HOUR + _EPOCH_WEEKDAY * 24) % _HOURS_A_WEEK


def _or_infinite(cap: int | None) -> float:
    return float("inf") if cap is None else cap
