"""Policy: an intent and what was spent so far -> allowed, or every reason why not. Pure; no I/O after
loading.

Default deny: an intent that no `allow` rule matches is refused. Deny wins: one matching `deny` rule, or one
cap of any matching rule, refuses whatever else allows it. Every rule is evaluated and every refusal is
reported.
"""

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import sha3
import yaml

from wallet_node.errors import MalformedPolicy, Refusal
from wallet_node.intents import MAXIMUM_INTEGER, MAXIMUM_KEY_INDEX

DERIVED = "derived"
"""The role of an address that this node derived for a customer."""
OTHER = "other"
"""The role of an address whose key this node does not hold; a call's target that is no bound contract."""
ANY = "any"

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_INTEGER)]
_Role = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]
_Code = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Za-z0-9]{2,60}\Z")]
_Signature = Annotated[str, msgspec.Meta(pattern=r"\A[a-zA-Z_][a-zA-Z0-9_]*\([a-z0-9,\[\]()]*\)\Z")]


class CustomerTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether customer keys may be derived, and up to which index."""

    highest_index: Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_KEY_INDEX)]


class NonceTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a caller's floor may lift a nonce in one step."""

    longest_payment_jump: _Count
    longest_transaction_jump: _Count


class PaymentRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may pay whom. `payer` and `payee`: a key's name, `derived`, `other` or `any`."""

    name: str
    effect: Literal["allow", "deny"]
    payer: _Role
    payee: _Role
    code: _Code | None = None
    per_payment_cap_minor: _Count | None = None
    daily_cap_minor: _Count | None = None


class TransactionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls a key may make. `to` names a bound contract; `calls` are Solidity signatures."""

    name: str
    effect: Literal["allow", "deny"]
    key: _Role
    to: Literal["currency", "notary", "any"]
    calls: tuple[_Signature, ...]
    code: _Code | None = None
    maximum_value_wei: _Count = 0
    maximum_gas: _Count | None = None
    maximum_fee_per_gas_wei: _Count | None = None


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The declarative file as written."""

    name: _Role
    version: _Count
    summary: str
    nonces: NonceTerms
    longest_validity_s: _Count
    customers: CustomerTerms | None = None
    payments: tuple[PaymentRule, ...] = ()
    transactions: tuple[TransactionRule, ...] = ()


