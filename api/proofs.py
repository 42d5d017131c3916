"""What a customer's authenticator says, as callers send it: carried to the signer, which alone judges it.

Binary fields are base64url without padding (RFC 4648, section 5), as WebAuthn's JSON forms have them.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import StringConstraints

from api.fields import Body, MomentInSeconds

Base64Url = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[A-Za-z0-9_-]+$")]


class CredentialBody(Body):
    """A customer's public key: ES256 (-7, the 64 bytes x | y) or Ed25519 (-8, 32 bytes)."""

    credential_id: Base64Url
    algorithm: Literal[-7, -8]
    public_key: Base64Url

    def as_json(self) -> str:
        """The form that the signer reads."""
        return json.dumps(self.model_dump())


class AssertionBody(Body):
    """A WebAuthn assertion over what is approved (contracts.customer_approvals).

    It is good until `expires_at_s`.
    """

    expires_at_s: MomentInSeconds
    credential_id: Base64Url
    authenticator_data: Base64Url
    client_data_json: Base64Url
    signature: Base64Url

    def as_approval(self) -> str:
        """The form in which the signer reads it beside a mandate."""
        return json.dumps(self.model_dump())

    def as_proof(self) -> str:
        """The form in which the signer reads it beside a payment."""
        return json.dumps({"kind": "assertion", **self.model_dump()})
