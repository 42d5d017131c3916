"""The sandbox's passkeys and officers' keys: what they sign is accepted, and they stay where they are."""

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts import base64url
from scripts.country.authenticator import SoftwareAuthenticator
from scripts.country.officers import Officer
from scripts.country.secret_file import SecretUnusable, read_or_make_secret
from wallet_node.customer_proof import (
    AssertionFields,
    CredentialFields,
    RelyingParty,
    parse_assertion,
    parse_credential,
    verify_assertion,
)
from wallet_node.errors import Refusal

CHALLENGE = bytes(range(32))
RELYING_PARTY = RelyingParty("localhost", ("http://localhost:8101",))


def answer(authenticator: SoftwareAuthenticator, reference: str, sign_count: int = 0) -> AssertionFields:
    fields = authenticator.assertion_fields(
        reference, CHALLENGE, RELYING_PARTY.rp_id, RELYING_PARTY.origins[0], sign_count
    )
    return AssertionFields(**fields)


def verify(fields: AssertionFields, credential: CredentialFields) -> int | str:
    assertion = parse_assertion(fields)
    assert not isinstance(assertion, Refusal)
    decided = verify_assertion(assertion, parse_credential(credential), CHALLENGE, RELYING_PARTY, 0)
    return decided.code if isinstance(decided, Refusal) else decided


def enrolled(authenticator: SoftwareAuthenticator, reference: str) -> CredentialFields:
    return CredentialFields(**authenticator.credential_fields(reference))  # type: ignore[arg-type]


@pytest.fixture
def authenticator(tmp_path: Path) -> SoftwareAuthenticator:
    return SoftwareAuthenticator.open(tmp_path / "customers" / "authenticator.key")


@pytest.mark.parametrize("reference", ["customer-1", "Jiří Novák", "", "a" * 1_000])
def test_what_it_signs_the_signer_accepts(authenticator: SoftwareAuthenticator, reference: str) -> None:
    assert verify(answer(authenticator, reference), enrolled(authenticator, reference)) == 0
    assert verify(answer(authenticator, reference, sign_count=8), enrolled(authenticator, reference)) == 8


def test_each_customer_has_a_credential_of_their_own(authenticator: SoftwareAuthenticator) -> None:
    credentials = [authenticator.credential(f"customer-{number}") for number in range(200)]
    assert len({credential.credential_id for credential in credentials}) == 200
    assert len({credential.public_key for credential in credentials}) == 200
    assert verify(answer(authenticator, "one"), enrolled(authenticator, "another")) == "CredentialUnknown"


def test_a_countrys_secret_gives_the_same_credentials_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "authenticator.key"
    first, second = SoftwareAuthenticator.open(path), SoftwareAuthenticator.open(path)
    assert first.credential("customer-1") == second.credential("customer-1")
    elsewhere = SoftwareAuthenticator.open(tmp_path / "another.key")
    assert first.credential("customer-1") != elsewhere.credential("customer-1")
    assert verify(answer(second, "customer-1"), enrolled(first, "customer-1")) == 0


def test_an_origin_with_a_quotation_mark_stays_an_origin(authenticator: SoftwareAuthenticator) -> None:
    fields = authenticator.assertion_fields(
        "x", CHALLENGE, "localhost", 'http://a","origin":"http://localhost:8101'
    )
    assert verify(AssertionFields(**fields), enrolled(authenticator, "x")) == "OriginNotAllowed"


def test_a_secret_is_private_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "one.key"
    secret = read_or_make_secret(path)
    assert len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read_or_make_secret(path) == secret
    assert read_or_make_secret(tmp_path / "keys" / "two.key") != secret


def test_a_secret_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.key"
    read_or_make_secret(path)
    path.chmod(0o640)
    with pytest.raises(SecretUnusable, match="read by others"):
        read_or_make_secret(path)
    path.chmod(0o600)
    path.write_bytes(bytes(31))
    with pytest.raises(SecretUnusable, match="31 bytes"):
        read_or_make_secret(path)


def test_an_officer_signs_with_a_key_of_their_own_that_stays(tmp_path: Path) -> None:
    alice, bob = Officer.open(tmp_path, "alice"), Officer.open(tmp_path, "bob")
    signature = alice.sign(b"message")
    Ed25519PublicKey.from_public_bytes(alice.public_key).verify(signature, b"message")
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(bob.public_key).verify(signature, b"message")
    assert Officer.open(tmp_path, "alice").public_key == alice.public_key
    assert (tmp_path / "alice.key").stat().st_mode & 0o777 == 0o600
    kind, _, key = alice.policy_key.partition(":")
    assert (kind, base64url.decode(key)) == ("ed25519", alice.public_key)


@pytest.mark.parametrize("name", ["", "../alice", "Alice", "a/b", "alice\n", "a" * 33])
def test_an_officers_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="officer's name"):
        Officer.open(tmp_path, name)
    assert list(tmp_path.iterdir()) == []
