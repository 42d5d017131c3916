"""EIP-1559 transactions as bytes and the addresses they create, without the seconds of eth-account's imports.

eth-account is the tests' oracle: the bytes are identical.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from eth_hash.auto import keccak

DYNAMIC_FEE_TYPE = b"\x02"
_SLOT_PREFIX = b"\xa0"

AccessList: TypeAlias = tuple[tuple[bytes, tuple[bytes, ...]], ...]
"""Addresses of 20 bytes, each with its storage slots of 32 (EIP-2930)."""


@dataclass(frozen=True)
class Transaction:
    """What is signed. ``to`` has 20 bytes, or none to create a contract; fees are wei per gas.

    Raises ValueError where the access list has an address or a slot of another length.
    """

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: bytes
    value: int
    data: bytes
    access_list: AccessList = ()

    def __post_init__(self) -> None:
        """Refuse what no node would read as an access list."""
        for address, slots in self.access_list:
            if len(address) != 20:
                raise ValueError("an access list's address has 20 bytes")
            if not all(len(slot) == 32 for slot in slots):
                raise ValueError("an access list's slot has 32 bytes")

    def _fields(self) -> list[bytes]:
        numbers = (self.chain_id, self.nonce, self.max_priority_fee_per_gas, self.max_fee_per_gas, self.gas)
        return [
            *map(_encode_integer, numbers),
            _encode_bytes(self.to),
            _encode_integer(self.value),
            _encode_bytes(self.data),
            _encode_list([_encode_access(address, slots) for address, slots in self.access_list]),
        ]

    @property
    def signing_hash(self) -> bytes:
        """The 32 bytes that the sender signs (EIP-1559)."""
        return keccak(DYNAMIC_FEE_TYPE + _encode_list(self._fields()))

    def signed(self, signature: bytes) -> tuple[bytes, bytes]:
        """The raw bytes and their hash, from a signature r 32 | s 32 | recovery id 1."""
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = self.with_signature(signature[64], r, s)
        return raw, keccak(raw)

    def with_signature(self, y_parity: int, r: int, s: int) -> bytes:
        """Return the raw bytes that eth_sendRawTransaction takes; their keccak is the transaction's hash."""
        return DYNAMIC_FEE_TYPE + _encode_list([*self._fields(), *map(_encode_integer, (y_parity, r, s))])

    def sign(self, private_key: bytes) -> bytes:
        """Return the raw bytes, signed by a private key in this process."""
        from coincurve import PrivateKey

        return self.signed(PrivateKey(private_key).sign_recoverable(self.signing_hash, hasher=None))[0]


def address_of(private_key: bytes) -> bytes:
    """Return the address of a private key."""
    from coincurve import PrivateKey

    return keccak(PrivateKey(private_key).public_key.format(compressed=False)[1:])[12:]


def contract_address(creator: bytes, nonce: int) -> bytes:
    """Return the address of the contract that transaction ``nonce`` of ``creator`` creates."""
    return keccak(_encode_list([_encode_bytes(creator), _encode_integer(nonce)]))[12:]


def checksum_address(address: bytes) -> str:
    """Return an address as EIP-55 writes it."""
    digits = address.hex()
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if nibble > "7" else digit for digit, nibble in zip(digits, digest, strict=False)
    )


def _encode_access(address: bytes, slots: Sequence[bytes]) -> bytes:
    # each slot is a string of 32 bytes, with the same prefix: a thousand of them are joined at once
    payload = _SLOT_PREFIX.join((b"", *slots))
    return _encode_list([_encode_bytes(address), _length(len(payload), 0xC0), payload])


def _encode_integer(value: int) -> bytes:
    return _encode_bytes(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encode_bytes(value: bytes) -> bytes:
    if len(value) == 1 and value[0] < 0x80:
        return value
    return _length(len(value), 0x80) + value


def _encode_list(encoded: Sequence[bytes]) -> bytes:
    payload = b"".join(encoded)
    return _length(len(payload), 0xC0) + payload


def _length(length: int, offset: int) -> bytes:
    """Return the prefix of a string (0x80) or a list (0xc0), as RLP has it."""
    if length < 56:
        return bytes([offset + length])
    written = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(written)]) + written
