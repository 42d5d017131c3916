"""A new passkey as a wallet's credential: read from what the authenticator sent, verified, and made plain.

WebAuthn carries public keys as COSE (RFC 9052); the signer binds x | y of ES256, or Ed25519's 32 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from api.proofs import CredentialBody
from api.wallets.errors import PasskeyRefused
from contracts import base64url

if TYPE_CHECKING:
    from api.settings import Settings
    from api.wallets.schemas import NewPasskeyBody

ES256: Final = -7
ED25519: Final = -8
_P256: Final = ec.SECP256R1()


class _ClientData(msgspec.Struct):
    cross_origin: bool | None = msgspec.field(default=None, name="crossOrigin")
    top_origin: str | None = msgspec.field(default=None, name="topOrigin")


def creation_options(
    settings: Settings, challenge: bytes, user_id: bytes, user_name: str, known: list[str]
) -> dict[str, Any]:
    """What a page gives to `navigator.credentials.create`: WebAuthn's PublicKeyCredentialCreationOptionsJSON.

    `known` are the ids of credentials that the person has for wallets here, as base64url.
    """
    return {
        "rp": {"id": settings.rp_id, "name": settings.institution_name},
        "user": {"id": base64url.encode(user_id), "name": user_name, "displayName": user_name},
        "challenge": base64url.encode(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": ES256}, {"type": "public-key", "alg": ED25519}],
        "timeout": settings.approval_valid_s * 1000,
        "excludeCredentials": [{"type": "public-key", "id": each} for each in known],
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "required"},
        "attestation": "none",
    }


def credential_of_attestation(
    settings: Settings, challenge: bytes, passkey: NewPasskeyBody
) -> CredentialBody:
    """The credential of a passkey that was made for `challenge`, on our pages, by a verified user.

    Raises `PasskeyRefused`.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.exceptions import WebAuthnException

    response = {
        "id": passkey.credential_id,
        "rawId": passkey.credential_id,
        "type": "public-key",
        "response": {
            "clientDataJSON": passkey.client_data_json,
            "attestationObject": passkey.attestation_object,
        },
    }
    try:
        verified = verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=settings.rp_id,
            expected_origin=list(settings.origins),
            require_user_verification=True,
            supported_pub_key_algs=[
                COSEAlgorithmIdentifier.ECDSA_SHA_256,
                COSEAlgorithmIdentifier.EDDSA,
            ],
        )
        _refuse_frames(passkey.client_data_json)
    except WebAuthnException as refusal:  # its text repeats what was sent
        raise PasskeyRefused(
            "the answer does not fit what was asked, by this page and of a verified user"
        ) from refusal
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as malformed:
        raise PasskeyRefused("the answer is not well formed") from malformed
    if base64url.encode(verified.credential_id) != passkey.credential_id:
        raise PasskeyRefused("its id is not the one that it names")
    return credential_of_cose(verified.credential_id, verified.credential_public_key)


def credential_of_cose(credential_id: bytes, cose_key: bytes) -> CredentialBody:
    """A credential whose key is COSE, in the signer's form. Raises `PasskeyRefused`."""
    from webauthn.helpers import decode_credential_public_key
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        key: Any = decode_credential_public_key(cose_key)
        algorithm, public_key = int(key.alg), _plain(key)
    except (WebAuthnException, ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise PasskeyRefused("its key is not ES256 or Ed25519") from None
    return CredentialBody(
        credential_id=base64url.encode(credential_id),
        algorithm=ES256 if algorithm == ES256 else ED25519,
        public_key=base64url.encode(public_key),
    )


def _plain(key: Any) -> bytes:
    """Raises ValueError for any other key than a point of P-256 or 32 bytes of Ed25519."""
    if key.alg == ES256 and key.crv == 1 and len(key.x) == len(key.y) == 32:
        point: bytes = key.x + key.y
        ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + point)
        return point
    if key.alg == ED25519 and key.crv == 6 and len(key.x) == 32:
        alone: bytes = key.x
        return alone
    raise ValueError("no key of the two kinds")


def _refuse_frames(client_data_json: str) -> None:
    """Raises `PasskeyRefused` for a passkey that was made inside another site's frame."""
    said = msgspec.json.decode(base64url.decode(client_data_json), type=_ClientData)
    if said.cross_origin or said.top_origin is not None:
        raise PasskeyRefused("it was made inside another site's frame")