class PaymentFacts(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at. Caps count a payment once, at its first signature."""

    payer_role: str
    payee_role: str
    amount_minor: int
    is_first_signature: bool


class TransactionFacts(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at; `target` is the bound contract's name or `other`, `selector` may be empty."""

    key: str
    target: str
    selector: bytes
    value_wei: int
    gas: int
    max_fee_per_gas_wei: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed when there is no refusal; then `reserves` says which daily caps the amount counts against."""

    refusals: tuple[Refusal, ...]
    reserves: tuple[str, ...] = ()


_ALLOWED = Decision(())


class Policy:
    """One loaded policy file. `digest` is the SHA-256 of its bytes; it goes into every journal row."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.digest = hashlib.sha256(source).digest()
        self.file = _parse(source)
        _require_sound(self.file)
        self._transaction_rules = tuple(
            (rule, frozenset(selector(call) for call in rule.calls)) for rule in self.file.transactions
        )
        self._payment_rules: dict[tuple[str, str], tuple[PaymentRule, ...]] = {}
        self._looks_at_payee: dict[str, bool] = {}

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

    def looks_at_payee(self, payer_role: str) -> bool:
        """Whether a payment of this payer can only be judged once the payee's role is known."""
        looks = self._looks_at_payee.get(payer_role)
        if looks is None:
            looks = any(rule.payee != ANY for rule in self.file.payments if rule.payer in (ANY, payer_role))
            self._looks_at_payee[payer_role] = looks
        return looks

    def evaluate_payment(self, facts: PaymentFacts, spent: Mapping[str, int]) -> Decision:
        """Judge one payment; `spent` is what each daily cap has used today, by rule name."""
        matching = self._matching(facts.payer_role, facts.payee_role)
        if len(matching) == 1 and _is_plain_allow(matching[0]):
            return _ALLOWED
        refusals: list[Refusal] = []
        reserves: list[str] = []
        is_allowed = False
        for rule in matching:
            if rule.effect == "deny":
                refusals.append(Refusal(rule.code or "DeniedByRule", f"denied by the rule {rule.name!r}"))
                continue
            is_allowed = True
            refusals.extend(_caps_passed(rule, facts, spent.get(rule.name, 0)))
            if rule.daily_cap_minor is not None and facts.is_first_signature:
                reserves.append(rule.name)
        if not is_allowed:
            who = f"a payment from {facts.payer_role} to {facts.payee_role}"
            refusals.append(Refusal("NoRuleAllows", f"no rule of {self.name!r} allows {who}"))
        return Decision(tuple(refusals), tuple(reserves))

    def evaluate_transaction(self, facts: TransactionFacts) -> Decision:
        """Judge one transaction by its key, target, selector, value, gas and fee."""
        refusals: list[Refusal] = []
        is_allowed = False
        for rule, selectors in self._transaction_rules:
            if rule.key not in (ANY, facts.key) or facts.selector not in selectors:
                continue
            if rule.to not in (ANY, facts.target):
                continue
            if rule.effect == "deny":
                refusals.append(Refusal(rule.code or "DeniedByRule", f"denied by the rule {rule.name!r}"))
                continue
            is_allowed = True
            refusals.extend(_bounds_passed(rule, facts))
        if not is_allowed:
            target = "another address" if facts.target == OTHER else f"the {facts.target}"
            what = f"{facts.key} to call 0x{facts.selector.hex()} on {target}"
            refusals.append(Refusal("NoRuleAllows", f"no rule of {self.name!r} allows {what}"))
        return Decision(tuple(refusals))

    def evaluate_derivation(self, highest_index: int) -> Decision:
        """Judge a request to derive customer keys."""
        terms = self.file.customers
        if terms is None:
            return Decision((Refusal("NoRuleAllows", f"{self.name!r} allows no customer keys"),))
        if highest_index > terms.highest_index:
            detail = f"index {highest_index} is above {terms.highest_index}, the highest that is allowed"
            return Decision((Refusal("KeyIndexTooHigh", detail),))
        return _ALLOWED

    def _matching(self, payer_role: str, payee_role: str) -> tuple[PaymentRule, ...]:
        roles = (payer_role, payee_role)
        found = self._payment_rules.get(roles)
        if found is None:
            found = tuple(
                rule
                for rule in self.file.payments
                if rule.payer in (ANY, payer_role) and rule.payee in (ANY, payee_role)
            )
            self._payment_rules[roles] = found
        return found


def selector(signature: str) -> bytes:
    """The first four bytes of the keccak-256 of a Solidity signature."""
    digest: bytes = sha3.keccak_256(signature.encode("ascii")).digest()
    return digest[:4]


def _is_plain_allow(rule: PaymentRule) -> bool:
    return rule.effect == "allow" and rule.per_payment_cap_minor is None and rule.daily_cap_minor is None


def _caps_passed(rule: PaymentRule, facts: PaymentFacts, spent_minor: int) -> list[Refusal]:
    passed = []
    cap = rule.per_payment_cap_minor
    if cap is not None and facts.amount_minor > cap:
        passed.append(Refusal("PerPaymentCapExceeded", f"{facts.amount_minor} is above {cap} ({rule.name})"))
    cap = rule.daily_cap_minor
    if cap is not None and facts.is_first_signature and spent_minor + facts.amount_minor > cap:
        detail = f"{spent_minor} of {cap} are used today; {facts.amount_minor} more do not fit ({rule.name})"
        passed.append(Refusal("DailyCapExceeded", detail))
    return passed


def _bounds_passed(rule: TransactionRule, facts: TransactionFacts) -> list[Refusal]:
    bounds = (
        ("ValueNotAllowed", "value", facts.value_wei, rule.maximum_value_wei),
        ("GasTooHigh", "gas", facts.gas, rule.maximum_gas),
        ("FeeTooHigh", "max_fee_per_gas", facts.max_fee_per_gas_wei, rule.maximum_fee_per_gas_wei),
    )
    return [
        Refusal(code, f"{field} {asked} is above {most} ({rule.name})")
        for code, field, asked, most in bounds
        if most is not None and asked > most
    ]


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a mapping with a repeated key instead of keeping the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise MalformedPolicy(f"a mapping repeats a key, near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep=deep)


def _parse(source: bytes) -> PolicyFile:
    load: Callable[[bytes, Any], Any] = yaml.load
    try:
        return msgspec.convert(load(source, _UniqueKeyLoader), PolicyFile, strict=True)
    except (yaml.YAMLError, msgspec.ValidationError, TypeError) as error:
        raise MalformedPolicy(f"the policy cannot be used: {error}") from None


def _require_sound(file: PolicyFile) -> None:
    names = [rule.name for rule in file.payments] + [rule.name for rule in file.transactions]
    if len(set(names)) != len(names):
        raise MalformedPolicy("two rules share a name; caps are kept by name")
    for rule in file.payments:
        if rule.effect == "deny" and (rule.per_payment_cap_minor, rule.daily_cap_minor) != (None, None):
            raise MalformedPolicy(f"the deny rule {rule.name!r} has a cap; only an allow rule can")
    for call_rule in file.transactions:
        if not call_rule.calls:
            raise MalformedPolicy(f"the rule {call_rule.name!r} lists no call")
