"""A passkey in software that makes what a browser hands on: attestations and assertions, right and wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from fido2 import cbor

from contracts.base64url import decode, encode
from scripts.country.authenticator import SoftwareAuthenticator

ORIGIN = "http://localhost:0"
"""Of an office whose port is 0."""


@dataclass
class Passkey:
    """One credential. `flags`: user present 1, user verified 4, attested data 64."""

    name: str = "anna"
    rp_id: str = "localhost"
    origin: str = ORIGIN
    flags: int = 5
    sign_count: int = 0
    authenticator: SoftwareAuthenticator = field(default_factory=lambda: SoftwareAuthenticator(b"s" * 32))

    @property
    def credential_id(self) -> str:
        """Its id as base64url."""
        return encode(self.authenticator.credential(self.name).credential_id)

    def created(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """What `create` answers to options; `changes` of the client's data."""
        credential = self.authenticator.credential(self.name)
        cose = {1: 2, 3: -7, -1: 1, -2: credential.public_key[:32], -3: credential.public_key[32:]}
        data = (
            hashlib.sha256(self.rp_id.encode()).digest()
            + bytes([self.flags | 64])
            + self.sign_count.to_bytes(4)
            + bytes(16)
            + len(credential.credential_id).to_bytes(2)
            + credential.credential_id
            + cbor.encode(cose)
        )
        client = {"type": "webauthn.create", "challenge": options["challenge"], "origin": self.origin}
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            clientDataJSON=encode(json.dumps(client | changes).encode()),
            attestationObject=encode(attestation),
        )

    def asserted(self, options: dict[str, Any], user_handle: bytes | None = None) -> dict[str, Any]:
        """What `get` answers to options."""
        made = self.authenticator.assertion_fields(
            self.name, decode(options["challenge"]), self.rp_id, self.origin, self.sign_count
        )
        answer = {
            "clientDataJSON": made["client_data_json"],
            "authenticatorData": made["authenticator_data"],
            "signature": made["signature"],
        }
        return self._answer(**answer, **({} if user_handle is None else {"userHandle": encode(user_handle)}))

    def _answer(self, **response: str) -> dict[str, Any]:
        return {
            "id": self.credential_id,
            "rawId": self.credential_id,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        }
