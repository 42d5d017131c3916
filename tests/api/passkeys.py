"""A person's passkey as pages use it: made for a wallet, asked for approvals. Or as asked, to be refused.

What it registers is written from the standard with fido2's CBOR and COSE, which the bank does not use.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor

from contracts import base64url

ES256, ED25519 = -7, -8
RP_ID, ORIGIN = "localhost", "http://localhost:8101"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
Json = dict[str, Any]


class Passkey:
    """One passkey; `number` makes it another."""

    def __init__(self, number: int = 1, algorithm: int = ES256) -> None:
        self.algorithm = algorithm
        self.credential_id = sha256(b"credential %d" % number).digest()
        self.key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey
        if algorithm == ES256:
            self.key = ec.derive_private_key(0xC0FFEE + number, ec.SECP256R1())
            point = self.key.public_key().public_numbers()
            self.public_key = point.x.to_bytes(32) + point.y.to_bytes(32)
        else:
            self.key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))
            self.public_key = self.key.public_key().public_bytes_raw()

    @property
    def credential(self) -> Json:
        """As the signer's wire has it."""
        return {
            "credential_id": base64url.encode(self.credential_id),
            "algorithm": self.algorithm,
            "public_key": base64url.encode(self.public_key),
        }

    def cose(self) -> Json:
        """RFC 9052's map."""
        if self.algorithm == ES256:
            return {1: 2, 3: -7, -1: 1, -2: self.public_key[:32], -3: self.public_key[32:]}  # type: ignore[dict-item]
        return {1: 1, 3: -8, -1: 6, -2: self.public_key}  # type: ignore[dict-item]

    def registration(
        self,
        challenge: str,
        *,
        rp_id: str = RP_ID,
        flags: int = PRESENT | VERIFIED | ATTESTED,
        cose: Any = None,
        **members: Any,
    ) -> Json:
        """What `navigator.credentials.create` gives for `challenge` (base64url), without attestation."""
        said = {"type": "webauthn.create", "challenge": challenge, "origin": ORIGIN, "crossOrigin": False}
        client_data = json.dumps(said | members).encode()
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id
        data = sha256(rp_id.encode()).digest() + bytes((flags,)) + bytes(4)
        data += attested + cbor.encode(self.cose() if cose is None else cose)
        return {
            "credential_id": base64url.encode(self.credential_id),
            "client_data_json": base64url.encode(client_data),
            "attestation_object": base64url.encode(
                cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
            ),
        }

    def assertion(
        self, challenge: str, *, rp_id: str = RP_ID, flags: int = PRESENT | VERIFIED, **members: Any
    ) -> Json:
        """What `navigator.credentials.get` gives for `challenge` (base64url)."""
        said = {"type": "webauthn.get", "challenge": challenge, "origin": ORIGIN, "crossOrigin": False}
        client_data = json.dumps(said | members).encode()
        data = sha256(rp_id.encode()).digest() + bytes((flags,)) + bytes(4)
        return {
            "credential_id": base64url.encode(self.credential_id),
            "authenticator_data": base64url.encode(data),
            "client_data_json": base64url.encode(client_data),
            "signature": base64url.encode(self._sign(data + sha256(client_data).digest())),
        }

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, ec.ECDSA(SHA256()))
