"""Encryption at rest: argon2id turns the passphrase into one key, AES-256-GCM seals each secret on its own.

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

_Bounded = msgspec.Meta(ge=1, le=64)


class KeyDerivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """argon2id terms (RFC 9106 §4, second recommended option: 64 MiB, 3 passes)."""

    salt: bytes
    memory_kib: Annotated[int, msgspec.Meta(ge=8, le=4 * 1024 * 1024)] = 65_536
    passes: Annotated[int, _Bounded] = 3
    lanes: Annotated[int, _Bounded] = 4
    name: Literal["argon2id"] = "argon2id"

    def key_from(self, passphrase: bytes) -> bytes:
        """The 32-byte key that opens this store's envelopes. Raises DoesNotOpen on impossible terms."""
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


def seal(kek: bytes, key_id: str, version: int, address: str, secret: bytes) -> Envelope:
    """Encrypt `secret` under a fresh random nonce."""
    nonce = os.urandom(12)
    claims = _claims(key_id, version, address)
    return Envelope(key_id, version, address, nonce, AESGCM(kek).encrypt(nonce, secret, claims))


def open_envelope(kek: bytes, envelope: Envelope) -> bytes:
    """The secret, if everything is as it was sealed. Raises DoesNotOpen."""
    claims = _claims(envelope.key_id, envelope.version, envelope.address)
    try:
        return AESGCM(kek).decrypt(envelope.nonce, envelope.ciphertext, claims)
    except (InvalidTag, ValueError):
        raise DoesNotOpen from None


def _claims(key_id: str, version: int, address: str) -> bytes:
    # A JSON array keeps the fields apart whatever they contain.
    return msgspec.json.encode(["florin-keystore/1", key_id, version, address])
