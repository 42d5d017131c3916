"""A KEK outside: a service that wraps and unwraps the data key over HTTP, and what it can do wrong."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from node_process import NodeProcess
from transit_server import TOKEN, TransitServer, serving

from wallet_node.errors import CustodyMisconfigured, KekRefused, KekUnavailable, TamperedKey
from wallet_node.keystore.custody import Custody
from wallet_node.keystore.kek import ByTransit, PassphraseKek
from wallet_node.keystore.making import make_keys
from wallet_node.keystore.transit import TransitKek

DATA_KEY = bytes(range(32))


@pytest.fixture
def server() -> Iterator[TransitServer]:
    with serving() as made:
        yield made


def kek(server: TransitServer, **changes: Any) -> TransitKek:
    return TransitKek(**({"url": server.url, "key": "florin", "token": TOKEN, "timeout_s": 5.0} | changes))


def test_what_is_wrapped_unwraps_over_the_wire_of_transit(server: TransitServer) -> None:
    wrapped = kek(server).wrap(DATA_KEY)
    assert wrapped.ciphertext.startswith("vault:v1:")
    assert kek(server).unwrap(wrapped) == DATA_KEY
    assert server.asked == [
        ("/v1/transit/encrypt/florin", {"plaintext": base64.b64encode(DATA_KEY).decode()}),
        ("/v1/transit/decrypt/florin", {"ciphertext": wrapped.ciphertext}),
    ]


def test_after_a_new_version_of_the_key_both_wrappings_unwrap(server: TransitServer) -> None:
    first = kek(server).wrap(DATA_KEY)
    server.keys["florin"].append(b"\x07" * 32)
    second = kek(server).wrap(DATA_KEY)
    assert second.ciphertext.startswith("vault:v2:")
    assert kek(server).unwrap(first) == kek(server).unwrap(second) == DATA_KEY


def test_a_key_is_unwrapped_under_the_name_that_it_was_wrapped_under(server: TransitServer) -> None:
    wrapped = kek(server).wrap(DATA_KEY)
    assert kek(server, key="second").unwrap(wrapped) == DATA_KEY


def test_what_the_service_refuses(server: TransitServer) -> None:
    wrapped = kek(server).wrap(DATA_KEY)
    with pytest.raises(KekRefused, match="permission denied"):
        kek(server, token="another").unwrap(wrapped)
    with pytest.raises(KekRefused, match="not found"):
        kek(server, key="no-such-key").wrap(DATA_KEY)
    altered = ByTransit("florin", wrapped.ciphertext[:-4] + "AAAA")
    with pytest.raises(KekRefused, match="authentication"):
        kek(server).unwrap(altered)
    with pytest.raises(KekRefused):
        kek(server).unwrap(PassphraseKek(b"a passphrase").wrap(DATA_KEY))


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, {"errors": ["internal error"]}),
        (503, {"errors": ["Vault is sealed"]}),
        (429, b"slow down"),
        (204, b""),
        (200, b"not json"),
        (200, {"data": {}}),
        (200, {"data": {"plaintext": "%%%", "ciphertext": "vault:v1:%%%"}}),
        (200, {"data": {"plaintext": base64.b64encode(b"short").decode(), "ciphertext": "no"}}),
        (200, b" " * 70_000),
    ],
)
def test_an_answer_that_is_none_is_not_taken_for_one(
    server: TransitServer, status: int, content: Any
) -> None:
    wrapped = kek(server).wrap(DATA_KEY)
    server.manner = lambda handler: handler.answer(status, content)
    with pytest.raises(KekUnavailable):
        kek(server).unwrap(wrapped)
    with pytest.raises(KekUnavailable):
        kek(server).wrap(DATA_KEY)


def manner(name: str) -> Callable[[Any], None]:
    return lambda handler: getattr(handler, name)()


@pytest.mark.parametrize("name", ["never_answer", "answer_a_byte_at_a_time"])
def test_a_service_that_is_slow_is_given_up_after_the_time_out(server: TransitServer, name: str) -> None:
    server.manner = manner(name)
    start = time.monotonic()
    with pytest.raises(KekUnavailable, match=r"0\.3 s"):
        kek(server, timeout_s=0.3).wrap(DATA_KEY)
    assert time.monotonic() - start < 5


def test_the_token_follows_no_redirect(server: TransitServer) -> None:
    server.manner = manner("redirect")
    with pytest.raises(KekUnavailable, match="307"):
        kek(server).wrap(DATA_KEY)
    assert [path for path, _ in server.asked] == ["/v1/transit/encrypt/florin"]


def test_a_service_that_is_not_there_or_hangs_up(server: TransitServer) -> None:
    server.manner = manner("hang_up")
    with pytest.raises(KekUnavailable):
        kek(server).wrap(DATA_KEY)
    with pytest.raises(KekUnavailable):
        kek(server, url="http://127.0.0.1:9").wrap(DATA_KEY)


@pytest.mark.parametrize(
    "url",
    [
        "http://vault.example:8200",
        "ftp://127.0.0.1",
        "https://",
        "127.0.0.1",
        "https://host/v1",
        "https://a@host",
        "https://host:99999",
        "https://host?x",
    ],
)
def test_the_token_goes_over_tls_or_stays_on_this_machine(url: str) -> None:
    with pytest.raises(CustodyMisconfigured):
        TransitKek(url, "florin", TOKEN)


def test_tls_is_verified(server: TransitServer) -> None:
    with pytest.raises(KekUnavailable):  # that server speaks no TLS at all
        kek(server, url=server.url.replace("http", "https")).wrap(DATA_KEY)


@pytest.fixture
def home(server: TransitServer, tmp_path: Path) -> Path:
    path = tmp_path / "kek-home"
    path.mkdir(mode=0o700)
    use_service(path, server.url)
    return path


def use_service(home: Path, url: str, key: str = "florin") -> None:
    (home / "vault-token").write_text(TOKEN + "\n")
    (home / "vault-token").chmod(0o600)
    (home / "custody.toml").write_text(
        f'[transit]\nurl = "{url}"\nkey = "{key}"\ntoken_file = "vault-token"\ntimeout_s = 2\n'
    )


def test_a_home_under_the_service_opens_with_it_and_not_without(home: Path, server: TransitServer) -> None:
    made = make_keys(Custody(home), "transit", ["institution"], [])
    assert Custody(home).secrets().seed == made.seed
    (home / "vault-token").write_text("another\n")
    with pytest.raises(KekRefused):
        Custody(home).secrets()
    use_service(home, "http://127.0.0.1:9")
    with pytest.raises(KekUnavailable):
        Custody(home).secrets()
    (home / "custody.toml").unlink()
    with pytest.raises(CustodyMisconfigured):
        Custody(home).secrets()


def test_a_manifest_that_names_a_path_for_a_key_is_no_manifest(home: Path) -> None:
    make_keys(Custody(home), "transit", ["institution"], [])
    manifest = home / "keystore" / "manifest.json"
    fields = json.loads(manifest.read_text())
    fields["data_key"]["key"] = "../../sys/seal"
    manifest.write_text(json.dumps(fields))
    with pytest.raises(TamperedKey):
        Custody(home).secrets()


def test_a_service_that_gives_another_key_back_opens_nothing(home: Path, server: TransitServer) -> None:
    make_keys(Custody(home), "transit", ["institution"], [])
    other = base64.b64encode(b"\x09" * 32).decode()
    server.manner = lambda handler: handler.answer(200, {"data": {"plaintext": other}})
    with pytest.raises(TamperedKey):
        Custody(home).secrets()


def test_moving_a_served_home_to_the_service_and_back(server: TransitServer, tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path).prepare()
    use_service(node.home, server.url)
    try:
        served = node.start().get("/v1/keys").json()["keys"]
        moved = node.command("rotate-kek", "--to", "transit")
        assert (moved.returncode, moved.stdout) == (0, '{"kek":"transit"}\n'), moved.stderr
        node.stop()
        passphrase = node.environment.pop("FLORIN_WALLET_NODE_PASSPHRASE_FILE")
        assert node.start().get("/v1/keys").json()["keys"] == served
        node.stop()
        server.manner = manner("hang_up")
        refused = node.command("rotate-kek", "--to", "passphrase", "--new-passphrase-file", passphrase)
        assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "KekUnavailable")
        server.manner = None
        assert (
            node.command("rotate-kek", "--to", "passphrase", "--new-passphrase-file", passphrase).returncode
            == 0
        )
        node.environment["FLORIN_WALLET_NODE_PASSPHRASE_FILE"] = passphrase
        (node.home / "custody.toml").unlink()
        assert node.start().get("/v1/keys").json()["keys"] == served
    finally:
        node.kill()
