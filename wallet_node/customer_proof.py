"""A customer's passkey says yes: WebAuthn assertions, read strictly and verified. Pure.

The challenge is the digest of what is approved (contracts.customer_approvals), so an assertion is good for
one payment, mandate or change of credentials and for nothing else. Of Web Authentication Level 3, §7.2
"Verifying an Authentication Assertion", everything that concerns an assertion whose user was known beforehand
is checked here, and where the standard leaves a choice the stricter one is made: user verification is always
required, use inside another site's frame is refused, and so are extensions, since none are asked for.

Officers' assertions are verified by the same function, over another challenge.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from contracts import base64url
from contracts.customer_approvals import Credential
from wallet_node import strict_json
from wallet_node.errors import CredentialMalformed, MalformedRequest, Refusal
from wallet_node.fields import Identifier, Time

ES256, ED25519 = -7, -8
"""COSE algorithms: ECDSA on P-256 with SHA-256, and EdDSA on edwards25519."""
HIGHEST_SIGN_COUNT = 2**32 - 1
_MAXIMUM_CREDENTIAL_ID_BYTES = 1_023
_AUTHENTICATOR_DATA_BYTES = 37
_CACHED_KEYS = 8_192  # about 2 KB each

# §6.1: bits of the flags, what they must not be, and why. Bits 1 and 5 are reserved, and ignored.
_UP, _UV, _BE, _BS, _AT, _ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
_FLAG_RULES = (
    (_UP, 0, Refusal("UserNotPresent", "nobody touched the authenticator")),
    (_UV, 0, Refusal("UserNotVerified", "the authenticator did not check who touched it")),
    (_BE | _BS, _BS, Refusal("ProofMalformed", "a credential that cannot be backed up says that it is")),
    (_AT, _AT, Refusal("ProofMalformed", "an assertion carries no attested credential")),
    (_ED, _ED, Refusal("ExtensionsNotExpected", "there are extensions, and none were asked for")),
)
_REFUSED_FLAGS = {
    flags: refusal
    for flags in range(256)
    for mask, wrong, refusal in reversed(_FLAG_RULES)  # so that the first rule has the last word
    if flags & mask == wrong
}

_ECDSA = ec.ECDSA(SHA256())
_P256 = ec.SECP256R1()
_FIELD_25519 = 2**255 - 19
_D_25519 = -121665 * pow(121666, -1, _FIELD_25519) % _FIELD_25519
# The y coordinates of the eight points of small order: under such a key a signature is good for any message.
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = {0, 1, _FIELD_25519 - 1, _Y_OF_ORDER_8, _FIELD_25519 - _Y_OF_ORDER_8}

Base64UrlText = Annotated[str, msgspec.Meta(max_length=8_192)]
"""Longer makes a whole request malformed; whatever else is wrong with a text concerns its customer alone."""


# --- as they come -------------------------------------------------------------------------------------------


class CredentialFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A credential on the wire: base64url texts; an ES256 key is x | y (64 bytes), an Ed25519 key has 32."""

    credential_id: Base64UrlText
    algorithm: Literal[-7, -8]
    public_key: Base64UrlText


class AssertionFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An authenticator's answer on the wire, as base64url texts."""

    credential_id: Base64UrlText
    authenticator_data: Base64UrlText
    client_data_json: Base64UrlText
    signature: Base64UrlText


class Approval(AssertionFields, frozen=True, forbid_unknown_fields=True):
    """An assertion over an approval that can be used before `expires_at_s`."""

    expires_at_s: Time


class AssertionProof(Approval, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="assertion"):
    """A payment's proof: the customer approved this payment."""


class MandateProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="mandate"):
    """A payment's proof: the customer approved payments like this one."""

    mandate_id: Identifier


Proof = AssertionProof | MandateProof

_Origin = Annotated[str, msgspec.Meta(pattern=r"\A(https?|android):[!-~]{1,250}\Z")]


class RelyingParty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks customers: the domain that their passkeys are made for, and the origins that may ask."""

    rp_id: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9.-]{1,253}\Z")]
    origins: Annotated[tuple[_Origin, ...], msgspec.Meta(min_length=1, max_length=32)]


# --- as they are read ---------------------------------------------------------------------------------------


class Assertion(msgspec.Struct, frozen=True, gc=False):
    """An authenticator's answer: what was signed is authenticator_data | SHA-256(client_data)."""

    credential_id: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes


