"""Ethereum V3 key files: the published ones open, what no wallet writes is refused, keys go both ways."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from node_process import NodeProcess

from wallet_node.errors import KeyAddressDiffers, KeyFileUnusable, WrongKeyFilePassword
from wallet_node.keystore.key_files import make_key_file, open_key_file
from wallet_node.keystore.software_key import SoftwareKey

# Web3 Secret Storage Definition, version 3, "Test Vectors": one key under PBKDF2 and under scrypt.
PUBLISHED_PASSWORD = b"testpassword"
PUBLISHED_KEY = bytes.fromhex("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d")
PBKDF2: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
SCRYPT: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "r": 1,
            "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
PASSWORD = b"a password of some length"


def encoded(document: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(document | changes).encode()


def bent(section: str, **changes: Any) -> bytes:
    """The PBKDF2 file with `crypto`, or a part of it, changed."""
    crypto = json.loads(json.dumps(PBKDF2["crypto"]))
    (crypto if section == "crypto" else crypto[section]).update(changes)
    return encoded(PBKDF2, crypto=crypto)


@pytest.mark.parametrize("document", [PBKDF2, SCRYPT], ids=["pbkdf2", "scrypt"])
def test_the_published_files_open(document: dict[str, Any]) -> None:
    assert open_key_file(encoded(document), PUBLISHED_PASSWORD) == PUBLISHED_KEY


def test_an_address_is_read_as_wallets_write_it() -> None:
    address = SoftwareKey(PUBLISHED_KEY).address.hex()
    for written in ("", None, address, "0x" + address, Account.from_key(PUBLISHED_KEY).address):
        assert open_key_file(encoded(PBKDF2, address=written), PUBLISHED_PASSWORD) == PUBLISHED_KEY


def test_names_in_capitals_and_prefixed_hex_are_read_as_wallets_write_them() -> None:
    crypto = PBKDF2["crypto"] | {"mac": "0x" + PBKDF2["crypto"]["mac"]}
    other = {"Crypto": crypto, "Version": 3, "ID": PBKDF2["id"]}
    assert open_key_file(encoded(other), PUBLISHED_PASSWORD) == PUBLISHED_KEY


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_a_written_file_opens_in_eth_account_and_here(kdf: Any) -> None:
    key = SoftwareKey(b"\x00" * 31 + b"\x05")
    content = make_key_file(key, PASSWORD, kdf, work=2**10)
    assert bytes(Account.decrypt(json.loads(content), PASSWORD)) == key.secret
    assert open_key_file(content, PASSWORD) == key.secret
    assert json.loads(content)["crypto"]["kdf"] == kdf
    assert key.secret.hex() not in content.decode()


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_a_file_of_eth_account_opens_here(kdf: Any) -> None:
    account = Account.from_key(b"\x11" * 32)
    content = json.dumps(account.encrypt(PASSWORD, kdf, 2**10)).encode()
    assert open_key_file(content, PASSWORD, account.address) == b"\x11" * 32


def test_another_password_or_an_altered_file_does_not_open() -> None:
    for content, password in (
        (encoded(PBKDF2), b"testpasswore"),
        (bent("crypto", mac="00" * 32), PUBLISHED_PASSWORD),
        (bent("crypto", ciphertext="00" * 32), PUBLISHED_PASSWORD),
        (bent("kdfparams", c=262143), PUBLISHED_PASSWORD),
    ):
        with pytest.raises(WrongKeyFilePassword):
            open_key_file(content, password)


def test_an_iv_is_not_under_the_mac_so_the_address_is_what_notices() -> None:
    altered = json.loads(bent("cipherparams", iv="00" * 16))
    altered["address"] = SoftwareKey(PUBLISHED_KEY).address.hex()
    with pytest.raises(KeyAddressDiffers):
        open_key_file(encoded(altered), PUBLISHED_PASSWORD)


def test_the_address_in_the_file_and_the_expected_one_must_be_the_keys() -> None:
    with pytest.raises(KeyAddressDiffers):
        open_key_file(encoded(PBKDF2, address="00" * 20), PUBLISHED_PASSWORD)
    with pytest.raises(KeyAddressDiffers):
        open_key_file(encoded(PBKDF2), PUBLISHED_PASSWORD, "0x" + "00" * 20)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"not json",
        b"\xff\xfe",
        b"{}" + b" " * 70_000,
        encoded(PBKDF2, version=1),
        encoded(PBKDF2, version=4),
        encoded(PBKDF2, version="3"),
        encoded(PBKDF2, address="0x12"),
        bent("crypto", cipher="aes-128-cbc"),
        bent("crypto", kdf="argon2id"),
        bent("crypto", ciphertext="00" * 31),
        bent("crypto", mac="zz" * 32),
        bent("kdfparams", dklen=16),
        bent("kdfparams", prf="hmac-md5"),
        bent("kdfparams", c=0),
        bent("kdfparams", c=10**9),
        bent("cipherparams", iv=""),
        bent("crypto", kdf="scrypt", kdfparams=SCRYPT["crypto"]["kdfparams"] | {"n": 2**24, "r": 8}),
        bent("crypto", kdf="scrypt", kdfparams=SCRYPT["crypto"]["kdfparams"] | {"n": 2**20, "p": 64}),
        bent("crypto", kdf="scrypt", kdfparams=SCRYPT["crypto"]["kdfparams"] | {"n": 1000}),
        bent("crypto", kdf="scrypt", kdfparams={}),
    ],
)
def test_what_no_wallet_writes_is_refused_before_it_costs_anything(content: bytes) -> None:
    with pytest.raises(KeyFileUnusable):
        open_key_file(content, PUBLISHED_PASSWORD)


def test_a_key_outside_the_curves_order_is_none() -> None:
    import hashlib

    from eth_keyfile.keyfile import encrypt_aes_ctr
    from eth_utils import keccak

    terms = PBKDF2["crypto"]["kdfparams"] | {"c": 1}
    password_key = hashlib.pbkdf2_hmac("sha256", PASSWORD, bytes.fromhex(terms["salt"]), 1, 32)
    ciphertext = encrypt_aes_ctr(bytes(32), password_key[:16], 0)
    crypto = PBKDF2["crypto"] | {
        "kdfparams": terms,
        "cipherparams": {"iv": "00" * 16},
        "ciphertext": ciphertext.hex(),
        "mac": keccak(password_key[16:] + ciphertext).hex(),
    }
    with pytest.raises(KeyFileUnusable, match="no private key"):
        open_key_file(encoded(PBKDF2, crypto=crypto), PASSWORD)


def test_importing_and_exporting_by_command(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path).prepare()
    node.bind()
    for name, content in (("file", encoded(PBKDF2)), ("password", PUBLISHED_PASSWORD), ("own", PASSWORD)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    file, password, own, out = (str(tmp_path / name) for name in ("file", "password", "own", "out"))
    give = ["import-key", "--file", file, "--password-file", password]
    taken = node.command(*give, "--name", "treasury", "--address", Account.from_key(PUBLISHED_KEY).address)
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout) == {"keys": {"treasury": Account.from_key(PUBLISHED_KEY).address}}
    refusals = [
        (node.command(*give, "--name", "treasury"), "KeyNameTaken"),
        (node.command(*give, "--name", "seed"), "MalformedRequest"),
    ]
    exported = node.command("export-key", "--name", "treasury", "--out", out, "--password-file", own)
    assert exported.returncode == 0, exported.stderr
    assert open_key_file((tmp_path / "out").read_bytes(), PASSWORD) == PUBLISHED_KEY
    assert json.loads((tmp_path / "out").read_text())["crypto"]["kdfparams"]["n"] == 2**18
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0
    again = ["export-key", "--out", out, "--password-file"]
    (tmp_path / "short").write_bytes(b"short")
    (tmp_path / "short").chmod(0o600)
    refusals += [
        (node.command(*again, own, "--name", "treasury"), "OutputExists"),
        (node.command(*again, str(tmp_path / "short"), "--name", "treasury"), "MalformedRequest"),
    ]
    again[2] = str(tmp_path / "another")
    refusals.append((node.command(*again, own, "--name", "seed"), "KeyNotExportable"))
    (tmp_path / "own").chmod(0o644)
    refusals.append((node.command(*again, own, "--name", "treasury"), "SecretFileUnusable"))
    assert [ran.stderr.split(":")[0] for ran, _ in refusals] == [code for _, code in refusals]
    try:
        assert set(node.start().get("/v1/keys").json()["keys"]) == {"institution", "treasury"}
        beside = node.command(*give, "--name", "another")
        assert (beside.returncode, beside.stderr.split(":")[0]) == (1, "AlreadyRunning")
    finally:
        node.kill()
