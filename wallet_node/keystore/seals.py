"""Seals of rows by which the node decides: keyed BLAKE2b (RFC 7693) under a key that only the seed gives.

The store is not encrypted: whoever can write to its file, and has no keystore, can write any row but a sealed
one. A seal does not tell a row from an earlier one of the same key, nor that one is missing: `verify-journal`
does.
"""

import hmac
from hashlib import blake2b

import msgspec

_BYTES = 16
_PURPOSE = b"florin-seals/1"
_encode = msgspec.msgpack.Encoder().encode


class Seals:
    """Makes and checks seals."""

    def __init__(self, key: bytes) -> None:
        """`key` is the home's (derivation.SEAL_PATH); seals have one of their own, made of it."""
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def of(self, kind: str, *members: bytes | int | str) -> bytes:
        """The 16 bytes that go with a row of a kind: no other members have the same encoding."""
        # a fifth of the time of an HMAC, which a payment under a mandate would feel
        return blake2b(_encode((kind, members)), key=self._key, digest_size=_BYTES).digest()

    def is_of(self, seal: bytes | None, kind: str, *members: bytes | int | str) -> bool:
        """Whether a row has the seal that this node gave it."""
        return seal is not None and hmac.compare_digest(seal, self.of(kind, *members))
