"""Keys in a PKCS#11 token: made inside, never outside, and otherwise like any other key of the node."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soft_token
from eth_account import Account
from node_builders import NO_PROOF as POLICY
from node_builders import Home, _policy, batch, customers, payment, sign, sign_one, transaction
from node_process import NodeProcess
from soft_token import MODULE, PIN, use_token

from wallet_node.errors import (
    CustodyMisconfigured,
    KekRefused,
    KeyNameTaken,
    SecretFileUnusable,
    SignatureCheckFailed,
    TamperedKey,
    TokenMisconfigured,
    TokenUnavailable,
    UnfitTokenKey,
)
from wallet_node.keystore import files
from wallet_node.keystore.custody import Custody
from wallet_node.keystore.making import make_keys
from wallet_node.keystore.signatures import self_test, verify
from wallet_node.node import WalletNode

pytestmark = pytest.mark.skipif(not soft_token.IS_HERE, reason=soft_token.REASON)

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
LABELS = [f"florin-{number}" for number in range(24)]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[str]]:
    """Names of empty tokens. The module lists its tokens once, so all are made before it is loaded."""
    configuration = soft_token.make_tokens(tmp_path_factory.mktemp("hsm"), LABELS)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    import pkcs11

    pkcs11.lib(str(MODULE)).reinitialize()
    yield iter(LABELS)
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def custody(labels: Iterator[str], tmp_path: Path) -> Iterator[Custody]:
    """The custody of a home whose token is empty."""
    use_token(tmp_path / "token-home", next(labels))
    made = Custody(tmp_path / "token-home")
    yield made
    made.token().close()


def objects(custody: Custody, **attributes: Any) -> list[Any]:
    from pkcs11 import Attribute

    return list(custody.token()._session.get_objects({Attribute[k]: v for k, v in attributes.items()}))


def test_a_made_key_is_sensitive_local_and_not_extractable(custody: Custody) -> None:
    from pkcs11 import Attribute, ObjectClass
    from pkcs11.exceptions import PKCS11Error

    custody.token().make_key("institution")
    (key,) = objects(custody, CLASS=ObjectClass.PRIVATE_KEY)
    for attribute in ("SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "TOKEN", "PRIVATE"):
        assert key[Attribute[attribute]] is True, attribute
    for attribute in ("EXTRACTABLE", "DERIVE", "DECRYPT", "UNWRAP"):
        assert key[Attribute[attribute]] is False, attribute
    with pytest.raises(PKCS11Error):
        key[Attribute.VALUE]
    with pytest.raises(PKCS11Error):
        key[Attribute.EXTRACTABLE] = True


def test_signatures_are_low_and_recover_whichever_half_the_token_drew(custody: Custody) -> None:
    token = custody.token()
    key = token.make_key("institution")
    high = 0
    for _ in range(40):
        digest = secrets.token_bytes(32)
        high += token.sign_digest("institution", digest)[1] > HALF_ORDER
        signature = key.sign_digest(digest)
        verify(key, digest, signature)
        assert int.from_bytes(signature[32:64]) <= HALF_ORDER
        assert bytes.fromhex(Account._recover_hash(digest, signature=to_v(signature))[2:]) == key.address
    assert 0 < high < 40


def to_v(signature: bytes) -> bytes:
    return signature[:64] + bytes((signature[64] + 27,))


def test_making_twice_takes_the_key_that_is_there(custody: Custody) -> None:
    token = custody.token()
    assert token.make_key("institution").address == token.make_key("institution").address
    assert token.make_key("another").address != token.make_key("institution").address


def test_a_key_that_is_missing_or_there_twice_is_not_used(custody: Custody) -> None:
    token = custody.token()
    with pytest.raises(UnfitTokenKey, match="0 objects"):
        token.key("institution")
    with pytest.raises(UnfitTokenKey):
        token.sign_digest("institution", bytes(32))
    from pkcs11 import KeyType
    from pkcs11.util.ec import encode_named_curve_parameters

    for _ in range(2):
        generate(custody, KeyType.EC, encode_named_curve_parameters("secp256k1"))
    with pytest.raises(UnfitTokenKey, match="2 objects"):
        token.key("institution")


def generate(custody: Custody, kind: Any, parameters: bytes, **private: Any) -> None:
    from pkcs11 import Attribute

    domain = custody.token()._session.create_domain_parameters(
        kind, {Attribute.EC_PARAMS: parameters}, local=True
    )
    template = {Attribute[name]: value for name, value in private.items()}
    domain.generate_keypair(store=True, label="florin institution", private_template=template)


def test_a_key_that_could_have_been_outside_is_not_used(custody: Custody) -> None:
    from pkcs11 import KeyType
    from pkcs11.util.ec import encode_named_curve_parameters

    generate(custody, KeyType.EC, encode_named_curve_parameters("secp256k1"), EXTRACTABLE=True)
    with pytest.raises(UnfitTokenKey, match="EXTRACTABLE"):
        custody.token().key("institution")
    with pytest.raises(UnfitTokenKey, match="EXTRACTABLE"):
        custody.token().make_key("institution")


def test_an_imported_key_is_not_used(custody: Custody) -> None:
    from pkcs11 import Attribute, KeyType, ObjectClass
    from pkcs11.util.ec import encode_named_curve_parameters

    custody.token()._session.create_object(
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.TOKEN: True,
            Attribute.LABEL: "florin institution",
            Attribute.EC_PARAMS: encode_named_curve_parameters("secp256k1"),
            Attribute.VALUE: b"\x11" * 32,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.SIGN: True,
        }
    )
    with pytest.raises(UnfitTokenKey):
        custody.token().key("institution")


def test_a_key_on_another_curve_is_not_used(custody: Custody) -> None:
    from pkcs11 import KeyType
    from pkcs11.util.ec import encode_named_curve_parameters

    generate(custody, KeyType.EC, encode_named_curve_parameters("secp256r1"), EXTRACTABLE=False)
    with pytest.raises(UnfitTokenKey, match="secp256k1"):
        custody.token().key("institution")


def test_a_home_without_any_passphrase(custody: Custody, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed's file is under a KEK of the token, and the institution's key is in the token."""
    monkeypatch.delenv("FLORIN_WALLET_NODE_PASSPHRASE_FILE", raising=False)
    made = make_keys(custody, "token", [], ["institution"])
    assert {path.name for path in custody.keystore.iterdir()} == {"manifest.json", "seed.v1.json"}
    again = Custody(custody.keystore.parent).secrets()
    assert again.seed == made.seed
    assert again.named["institution"].address == made.named["institution"].address
    assert again.origins == {"institution": "token"}
    for key in again.named.values():
        self_test(key)


