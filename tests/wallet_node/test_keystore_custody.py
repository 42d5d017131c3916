"""What guards the keys changes, and the keys do not: rotation, crashes in it, and keystores of format 1."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from node_builders import payment
from node_process import PASSPHRASE as NODE_PASSPHRASE
from node_process import NodeProcess, lasting, signed

from wallet_node.errors import (
    KeystoreBusy,
    KeystoreNotFound,
    MissingKey,
    OutdatedKeystore,
    TamperedKey,
    WrongPassphrase,
)
from wallet_node.keystore.disk import changing, write
from wallet_node.keystore.envelopes import AESGCM, FORMAT, FORMAT_1, Envelope, KeyDerivation
from wallet_node.keystore.files import Secrets, create, open_keystore, rotate_kek, unlock
from wallet_node.keystore.kek import PassphraseKek
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.keystore.upgrade import is_outdated, upgrade

OLD, NEW = b"the passphrase of before", b"the passphrase of after"
CHEAP = KeyDerivation(b"sixteen bytes ok", memory_kib=8, passes=1, lanes=1)
NAMES = ("governor", "issuer")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create(tmp_path / "keystore", OLD, NAMES, CHEAP)
    return tmp_path / "keystore"


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def all_keys(secrets: Secrets) -> tuple[bytes, dict[str, bytes]]:
    return secrets.seed, {name: key.address for name, key in secrets.named.items()}


def test_a_new_passphrase_rewrites_the_wrapped_data_key_and_nothing_else(directory: Path) -> None:
    keys, before = all_keys(unlock(directory, OLD)), content(directory)
    rotate_kek(directory, PassphraseKek(OLD).unwrap, PassphraseKek(NEW, CHEAP))
    after = content(directory)
    assert {name for name in before if before[name] != after[name]} == {"manifest.json"}
    manifests = [json.loads(each["manifest.json"]) for each in (before, after)]
    assert [name for name in manifests[0] if manifests[0][name] != manifests[1][name]] == ["data_key"]
    assert all_keys(unlock(directory, NEW)) == keys
    with pytest.raises(WrongPassphrase):
        unlock(directory, OLD)


def test_rotating_needs_the_passphrase_in_force(directory: Path) -> None:
    before = content(directory)
    with pytest.raises(WrongPassphrase):
        rotate_kek(directory, PassphraseKek(NEW).unwrap, PassphraseKek(NEW, CHEAP))
    assert content(directory) == before


def test_every_wrapping_has_its_own_salt(directory: Path) -> None:
    kek = PassphraseKek(OLD)
    first, second = kek.wrap(bytes(32)), kek.wrap(bytes(32))
    assert first.kdf.salt != second.kdf.salt
    assert first.sealed.ciphertext != second.sealed.ciphertext


def test_one_change_at_a_time(directory: Path) -> None:
    with changing(directory), pytest.raises(KeystoreBusy):
        rotate_kek(directory, PassphraseKek(OLD).unwrap, PassphraseKek(NEW, CHEAP))
    assert unlock(directory, OLD)
    with pytest.raises(KeystoreNotFound):
        rotate_kek(directory / "nowhere", PassphraseKek(OLD).unwrap, PassphraseKek(NEW, CHEAP))


def test_a_wrapping_that_does_not_open_again_is_not_written(directory: Path) -> None:
    class Broken(PassphraseKek):
        def unwrap(self, wrapped: object) -> bytes:
            return bytes(32)

    before = content(directory)
    with pytest.raises(Exception, match="nothing was changed"):
        rotate_kek(directory, PassphraseKek(OLD).unwrap, Broken(NEW, CHEAP))
    assert content(directory) == before


def test_killed_at_any_line_a_rotation_leaves_one_passphrase_that_opens_every_key(tmp_path: Path) -> None:
    script = Path(__file__).with_name("crash_in_custody.py")
    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for act, found in json.loads(ran.stdout).items():
        assert found["before"] > 10, act
        assert found["after"] > 2, act


def test_a_rotation_beside_a_running_node_and_what_the_next_start_needs(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path).prepare()
    client = node.start()
    fresh = tmp_path / "new-passphrase"
    fresh.write_bytes(NEW)
    fresh.chmod(0o600)
    try:
        payer = client.post("/v1/keys:derive", json={"indices": [0]}).json()["addresses"][0]
        request = lasting(payment(payer))
        first = signed(client.post("/v1/payments:sign", json=request))
        stop = threading.Event()
        answers: list[object] = []

        def keep_asking() -> None:
            with node.client() as own:
                while not stop.is_set():
                    answers.append(signed(own.post("/v1/payments:sign", json=request)))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        rotated = node.command("rotate-kek", "--to", "passphrase", "--new-passphrase-file", str(fresh))
        stop.set()
        asking.join()
        assert (rotated.returncode, rotated.stdout) == (0, '{"kek":"passphrase"}\n'), rotated.stderr
        assert answers
        assert all(answer == first for answer in answers)
        assert node.stop() == 0
        with pytest.raises(AssertionError, match="WrongPassphrase"):
            node.start()
        node.environment["FLORIN_WALLET_NODE_PASSPHRASE_FILE"] = str(fresh)
        assert signed(node.start().post("/v1/payments:sign", json=request)) == first
    finally:
        node.kill()


def test_the_commands_options_must_fit_together(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path).prepare()
    for arguments in (["--to", "passphrase"], ["--to", "token", "--new-passphrase-file", "x"]):
        refused = node.command("rotate-kek", *arguments)
        assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "MalformedRequest")
    missing = node.command("rotate-kek", "--to", "transit")
    assert (missing.returncode, missing.stderr.split(":")[0]) == (1, "CustodyMisconfigured")
    asked = node.command("init", "--keys", "institution", "--kek", "transit")
    assert (asked.returncode, asked.stderr.split(":")[0]) == (1, "MalformedRequest")
    assert unlock(node.home / "keystore", NODE_PASSPHRASE.encode())


def write_format_1(directory: Path, secrets: dict[str, bytes], version: int = 1) -> None:
    """What this node's first format put on disk: the passphrase's key seals each key itself."""
    directory.mkdir(mode=0o700)
    kek = CHEAP.key_from(OLD)

    def seal(key_id: str, number: int, address: str, secret: bytes) -> Envelope:
        nonce = os.urandom(12)
        claims = msgspec.json.encode([FORMAT_1, key_id, number, address])
        return Envelope(key_id, number, address, nonce, AESGCM(kek).encrypt(nonce, secret, claims))

    entries = {}
    for name, secret in secrets.items():
        address = "" if name == "seed" else SoftwareKey(secret).address.hex()
        entries[name] = {"version": version, "address": address}
        write(directory / f"{name}.v{version}.json", seal(name, version, address, secret))
    listed = seal("manifest", len(entries), "", msgspec.json.encode(entries))
    write(directory / "manifest.json", {"format": FORMAT_1, "kdf": CHEAP, "keys": listed})


@pytest.fixture
def outdated(tmp_path: Path) -> Path:
    write_format_1(tmp_path / "old", {"seed": bytes(range(32)), "governor": b"\x11" * 32})
    return tmp_path / "old"


def test_a_keystore_of_format_1_is_refused_with_what_to_do(outdated: Path) -> None:
    assert is_outdated(outdated)
    with pytest.raises(OutdatedKeystore, match="init"):
        unlock(outdated, OLD)


def test_upgrading_keeps_every_key_under_the_same_passphrase(outdated: Path) -> None:
    upgrade(outdated, OLD, PassphraseKek(OLD, CHEAP))
    assert not is_outdated(outdated)
    opened = unlock(outdated, OLD)
    assert opened.seed == bytes(range(32))
    assert {name: key.address for name, key in opened.named.items()} == {
        "governor": SoftwareKey(b"\x11" * 32).address
    }
    assert opened.origins == {"governor": "random"}
    assert set(content(outdated)) == {"manifest.json", "seed.v2.json", "governor.v2.json"}
    assert json.loads((outdated / "manifest.json").read_text())["format"] == FORMAT
    # and what the old passphrase's key alone opens is gone
    for name, bytes_ in content(outdated).items():
        if name != "manifest.json":
            envelope = msgspec.json.decode(bytes_, type=Envelope)
            claims = msgspec.json.encode([FORMAT_1, envelope.key_id, envelope.version, envelope.address])
            with pytest.raises(Exception):  # noqa: B017 - whatever the cipher says
                AESGCM(CHEAP.key_from(OLD)).decrypt(envelope.nonce, envelope.ciphertext, claims)


def test_upgrading_opens_nothing_that_was_altered(outdated: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongPassphrase):
        upgrade(outdated, NEW, PassphraseKek(NEW, CHEAP))
    governor = outdated / "governor.v1.json"
    kept = governor.read_bytes()
    governor.write_text(json.dumps(json.loads(kept) | {"address": "00" * 20}))
    with pytest.raises(TamperedKey):
        upgrade(outdated, OLD, PassphraseKek(OLD, CHEAP))
    governor.unlink()
    with pytest.raises(MissingKey):
        upgrade(outdated, OLD, PassphraseKek(OLD, CHEAP))
    assert is_outdated(outdated)
    governor.write_bytes(kept)
    upgrade(outdated, OLD, PassphraseKek(OLD, CHEAP))
    assert open_keystore(outdated, PassphraseKek(OLD).unwrap).entries["governor"].version == 2


def test_init_brings_an_old_keystore_forward_and_the_node_serves_it(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path)
    node.home.mkdir(mode=0o700)
    write_format_1(node.home / "keystore", {"seed": bytes(range(32)), "institution": b"\x11" * 32})
    (tmp_path / "passphrase").write_bytes(OLD)
    node.bind()
    try:
        with pytest.raises(AssertionError, match="OutdatedKeystore"):
            node.start()
        made = node.command("init", "--keys", "institution")
        assert made.returncode == 0, made.stderr
        served = node.start().get("/v1/keys").json()["keys"]
        assert json.loads(made.stdout) == {"keys": served}
        assert served["institution"][2:].lower() == SoftwareKey(b"\x11" * 32).address.hex()
    finally:
        node.kill()
