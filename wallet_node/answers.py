"""What the verbs answer, for the description of the HTTP surface; an answer may have more fields."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wallet_node.fields import Address, Identifier

Hash = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{64}\Z")]
HexBytes = Annotated[str, msgspec.Meta(pattern=r"\A0x(?:[0-9a-f]{2})*\Z")]
Natural = Annotated[int, msgspec.Meta(ge=0)]


class PolicyIdentity(msgspec.Struct):
    """Which policy is in force; `hash` is the SHA-256 of its file."""

    name: str
    hash: Hash


class Keys(msgspec.Struct):
    """The named keys' addresses, and how many customer keys were handed out."""

    keys: dict[str, Address]
    derived: Natural
    policy: PolicyIdentity


class JournalHead(msgspec.Struct):
    """How many rows the journal has, and the hash that commits to all of them."""

    size: Natural
    head: Hash


class RefusedKey(msgspec.Struct):
    """An index whose key was not made, or is not told: its credential or the index itself is refused."""

    index: Natural
    code: str
    detail: str


class Addresses(msgspec.Struct):
    """Customer keys' addresses, parallel to the indices: null where there is a refusal."""

    addresses: list[Address | None]
    refusals: list[RefusedKey] | UnsetType = UNSET


class Reason(msgspec.Struct):
    """One reason of a refusal. `code` is stable; `detail` is for people."""

    code: str
    detail: str


class RefusedPayment(msgspec.Struct):
    """The first reason, and all of them."""

    code: str
    detail: str
    reasons: list[Reason]


class Pending(msgspec.Struct):
    """Nothing is signed yet: so many of the officers who are needed have approved. Ask the same again."""

    state: Literal["pending"]
    operation_id: Identifier
    digest: Hash
    approvals: Natural
    needed: Natural
    expires_at_s: Natural


class MandateResult(msgspec.Struct):
    """A mandate that holds from now on, or why it does not."""

    mandate_id: Identifier
    refusal: RefusedPayment | UnsetType = UNSET


class MandateResults(msgspec.Struct):
    """One result for each mandate, in the order asked."""

    results: list[MandateResult]


class Revoked(msgspec.Struct):
    """How many ids are good for nothing from now on."""

    revoked: Natural


class CredentialChanged(msgspec.Struct):
    """The change is made."""

    change_id: Identifier


class Operation(msgspec.Struct):
    """What waits for officers. An approval's message is made of `digest` and the policy's hash."""

    operation_id: Identifier
    kind: str
    digest: Hash
    description: dict[str, Any]
    quorum: str
    initiator: str
    approved: list[str]
    is_satisfied: bool
    proposed_at_s: Natural
    expires_at_s: Natural


class Operations(msgspec.Struct):
    """Everything that waits, the one that expires first before the others."""

    policy_hash: Hash
    operations: list[Operation]


class OperationState(msgspec.Struct):
    """Where an operation stands after an officer's word."""

    operation_id: Identifier
    state: Literal["pending", "executed", "withdrawn", "expired"]
    approvals: Natural
    needed: Natural


class PolicyInForce(msgspec.Struct):
    """The policy that decides from now on."""

    policy: PolicyIdentity


class PaymentResult(msgspec.Struct):
    """Either a nonce and its EIP-2098 signature (r 32 | vs 32), or a refusal."""

    payment_id: Identifier
    nonce: Natural | UnsetType = UNSET
    signature: Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{128}\Z")] | UnsetType = UNSET
    refusal: RefusedPayment | UnsetType = UNSET
    pending: Pending | UnsetType = UNSET


class PaymentResults(msgspec.Struct):
    """One result for each payment, in the order asked."""

    results: list[PaymentResult]


class SignedTransaction(msgspec.Struct):
    """The raw bytes to broadcast, their hash and their nonce."""

    nonce: Natural
    raw: HexBytes
    hash: Hash


class Liveness(msgspec.Struct):
    """The process answers."""

    alive: Literal[True]


class Readiness(msgspec.Struct):
    """`ready` when every expected key is loaded and the self-test verified."""

    ready: bool
    keys: Natural
    derived: Natural
    journal_rows: Natural
    bound: bool
    policy: str


class Problem(msgspec.Struct):
    """RFC 9457, with the stable code and every reason."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    reasons: list[Reason]
