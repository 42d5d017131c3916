"""An assertion is accepted only if the customer approved exactly this, here, with this credential."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fido2 import cose
from fido2.server import Fido2Server
from fido2.webauthn import AttestedCredentialData, PublicKeyCredentialRpEntity
from hypothesis import given, settings
from hypothesis import strategies as st
from passkeys import (
    ATTESTED,
    BACKED_UP,
    ELIGIBLE,
    EXTENDED,
    ORIGIN,
    PRESENT,
    RELYING_PARTY,
    RP_ID,
    VERIFIED,
    Passkey,
    client_data_json,
    on_the_wire,
    texts,
)

from contracts import base64url
from contracts.customer_approvals import Credential
from wallet_node.customer_proof import (
    ED25519,
    ES256,
    HIGHEST_SIGN_COUNT,
    Assertion,
    RelyingParty,
    parse_assertion,
    verify_assertion,
)
from wallet_node.errors import Refusal

CHALLENGE = bytes(range(32))
PASSKEY = Passkey()
BOTH = pytest.mark.parametrize("algorithm", [ES256, ED25519])
GOOD = PRESENT | VERIFIED


def verify(
    assertion: Assertion,
    credential: Credential = PASSKEY.credential,
    challenge: bytes = CHALLENGE,
    relying_party: RelyingParty = RELYING_PARTY,
    last_sign_count: int = 0,
) -> int | str:
    """The new sign count, or the refusal's code."""
    decided = verify_assertion(assertion, credential, challenge, relying_party, last_sign_count)
    return decided.code if isinstance(decided, Refusal) else decided


# what is accepted


@BOTH
def test_what_the_customer_approved_is_accepted(algorithm: int) -> None:
    passkey = Passkey(algorithm=algorithm)
    assert verify(passkey.assertion(CHALLENGE), passkey.credential) == 0


def test_each_origin_of_the_policy_may_ask() -> None:
    for origin in RELYING_PARTY.origins:
        assert verify(PASSKEY.assertion(CHALLENGE, origin=origin)) == 0


@pytest.mark.parametrize("extra", [0, ELIGIBLE, ELIGIBLE | BACKED_UP, 0x02, 0x20])
def test_backup_and_reserved_flags_do_not_matter(extra: int) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, flags=GOOD | extra)) == 0


def test_clients_may_add_members_and_leave_cross_origin_out() -> None:
    added = {"tokenBinding": {"status": "supported"}, "extra": ["anything", 1, None]}
    assert verify(PASSKEY.assertion(CHALLENGE, **added)) == 0
    assert verify(PASSKEY.assertion(CHALLENGE, crossOrigin=None)) == 0


# what is refused


@BOTH
def test_another_challenge_is_refused(algorithm: int) -> None:
    passkey = Passkey(algorithm=algorithm)
    assert verify(passkey.assertion(bytes(32)), passkey.credential) == "ChallengeMismatch"


@pytest.mark.parametrize(
    "spelling",
    [
        base64url.encode(CHALLENGE) + "=",
        base64url.encode(CHALLENGE)[:-1] + "9",  # other left-over bits
        base64url.encode(CHALLENGE).lower(),
        base64url.encode(CHALLENGE + b"\0"),
        "",
    ],
)
def test_a_challenge_has_one_spelling(spelling: str) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, challenge=spelling)) == "ChallengeMismatch"


@pytest.mark.parametrize(
    "origin",
    [
        "https://pay.bank.example.evil.example",
        "http://pay.bank.example",
        "https://pay.bank.example:443",
        "https://pay.bank.example/",
        "https://PAY.bank.example",
        "null",
        "",
    ],
)
def test_another_origin_is_refused(origin: str) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, origin=origin)) == "OriginNotAllowed"


@pytest.mark.parametrize(
    "members",
    [
        {"crossOrigin": True},
        {"topOrigin": ORIGIN},
        {"crossOrigin": True, "topOrigin": "https://evil.example"},
    ],
)
def test_inside_another_sites_frame_is_refused(members: dict[str, Any]) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, **members)) == "OriginNotAllowed"