class _ClientData(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the browser says it asked. Clients may add members (§5.8.1), so unknown ones are no error."""

    type: str
    challenge: str
    origin: str
    cross_origin: bool | None = msgspec.field(default=None, name="crossOrigin")
    top_origin: str | None = msgspec.field(default=None, name="topOrigin")


def parse_credential(fields: CredentialFields) -> Credential:
    """A credential whose key can verify. Raises CredentialMalformed."""
    try:
        credential = Credential(
            base64url.decode(fields.credential_id), fields.algorithm, base64url.decode(fields.public_key)
        )
        _require_id(credential.credential_id)
        if credential.algorithm == ES256:
            _es256_key(credential.public_key)
        else:
            _require_ed25519_point(credential.public_key)
    except ValueError as error:
        raise CredentialMalformed(f"the credential cannot be used: {error}") from None
    return credential


def parse_assertion(fields: AssertionFields) -> Assertion | Refusal:
    """The bytes of an assertion. What they say, `verify_assertion` reads."""
    try:
        return Assertion(
            base64url.decode(fields.credential_id),
            base64url.decode(fields.authenticator_data),
            base64url.decode(fields.client_data_json),
            base64url.decode(fields.signature),
        )
    except ValueError:
        return Refusal("ProofMalformed", "the assertion's members are base64url without padding")


# --- verified -----------------------------------------------------------------------------------------------


def verify_assertion(
    assertion: Assertion,
    credential: Credential,
    challenge: bytes,
    relying_party: RelyingParty,
    last_sign_count: int,
) -> int | Refusal:
    """The authenticator's new sign count, to be kept for the next assertion; or why it is not accepted.

    `challenge` is the digest of what must have been approved, `last_sign_count` the count that was kept last.
    """
    if assertion.credential_id != credential.credential_id:
        return Refusal("CredentialUnknown", "the assertion is of another credential")
    refusal = _judge_client_data(assertion.client_data, challenge, relying_party)
    if refusal is None:
        refusal = _judge_authenticator_data(assertion.authenticator_data, relying_party)
    if refusal is not None:
        return refusal
    signed = assertion.authenticator_data + sha256(assertion.client_data).digest()
    if not is_signed_by(credential, signed, assertion.signature):
        return Refusal("SignatureInvalid", "the signature is not of this credential over this assertion")
    sign_count = int.from_bytes(assertion.authenticator_data[33:37])
    # §6.1.1: an authenticator without a counter always says 0
    if (sign_count or last_sign_count) and sign_count <= last_sign_count:
        detail = f"the authenticator counts {sign_count} after {last_sign_count}: there may be a copy of it"
        return Refusal("CloneSuspected", detail)
    return sign_count


def is_signed_by(credential: Credential, message: bytes, signature: bytes) -> bool:
    """Whether a credential's key signed a message. An ES256 signature is strict DER; its s may be high."""
    try:
        if credential.algorithm == ES256:
            _es256_key(credential.public_key).verify(signature, message, _ECDSA)
        else:
            _ed25519_key(credential.public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _judge_client_data(client_data: bytes, challenge: bytes, relying_party: RelyingParty) -> Refusal | None:
    try:
        said = strict_json.decode(client_data, _ClientData)
    except MalformedRequest as error:
        return Refusal("ProofMalformed", f"client_data_json: {error.detail}")
    if said.type != "webauthn.get":
        return Refusal("ProofMalformed", "client_data_json is not of an assertion: its type is another")
    if said.challenge != base64url.encode(challenge):
        return Refusal("ChallengeMismatch", "what the customer approved is not what is asked for")
    if said.origin not in relying_party.origins:
        return Refusal(
            "OriginNotAllowed", "the customer was asked by an origin that the policy does not name"
        )
    if said.cross_origin or said.top_origin is not None:
        return Refusal("OriginNotAllowed", "the customer was asked inside another site's frame")
    return None


def _judge_authenticator_data(data: bytes, relying_party: RelyingParty) -> Refusal | None:
    if len(data) < _AUTHENTICATOR_DATA_BYTES:
        return Refusal("ProofMalformed", "authenticator data has at least 37 bytes")
    if data[:32] != _rp_id_hash(relying_party.rp_id):
        return Refusal("RelyingPartyMismatch", f"the passkey is not one for {relying_party.rp_id}")
    refusal = _REFUSED_FLAGS.get(data[32])
    if refusal is None and len(data) != _AUTHENTICATOR_DATA_BYTES:
        return Refusal("ProofMalformed", "authenticator data is longer than its flags say")
    return refusal


@lru_cache(maxsize=16)
def _rp_id_hash(rp_id: str) -> bytes:
    return sha256(rp_id.encode("ascii")).digest()


@lru_cache(maxsize=_CACHED_KEYS)
def _es256_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """Raises ValueError for a point that is not on the curve. Reading one costs a tenth of verifying."""
    if len(public_key) != 64:
        raise ValueError("an ES256 key has 64 bytes, x and y")
    # not by way of EllipticCurvePublicNumbers, which accepts coordinates beyond the field's prime
    return ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + public_key)


@lru_cache(maxsize=_CACHED_KEYS)
def _ed25519_key(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def _require_id(credential_id: bytes) -> None:
    """Raises ValueError for a length that no authenticator gives (§4, Credential ID)."""
    if not 0 < len(credential_id) <= _MAXIMUM_CREDENTIAL_ID_BYTES:
        raise ValueError("a credential's id has 1 to 1,023 bytes")


def _require_ed25519_point(public_key: bytes) -> None:
    """Raises ValueError unless the bytes are a point of large order in its one encoding (RFC 8032 §5.1.3)."""
    if len(public_key) != 32:
        raise ValueError("an Ed25519 key has 32 bytes")
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    if y >= _FIELD_25519 or y in _SMALL_ORDER:
        raise ValueError("the Ed25519 key is no usable point")
    x_squared = (y * y - 1) * pow(_D_25519 * y * y + 1, -1, _FIELD_25519) % _FIELD_25519
    if pow(x_squared, (_FIELD_25519 - 1) // 2, _FIELD_25519) != 1:
        raise ValueError("the Ed25519 key is not on the curve")
