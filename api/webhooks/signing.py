"""Signatures by the Standard Webhooks specification: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> bytes:
    """A secret of its own for each webhook."""
    return secrets.token_bytes(_SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """A secret as its receiver is given it."""
    return _PREFIX + base64.b64encode(secret).decode()


def headers_of(
    message_id: str, sent_at_s: int, body: bytes, valid_secrets: Sequence[bytes]
) -> dict[str, str]:
    """The headers of a message: while a secret is being replaced, signatures by both, the new one first."""
    signed = f"{message_id}.{sent_at_s}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in valid_secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": " ".join(signatures),
    }
