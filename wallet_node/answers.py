"""What the verbs answer, for the description of the HTTP surface; an answer may have more fields."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wallet_node.intents import Address, Identifier

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


class Addresses(msgspec.Struct):
    """Customer keys' addresses, parallel to the indices."""

    addresses: list[Address]


class Reason(msgspec.Struct):
    """One reason of a refusal. `code` is stable; `detail` is for people."""

    code: str
    detail: str


class RefusedPayment(msgspec.Struct):
    """The first reason, and all of them."""

    code: str
    detail: str
    reasons: list[Reason]


class PaymentResult(msgspec.Struct):
    """Either a nonce and its EIP-2098 signature (r 32 | vs 32), or a refusal."""

    payment_id: Identifier
    nonce: Natural | UnsetType = UNSET
    signature: Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{128}\Z")] | UnsetType = UNSET
    refusal: RefusedPayment | UnsetType = UNSET


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
