"""A software authenticator that stands for the passkeys of all sandbox customers.

One secret for a country; a customer's key and credential id follow from it and the customer's reference, so
ten thousand customers need no ten thousand files. It lives with the `florin` command: a bank's API and its
signer see public keys and assertions, as they would of real passkeys.
"""

from __future__ import annotations

import hmac
import json
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from contracts.base64url import encode
from contracts.customer_approvals import Credential
from scripts.country.secret_file import read_or_make_secret

ES256 = -7
_ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(SHA256())
_PRESENT_AND_VERIFIED = b"\x05"
_CACHED_KEYS = 16_384


class SoftwareAuthenticator:
    """Makes credentials and assertions (ES256) as a browser with a platform authenticator does."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._key = lru_cache(maxsize=_CACHED_KEYS)(self._derive_key)
        self._credential_id = lru_cache(maxsize=_CACHED_KEYS)(self._derive_credential_id)

    @classmethod
    def open(cls, path: Path) -> SoftwareAuthenticator:
        """The authenticator of a secret's file, which is made at first use. Raises SecretUnusable."""
        return cls(read_or_make_secret(path))

    def credential(self, reference: str) -> Credential:
        """The customer's credential, always the same."""
        numbers = self._key(reference).public_key().public_numbers()
        return Credential(
            self._credential_id(reference), ES256, numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
        )

    def credential_fields(self, reference: str) -> dict[str, str | int]:
        """The same as the signer's wire has it."""
        credential = self.credential(reference)
        return {
            "credential_id": encode(credential.credential_id),
            "algorithm": credential.algorithm,
            "public_key": encode(credential.public_key),
        }

    def assertion_fields(
        self, reference: str, challenge: bytes, rp_id: str, origin: str, sign_count: int = 0
    ) -> dict[str, str]:
        """The customer's yes to `challenge`, as the signer's wire has it.

        Like passkeys that are synchronised it keeps no counter: `sign_count` is 0 unless one is given.
        """
        # Web Authentication Level 3, §5.8.1.1: the members, their order and their spelling
        client_data = (
            f'{{"type":"webauthn.get","challenge":"{encode(challenge)}",'
            f'"origin":{json.dumps(origin)},"crossOrigin":false}}'
        ).encode()
        authenticator_data = _rp_id_hash(rp_id) + _PRESENT_AND_VERIFIED + sign_count.to_bytes(4)
        signed = authenticator_data + sha256(client_data).digest()
        return {
            "credential_id": encode(self._credential_id(reference)),
            "authenticator_data": encode(authenticator_data),
            "client_data_json": encode(client_data),
            "signature": encode(self._key(reference).sign(signed, _ECDSA)),
        }

    def _derive_key(self, reference: str) -> ec.EllipticCurvePrivateKey:
        wide = hmac.digest(self._secret, b"es256 key\0" + reference.encode(), "sha512")
        return ec.derive_private_key(int.from_bytes(wide) % (_ORDER_P256 - 1) + 1, ec.SECP256R1())

    def _derive_credential_id(self, reference: str) -> bytes:
        return hmac.digest(self._secret, b"credential id\0" + reference.encode(), "sha256")


@lru_cache(maxsize=16)
def _rp_id_hash(rp_id: str) -> bytes:
    return sha256(rp_id.encode("ascii")).digest()
