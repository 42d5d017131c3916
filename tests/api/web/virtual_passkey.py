"""A passkey in the browser's virtual authenticator (WebDriver's, through CDP), whose key the tests know."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PRIVATE_KEY = ec.derive_private_key(0x0F10 << 128 | 1, ec.SECP256R1())
CREDENTIAL_ID = b"virtual passkey of customer 1"
VIRTUAL_CREDENTIAL = base64.urlsafe_b64encode(CREDENTIAL_ID).rstrip(b"=").decode()
_POINT = PRIVATE_KEY.public_key().public_numbers()
_PUBLIC_KEY = _POINT.x.to_bytes(32, "big") + _POINT.y.to_bytes(32, "big")
PUBLIC_KEY_TEXT = base64.urlsafe_b64encode(_PUBLIC_KEY).rstrip(b"=").decode()


async def give_passkey(page: Any, *, is_user_verified: bool = True) -> tuple[Any, str]:
    """Put an authenticator with the passkey into the page's browser; its CDP session and id."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": is_user_verified,
        "automaticPresenceSimulation": True,
    }
    authenticator = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    key = PRIVATE_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    credential = {
        "credentialId": base64.b64encode(CREDENTIAL_ID).decode(),
        "isResidentCredential": True,
        "rpId": "localhost",
        "privateKey": base64.b64encode(key).decode(),
        "userHandle": base64.b64encode(b"c-1").decode(),
        "signCount": 1,
    }
    authenticator_id = authenticator["authenticatorId"]
    await session.send(
        "WebAuthn.addCredential", {"authenticatorId": authenticator_id, "credential": credential}
    )
    return session, authenticator_id