def test_a_passkey_for_another_domain_is_refused() -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, rp_id="pay.bank.example")) == "RelyingPartyMismatch"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (VERIFIED, "UserNotPresent"),
        (PRESENT, "UserNotVerified"),
        (0, "UserNotPresent"),
        (GOOD | BACKED_UP, "ProofMalformed"),
        (GOOD | ATTESTED, "ProofMalformed"),
        (GOOD | EXTENDED, "ExtensionsNotExpected"),
    ],
)
def test_flags_that_do_not_say_what_is_needed_are_refused(flags: int, code: str) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, flags=flags)) == code


def test_extensions_are_refused_also_when_they_are_well_formed() -> None:
    appended = bytes.fromhex("a163666f6f01")  # CBOR {"foo": 1}
    assert verify(PASSKEY.assertion(CHALLENGE, flags=GOOD | EXTENDED, appended=appended)) == (
        "ExtensionsNotExpected"
    )


def test_authenticator_data_is_as_long_as_its_flags_say() -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, appended=b"\0")) == "ProofMalformed"
    good = PASSKEY.assertion(CHALLENGE)
    for length in range(37):
        cut = msgspec.structs.replace(good, authenticator_data=good.authenticator_data[:length])
        assert verify(cut) == "ProofMalformed"


@pytest.mark.parametrize("kind", ["webauthn.create", "payment.get", "webauthn.GET", "webauthn.get ", ""])
def test_another_ceremony_is_no_assertion(kind: str) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, type=kind)) == "ProofMalformed"


GOOD_CLIENT_DATA = client_data_json(CHALLENGE)


@pytest.mark.parametrize(
    "client_data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xef\xbb\xbf" + GOOD_CLIENT_DATA,
        b"\xff" + GOOD_CLIENT_DATA,
        GOOD_CLIENT_DATA.decode().encode("utf-16"),
        GOOD_CLIENT_DATA + b"x",
        GOOD_CLIENT_DATA + b"\0",
        GOOD_CLIENT_DATA[:-1],
        GOOD_CLIENT_DATA.replace(b"bank", b"b\xe4nk"),
        b"[" * 100_000,
        client_data_json(CHALLENGE, challenge=["AA"]),
        client_data_json(CHALLENGE, crossOrigin="false"),
        client_data_json(CHALLENGE, crossOrigin=0),
        client_data_json(CHALLENGE, origin=[ORIGIN]),
        client_data_json(CHALLENGE, type=None),
        client_data_json(CHALLENGE, challenge=None),
        client_data_json(CHALLENGE, origin=None),
    ],
)
def test_client_data_that_is_not_what_a_browser_writes_is_refused(client_data: bytes) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, client_data=client_data)) == "ProofMalformed"


@pytest.mark.parametrize("name", ["type", "challenge", "origin", "crossOrigin"])
def test_a_repeated_member_is_refused_whichever_comes_first(name: str) -> None:
    """Two parsers that keep different ones would see two different approvals."""
    member = f'"{name}":{json.dumps(json.loads(GOOD_CLIENT_DATA)[name])}'.encode()
    other = f'"{name}":"other"'.encode()
    for pair in (member + b"," + other, other + b"," + member, member + b"," + member):
        doubled = GOOD_CLIENT_DATA.replace(member, pair)
        assert doubled != GOOD_CLIENT_DATA
        assert verify(PASSKEY.assertion(CHALLENGE, client_data=doubled)) == "ProofMalformed"


@BOTH
def test_another_credentials_signature_is_refused(algorithm: int) -> None:
    passkey, other = Passkey(1, algorithm), Passkey(2, algorithm)
    assertion = passkey.assertion(CHALLENGE)
    assert verify(assertion, other.credential) == "CredentialUnknown"
    renamed = msgspec.structs.replace(assertion, credential_id=other.credential.credential_id)
    assert verify(renamed, other.credential) == "SignatureInvalid"


