"""A customer's passkey for the tests: it answers like a browser with its authenticator, or as asked."""

import json
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from contracts import base64url
from contracts.customer_approvals import Credential
from wallet_node.customer_proof import (
    ED25519,
    ES256,
    Approval,
    Assertion,
    AssertionFields,
    AssertionProof,
    CredentialFields,
    RelyingParty,
)

RP_ID = "bank.example"
ORIGIN = "https://pay.bank.example"
RELYING_PARTY = RelyingParty(RP_ID, (ORIGIN, "https://bank.example"))
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED, EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey


class Passkey:
    """One credential and its private key."""

    def __init__(self, number: int = 1, algorithm: int = ES256) -> None:
        self.key: PrivateKey
        if algorithm == ES256:
            self.key = ec.derive_private_key(0xC0FFEE + number, ec.SECP256R1())
            point = self.key.public_key().public_numbers()
            public = point.x.to_bytes(32) + point.y.to_bytes(32)
        else:
            self.key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))
            public = self.key.public_key().public_bytes_raw()
        self.credential = Credential(b"credential" + number.to_bytes(6), algorithm, public)

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, ec.ECDSA(SHA256()))

    def assertion(
        self,
        challenge: bytes,
        /,
        *,
        flags: int = PRESENT | VERIFIED,
        sign_count: int = 0,
        rp_id: str = RP_ID,
        client_data: bytes | None = None,
        appended: bytes = b"",
        **members: Any,
    ) -> Assertion:
        """An answer to a challenge; `members` of the client data are added or replaced, None removes one."""
        if client_data is None:
            client_data = client_data_json(challenge, **members)
        data = sha256(rp_id.encode()).digest() + bytes((flags,)) + sign_count.to_bytes(4) + appended
        signature = self.sign(data + sha256(client_data).digest())
        return Assertion(self.credential.credential_id, data, client_data, signature)

    def fields(self) -> CredentialFields:
        """The credential on the wire."""
        credential = self.credential
        assert credential.algorithm in {ES256, ED25519}
        return CredentialFields(
            base64url.encode(credential.credential_id),
            credential.algorithm,  # type: ignore[arg-type]
            base64url.encode(credential.public_key),
        )

    def approval(self, challenge: bytes, expires_at_s: int, /, **changes: Any) -> Approval:
        """An approval on the wire."""
        return Approval(*texts(self.assertion(challenge, **changes)), expires_at_s)

    def proof(self, challenge: bytes, expires_at_s: int, /, **changes: Any) -> AssertionProof:
        """A payment's proof on the wire."""
        return AssertionProof(*texts(self.assertion(challenge, **changes)), expires_at_s)


def client_data_json(challenge: bytes, /, **members: Any) -> bytes:
    """What a browser writes (Web Authentication Level 3, §5.8.1.1)."""
    written = {
        "type": "webauthn.get",
        "challenge": base64url.encode(challenge),
        "origin": ORIGIN,
        "crossOrigin": False,
    } | members
    kept = {name: value for name, value in written.items() if value is not None}
    return json.dumps(kept, separators=(",", ":")).encode()


def texts(assertion: Assertion) -> tuple[str, str, str, str]:
    """An assertion's members as base64url."""
    return (
        base64url.encode(assertion.credential_id),
        base64url.encode(assertion.authenticator_data),
        base64url.encode(assertion.client_data),
        base64url.encode(assertion.signature),
    )


def on_the_wire(assertion: Assertion) -> AssertionFields:
    return AssertionFields(*texts(assertion))
