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
    """How many rows the journal has, and the Merkle root of all of them (RFC 9162)."""

    size: Natural
    root: Hash


class JournalInclusion(msgspec.Struct):
    """A row as it is hashed, and the siblings upwards from its leaf, SHA-256(0x00 | row) (RFC 9162)."""

    row: HexBytes
    proof: list[Hash]


class JournalConsistency(msgspec.Struct):
    """What shows that the smaller tree begins the larger one (RFC 9162)."""

    proof: list[Hash]


class JournalRows(msgspec.Struct):
    """Rows as they are hashed: MessagePack, each with the leaf of the one before it."""

    rows: list[HexBytes]


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
    digest: Hash | UnsetType = UNSET
    """With `InitiatorRequired`: what the officer who proposes it signs, under `policy_hash`."""
    policy_hash: Hash | UnsetType = UNSET


class Reasoned(msgspec.Struct):
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
    cooling_until_s: Natural | UnsetType = UNSET
    """Before this time nothing is done, whoever has approved."""


class MandateResult(msgspec.Struct):
    """A mandate that holds from now on, or why it does not."""

    mandate_id: Identifier
    refusal: Reasoned | UnsetType = UNSET


class MandateResults(msgspec.Struct):
    """One result for each mandate, in the order asked."""

    results: list[MandateResult]


class Revoked(msgspec.Struct):
    """How many ids are good for nothing from now on."""

    revoked: Natural


class CredentialChanged(msgspec.Struct):
    """The change is made."""

    change_id: Identifier


class CredentialRefused(msgspec.Struct):
    """The change is not made, whoever approves it."""

    change_id: Identifier
    state: Literal["withdrawn"]


class Operation(msgspec.Struct):
    """What waits for officers. An approval's message is made of `digest` and the policy's hash."""

    operation_id: Identifier
    kind: str
    digest: Hash
    description: dict[str, Any]
    quorum: str
    initiator: str
    approved: list[str]
    needed: Natural
    is_satisfied: bool
    proposed_at_s: Natural
    expires_at_s: Natural
    cooling_until_s: Natural | UnsetType = UNSET


class Operations(msgspec.Struct):
    """What waits, the one that expires first before the others. `next`: ask for the page after it."""

    policy_hash: Hash
    operations: list[Operation]
    next: Identifier | UnsetType = UNSET


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
    refusal: Reasoned | UnsetType = UNSET
    pending: Pending | UnsetType = UNSET


class PaymentResults(msgspec.Struct):
    """One result for each payment, in the order asked."""

    results: list[PaymentResult]


class SignedTransaction(msgspec.Struct):
    """The raw bytes to broadcast, their hash and their nonce."""

    nonce: Natural
    raw: HexBytes
    hash: Hash


class SignedTypedData(msgspec.Struct):
    """The nonce that was signed under, counted or random, and the signature in its encoding.

    `eip-2098` is r 32 | vs 32, as the contract takes a fan-out's; `r-s-v` is r 32 | s 32 | v 1 (27 or 28).
    """

    intent_id: Identifier
    nonce: Natural | Hash
    encoding: Literal["eip-2098", "r-s-v"]
    signature: Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{128}(?:[0-9a-f]{2})?\Z")]


Point = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{128}\Z")]
"""A public key: x 32 | y 32."""


class JsonRpcError(msgspec.Struct):
    """web3signer's number and message; `data` has our stable code, the sentence and every reason."""

    code: int
    message: str
    data: Reasoned


class JsonRpcResponse(msgspec.Struct):
    """A result or an error. `id` is the call's, or null where it could not be read."""

    jsonrpc: Literal["2.0"]
    id: int | str | None
    result: Any | UnsetType = UNSET
    error: JsonRpcError | UnsetType = UNSET


JsonRpc = JsonRpcResponse | list[JsonRpcResponse]
"""One response to a call, one for each to a batch."""


class WireHealth(msgspec.Struct):
    """web3signer's health."""

    status: Literal["UP", "DOWN"]
    checks: list[dict[str, str]]
    outcome: Literal["UP", "DOWN"]


class WireStatus(msgspec.Struct):
    """web3signer's answer to a reload."""

    status: Literal["idle", "completed"]
    message: str | UnsetType = UNSET


class Liveness(msgspec.Struct):
    """The process answers."""

    alive: Literal[True]


class Readiness(msgspec.Struct):
    """`ready` when every expected key is loaded and the self-test verified. `policy_file` is "replaced" where
    officers have approved another policy than the file that the node was started with.
    """

    ready: bool
    keys: Natural
    derived: Natural
    journal_rows: Natural
    bound: bool
    policy: str
    policy_version: Natural
    policy_file: Literal["in force", "replaced"]


class Problem(msgspec.Struct):
    """RFC 9457, with the stable code and every reason."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    reasons: list[Reason]