@BOTH
def test_any_flipped_bit_is_refused(algorithm: int) -> None:
    passkey = Passkey(algorithm=algorithm)
    good = passkey.assertion(CHALLENGE, sign_count=7)
    assert verify(good, passkey.credential) == 7
    expected = {
        "credential_id": {"CredentialUnknown"},
        "signature": {"SignatureInvalid"},
        # a name with a letter changed is a member left out; a letter of true text breaks the signature
        "client_data": {"ProofMalformed", "ChallengeMismatch", "OriginNotAllowed", "SignatureInvalid"},
        "authenticator_data": {
            *("RelyingPartyMismatch", "UserNotPresent", "UserNotVerified", "ExtensionsNotExpected"),
            *("ProofMalformed", "SignatureInvalid"),
        },
    }
    for member, codes in expected.items():
        content: bytes = getattr(good, member)
        for at in range(len(content)):
            for bit in range(8) if member != "client_data" else (0, 5):
                flipped = content[:at] + bytes((content[at] ^ 1 << bit,)) + content[at + 1 :]
                tampered = msgspec.structs.replace(good, **{member: flipped})
                assert verify(tampered, passkey.credential) in codes, (member, at, bit)


# counters


@pytest.mark.parametrize(
    ("last", "new", "decided"),
    [
        (0, 0, 0),
        (0, 1, 1),
        (5, 6, 6),
        (5, 600, 600),
        (HIGHEST_SIGN_COUNT - 1, HIGHEST_SIGN_COUNT, HIGHEST_SIGN_COUNT),
        (5, 5, "CloneSuspected"),
        (5, 4, "CloneSuspected"),
        (1, 0, "CloneSuspected"),
        (HIGHEST_SIGN_COUNT, 0, "CloneSuspected"),
    ],
)
def test_a_counter_that_was_ever_used_only_rises(last: int, new: int, decided: int | str) -> None:
    assert verify(PASSKEY.assertion(CHALLENGE, sign_count=new), last_sign_count=last) == decided


def test_a_clone_is_suspected_only_of_a_signature_that_is_good() -> None:
    forged = msgspec.structs.replace(PASSKEY.assertion(CHALLENGE), signature=b"")
    assert verify(forged, last_sign_count=9) == "SignatureInvalid"


# the wire


@BOTH
def test_an_assertion_is_read_as_it_was_sent(algorithm: int) -> None:
    assertion = Passkey(algorithm=algorithm).assertion(CHALLENGE)
    assert parse_assertion(on_the_wire(assertion)) == assertion


@pytest.mark.parametrize("member", ["credential_id", "authenticator_data", "client_data_json", "signature"])
@pytest.mark.parametrize(
    "spoil", [lambda text: text + "=", lambda text: text[:-2] + "+/", lambda text: " " + text]
)
def test_anything_but_unpadded_base64url_is_refused(member: str, spoil: Any) -> None:
    fields = on_the_wire(PASSKEY.assertion(CHALLENGE))
    spoilt = msgspec.structs.replace(fields, **{member: spoil(getattr(fields, member))})
    refusal = parse_assertion(spoilt)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "ProofMalformed"


@settings(deadline=None)
@given(
    parts=st.tuples(
        st.binary(max_size=8), st.binary(max_size=45), st.binary(max_size=80), st.binary(max_size=80)
    ),
    credential_id=st.just(PASSKEY.credential.credential_id) | st.binary(max_size=8),
)
def test_no_bytes_whatever_are_more_than_a_refusal(parts: tuple[bytes, ...], credential_id: bytes) -> None:
    assert isinstance(verify(Assertion(credential_id, *parts[1:])), str)


# other judges


NO_EXTENSIONS = b"\xa0"  # CBOR: an empty map


def _server() -> Fido2Server:
    return Fido2Server(
        PublicKeyCredentialRpEntity(id=RP_ID, name="Bank"),
        verify_origin=lambda origin: origin in RELYING_PARTY.origins,
    )


