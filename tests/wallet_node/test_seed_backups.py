"""The seed on paper: SLIP-39 and BIP-39 as published, and a node that comes back with the same addresses."""

import itertools
import json
from pathlib import Path

import pytest
import seed_vectors
from node_process import NodeProcess

from wallet_node.errors import MixedShares, MnemonicUnusable, SharesUnusable, TooFewShares, UnusableSharing
from wallet_node.intents.requests import MAXIMUM_BATCH
from wallet_node.keystore.files import fingerprint
from wallet_node.keystore.shares import combine, seed_of_mnemonic, split

TREZOR = seed_vectors.PASSPHRASE.encode()
MNEMONICS = seed_vectors.mnemonics()
SEED = bytes(range(32))


@pytest.mark.parametrize(("title", "shares", "result"), seed_vectors.shares())
def test_the_published_shares_give_their_secrets_and_the_published_mistakes_are_told_apart(
    title: str, shares: list[str], result: str
) -> None:
    refusals = {error.__name__: error for error in (MixedShares, SharesUnusable, TooFewShares)}
    if result in refusals:
        with pytest.raises(refusals[result]):
            combine(shares, TREZOR)
    else:
        assert combine(shares, TREZOR).hex() == result, title


@pytest.mark.parametrize(("words", "seed"), MNEMONICS)
def test_the_published_mnemonics_give_the_published_seeds(words: str, seed: str) -> None:
    assert seed_of_mnemonic(f"  {words}\n", "TREZOR").hex() == seed


@pytest.mark.parametrize(
    "words", ["abandon " * 12, "abandon " * 10 + "about", "x " * 12, "", "ABANDON " * 11 + "about"]
)
def test_what_is_no_mnemonic_is_refused(words: str) -> None:
    with pytest.raises(MnemonicUnusable):
        seed_of_mnemonic(words)


def test_any_three_of_five_give_the_seed_and_any_two_do_not() -> None:
    (shares,) = split(SEED, [(3, 5)], 1)
    assert all(combine(chosen) == SEED for chosen in itertools.combinations(shares, 3))
    for chosen in itertools.combinations(shares, 2):
        with pytest.raises(TooFewShares, match="2 of 3"):
            combine(chosen)


def test_more_shares_than_needed_and_the_same_one_twice_do_no_harm() -> None:
    (shares,) = split(SEED, [(3, 5)], 1)
    assert combine(shares) == SEED
    assert combine([*shares[:3], shares[0]]) == SEED
    with pytest.raises(TooFewShares):
        combine([shares[0]] * 3)
    with pytest.raises(TooFewShares):
        combine([])


def test_two_of_three_groups() -> None:
    first, second, third = split(SEED, [(2, 3), (1, 1), (3, 5)], 2, b"a passphrase")
    assert combine([*first[:2], *second], b"a passphrase") == SEED
    assert combine([*third[1:4], *second, first[0]], b"a passphrase") == SEED
    with pytest.raises(TooFewShares):
        combine([first[0], *second])
    assert combine([*first[:2], *second], b"another") != SEED  # which is why a backup names a fingerprint


def test_shares_of_two_backups_of_one_seed_do_not_mix() -> None:
    (shares,), (others,) = split(SEED, [(2, 3)], 1), split(SEED, [(2, 3)], 1)
    with pytest.raises(MixedShares, match="share 2"):
        combine([shares[0], others[1]])


def test_one_wrong_word_is_noticed() -> None:
    (shares,) = split(SEED, [(2, 3)], 1)
    words = shares[1].split()
    words[7] = "academic" if words[7] != "academic" else "acid"
    with pytest.raises(SharesUnusable, match="share 2"):
        combine([shares[0], " ".join(words)])
    with pytest.raises(SharesUnusable, match="share 1"):
        combine([" ".join(words[:-1]), shares[0]])
    with pytest.raises(SharesUnusable):
        combine(["\ufffd \ufffd", shares[0]])


@pytest.mark.parametrize(
    ("groups", "threshold"),
    [
        ([], 1),
        ([(3, 5)], 0),
        ([(3, 5)], 2),
        ([(6, 5)], 1),
        ([(0, 5)], 1),
        ([(1, 5)], 1),
        ([(3, 17)], 1),
        ([(1, 1)] * 17, 1),
    ],
)
def test_splits_that_the_standard_does_not_allow(groups: list[tuple[int, int]], threshold: int) -> None:
    with pytest.raises(UnusableSharing):
        split(SEED, groups, threshold)


def test_a_passphrase_is_printable_ascii() -> None:
    for passphrase in ("heslo s háčkem".encode(), b"tab\t"):
        with pytest.raises(UnusableSharing):
            split(SEED, [(3, 5)], 1, passphrase)
        with pytest.raises(UnusableSharing):
            combine([], passphrase)


def secret_file(path: Path, content: str) -> str:
    path.write_text(content)
    path.chmod(0o600)
    return str(path)


def code(ran: object) -> str:
    return str(ran.stderr.split(":")[0])  # type: ignore[attr-defined]


