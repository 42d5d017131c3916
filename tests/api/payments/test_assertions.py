"""The bank looks at a passkey's yes with the signer's own rules.

Whatever is wrong with an assertion, bank and signer say the same word; nothing wrong: both take it
└── but for a counter that does not grow, which the signer alone keeps
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.payments.assertions import AssertionRefused, BoundCredential, RelyingParty, check_assertion
from api.proofs import AssertionBody
from contracts import base64url
from contracts.customer_approvals import Credential
from tests.api.passkeys import ATTESTED, ED25519, ES256, ORIGIN, PRESENT, RP_ID, VERIFIED, Passkey
from wallet_node import customer_proof
from wallet_node.errors import Refusal

CHALLENGE = bytes(range(32))
ASKED = base64url.encode(CHALLENGE)


def bank_says(passkey: Passkey, fields: dict[str, Any]) -> str | None:
    credential = BoundCredential(passkey.credential["credential_id"], passkey.algorithm, passkey.public_key)
    try:
        body = AssertionBody(expires_at_s=1, **fields)
        check_assertion(body, [credential], CHALLENGE, RelyingParty(RP_ID, (ORIGIN,)))
    except AssertionRefused as refusal:
        return refusal.code
    return None


def signer_says(passkey: Passkey, fields: dict[str, Any]) -> str | None:
    parsed = customer_proof.parse_assertion(customer_proof.AssertionFields(**fields))
    if isinstance(parsed, Refusal):
        return parsed.code
    credential = Credential(passkey.credential_id, passkey.algorithm, passkey.public_key)
    party = customer_proof.RelyingParty(RP_ID, (ORIGIN,))
    found = customer_proof.verify_assertion(parsed, credential, CHALLENGE, party, 0)
    return found.code if isinstance(found, Refusal) else None


@pytest.mark.parametrize("algorithm", [ES256, ED25519])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"challenge": base64url.encode(bytes(32))}, "ChallengeMismatch"),
        ({"origin": "http://localhost:8102"}, "OriginNotAllowed"),
        ({"crossOrigin": True}, "OriginNotAllowed"),
        ({"topOrigin": ORIGIN}, "OriginNotAllowed"),
        ({"type": "webauthn.create"}, "ProofMalformed"),
        ({"origin": 5}, "ProofMalformed"),
        ({"rp_id": "elsewhere.example"}, "RelyingPartyMismatch"),
        ({"flags": VERIFIED}, "UserNotPresent"),
        ({"flags": PRESENT}, "UserNotVerified"),
        ({"flags": PRESENT | VERIFIED | 0x10}, "ProofMalformed"),
        ({"flags": PRESENT | VERIFIED | 0x18}, None),
        ({"flags": PRESENT | VERIFIED | ATTESTED}, "ProofMalformed"),
        ({"flags": PRESENT | VERIFIED | 0x80}, "ExtensionsNotExpected"),
    ],
)
def test_bank_and_signer_say_the_same(algorithm: int, changes: dict[str, Any], code: str | None) -> None:
    passkey = Passkey(algorithm=algorithm)
    said = dict(changes)
    fields = passkey.assertion(said.pop("challenge", ASKED), **said)
    assert bank_says(passkey, fields) == signer_says(passkey, fields) == code


@pytest.mark.parametrize("algorithm", [ES256, ED25519])
def test_another_passkeys_yes_is_refused(algorithm: int) -> None:
    passkey, other = Passkey(1, algorithm), Passkey(2, algorithm)
    fields = other.assertion(ASKED)
    assert bank_says(passkey, fields) == signer_says(passkey, fields) == "CredentialUnknown"
    disguised = fields | {"credential_id": passkey.credential["credential_id"]}
    assert bank_says(passkey, disguised) == signer_says(passkey, disguised) == "SignatureInvalid"


@pytest.mark.parametrize(
    "client_data",
    [b"", b"[]", b"{", b'{"type":"webauthn.get","type":"webauthn.get"}', b"\xff", b"[" * 100_000],
)
def test_nonsense_is_malformed_to_both(client_data: bytes) -> None:
    passkey = Passkey()
    fields = passkey.assertion(ASKED) | {"client_data_json": base64url.encode(client_data) or "A"}
    if len(fields["client_data_json"]) <= 4096:
        assert bank_says(passkey, fields) == signer_says(passkey, fields) == "ProofMalformed"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["authenticator_data", "client_data_json", "signature"]),
    st.integers(0, 400),
    st.integers(1, 255),
)
def test_one_byte_changed_is_refused_by_both(member: str, place: int, change: int) -> None:
    passkey = Passkey(algorithm=ED25519)
    fields = passkey.assertion(ASKED)
    changed = bytearray(base64url.decode(fields[member]))
    changed[place % len(changed)] ^= change
    fields[member] = base64url.encode(bytes(changed))
    of_bank, of_signer = bank_says(passkey, fields), signer_says(passkey, fields)
    assert of_bank is not None
    # of texts that are hardly JSON the signer says so before it looks at the signature
    assert of_signer in {of_bank, "ProofMalformed"}
