"""The institution's secret for its people: keyed hashes of what is short, sealing of what must be read back.

A stolen database alone then gives away no code of six digits and no authenticator app's secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from api.settings import Settings

_NONCE_BYTES: Final = 12


class PeopleKey:
    """Keys for single purposes, derived from the one in the settings; a sandbox may do with a public one."""

    def __init__(self, settings: Settings) -> None:
        written = settings.people_key or "00" * 32
        self._root = hmac.digest(bytes.fromhex(written), settings.institution.encode(), "sha256")

    def hash_of(self, purpose: str, *parts: str) -> bytes:
        """The keyed hash (32 bytes) of some texts for one purpose."""
        return hmac.digest(self._key(purpose), "\x1f".join(parts).encode("utf-8", "surrogatepass"), "sha256")

    def seal(self, purpose: str, owner: str, secret: bytes) -> bytes:
        """`secret` under AES-256-GCM, bound to its purpose and owner."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._key(purpose)).encrypt(nonce, secret, owner.encode())

    def unseal(self, purpose: str, owner: str, sealed: bytes) -> bytes:
        """What was sealed. Raises `cryptography.exceptions.InvalidTag` for another's or a changed one."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return AESGCM(self._key(purpose)).decrypt(nonce, content, owner.encode())

    def _key(self, purpose: str) -> bytes:
        return hmac.digest(self._root, purpose.encode(), "sha256")


def new_token(prefix: str) -> str:
    """A secret of 256 random bits in a text of its own kind."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """SHA-256 is enough for 256 random bits: there is nothing to guess slowly."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
