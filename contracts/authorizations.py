"""What an owner signs for the single path (IAuthorizations.sol): permits and EIP-3009 authorisations.

The classes are named as their EIP-712 types. A key signs with 65 bytes r, s, v (v is 27 or 28, s is low); an
owner with code answers for whatever bytes its ERC-1271 function takes. Amounts are integers in minor units.
"""

from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import SELECTORS
from contracts.typed_data import TypedMessage
from contracts.words import encode_address, encode_bytes32, encode_word, pad


class MalformedSignature(ValueError):
    """A key's signature has 65 bytes."""

    code = "MalformedSignature"


@dataclass(frozen=True, slots=True)
class Permit(TypedMessage):
    """ERC-2612: ``spender`` may take up to ``amount_minor``.

    ``nonce`` counts the owner's permits (``encode_nonces``).
    """

    owner: bytes
    spender: bytes
    amount_minor: int
    nonce: int
    deadline_s: int

    MEMBERS: ClassVar = (
        "address owner",
        "address spender",
        "uint256 value",
        "uint256 nonce",
        "uint256 deadline",
    )


@dataclass(frozen=True, slots=True)
class _Payment(TypedMessage):
    payer: bytes
    payee: bytes
    amount_minor: int
    valid_after_s: int
    valid_before_s: int
    nonce: bytes

    MEMBERS: ClassVar = (
        "address from",
        "address to",
        "uint256 value",
        "uint256 validAfter",
        "uint256 validBefore",
        "bytes32 nonce",
    )


class TransferWithAuthorization(_Payment):
    """EIP-3009: a payment strictly after ``valid_after_s`` and strictly before ``valid_before_s``.

    ``nonce`` is 32 random bytes.
    """

    __slots__ = ()


class ReceiveWithAuthorization(_Payment):
    """EIP-3009: the same payment, which the payee alone can submit."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CancelAuthorization(TypedMessage):
    """EIP-3009: the authorisation with this nonce shall not be used any more."""

    authorizer: bytes
    nonce: bytes

    MEMBERS: ClassVar = ("address authorizer", "bytes32 nonce")


# ------------------------------------------------------------------------------------------ calls


def encode_permit(permit: Permit, signature: bytes) -> bytes:
    """Submit a permit with a key's signature; anybody may. Raises MalformedSignature."""
    head = SELECTORS["permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"]
    owner_spender_and_amount = permit.words()[:96]
    return head + owner_spender_and_amount + encode_word(permit.deadline_s) + _encode_parts(signature)


def encode_transfer_with_authorization(authorization: TransferWithAuthorization, signature: bytes) -> bytes:
    """Submit a payment with any form of signature; anybody may."""
    return _encode_with_bytes("transferWithAuthorization", authorization, signature)


def encode_transfer_with_authorization_of_key(
    authorization: TransferWithAuthorization, signature: bytes
) -> bytes:
    """Submit a payment by the overload for keys, which older callers use. Raises MalformedSignature."""
    return _encode_with_parts("transferWithAuthorization", authorization, signature)


def encode_receive_with_authorization(authorization: ReceiveWithAuthorization, signature: bytes) -> bytes:
    """Submit a payment to oneself with any form of signature (the payee)."""
    return _encode_with_bytes("receiveWithAuthorization", authorization, signature)


def encode_receive_with_authorization_of_key(
    authorization: ReceiveWithAuthorization, signature: bytes
) -> bytes:
    """Submit a payment to oneself by the overload for keys (the payee). Raises MalformedSignature."""
    return _encode_with_parts("receiveWithAuthorization", authorization, signature)


def encode_cancel_authorization(cancellation: CancelAuthorization, signature: bytes) -> bytes:
    """End an authorisation with any form of signature; anybody may."""
    return _encode_with_bytes("cancelAuthorization", cancellation, signature)


def encode_cancel_authorization_of_key(cancellation: CancelAuthorization, signature: bytes) -> bytes:
    """End an authorisation by the overload for keys. Raises MalformedSignature."""
    return _encode_with_parts("cancelAuthorization", cancellation, signature)


def _types(message: TypedMessage) -> str:
    return ",".join(member.split()[0] for member in message.MEMBERS)


def _encode_with_bytes(name: str, message: TypedMessage, signature: bytes) -> bytes:
    members = message.words()
    offset = encode_word(len(members) + 32)
    selector = SELECTORS[f"{name}({_types(message)},bytes)"]
    return selector + members + offset + encode_word(len(signature)) + pad(signature)


def _encode_with_parts(name: str, message: TypedMessage, signature: bytes) -> bytes:
    selector = SELECTORS[f"{name}({_types(message)},uint8,bytes32,bytes32)"]
    return selector + message.words() + _encode_parts(signature)


def _encode_parts(signature: bytes) -> bytes:
    if len(signature) != 65:
        raise MalformedSignature(f"a key's signature has 65 bytes, not {len(signature)}")
    return encode_word(signature[64]) + signature[:64]


# ------------------------------------------------------------------------------------------ views


def encode_nonces(owner: bytes) -> bytes:
    """Read the nonce of an owner's next permit; one word."""
    return SELECTORS["nonces(address)"] + encode_address(owner)


def encode_authorization_state(authorizer: bytes, nonce: bytes) -> bytes:
    """Read whether an authorisation was used or ended; one word."""
    return (
        SELECTORS["authorizationState(address,bytes32)"] + encode_address(authorizer) + encode_bytes32(nonce)
    )
