"""EIP-1559 transactions as bytes: `0x02 || rlp([...])`, with an empty access list."""

from dataclasses import dataclass

import sha3

_TYPE = b"\x02"
_Item = int | bytes | tuple[()]


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """The fields of EIP-1559 that a caller chooses; wei and gas."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: bytes
    value: int
    data: bytes

    def _fields(self) -> tuple[_Item, ...]:
        return (
            self.chain_id,
            self.nonce,
            self.max_priority_fee_per_gas,
            self.max_fee_per_gas,
            self.gas,
            self.to,
            self.value,
            self.data,
            (),
        )

    def digest(self) -> bytes:
        """What the sender signs."""
        return _keccak(_TYPE + _encode_list(self._fields()))

    def signed(self, signature: bytes) -> tuple[bytes, bytes]:
        """The raw transaction and its hash, from a signature r 32 | s 32 | recovery id 1."""
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        raw = _TYPE + _encode_list((*self._fields(), signature[64], r, s))
        return raw, _keccak(raw)


def _encode_list(items: tuple[_Item, ...]) -> bytes:
    payload = b"".join(map(_encode, items))
    return _prefixed(payload, 0xC0)


def _encode(item: _Item) -> bytes:
    """RLP (Yellow Paper, appendix B); integers are big-endian without leading zeros, zero is the empty
    string.
    """
    if isinstance(item, tuple):
        return b"\xc0"
    content = item.to_bytes((item.bit_length() + 7) // 8) if isinstance(item, int) else item
    if len(content) == 1 and content[0] < 0x80:
        return content
    return _prefixed(content, 0x80)


def _prefixed(content: bytes, offset: int) -> bytes:
    size = len(content)
    if size <= 55:
        return bytes((offset + size,)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((offset + 55 + len(length),)) + length + content


def _keccak(content: bytes) -> bytes:
    digest: bytes = sha3.keccak_256(content).digest()
    return digest
