"""What guards a keystore: a KEK (key encryption key) wraps the one data key, and the data key seals the rest.

So a new passphrase, or a move to a token or an external service, rewrites the wrapped data key and nothing
else. Each kind of KEK has its record in the manifest, which says how it was wrapped and holds no secret.
"""

import os
from typing import Annotated, Protocol

import msgspec

from wallet_node.errors import TamperedKey, WrongPassphrase
from wallet_node.keystore.envelopes import DoesNotOpen, Envelope, KeyDerivation, open_envelope, seal

DATA_KEY_ID = "data-key"
DATA_KEY_BYTES = 32


class ByPassphrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="passphrase"):
    """Wrapped under argon2id of a passphrase."""

    kdf: KeyDerivation
    sealed: Envelope


class ByToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="token"):
    """Wrapped by an AES-256-GCM key inside the PKCS#11 token; `key_id` is its CKA_ID."""

    key_id: bytes
    nonce: Annotated[bytes, msgspec.Meta(min_length=12, max_length=12)]
    ciphertext: bytes


class ByTransit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="transit"):
    """Wrapped by a named key of an external service that speaks the wire of Vault's transit engine."""

    key: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")]
    ciphertext: Annotated[str, msgspec.Meta(pattern=r"\Avault:v[0-9]{1,9}:[A-Za-z0-9+/=]{1,4096}\Z")]


Wrapped = ByPassphrase | ByToken | ByTransit


class Kek(Protocol):
    """One way to wrap a data key of 32 bytes."""

    def wrap(self, data_key: bytes) -> Wrapped:
        """Wrap a data key. Raises KekUnavailable or KekRefused."""
        ...

    def unwrap(self, wrapped: Wrapped) -> bytes:
        """The data key. Raises WrongPassphrase, TamperedKey, KekUnavailable or KekRefused."""
        ...


class PassphraseKek:
    """A Kek from a passphrase; each wrapping has a salt of its own."""

    def __init__(self, passphrase: bytes, terms: KeyDerivation | None = None) -> None:
        self._passphrase = passphrase
        self._terms = terms

    def wrap(self, data_key: bytes) -> ByPassphrase:
        terms = self._terms or KeyDerivation(os.urandom(16))
        return ByPassphrase(terms, seal(terms.key_from(self._passphrase), DATA_KEY_ID, 1, "", data_key))

    def unwrap(self, wrapped: Wrapped) -> bytes:
        if not isinstance(wrapped, ByPassphrase):
            raise WrongPassphrase(
                "this keystore is guarded by no passphrase; see its manifest and custody.toml"
            )
        return open_with(self._passphrase, wrapped.kdf, wrapped.sealed)


def open_with(passphrase: bytes, kdf: KeyDerivation, sealed: Envelope) -> bytes:
    """The data key under a passphrase. Raises WrongPassphrase or TamperedKey."""
    try:
        kek = kdf.key_from(passphrase)
    except DoesNotOpen:
        raise TamperedKey("manifest.json names argon2id terms that cannot be") from None
    if sealed.key_id != DATA_KEY_ID:
        raise TamperedKey("manifest.json wraps something else than a data key")
    try:
        return open_envelope(kek, sealed)
    except DoesNotOpen:
        raise WrongPassphrase(
            "the passphrase does not open manifest.json: it is another one's, or the file was altered"
        ) from None
