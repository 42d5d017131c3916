"""A passkey's yes, looked at before it travels: the signer's rules in the signer's words, pure.

The signer judges for itself (wallet_node.customer_proof, docs/decisions/016); the bank asks the same first,
so that a person hears at once. It keeps no counters: whether a passkey was copied, the signer alone knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from api.errors import FlorinError
from api.fields import refuse_duplicate_fields
from contracts import base64url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.proofs import AssertionBody

_ES256: Final = -7
_AUTHENTICATOR_DATA_BYTES: Final = 37
# Web Authentication Level 3, §6.1: bits of the flags; 1 and 5 are reserved
_UP, _UV, _BE, _BS, _AT, _ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
_FLAG_RULES: Final = (
    (_UP, 0, "UserNotPresent", "Nobody touched the authenticator."),
    (_UV, 0, "UserNotVerified", "The authenticator did not check who touched it."),
    (_BE | _BS, _BS, "ProofMalformed", "A passkey that cannot be backed up says that it is."),
    (_AT, _AT, "ProofMalformed", "An approval carries no new passkey."),
    (_ED, _ED, "ExtensionsNotExpected", "The approval has extensions, and none were asked for."),
)


class AssertionRefused(FlorinError):
    """An approval that does not hold; the code is the signer's."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, 422, sentence)


@dataclass(frozen=True, slots=True)
class BoundCredential:
    """A credential that the signer bound to a wallet."""

    credential_id: str
    algorithm: int
    public_key: bytes

    @classmethod
    def of_json(cls, text: str) -> BoundCredential:
        """As it travelled to the signer (`CredentialBody.as_json`)."""
        fields = msgspec.json.decode(text)
        return cls(fields["credential_id"], fields["algorithm"], base64url.decode(fields["public_key"]))


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks: the domain of the passkeys, and the origins that may ask."""

    rp_id: str
    origins: tuple[str, ...]


class _ClientData(msgspec.Struct):
    type: str
    challenge: str
    origin: str
    cross_origin: bool | None = msgspec.field(default=None, name="crossOrigin")
    top_origin: str | None = msgspec.field(default=None, name="topOrigin")


def check_assertion(
    assertion: AssertionBody,
    credentials: Sequence[BoundCredential],
    challenge: bytes,
    relying_party: RelyingParty,
) -> None:
    """Raise `AssertionRefused` unless one of `credentials` approved exactly what has this digest."""
    credential = next((each for each in credentials if each.credential_id == assertion.credential_id), None)
    if credential is None:
        raise AssertionRefused("CredentialUnknown", "This passkey is not one of this wallet.")
    try:
        client_data = base64url.decode(assertion.client_data_json)
        authenticator_data = base64url.decode(assertion.authenticator_data)
        signature = base64url.decode(assertion.signature)
    except ValueError:
        raise _malformed("Its members are not base64url.") from None
    _check_client_data(client_data, challenge, relying_party)
    _check_authenticator_data(authenticator_data, relying_party)
    if not _is_signed(credential, authenticator_data + sha256(client_data).digest(), signature):
        raise AssertionRefused("SignatureInvalid", "The signature is not this passkey's.")


def _check_client_data(client_data: bytes, challenge: bytes, relying_party: RelyingParty) -> None:
    try:
        refuse_duplicate_fields(client_data)
        said = msgspec.json.decode(client_data, type=_ClientData)
    except (FlorinError, ValueError, RecursionError, msgspec.DecodeError):
        raise _malformed("What the browser says cannot be read.") from None
    if said.type != "webauthn.get":
        raise _malformed("It is no approval: its type is another.")
    if said.challenge != base64url.encode(challenge):
        raise AssertionRefused("ChallengeMismatch", "What was approved is not what is asked for.")
    if said.origin not in relying_party.origins or said.cross_origin or said.top_origin is not None:
        raise AssertionRefused("OriginNotAllowed", "It was not approved on this bank's own page.")


def _check_authenticator_data(data: bytes, relying_party: RelyingParty) -> None:
    if len(data) < _AUTHENTICATOR_DATA_BYTES:
        raise _malformed("The authenticator's data is too short.")
    if data[:32] != sha256(relying_party.rp_id.encode()).digest():
        raise AssertionRefused("RelyingPartyMismatch", "The passkey is for another site.")
    for mask, wrong, code, sentence in _FLAG_RULES:
        if data[32] & mask == wrong:
            raise AssertionRefused(code, sentence)
    if len(data) != _AUTHENTICATOR_DATA_BYTES:
        raise _malformed("The authenticator's data is longer than its flags say.")


def _is_signed(credential: BoundCredential, message: bytes, signature: bytes) -> bool:
    try:
        if credential.algorithm == _ES256:
            point = b"\x04" + credential.public_key
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            key.verify(signature, message, ec.ECDSA(SHA256()))
        else:
            Ed25519PublicKey.from_public_bytes(credential.public_key).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: a key that the signer refused as well
        return False
    return True


def _malformed(sentence: str) -> AssertionRefused:
    return AssertionRefused("ProofMalformed", sentence)
