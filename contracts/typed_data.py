"""EIP-712 digests of what is signed for the token, as the contracts compute them.

A packed payment (PlainPayments.sol) has a function of its own: its type's hash is computed once, so that a
digest is two keccaks. What is signed seldom is a TypedMessage: Permit and the authorisations
(contracts.authorizations), AccountMove (contracts.memberships), what customers approve
(contracts.customer_approvals).
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, ClassVar

from eth_hash.auto import keccak
from sha3 import keccak_256

from contracts.words import (
    encode_address,
    encode_bytes16,
    encode_bytes32,
    encode_signed_word,
    encode_word,
)

DOMAIN_TYPEHASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
PAYMENT_TYPEHASH = keccak(b"Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore)")
FAN_OUT_TYPEHASH = keccak(b"FanOut(bytes payments,uint256 nonce,uint256 validBefore)")
DOMAIN_VERSION = "1"

PAYMENT_TYPES: dict[str, list[dict[str, str]]] = {
    "Payment": [
        {"name": "payee", "type": "address"},
        {"name": "amount", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "validBefore", "type": "uint256"},
    ]
}

FAN_OUT_TYPES: dict[str, list[dict[str, str]]] = {
    "FanOut": [
        {"name": "payments", "type": "bytes"},
        {"name": "nonce", "type": "uint256"},
        {"name": "validBefore", "type": "uint256"},
    ]
}

_EIP712_DOMAIN = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]

_ADDRESS_PADDING = bytes(12)
_PAYMENT_PREFIX = PAYMENT_TYPEHASH + _ADDRESS_PADDING


@dataclass(frozen=True)
class PaymentDomain:
    """The chain and contract that a payment's signature is bound to.

    ``name`` is the token's name; ``contract`` the 20 bytes of the proxy's address.
    """

    name: str
    chain_id: int
    contract: bytes

    def __post_init__(self) -> None:
        """Refuse what could never be a domain."""
        if len(self.contract) != 20:
            raise ValueError("a contract's address has 20 bytes")
        if not 0 < self.chain_id < 1 << 256:
            raise ValueError("a chain id is a positive 256-bit integer")

    @cached_property
    def separator(self) -> bytes:
        """EIP-712 §domainSeparator."""
        return keccak(
            DOMAIN_TYPEHASH
            + keccak(self.name.encode())
            + keccak(DOMAIN_VERSION.encode())
            + self.chain_id.to_bytes(32, "big")
            + _ADDRESS_PADDING
            + self.contract
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The domain as generic EIP-712 libraries take it."""
        return {
            "name": self.name,
            "version": DOMAIN_VERSION,
            "chainId": self.chain_id,
            "verifyingContract": "0x" + self.contract.hex(),
        }


def payment_digest(
    separator: bytes, payee: bytes, amount_minor: int, nonce: int, valid_before_s: int
) -> bytes:
    """Return the 32 bytes that the payer signs. ``payee`` has 20 bytes; integers are unsigned."""
    struct_hash = keccak_256(
        _PAYMENT_PREFIX
        + payee
        + amount_minor.to_bytes(32, "big")
        + nonce.to_bytes(32, "big")
        + valid_before_s.to_bytes(32, "big")
    ).digest()
    digest: bytes = keccak_256(b"\x19\x01" + separator + struct_hash).digest()
    return digest


def payment_typed_data(
    domain: PaymentDomain, payee: bytes, amount_minor: int, nonce: int, valid_before_s: int
) -> dict[str, Any]:
    """Return the same payment as a full EIP-712 message, for wallets and eth-account (the tests' oracle)."""
    message = {
        "payee": "0x" + payee.hex(),
        "amount": amount_minor,
        "nonce": nonce,
        "validBefore": valid_before_s,
    }
    return full_message(domain, "Payment", PAYMENT_TYPES["Payment"], message)


def full_message(
    domain: PaymentDomain, primary_type: str, members: list[dict[str, str]], message: dict[str, Any]
) -> dict[str, Any]:
    """Return a full EIP-712 message of one structure without nested ones."""
    return {
        "types": {
            "EIP712Domain": _EIP712_DOMAIN,
            primary_type: members,
        },
        "primaryType": primary_type,
        "domain": domain.fields,
        "message": message,
    }


def fan_out_digest(separator: bytes, payments: bytes, nonce: int, valid_before_s: int) -> bytes:
    """Return the 32 bytes that the payer of a fan-out signs. ``payments`` are packed (pack_fan_out)."""
    struct_hash = keccak(
        FAN_OUT_TYPEHASH + keccak(payments) + nonce.to_bytes(32, "big") + valid_before_s.to_bytes(32, "big")
    )
    return keccak(b"\x19\x01" + separator + struct_hash)


def fan_out_typed_data(
    domain: PaymentDomain, payments: bytes, nonce: int, valid_before_s: int
) -> dict[str, Any]:
    """Return the same fan-out as a full EIP-712 message, for wallets and eth-account (the tests' oracle)."""
    message = {"payments": "0x" + payments.hex(), "nonce": nonce, "validBefore": valid_before_s}
    return full_message(domain, "FanOut", FAN_OUT_TYPES["FanOut"], message)


_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "address": encode_address,
    "bytes": keccak,
    "bool": encode_word,
    "bytes16": encode_bytes16,
    "bytes32": encode_bytes32,
    "int256": encode_signed_word,
    "string": lambda text: keccak(text.encode()),
    "uint256": encode_word,
}


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """A structure that is signed: a dataclass named as its EIP-712 type, with its members in their order.

    Values are 20 bytes for an address, 16 or 32 for bytes16 and bytes32, any number for bytes, text for a
    string, and integers.
    """

    MEMBERS: ClassVar[tuple[str, ...]]
    """Each member as EIP-712 writes it, such as "address owner"."""

    def digest(self, separator: bytes) -> bytes:
        """Return the 32 bytes that are signed. ``separator`` is PaymentDomain.separator."""
        return keccak(b"\x19\x01" + separator + self.struct_hash())

    def struct_hash(self) -> bytes:
        """EIP-712 §hashStruct."""
        type_hash = keccak(f"{type(self).__name__}({','.join(self.MEMBERS)})".encode())
        return keccak(type_hash + self.words())

    def words(self) -> bytes:
        """Return the members as EIP-712 §encodeData does.

        Call data has them so, too, but for bytes and strings: of those this is the hash.
        """
        return b"".join(
            _ENCODERS[member.split()[0]](value)
            for member, value in zip(self.MEMBERS, astuple(self), strict=True)
        )

    def typed_data(self, domain: PaymentDomain) -> dict[str, Any]:
        """Return the full EIP-712 message, for wallets and eth-account."""
        types, names = zip(*(member.split() for member in self.MEMBERS), strict=True)
        return full_message(
            domain,
            type(self).__name__,
            [{"name": name, "type": kind} for name, kind in zip(names, types, strict=True)],
            {
                name: "0x" + value.hex() if isinstance(value, bytes) else value
                for name, value in zip(names, astuple(self), strict=True)
            },
        )
