"""Encryption at rest: AES-256-GCM seals each secret on its own, under a key that argon2id or others guard.

The key id, the version and the address are associated data: a file that is renamed, swapped or edited does
not open.
"""

import os
from typing import Annotated, Literal

import msgspec
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "florin-keystore/2"
FORMAT_1 = "florin-keystore/1"

_Bounded = msgspec.Meta(ge=1, le=64)


class KeyDerivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """argon2id terms (RFC 9106 §4, second recommended option: 64 MiB, 3 passes)."""

    salt: bytes
    memory_kib: Annotated[int, msgspec.Meta(ge=8, le=4 * 1024 * 1024)] = 65_536
    passes: Annotated[int, _Bounded] = 3
    lanes: Annotated[int, _Bounded] = 4
    name: Literal["argon2id"] = "argon2id"

    def key_from(self, passphrase: bytes) -> bytes:
        """The 32-byte key that a passphrase stands for. Raises DoesNotOpen on impossible terms."""
        try:
            return hash_secret_raw(
                passphrase, self.salt, self.passes, self.memory_kib, self.lanes, hash_len=32, type=Type.ID
            )
        except HashingError:
            raise DoesNotOpen from None


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sealed secret and the claims that are bound to it. `address` is hex, empty for a seed."""

    key_id: str
    version: int
    address: str
    nonce: bytes
    ciphertext: bytes


class DoesNotOpen(Exception):
    """Another key, or altered content or claims."""


def seal(key: bytes, key_id: str, version: int, address: str, secret: bytes) -> Envelope:
    """Encrypt `secret` under a fresh random nonce."""
    nonce = os.urandom(12)
    claims = _claims(key_id, version, address, FORMAT)
    return Envelope(key_id, version, address, nonce, AESGCM(key).encrypt(nonce, secret, claims))


def open_envelope(key: bytes, envelope: Envelope, store_format: str = FORMAT) -> bytes:
    """The secret, if everything is as it was sealed. Raises DoesNotOpen."""
    claims = _claims(envelope.key_id, envelope.version, envelope.address, store_format)
    try:
        return AESGCM(key).decrypt(envelope.nonce, envelope.ciphertext, claims)
    except (InvalidTag, ValueError):
        raise DoesNotOpen from None


def _claims(key_id: str, version: int, address: str, store_format: str) -> bytes:
    # A JSON array keeps the fields apart whatever they contain.
    return msgspec.json.encode([store_format, key_id, version, address])
