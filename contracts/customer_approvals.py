"""What a customer approves, as EIP-712 structures under the currency's own domain.

The digest of one is the challenge of the customer's WebAuthn assertion: what was seen is what is signed, for
this currency and no other. The node that signs, the bank that asks and the wallet that shows it all compute
it here.

The payment's nonce and the end of its validity on chain are not approved: they belong to an attempt, and a
later attempt needs no new approval. An approval is good for a first signature before `expires_at_s`.
"""

from dataclasses import dataclass
from typing import ClassVar

from eth_hash.auto import keccak
from sha3 import keccak_256

from contracts.typed_data import TypedMessage

NO_CREDENTIAL = bytes(32)
"""What stands for a credential that is not there, in a CredentialChange."""

_ADDRESS_PADDING = bytes(12)
_PAYMENT_APPROVAL_PREFIX = keccak(
    b"PaymentApproval(bytes16 paymentId,address payer,address payee,uint256 amount,uint256 expiresAt)"
)
_AFTER_ID = bytes(16) + _ADDRESS_PADDING


@dataclass(frozen=True, slots=True)
class PaymentApproval(TypedMessage):
    """One payment. `payment_approval_digest` computes the same digest faster."""

    payment_id: bytes
    payer: bytes
    payee: bytes
    amount_minor: int
    expires_at_s: int

    MEMBERS: ClassVar = (
        "bytes16 paymentId",
        "address payer",
        "address payee",
        "uint256 amount",
        "uint256 expiresAt",
    )


@dataclass(frozen=True, slots=True)
class FanOutApproval(TypedMessage):
    """One payer's payment to several payees; ``payments`` are packed (contracts.batch.pack_fan_out)."""

    payment_id: bytes
    payer: bytes
    payments: bytes
    expires_at_s: int

    MEMBERS: ClassVar = ("bytes16 paymentId", "address payer", "bytes payments", "uint256 expiresAt")


@dataclass(frozen=True, slots=True)
class Mandate(TypedMessage):
    """A standing authority to pay one payee up to ``cap_minor`` in each period: "day", "week" or "month".

    It holds from ``starts_at_s`` until before ``expires_at_s``; it can be registered before
    ``approval_expires_at_s``.
    """

    mandate_id: bytes
    payer: bytes
    payee: bytes
    cap_minor: int
    period: str
    starts_at_s: int
    expires_at_s: int
    approval_expires_at_s: int

    MEMBERS: ClassVar = (
        "bytes16 mandateId",
        "address payer",
        "address payee",
        "uint256 cap",
        "string period",
        "uint256 startsAt",
        "uint256 expiresAt",
        "uint256 approvalExpiresAt",
    )


@dataclass(frozen=True, slots=True)
class Credential(TypedMessage):
    """A customer's authenticator: its id, COSE algorithm and public key as the node's wire has them.

    It is never signed by itself: a CredentialChange has its struct_hash.
    """

    credential_id: bytes
    algorithm: int
    public_key: bytes

    MEMBERS: ClassVar = ("bytes credentialId", "int256 algorithm", "bytes publicKey")


@dataclass(frozen=True, slots=True)
class CredentialChange(TypedMessage):
    """Binds a credential to a wallet, unbinds one, or both: the struct_hash of each, or NO_CREDENTIAL.

    ``ends_mandates``: the wallet's mandates end with it, which whoever held the credential may have given.
    """

    change_id: bytes
    wallet: bytes
    bound: bytes
    unbound: bytes
    expires_at_s: int
    ends_mandates: bool = False

    MEMBERS: ClassVar = (
        "bytes16 changeId",
        "address wallet",
        "bytes32 bound",
        "bytes32 unbound",
        "uint256 expiresAt",
        "bool endsMandates",
    )


@dataclass(frozen=True, slots=True)
class CredentialChangeRefusal(TypedMessage):
    """Refuses a change of the wallet's credentials for which others have asked the bank's officers."""

    change_id: bytes
    wallet: bytes
    expires_at_s: int

    MEMBERS: ClassVar = ("bytes16 changeId", "address wallet", "uint256 expiresAt")


def payment_approval_digest(
    separator: bytes, payment_id: bytes, payer: bytes, payee: bytes, *, amount_minor: int, expires_at_s: int
) -> bytes:
    """Return PaymentApproval's digest. The id has 16 bytes and addresses 20: nothing here checks it."""
    struct_hash = keccak_256(
        _PAYMENT_APPROVAL_PREFIX
        + payment_id
        + _AFTER_ID
        + payer
        + _ADDRESS_PADDING
        + payee
        + amount_minor.to_bytes(32, "big")
        + expires_at_s.to_bytes(32, "big")
    ).digest()
    digest: bytes = keccak_256(b"\x19\x01" + separator + struct_hash).digest()
    return digest
