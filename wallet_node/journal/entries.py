"""What a row of the journal says: the bytes that are stored, hashed and anchored.

A row is a MessagePack array: version, sequence, hash of the leaf before, time, policy in force, hash of the
proof (empty when there was none), id, and the decision, which is an array that begins with its kind. Each row
can be read alone: it names chain, contract and space itself, and no number of a table. The same row always
has the same bytes, so a row that does not encode back to itself was not written by a node.

A row's leaf in the Merkle tree is SHA-256(0x00 | bytes), RFC 9162, section 2.1.1; since each row carries the
leaf before it, the rows are a hash chain as well.
"""

from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from wallet_node.errors import JournalBroken, Refusal
from wallet_node.journal.nonces import Content, Fees, PaymentTerms, Space

GENESIS: Final = bytes(32)
"""What the first row carries in place of the leaf before it."""

Natural = Annotated[int, msgspec.Meta(ge=0)]


class Reason(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One reason of a refusal, as it was answered."""

    code: str
    detail: str


Charge = tuple[str, bool, Natural]
"""What a signature took of a rolling cap: the ledger; whether of the signer's own budget, or of all payers'
together; minor units."""


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """What was decided; the kinds are below."""


# ------------------------------------------------------------------------------------------ signatures


class Signed(Decision, frozen=True):
    """What the three kinds of signatures share. Only an id's first signature has `charges`."""

    space: Space
    content: Content
    nonce: Natural | bytes
    attempt: Natural
    terms: PaymentTerms | Fees
    digest: bytes
    charges: tuple[Charge, ...] = ()


class PaymentSigned(Signed, frozen=True, tag="payment-signed"):
    """One attempt at a payment. `digest` is what is signed, which with the key gives the signature."""

    space: Space
    content: Content
    nonce: Natural
    attempt: Natural
    terms: PaymentTerms
    digest: bytes
    charges: tuple[Charge, ...] = ()


class TransactionSigned(Signed, frozen=True, tag="transaction-signed"):
    """One attempt at a transaction."""

    space: Space
    content: Content
    nonce: Natural
    attempt: Natural
    terms: Fees
    digest: bytes
    charges: tuple[Charge, ...] = ()


class TypedDataSigned(Signed, frozen=True, tag="typed-data-signed"):
    """One attempt at a permit, an authorization or another closed structure; `form` is its primary type.

    The nonce is 32 bytes where the standard wants a random one (EIP-3009).
    """

    space: Space
    content: Content
    nonce: Natural | bytes
    attempt: Natural
    terms: PaymentTerms
    digest: bytes
    charges: tuple[Charge, ...] = ()
    form: str = ""


class NonceRepaired(Decision, frozen=True, tag="nonce-repaired"):
    """A transfer of nothing to oneself under the nonce of the row's id, which was never mined.

    `operation_id` is the approval. It is the only kind that shares a nonce with another content.
    """

    space: Space
    signer: bytes
    nonce: Natural
    attempt: Natural
    terms: Fees
    digest: bytes
    operation_id: bytes


# ------------------------------------------------------------------------------------------ refusals


class IdRefused(Decision, frozen=True, tag="refused"):
    """The first decision about an id: it signs nothing, ever. `what` names the kind of request."""

    what: str
    content: Content | None
    reasons: tuple[Reason, ...]


class AttemptRefused(Decision, frozen=True, tag="attempt-refused"):
    """Something else was asked of an id that has its nonce. It keeps what it had."""

    what: str
    content: Content | None
    reasons: tuple[Reason, ...]


# ------------------------------------------------------------------------------------------ operations


class OperationPending(Decision, frozen=True, tag="operation-pending"):
    """Waits for officers. `digest` is of what is to be done; `initiator` an officer's name, or empty;
    `description_hash` the SHA-256 of what officers are shown.
    """

    what: str
    digest: bytes
    quorum: str
    approvals_needed: Natural
    expires_at_s: Natural
    initiator: str
    description_hash: bytes


class OperationHandedOver(Decision, frozen=True, tag="operation-handed-over"):
    """The policy in force asks another quorum than when the operation was proposed."""

    digest: bytes
    quorum: str


class OperationApproved(Decision, frozen=True, tag="operation-approved"):
    """One officer's approval; the row's proof hash is of the statement. `ends` the operation when the quorum
    cannot be found any more.
    """

    digest: bytes
    officer: str
    expires_at_s: Natural
    ends: bool


class OperationWithdrawn(Decision, frozen=True, tag="operation-withdrawn"):
    """An officer's withdrawal: of an approval, or of the operation itself, which it then `ends`."""

    digest: bytes
    officer: str
    expires_at_s: Natural
    ends: bool


class OperationRefused(Decision, frozen=True, tag="operation-refused"):
    """The customer of the wallet that it is about refused it; the row's proof hash is of the assertion."""

    digest: bytes
    wallet: bytes


class OperationExpired(Decision, frozen=True, tag="operation-expired"):
    """The operation's time passed."""

    digest: bytes


class OperationExecuted(Decision, frozen=True, tag="operation-executed"):
    """The operation had its quorum and was done."""

    digest: bytes
    officers: tuple[str, ...]


# ------------------------------------------------------------------------------------------ customers


class CredentialBound(Decision, frozen=True, tag="credential-bound"):
    """A wallet's first credential, at its creation."""

    wallet: bytes
    credential_hash: bytes


class CredentialChanged(Decision, frozen=True, tag="credential-changed"):
    """Hashes of what was bound and unbound, 32 zero bytes for none; `by` a credential or the quorum.

    With `ends_mandates` a MandateRevoked follows for each mandate of the wallet.
    """

    wallet: bytes
    bound_hash: bytes
    unbound_hash: bytes
    by: str
    ends_mandates: bool


class MandateRegistered(Decision, frozen=True, tag="mandate-registered"):
    """A customer's standing authority; the row's id is the mandate's."""

    payer: bytes
    payee: bytes
    cap_minor: Natural
    period: str
    starts_at_s: Natural
    expires_at_s: Natural
    digest: bytes


class MandateRevoked(Decision, frozen=True, tag="mandate-revoked"):
    """A mandate's end, whether it was known or not."""


# ------------------------------------------------------------------------------------------ policy


class PolicyActivated(Decision, frozen=True, tag="policy-activated"):
    """The rows after this one are decided by `activated`. The row itself carries the policy before."""

    activated: bytes


AnyDecision = (
    PaymentSigned
    | TransactionSigned
    | TypedDataSigned
    | NonceRepaired
    | IdRefused
    | AttemptRefused
    | OperationPending
    | OperationHandedOver
    | OperationApproved
    | OperationWithdrawn
    | OperationRefused
    | OperationExpired
    | OperationExecuted
    | CredentialBound
    | CredentialChanged
    | MandateRegistered
    | MandateRevoked
    | PolicyActivated
)


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One whole row."""

    version: Literal[2]
    sequence: Annotated[int, msgspec.Meta(ge=1)]
    previous: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    recorded_at_s: Natural
    policy_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    proof_hash: bytes
    intent_id: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    decision: AnyDecision


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Entry)
encode = _ENCODER.encode


def decode(stored: bytes, sequence: int) -> Entry:
    """The row as it was written. Raises JournalBroken, which names `sequence`."""
    try:
        return _DECODER.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalBroken(f"row {sequence} cannot be read: {error}") from None


def mandate_proof_hash(mandate_id: bytes) -> bytes:
    """What the row of a payment under a mandate has as its proof hash."""
    return sha256(b"florin-proof/1\0mandate\0" + mandate_id).digest()


def reasons_of(refusals: tuple[Refusal, ...]) -> tuple[Reason, ...]:
    """An answer's reasons as a row keeps them."""
    return tuple(Reason(each.code, each.detail) for each in refusals)