def test_a_restored_node_has_the_same_thousand_wallets_and_the_same_key(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    node = NodeProcess.make(tmp_path / "a").prepare()
    passphrase = secret_file(tmp_path / "backup-passphrase", "spoken at the ceremony")
    try:
        client = node.start()
        indices = {"indices": list(range(MAXIMUM_BATCH))}
        addresses = client.post("/v1/keys:derive", json=indices).json()["addresses"]
        keys = client.get("/v1/keys").json()["keys"]
        out = tmp_path / "shares"
        backed_up = node.command("backup", "--out", str(out), "--backup-passphrase-file", passphrase)
        assert backed_up.returncode == 0, backed_up.stderr
    finally:
        node.kill()
    told = json.loads(backed_up.stdout)
    assert told["restored_by_name"] == ["institution"]
    assert told["not_in_this_backup"] == {}
    assert sorted(path.name for path in out.iterdir()) == told["shares"]
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    shares = [part for name in told["shares"][1:4] for part in ("--share", str(out / name))]

    (tmp_path / "b").mkdir()
    empty = NodeProcess.make(tmp_path / "b")
    restore = ["restore", "--keys", "institution"]
    given = ["--backup-passphrase-file", passphrase]
    assert code(empty.command(*restore, *shares)) == "OtherSeed"
    assert code(empty.command(*restore, *shares[:4], *given)) == "TooFewShares"
    assert code(empty.command("restore", *shares, *given)) == "MalformedRequest"
    assert not empty.home.exists()
    restored = empty.command(*restore, *shares, *given, "--customers", "1000")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout) == {"fingerprint": told["fingerprint"], "keys": keys}
    assert empty.command(*restore, *shares, *given, "--customers", "1000").stdout == restored.stdout
    empty.bind()
    try:
        client = empty.start()
        assert client.get("/v1/keys").json()["derived"] == MAXIMUM_BATCH
        assert client.post("/v1/keys:derive", json=indices).json()["addresses"] == addresses
        assert client.get("/v1/keys").json()["keys"] == keys
        assert code(empty.command(*restore, *shares, *given)) == "AlreadyRunning"
    finally:
        empty.kill()
    other = secret_file(tmp_path / "mnemonic", MNEMONICS[0][0])
    assert code(empty.command(*restore, "--mnemonic-file", other)) == "KeystoreExists"


def test_a_mnemonic_restores_what_another_wallet_would_derive(tmp_path: Path) -> None:
    from eth_account import Account
    from eth_account.hdaccount import HDPath

    node = NodeProcess.make(tmp_path)
    words = secret_file(tmp_path / "mnemonic", MNEMONICS[1][0])
    expected = fingerprint(bytes.fromhex(MNEMONICS[1][1]))
    passphrase = secret_file(tmp_path / "trezor", "TREZOR")
    restore = ["restore", "--keys", "institution", "--mnemonic-file", words, "--fingerprint", expected]
    assert code(node.command(*restore)) == "OtherSeed"
    restored = node.command(*restore, "--backup-passphrase-file", passphrase, "--customers", "2")
    assert restored.returncode == 0, restored.stderr
    node.bind()
    try:
        derived = node.start().post("/v1/keys:derive", json={"indices": [1]}).json()["addresses"]
    finally:
        node.kill()
    secret = HDPath("m/44'/60'/0'/0'/1'").derive(bytes.fromhex(MNEMONICS[1][1]))
    assert derived == [Account.from_key(secret).address]


def test_a_journal_of_another_seed_is_not_given_a_seed(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path)
    first = secret_file(tmp_path / "first", MNEMONICS[0][0])
    second = secret_file(tmp_path / "second", MNEMONICS[1][0])
    restore = ["restore", "--keys", "institution", "--mnemonic-file"]
    assert node.command(*restore, first, "--customers", "1").returncode == 0
    (node.home / "keystore").rename(node.home / "lost")
    assert code(node.command(*restore, second)) == "OtherSeed"
    assert not (node.home / "keystore").exists()


def test_a_backup_says_which_keys_it_does_not_hold_and_writes_over_nothing(tmp_path: Path) -> None:
    from wallet_node.keystore.files import open_keystore
    from wallet_node.keystore.kek import PassphraseKek

    node = NodeProcess.make(tmp_path).prepare()
    passphrase = Path(node.environment["FLORIN_WALLET_NODE_PASSPHRASE_FILE"]).read_bytes().strip()
    keystore = open_keystore(node.home / "keystore", PassphraseKek(passphrase).unwrap)
    keystore.put("treasury", "imported", b"\x11" * 32)
    keystore.commit()
    groups = ["--group", "2of3", "--group", "1of1", "--group-threshold", "2"]
    told = json.loads(node.command("backup", "--out", str(tmp_path / "out"), *groups).stdout)
    assert told["not_in_this_backup"] == {"treasury": "imported"}
    assert len(told["shares"]) == 4
    assert code(node.command("backup", "--out", str(tmp_path / "out"))) == "OutputExists"
    assert (
        code(node.command("backup", "--out", str(tmp_path / "o2"), "--group", "five")) == "MalformedRequest"
    )
    assert code(node.command("backup", "--out", str(tmp_path / "o2"), "--group", "1of5")) == "UnusableSharing"
    assert not (tmp_path / "o2").exists()
