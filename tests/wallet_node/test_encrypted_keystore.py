"""Keys at rest: what is altered, swapped, missing or opened with another passphrase never becomes a key."""

import json
import os
import stat
from pathlib import Path

import pytest

from wallet_node.errors import KeystoreNotFound, MissingKey, TamperedKey, WrongPassphrase
from wallet_node.keystore import files
from wallet_node.keystore.envelopes import DoesNotOpen, KeyDerivation, open_envelope, seal
from wallet_node.keystore.files import Secrets, create, unlock

PASSPHRASE = b"correct horse battery staple"
# The cheapest terms: how long argon2id takes is not what these tests are about.
CHEAP = KeyDerivation(b"sixteen bytes ok", memory_kib=8, passes=1, lanes=1)
NAMES = ("governor", "issuer")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create(tmp_path / "keystore", PASSPHRASE, NAMES, CHEAP)
    return tmp_path / "keystore"


def addresses(secrets: Secrets) -> dict[str, bytes]:
    return {name: key.address for name, key in secrets.named.items()}


def test_creating_twice_keeps_the_keys_and_unlocking_gives_them(directory: Path) -> None:
    opened = unlock(directory, PASSPHRASE)
    again = create(directory, PASSPHRASE, NAMES)
    assert opened.seed == again.seed
    assert addresses(opened) == addresses(again)
    assert set(opened.named) == set(NAMES)


def test_adding_a_name_keeps_the_others(directory: Path) -> None:
    before = addresses(unlock(directory, PASSPHRASE))
    create(directory, PASSPHRASE, ["pauser"])
    after = addresses(unlock(directory, PASSPHRASE))
    assert after.keys() == {*NAMES, "pauser"}
    assert {name: after[name] for name in NAMES} == before


def test_files_are_private(directory: Path) -> None:
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert {path.name for path in directory.iterdir()} == {
        "manifest.json",
        "seed.v1.json",
        "governor.v1.json",
        "issuer.v1.json",
    }


def test_no_secret_is_in_any_file_in_plain_text(directory: Path) -> None:
    secrets = unlock(directory, PASSPHRASE)
    plain = [secrets.seed, *(key._key.secret for key in secrets.named.values())]
    for path in directory.iterdir():
        content = path.read_bytes()
        for secret in plain:
            assert secret not in content
            assert secret.hex().encode() not in content
            assert files.msgspec.json.encode(secret).strip(b'"') not in content


def test_another_passphrase_opens_nothing(directory: Path) -> None:
    with pytest.raises(WrongPassphrase):
        unlock(directory, PASSPHRASE + b"!")
    with pytest.raises(WrongPassphrase):
        create(directory, b"", ["another"])
    assert not (directory / "another.v1.json").exists()


def test_no_keystore_is_told_apart_from_a_wrong_passphrase(tmp_path: Path) -> None:
    with pytest.raises(KeystoreNotFound):
        unlock(tmp_path, PASSPHRASE)


@pytest.mark.parametrize("name", ["governor.v1.json", "seed.v1.json", "manifest.json"])
def test_a_flipped_bit_anywhere_in_a_file_never_yields_other_keys(directory: Path, name: str) -> None:
    expected = unlock(directory, PASSPHRASE)
    path = directory / name
    original = path.read_bytes()
    for position in range(0, len(original) - 1, 3):
        altered = bytearray(original)
        altered[position] ^= 1
        path.write_bytes(altered)
        try:
            opened = unlock(directory, PASSPHRASE)
        except (TamperedKey, WrongPassphrase, MissingKey):
            continue
        else:  # a bit that base64 pads with, or that JSON does not read
            assert (opened.seed, addresses(opened)) == (expected.seed, addresses(expected))


def test_two_key_files_swapped_are_noticed(directory: Path) -> None:
    governor, issuer = directory / "governor.v1.json", directory / "issuer.v1.json"
    content = governor.read_bytes()
    governor.write_bytes(issuer.read_bytes())
    issuer.write_bytes(content)
    with pytest.raises(TamperedKey):
        unlock(directory, PASSPHRASE)


@pytest.mark.parametrize(("claim", "value"), [("address", "00" * 20), ("version", 2), ("key_id", "issuer")])
def test_a_file_that_claims_to_be_another_key_is_noticed(directory: Path, claim: str, value: object) -> None:
    path = directory / "governor.v1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {claim: value}))
    with pytest.raises(TamperedKey):
        unlock(directory, PASSPHRASE)


def test_a_key_of_another_keystore_with_the_same_claims_is_noticed(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    create(other, PASSPHRASE, NAMES, KeyDerivation(os.urandom(16), memory_kib=8, passes=1, lanes=1))
    (directory / "seed.v1.json").write_bytes((other / "seed.v1.json").read_bytes())
    with pytest.raises(TamperedKey):
        unlock(directory, PASSPHRASE)


@pytest.mark.parametrize("claim", [{"key_id": "b"}, {"version": 2}, {"address": "01"}, {"nonce": bytes(12)}])
def test_an_envelope_opens_only_under_its_own_claims(claim: dict[str, object]) -> None:
    kek = os.urandom(32)
    envelope = seal(kek, "a", 1, "00", b"secret")
    assert open_envelope(kek, envelope) == b"secret"
    with pytest.raises(DoesNotOpen):
        open_envelope(kek, files.msgspec.structs.replace(envelope, **claim))
    with pytest.raises(DoesNotOpen):
        open_envelope(os.urandom(32), envelope)


def test_a_missing_key_file_is_named(directory: Path) -> None:
    (directory / "issuer.v1.json").unlink()
    with pytest.raises(MissingKey, match="issuer"):
        unlock(directory, PASSPHRASE)


def test_keys_without_their_manifest_are_never_written_over(directory: Path) -> None:
    (directory / "manifest.json").unlink()
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(MissingKey, match="manifest"):
        create(directory, PASSPHRASE, NAMES)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_a_manifest_of_another_keystore_opens_nothing(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    create(other, PASSPHRASE, NAMES, CHEAP)
    (directory / "manifest.json").write_bytes((other / "manifest.json").read_bytes())
    with pytest.raises(TamperedKey):
        unlock(directory, PASSPHRASE)


def test_a_list_of_keys_under_another_data_key_is_noticed(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    create(other, PASSPHRASE, NAMES, CHEAP)
    own = json.loads((directory / "manifest.json").read_text())
    own["keys"] = json.loads((other / "manifest.json").read_text())["keys"]
    (directory / "manifest.json").write_text(json.dumps(own))
    with pytest.raises(TamperedKey):
        unlock(directory, PASSPHRASE)


def test_the_default_terms_are_those_of_rfc_9106() -> None:
    terms = KeyDerivation(os.urandom(16))
    assert (terms.name, terms.memory_kib, terms.passes, terms.lanes) == ("argon2id", 64 * 1024, 3, 4)