def fido2_accepts(assertion: Assertion, passkey: Passkey) -> bool:
    """What python-fido2 says, which checks neither counters nor frames nor repeated members."""
    public = passkey.key.public_key()
    kind = cose.EdDSA if isinstance(passkey.key, Ed25519PrivateKey) else cose.ES256
    credential_id = passkey.credential.credential_id
    kept = AttestedCredentialData.create(bytes(16), credential_id, kind.from_cryptography_key(public))
    credential, data, client_data, signature = texts(assertion)
    state = {"challenge": base64url.encode(CHALLENGE), "user_verification": "required"}
    response = {"authenticatorData": data, "clientDataJSON": client_data, "signature": signature}
    try:
        _server().authenticate_complete(
            state, [kept], {"id": credential, "rawId": credential, "type": "public-key", "response": response}
        )
    except (ValueError, KeyError):
        return False
    return True


@settings(max_examples=120, deadline=None)
@given(
    algorithm=st.sampled_from([ES256, ED25519]),
    challenge=st.sampled_from([CHALLENGE, CHALLENGE, bytes(32)]),
    flags=st.integers(0, 255).map(lambda flags: flags & ~ATTESTED) | st.just(GOOD),
    sign_count=st.integers(0, HIGHEST_SIGN_COUNT),
    rp_id=st.sampled_from([RP_ID, RP_ID, "evil.example"]),
    origin=st.sampled_from([ORIGIN, ORIGIN, "https://evil.example"]),
    kind=st.sampled_from(["webauthn.get", "webauthn.get", "webauthn.create"]),
)
def test_what_is_accepted_python_fido2_accepts_and_what_it_refuses_is_refused(
    algorithm: int, challenge: bytes, flags: int, sign_count: int, rp_id: str, origin: str, kind: str
) -> None:
    passkey = Passkey(algorithm=algorithm)
    assertion = passkey.assertion(
        challenge,
        flags=flags,
        sign_count=sign_count,
        rp_id=rp_id,
        appended=NO_EXTENSIONS if flags & EXTENDED else b"",
        origin=origin,
        type=kind,
    )
    is_accepted = isinstance(verify(assertion, passkey.credential), int)
    theirs = fido2_accepts(assertion, passkey)
    is_stricter = flags & EXTENDED or flags & (ELIGIBLE | BACKED_UP) == BACKED_UP
    assert is_accepted == (theirs and not is_stricter)


_VECTORS = json.loads((Path(__file__).parent / "vectors" / "webauthn.json").read_text("utf-8"))["vectors"]
_EXPECTED_OTHERWISE = {
    'ES256 Credential with "crossOrigin": true in clientDataJSON': "OriginNotAllowed",
    'ES256 Credential with "topOrigin" in clientDataJSON': "OriginNotAllowed",
}


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["title"])
def test_the_standards_own_vectors(vector: dict[str, Any]) -> None:
    """§16: what lacks user verification or comes from a frame is refused for that, the rest accepted."""
    secret = bytes.fromhex(vector["private_key"])
    if vector["algorithm"] == ES256:
        point = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1()).public_key().public_numbers()
        public = point.x.to_bytes(32) + point.y.to_bytes(32)
    else:
        public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    data = bytes.fromhex(vector["authenticator_data"])
    assertion = Assertion(b"id", data, vector["client_data"].encode(), bytes.fromhex(vector["signature"]))
    relying_party = RelyingParty("example.org", ("https://example.org",))
    unverified = None if data[32] & VERIFIED else "UserNotVerified"
    expected = _EXPECTED_OTHERWISE.get(vector["title"], unverified or 0)
    credential = Credential(b"id", vector["algorithm"], public)
    challenge = bytes.fromhex(vector["challenge"])
    assert verify(assertion, credential, challenge, relying_party) == expected
    if expected == 0:
        assert verify(assertion, credential, bytes(32), relying_party) == "ChallengeMismatch"


def test_a_policys_relying_party_is_checked_as_it_is_read() -> None:
    good = {"rp_id": "bank.example", "origins": ["https://bank.example", "http://localhost:8101"]}
    msgspec.convert(good, RelyingParty)
    for spoilt in (
        {"rp_id": "https://bank.example"},
        {"rp_id": "Bank.example"},
        {"rp_id": ""},
        {"origins": []},
        {"origins": ["bank.example"]},
        {"origins": ["https://bank.example\n"]},
        {"user_verification": "discouraged"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(good | spoilt, RelyingParty)