def test_the_tokens_kek_is_inside_and_each_wrapping_has_its_own(custody: Custody) -> None:
    from pkcs11 import Attribute, ObjectClass

    token = custody.token()
    first, second = token.wrap(b"\x01" * 32), token.wrap(b"\x01" * 32)
    assert (token.unwrap(first), token.unwrap(second)) == (b"\x01" * 32, b"\x01" * 32)
    assert first.key_id != second.key_id
    for key in objects(custody, CLASS=ObjectClass.SECRET_KEY):
        assert key[Attribute.SENSITIVE]
        assert not key[Attribute.EXTRACTABLE]


def test_an_altered_wrapping_is_refused(custody: Custody) -> None:
    from msgspec.structs import replace

    token = custody.token()
    wrapped = token.wrap(b"\x01" * 32)
    flipped = bytes((wrapped.ciphertext[0] ^ 1,)) + wrapped.ciphertext[1:]
    for altered in (
        replace(wrapped, ciphertext=flipped),
        replace(wrapped, ciphertext=wrapped.ciphertext[:-1]),
        replace(wrapped, nonce=bytes(12)),
        replace(wrapped, key_id=b"another"),
    ):
        with pytest.raises(KekRefused):
            token.unwrap(altered)
    assert token.unwrap(wrapped) == b"\x01" * 32


def test_a_key_replaced_in_the_token_is_noticed(custody: Custody) -> None:
    from pkcs11 import Attribute

    make_keys(custody, "token", [], ["institution"])
    for found in objects(custody, LABEL="florin institution"):
        assert found[Attribute.LABEL]
        found.destroy()
    custody.token()._private.clear()
    custody.token().make_key("institution")
    with pytest.raises(TamperedKey, match="institution"):
        Custody(custody.keystore.parent).secrets()


def test_a_key_stays_where_it_is(custody: Custody) -> None:
    make_keys(custody, "token", ["in-file"], ["in-token"])
    with pytest.raises(KeyNameTaken):
        make_keys(custody, "token", ["in-token"], [])
    with pytest.raises(KeyNameTaken):
        make_keys(custody, "token", [], ["in-file"])


def node_of(custody: Custody, home: Home) -> WalletNode:
    """A node whose institution's key is in the token."""
    node = WalletNode(
        home.path, make_keys(custody, "token", [], ["institution"]), _policy(POLICY), home.clock
    )
    node.test_itself()
    home.opened.append(node)
    return node


