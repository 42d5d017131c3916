"""What a policy file may say: its structure, with the bounds of every field.

Unknown fields are refused everywhere. What one field alone cannot tell (references, weak combinations) is in
policy_soundness.py; how a file is read, in policy_reading.py.
"""

from typing import Annotated, Literal

import msgspec

from wallet_node.callers import Caller
from wallet_node.customer_proof import RelyingParty
from wallet_node.fields import MAXIMUM_INTEGER, MAXIMUM_KEY_INDEX

DERIVED = "derived"
"""The role of an address that this node derived for a customer."""
OTHER = "other"
"""The role of an address whose key this node does not hold; a call's target that is no bound contract."""
ANY = "any"
CREDENTIAL_CHANGE = "credential-change"
"""The kind of an operation that changes a credential without its customer."""

SHORTEST_APPROVAL_S = 60
LONGEST_APPROVAL_S = 30 * 86_400

Count = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_INTEGER)]
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]
RuleName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
Code = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Za-z0-9]{2,60}\Z")]
Signature = Annotated[str, msgspec.Meta(pattern=r"\A[a-zA-Z_][a-zA-Z0-9_]*\([a-z0-9,\[\]()]*\)\Z")]
Base64Url = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z", max_length=1400)]
OfficerKey = Annotated[str, msgspec.Meta(pattern=r"\Aed25519:[A-Za-z0-9_-]{43}\Z")]
Intent = Literal["payment", "fan_out", "permit", "authorization", "account_move"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file."""


class CustomerTerms(Terms, frozen=True):
    """Whether customer keys may be derived, and up to which index."""

    highest_index: Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_KEY_INDEX)]


class NonceTerms(Terms, frozen=True):
    """How far a caller's floor may lift a nonce in one step."""

    longest_payment_jump: Count
    longest_transaction_jump: Count


class Credential(Terms, frozen=True):
    """A passkey: COSE's -7 is ES256 (x|y, 64 bytes), -8 is Ed25519 (32 bytes)."""

    credential_id: Base64Url
    algorithm: Literal[-7, -8]
    public_key: Base64Url


class Officer(Terms, frozen=True):
    """Who may approve: by an Ed25519 key, or by a passkey."""

    name: Name
    key: OfficerKey | None = None
    credential: Credential | None = None


class Quorum(Terms, frozen=True):
    """So many approvals of these officers; an operation waits for them at most `valid_s`."""

    name: Name
    approvals: Annotated[int, msgspec.Meta(ge=1, le=100)]
    officers: tuple[Name, ...]
    valid_s: Annotated[int, msgspec.Meta(ge=SHORTEST_APPROVAL_S, le=LONGEST_APPROVAL_S)]


class RollingCaps(Terms, frozen=True):
    """The most in any 24 hours and in any 168 hours, in minor units."""

    day_minor: Count | None = None
    week_minor: Count | None = None


class PaymentCaps(Terms, frozen=True):
    """Rolling caps of the whole institution under one rule and, in `wallet`, of each payer."""

    day_minor: Count | None = None
    week_minor: Count | None = None
    wallet: RollingCaps | None = None


class Unproved(Terms, frozen=True):
    """What may be paid without the customer's proof. All of it is in the hands of whoever holds the API.

    Each signature ends at most `longest_validity_s` ahead, and the same payment is signed again as a later
    attempt up to `attempts_within_s` after its first signature, so that allowances of many days cannot be
    kept and executed at once; without them, as far ahead as any other, and for ever.
    """

    per_payment_cap_minor: Count
    wallet: RollingCaps
    institution: RollingCaps
    longest_validity_s: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_INTEGER)] | None = None
    attempts_within_s: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_INTEGER)] | None = None


class Hours(Terms, frozen=True):
    """From one full hour to another on these days, UTC; `to` is the first hour outside."""

    first_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = msgspec.field(name="from")
    end_hour: Annotated[int, msgspec.Meta(ge=1, le=24)] = msgspec.field(name="to")
    days: tuple[Day, ...] = DAYS


class PaymentRule(Terms, frozen=True):
    """Who may pay whom. `payer` and `payee`: a key's name, `derived`, `other` or `any`."""

    name: RuleName
    effect: Literal["allow", "deny"]
    payer: Name
    payee: Name
    intents: tuple[Intent, ...] = ("payment",)
    code: Code | None = None
    per_payment_cap_minor: Count | None = None
    caps: PaymentCaps | None = None
    hours: tuple[Hours, ...] | None = None
    proof: Literal["customer"] | None = None
    unproved: Unproved | None = None
    quorum: Name | None = None


class TransactionRule(Terms, frozen=True):
    """Which calls a key may make. `to` names a bound contract; `calls` are Solidity signatures."""

    name: RuleName
    effect: Literal["allow", "deny"]
    key: Name
    to: Literal["currency", "notary", "other", "any"]
    calls: tuple[Signature, ...]
    code: Code | None = None
    maximum_value_wei: Count = 0
    maximum_gas: Count | None = None
    maximum_fee_per_gas_wei: Count | None = None
    per_call_cap_minor: Count | None = None
    caps: RollingCaps | None = None
    hours: tuple[Hours, ...] | None = None
    quorum: Name | None = None


class CredentialTerms(Terms, frozen=True):
    """Which quorum changes a customer's credential without the customer, no sooner than `cooling_s` after it
    was proposed. Until then a credential that is bound can refuse it.
    """

    quorum: Name
    cooling_s: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_APPROVAL_S)] = 0


class Changes(Terms, frozen=True):
    """Which quorum replaces the policy, a customer's credential, or fills a gap of nonces; none, nobody.

    A quorum's name alone under `credentials` stands for no cooling.
    """

    policy: Name | None = None
    credentials: Name | CredentialTerms | None = None
    repairs: Name | None = None

    @property
    def credential_terms(self) -> CredentialTerms | None:
        """How credentials are changed, however it is written."""
        named = self.credentials
        return CredentialTerms(named) if isinstance(named, str) else named


class PolicyFile(Terms, frozen=True):
    """The declarative file as written."""

    name: Name
    version: Count
    summary: str
    nonces: NonceTerms
    longest_validity_s: Count
    customers: CustomerTerms | None = None
    customer_proof: RelyingParty | None = None
    callers: tuple[Caller, ...] = ()
    officers: tuple[Officer, ...] = ()
    quorums: tuple[Quorum, ...] = ()
    changes: Changes = Changes()
    payments: tuple[PaymentRule, ...] = ()
    transactions: tuple[TransactionRule, ...] = ()

    def cooling_s(self, kind: str) -> int:
        """How long an operation of this kind waits at least, whoever has approved it."""
        terms = self.changes.credential_terms if kind == CREDENTIAL_CHANGE else None
        return 0 if terms is None else terms.cooling_s

    def officer(self, name: str) -> Officer | None:
        """The officer of that name."""
        return next((officer for officer in self.officers if officer.name == name), None)

    def quorum(self, name: str) -> Quorum | None:
        """The quorum of that name."""
        return next((quorum for quorum in self.quorums if quorum.name == name), None)
