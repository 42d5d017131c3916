"""What a customer approves with a passkey: the challenge that binds payee and amount, and the answer to it.

The digest of contracts.customer_approvals is the challenge. The signer judges the assertion; here only what
the customer should hear at once is looked at: that it answers this challenge, in time.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from api.proofs import AssertionBody, Base64Url
from api.web.errors import ApprovalExpired, ApprovalNotOfThis, ApprovalUnreadable
from contracts.customer_approvals import payment_approval_digest

if TYPE_CHECKING:
    import uuid

VALID_S: Final = 300


class _Response(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    authenticatorData: Base64Url  # noqa: N815 - WebAuthn's own name
    clientDataJSON: Base64Url  # noqa: N815 - WebAuthn's own name
    signature: Base64Url


class _Credential(BaseModel):
    """AuthenticationResponseJSON of WebAuthn level 3, as far as it is read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Base64Url
    response: _Response


@dataclass(frozen=True, slots=True)
class Approval:
    """What is shown and signed. Addresses have 20 bytes; `domain` is the currency's EIP-712 separator."""

    kind: Literal["payment", "redemption"]
    payment_id: uuid.UUID
    payer: bytes
    payee: bytes
    amount_minor: int
    expires_at_s: int
    domain: bytes
    credential_id: str

    @property
    def challenge(self) -> str:
        """The digest, in base64url."""
        digest = payment_approval_digest(
            self.domain,
            self.payment_id.bytes,
            self.payer,
            self.payee,
            amount_minor=self.amount_minor,
            expires_at_s=self.expires_at_s,
        )
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def options_json(self) -> str:
        """PublicKeyCredentialRequestOptionsJSON: the wallet's own credential, and the user verified."""
        options = {
            "challenge": self.challenge,
            "allowCredentials": [{"type": "public-key", "id": self.credential_id}],
            "userVerification": "required",
            "timeout": VALID_S * 1000,
        }
        return json.dumps(options)

    def proof(self, credential: str) -> AssertionBody:
        """What the browser answered, as the signer reads it.

        Raises `ApprovalUnreadable`, `ApprovalExpired` and `ApprovalNotOfThis`.
        """
        if not 0 < self.expires_at_s - time.time() <= VALID_S:
            raise ApprovalExpired
        try:
            given = _Credential.model_validate_json(credential)
            data = json.loads(_decoded(given.response.clientDataJSON))
            challenge = data["challenge"]
        except (ValidationError, ValueError, KeyError, TypeError):
            raise ApprovalUnreadable from None
        if challenge != self.challenge or given.id != self.credential_id:
            raise ApprovalNotOfThis
        return AssertionBody(
            expires_at_s=self.expires_at_s,
            credential_id=given.id,
            authenticator_data=given.response.authenticatorData,
            client_data_json=given.response.clientDataJSON,
            signature=given.response.signature,
        )


def credential_of(wallet: Any) -> str | None:
    """The id of the credential that was bound with the wallet, or None."""
    return None if wallet["credential"] is None else json.loads(wallet["credential"])["credential_id"]


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