def test_a_node_signs_with_the_token_and_repeats_itself(custody: Custody, home: Home) -> None:
    node = node_of(custody, home)
    bank = node.keys()["keys"]["institution"]
    payments = batch(payment(bank, customers(node, 1)[0]))
    call = transaction("0xa0712d68" + "00" * 32)
    first = sign(node, payments), sign_one(node, call)
    assert "signature" in first[0][0]
    assert Account.recover_transaction(first[1]["raw"]) == bank
    # A token draws another nonce each time; after a restart too, the bytes are those of the first time.
    assert custody.token().key("institution").sign_digest(bytes(32)) != custody.token().key(
        "institution"
    ).sign_digest(bytes(32))
    assert (sign(node, payments), sign_one(node, call)) == first
    home.close()
    again = node_of(custody, home)
    assert (sign(again, payments), sign_one(again, call)) == first


def test_a_remembered_signature_that_was_edited_is_not_given_out(custody: Custody, home: Home) -> None:
    node = node_of(custody, home)
    call = transaction("0xa0712d68" + "00" * 32)
    sign_one(node, call)
    node._store.connection.executescript(
        "DROP TRIGGER token_signatures_stay; UPDATE token_signatures SET signature = zeroblob(65);"
    )
    with pytest.raises(SignatureCheckFailed):
        sign_one(node, call)
    assert not node.is_sound


def test_a_lost_session_is_opened_again(custody: Custody) -> None:
    key = custody.token().make_key("institution")
    custody.token()._session.close()
    verify(key, bytes(32), key.sign_digest(bytes(32)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a search on a lost session
def test_a_token_that_went_away_is_told_and_the_same_request_succeeds_later(
    custody: Custody, home: Home
) -> None:
    node = node_of(custody, home)
    token = custody.token()
    call = transaction("0xa0712d68" + "00" * 32)
    open_again = token._open_session

    def gone() -> Any:
        raise TokenMisconfigured("there is not exactly one token")

    token._open_session = gone
    token._session.close()
    with pytest.raises(TokenUnavailable) as caught:
        sign_one(node, call)
    assert caught.value.status == 503
    token._open_session = open_again
    assert sign_one(node, call)["nonce"] == 0


def test_what_custody_toml_can_get_wrong(custody: Custody, tmp_path: Path) -> None:
    custody.token().make_key("institution")
    custody.token().close()
    home = custody.keystore.parent
    settings = home / "custody.toml"
    good = settings.read_text()

    def refusal() -> type[Exception]:
        with pytest.raises(Exception) as caught:
            Custody(home).token()
        return caught.type

    settings.write_text(good.replace("libsofthsm2", "libnothing"))
    assert refusal() is TokenMisconfigured
    settings.write_text(good.replace('label = "', 'label = "no such '))
    assert refusal() is TokenMisconfigured
    settings.write_text(good + "colour = 1\n")
    assert refusal() is CustodyMisconfigured
    settings.write_text("[token")
    assert refusal() is CustodyMisconfigured
    settings.unlink()
    assert refusal() is CustodyMisconfigured
    settings.write_text(good)
    (home / "pin").chmod(0o640)
    assert refusal() is SecretFileUnusable
    (home / "pin").chmod(0o600)
    (home / "pin").write_text("not the pin")
    assert refusal() is TokenMisconfigured
    (home / "pin").unlink()
    assert refusal() is SecretFileUnusable
    (home / "pin").symlink_to("/dev/null")
    assert refusal() is SecretFileUnusable


@pytest.fixture
def process(labels: Iterator[str], tmp_path: Path) -> Iterator[NodeProcess]:
    made = NodeProcess.make(tmp_path)
    use_token(made.home, next(labels))
    yield made
    made.kill()


def test_init_serve_rotate_and_export_with_a_token(process: NodeProcess, tmp_path: Path) -> None:
    passphrase = process.environment.pop("FLORIN_WALLET_NODE_PASSPHRASE_FILE")
    made = process.command("init", "--token-keys", "institution", "--kek", "token")
    assert made.returncode == 0, made.stderr
    process.bind()
    client = process.start()
    assert client.get("/v1/keys").json()["keys"] == json.loads(made.stdout)["keys"]
    beside = process.command("init", "--token-keys", "institution")
    assert (beside.returncode, beside.stdout) == (0, made.stdout), beside.stderr
    moved = process.command("rotate-kek", "--to", "passphrase", "--new-passphrase-file", passphrase)
    assert moved.returncode == 0, moved.stderr
    assert len(json.loads(moved.stdout)["retired_token_key"]) == 32
    process.environment["FLORIN_WALLET_NODE_PASSPHRASE_FILE"] = passphrase
    assert process.command("rotate-kek", "--to", "token").stdout == '{"kek":"token"}\n'
    refused = process.command(
        "export-key", "--name", "institution", "--out", str(tmp_path / "out"), "--password-file", passphrase
    )
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "KeyNotExportable")
    assert process.stop() == 0
    assert process.start().get("/readyz").status_code == 200
    assert PIN not in process.log[0].read_text()
    assert files.read_manifest(process.home / "keystore").data_key.__class__.__name__ == "ByToken"
