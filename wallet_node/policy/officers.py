"""Officers' public keys, as a policy writes them."""

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric import ec

from wallet_node.errors import MalformedPolicy
from wallet_node.policy.file import Officer

_ES256, _ED25519_BYTES, _P256_BYTES = -7, 32, 64


def officer_key(officer: Officer) -> bytes:
    """The bytes of an officer's public key: 32 of Ed25519, or x and y of P-256. Raises MalformedPolicy."""
    where = f"officer {officer.name!r}"
    if (officer.key is None) == (officer.credential is None):
        raise MalformedPolicy(f"{where}: has either a key (ed25519:...) or a credential, exactly one")
    if officer.key is not None:
        return _decoded(officer.key.removeprefix("ed25519:"), _ED25519_BYTES, f"{where}, field 'key'")
    credential = officer.credential
    assert credential is not None
    _decoded(credential.credential_id, None, f"{where}, field 'credential_id'")
    place = f"{where}, field 'public_key'"
    if credential.algorithm != _ES256:
        return _decoded(credential.public_key, _ED25519_BYTES, place)
    point = _decoded(credential.public_key, _P256_BYTES, place)
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError:
        raise MalformedPolicy(f"{place}: is no point of P-256") from None
    return point


def _decoded(text: str, length: int | None, place: str) -> bytes:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise MalformedPolicy(f"{place}: is not base64url without padding") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode():
        raise MalformedPolicy(f"{place}: is base64url with bits to spare; the last character has others")
    if length is not None and len(decoded) != length:
        raise MalformedPolicy(f"{place}: has {len(decoded)} bytes; allowed: {length}")
    return decoded
