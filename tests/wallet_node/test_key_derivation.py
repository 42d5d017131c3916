"""Customer keys: BIP-32 as published, and one address for one index for ever."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from node_builders import NOW_S, SEED, Home, batch, codes, customers, known_secrets, payment, sign

from wallet_node.intents.requests import Derivation
from wallet_node.keystore.derivation import HARDENED, ExtendedKey, institution_path
from wallet_node.keystore.envelopes import KeyDerivation
from wallet_node.keystore.file_provider import FileKeyProvider
from wallet_node.keystore.files import create
from wallet_node.keystore.provider import Derived
from wallet_node.store import Store

CHEAP = KeyDerivation(b"sixteen bytes ok", memory_kib=8, passes=1, lanes=1)

# BIP-32 §Test Vectors 1 to 4, whole (3 and 4 retain leading zeros). Vector 5 is of serialized keys, which the
# node neither reads nor writes; its private keys outside 1..n-1 are in test_signature_edges.
SEED_1 = "000102030405060708090a0b0c0d0e0f"
SEED_2 = (
    "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2"
    "9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542"
)
SEED_3 = (
    "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4ac"
    "ba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be"
)
SEED_4 = "3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678"
VECTORS = [
    (
        SEED_1,
        "m",
        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
    ),
    (
        SEED_1,
        "m/0H",
        "xprv9uHRZZhk6KAJC1avXpDAp4MDc3sQKNxDiPvvkX8Br5ngLNv1TxvUxt4cV1rGL5hj6KCesnDYUhd7oWgT11eZG7XnxHrnYeSvkzY7d2bhkJ7",
    ),
    (
        SEED_1,
        "m/0H/1",
        "xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTCg8MSY3H2EU4pWcQDnRnrVA1xe8fs",
    ),
    (
        SEED_1,
        "m/0H/1/2H",
        "xprv9z4pot5VBttmtdRTWfWQmoH1taj2axGVzFqSb8C9xaxKymcFzXBDptWmT7FwuEzG3ryjH4ktypQSAewRiNMjANTtpgP4mLTj34bhnZX7UiM",
    ),
    (
        SEED_1,
        "m/0H/1/2H/2",
        "xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wDvUAKRHSC34sJ7in334",
    ),
    (
        SEED_1,
        "m/0H/1/2H/2/1000000000",
        "xprvA41z7zogVVwxVSgdKUHDy1SKmdb533PjDz7J6N6mV6uS3ze1ai8FHa8kmHScGpWmj4WggLyQjgPie1rFSruoUihUZREPSL39UNdE3BBDu76",
    ),
    (
        SEED_2,
        "m",
        "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U",
    ),
    (
        SEED_2,
        "m/0/2147483647H",
        "xprv9wSp6B7kry3Vj9m1zSnLvN3xH8RdsPP1Mh7fAaR7aRLcQMKTR2vidYEeEg2mUCTAwCd6vnxVrcjfy2kRgVsFawNzmjuHc2YmYRmagcEPdU9",
    ),
    (
        SEED_2,
        "m/0/2147483647H/1/2147483646H",
        "xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTjSyQbLYnMpCqE2VbFWc",
    ),
    (
        SEED_2,
        "m/0",
        "xprv9vHkqa6EV4sPZHYqZznhT2NPtPCjKuDKGY38FBWLvgaDx45zo9WQRUT3dKYnjwih2yJD9mkrocEZXo1ex8G81dwSM1fwqWpWkeS3v86pgKt",
    ),
    (
        SEED_2,
        "m/0/2147483647H/1",
        "xprv9zFnWC6h2cLgpmSA46vutJzBcfJ8yaJGg8cX1e5StJh45BBciYTRXSd25UEPVuesF9yog62tGAQtHjXajPPdbRCHuWS6T8XA2ECKADdw4Ef",
    ),
    (
        SEED_2,
        "m/0/2147483647H/1/2147483646H/2",
        "xprvA2nrNbFZABcdryreWet9Ea4LvTJcGsqrMzxHx98MMrotbir7yrKCEXw7nadnHM8Dq38EGfSh6dqA9QWTyefMLEcBYJUuekgW4BYPJcr9E7j",
    ),
    (
        SEED_3,
        "m",
        "xprv9s21ZrQH143K25QhxbucbDDuQ4naNntJRi4KUfWT7xo4EKsHt2QJDu7KXp1A3u7Bi1j8ph3EGsZ9Xvz9dGuVrtHHs7pXeTzjuxBrCmmhgC6",
    ),
    (
        SEED_3,
        "m/0H",
        "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJFjaPdGZ2y9WACViL4L",
    ),
    (
        SEED_4,
        "m",
        "xprv9s21ZrQH143K48vGoLGRPxgo2JNkJ3J3fqkirQC2zVdk5Dgd5w14S7fRDyHH4dWNHUgkvsvNDCkvAwcSHNAQwhwgNMgZhLtQC63zxwhQmRv",
    ),
    (
        SEED_4,
        "m/0H",
        "xprv9vB7xEWwNp9kh1wQRfCCQMnZUEG21LpbR9NPCNN1dwhiZkjjeGRnaALmPXCX7SgjFTiCTT6bXes17boXtjq3xLpcDjzEuGLQBM5ohqkao9G",
    ),
    (
        SEED_4,
        "m/0H/1H",
        "xprv9xJocDuwtYCMNAo3Zw76WENQeAS6WGXQ55RCy7tDJ8oALr4FWkuVoHJeHVAcAqiZLE7Je3vZJHxspZdFHfnBEjHqU5hG1Jaj32dVoS6XLT1",
    ),
]
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def read_extended_key(text: str) -> tuple[bytes, bytes]:
    """Secret and chain code of a base58check xprv (BIP-32 §Serialization format)."""
    number = 0
    for letter in text:
        number = number * 58 + ALPHABET.index(letter)
    content = number.to_bytes(82)
    checksum = hashlib.sha256(hashlib.sha256(content[:78]).digest()).digest()[:4]
    assert content[78:] == checksum, "the vector itself is mistyped"
    return content[46:78], content[13:45]


def numbers_of(path: str) -> tuple[int, ...]:
    steps = path.split("/")[1:]
    return tuple(int(step.rstrip("H")) + (HARDENED if step.endswith("H") else 0) for step in steps)


@pytest.mark.parametrize(("seed", "path", "expected"), VECTORS, ids=lambda value: value[:24])
def test_the_published_vectors_come_out(seed: str, path: str, expected: str) -> None:
    key = ExtendedKey.from_seed(bytes.fromhex(seed)).descend(numbers_of(path))
    assert (key.secret, key.chain_code) == read_extended_key(expected)


def test_customer_keys_are_hardened_children_as_an_independent_wallet_derives_them(home: Home) -> None:
    # eth-account takes a mnemonic; its BIP-32 below takes any seed.
    from eth_account.hdaccount import HDPath

    addresses = customers(home.open(), 3)
    for index, address in enumerate(addresses):
        secret = HDPath(f"m/44'/60'/0'/0'/{index}'").derive(SEED)
        assert Account.from_key(secret).address == address


def test_the_same_index_gives_the_same_address_in_the_order_asked_and_counts_once(home: Home) -> None:
    node = home.open()
    first = node.derive(Derivation((5, 2, 5, 9)))["addresses"]
    assert first[0] == first[2]
    assert len(set(first)) == 3
    assert node.derive(Derivation((9, 5, 2)))["addresses"] == [first[3], first[0], first[1]]
    assert node.keys()["derived"] == 3


def test_after_a_restart_the_node_signs_for_addresses_derived_before(home: Home) -> None:
    payer = customers(home.open(), 2)[1]
    again = home.open()
    assert again.keys()["derived"] == 2
    assert "signature" in sign(again, batch(payment(payer)))[0]


def test_an_index_edited_in_the_store_does_not_make_a_key_sign_for_another_address(home: Home) -> None:
    payer = customers(home.open(), 1)[0]
    home.close()
    store = Store(home.path / "journal.sqlite3")
    store.connection.executescript(
        "DROP TRIGGER derived_keys_stay; UPDATE derived_keys SET key_index = 7 WHERE key_index = 0;"
    )
    store.close()
    answer = sign(home.open(), batch(payment(payer), valid_before_s=NOW_S + 1))[0]
    assert codes(answer) == ["UnknownPayer"]


def test_an_institutional_key_is_the_seeds_by_its_name(tmp_path: Path) -> None:
    from eth_account.hdaccount import HDPath

    secrets = create(tmp_path / "k", b"a passphrase", ["governor"], CHEAP)
    digest = hashlib.sha256(b"florin institutional key\x00governor").digest()
    steps = [int.from_bytes(digest[at : at + 4]) % 2**31 for at in range(0, 16, 4)]
    path = "m/44'/60'/1'/" + "/".join(f"{step}'" for step in steps)
    expected = Account.from_key(HDPath(path).derive(secrets.seed)).address
    assert expected[2:].lower() == secrets.named["governor"].address.hex()
    assert len({institution_path(f"name-{number}") for number in range(500)}) == 500


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[tuple[FileKeyProvider, Store]]:
    store = Store(tmp_path / "journal.sqlite3")
    yield FileKeyProvider(known_secrets(), store), store
    store.close()


def write(store: Store, derived: Derived) -> list[bytes]:
    with store.transaction() as connection:
        for statement, rows in derived.changes:
            connection.executemany(statement, rows)
    return derived.addresses


def test_a_derivation_is_the_callers_to_write(provider: tuple[FileKeyProvider, Store]) -> None:
    keys, store = provider
    derived = keys.derive([4, 2, 4])
    assert [len(rows) for _, rows in derived.changes] == [2]
    # nothing has been written, and nothing signs or counts
    assert keys.own_addresses(derived.addresses) == set()
    assert keys.customer_keys(derived.addresses) == {}
    assert keys.derived_count == 0
    write(store, derived)
    assert keys.own_addresses(derived.addresses) == set(derived.addresses)
    assert keys.customer_keys(derived.addresses).keys() == set(derived.addresses)
    assert keys.derived_count == 2
    again = keys.derive([4, 2, 4])
    assert (again.addresses, again.changes) == (derived.addresses, [])


def test_a_derivation_that_was_not_written_leaves_no_trace(provider: tuple[FileKeyProvider, Store]) -> None:
    keys, store = provider
    lost = keys.derive([1, 2])
    written = write(store, keys.derive([2, 3]))
    assert keys.own_addresses(lost.addresses) == {written[0]}
    assert keys.derived_count == 2
    assert write(store, keys.derive([1, 2, 3])) == [*lost.addresses, written[1]]
    assert keys.derived_count == 3


@pytest.mark.parametrize("seal", ["seal", "NULL", "zeroblob(16)"])
def test_an_edited_row_is_no_customer_whatever_its_seal(tmp_path: Path, seal: str) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    address = write(store, FileKeyProvider(known_secrets(), store).derive([0]))[0]
    store.connection.executescript(
        f"DROP TRIGGER derived_keys_stay; UPDATE derived_keys SET key_index = 7, seal = {seal};"
    )
    again = FileKeyProvider(known_secrets(), store)
    assert again.own_addresses([address]) == set()
    assert again.customer_keys([address]) == {}
    store.close()


def test_a_store_from_before_there_were_seals_keeps_its_customers(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    address = write(store, FileKeyProvider(known_secrets(), store).derive([3]))[0]
    store.connection.executescript(
        "DROP TRIGGER derived_keys_remain; DROP TABLE derived_keys;"
        " CREATE TABLE derived_keys (key_index INTEGER PRIMARY KEY, address BLOB NOT NULL UNIQUE) STRICT;"
    )
    store.connection.execute("INSERT INTO derived_keys VALUES (3, ?)", (address,))
    again = FileKeyProvider(known_secrets(), store)
    assert again.own_addresses([address]) == {address}
    assert again.customer_keys([address])[address].address == address
    assert again.derive([3]).addresses == [address]
    write(store, again.derive([4]))
    assert again.derived_count == 2
    store.close()
