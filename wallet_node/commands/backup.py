"""The commands `backup` and `restore`: the seed as SLIP-39 shares, and back again.

docs/decisions/017 says what a backup brings back, and what else has to be kept.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from wallet_node import hardening
from wallet_node.addresses import checksummed
from wallet_node.errors import KeystoreExists, MalformedRequest, OtherSeed, OutputExists
from wallet_node.keystore.custody import Custody
from wallet_node.keystore.derivation import CUSTOMER_PATH, HARDENED, ExtendedKey
from wallet_node.keystore.disk import read_secret, write_new
from wallet_node.keystore.file_provider import FileKeyProvider
from wallet_node.keystore.files import SEED_ID, Secrets, exists, fingerprint, open_keystore
from wallet_node.keystore.making import kek_kind, make_home, make_keys, require_name
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.store import Store

_LOT = 1_000
_MOST_CUSTOMERS = 10_000_000


def run_backup(options: argparse.Namespace) -> int:
    from wallet_node.keystore.shares import split

    custody = Custody(options.home)
    keystore = open_keystore(custody.keystore, custody.unwrap)
    groups = [_group(text) for text in options.group or ["3of5"]]
    seed = keystore.seed()
    shares = split(seed, groups, options.group_threshold, _backup_passphrase(options))
    try:
        options.out.mkdir(mode=0o700)
    except OSError as error:
        raise OutputExists(f"--out must be a new directory: {error.strerror}") from None
    told = fingerprint(seed)
    files = []
    for group, (mnemonics, (needed, made)) in enumerate(zip(shares, groups, strict=True), 1):
        for place, mnemonic in enumerate(mnemonics, 1):
            lines = (
                f"# Florin, SLIP-39: share {place} of group {group}, complete with {needed} of {made}.",
                f"# {options.group_threshold} of {len(groups)} complete groups give the seed.",
                f"# seed {told}",
                f"{mnemonic}\n",
            )
            files.append(f"group-{group}-share-{place}.txt")
            write_new(options.out / files[-1], "\n".join(lines).encode())
    origins = {name: entry.origin for name, entry in keystore.entries.items() if name != SEED_ID}
    return answer(
        {
            "fingerprint": told,
            "shares": files,
            "restored_by_name": sorted(name for name, origin in origins.items() if origin == "seed"),
            "not_in_this_backup": {name: kind for name, kind in origins.items() if kind != "seed"},
        }
    )


def run_restore(options: argparse.Namespace) -> int:
    names, token_names = key_names(options)
    if not 0 <= options.customers <= _MOST_CUSTOMERS:
        raise MalformedRequest(f"--customers is at most {_MOST_CUSTOMERS}")
    seed, told = _restored_seed(options)
    if any(expected.lower() != fingerprint(seed) for expected in told):
        raise OtherSeed(
            f"this gives the seed {fingerprint(seed)}, not {told[0]}: is the backup's passphrase right?"
        )
    home: Path = options.home
    custody = Custody(home)
    kind = kek_kind(custody, options.kek)
    if exists(custody.keystore):
        keystore = open_keystore(custody.keystore, custody.unwrap)
        if keystore.has_seed and keystore.seed() != seed:
            raise KeystoreExists("this home has another seed; restore into a new home")
    else:
        custody.kek(kind)  # say what is missing before anything is written
    make_home(home)
    hardening.hold(home)
    _require_same_customers(home, seed)
    secrets = make_keys(custody, kind, names, token_names, seed)
    _record_customers(home, secrets, options.customers)
    keys = named_addresses(secrets, [*names, *token_names])
    return answer({"fingerprint": fingerprint(seed), "keys": keys})


def key_names(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names for files and names for the token. Raises MalformedRequest."""
    names = [name for name in options.keys.split(",") if name]
    token_names = [name for name in options.token_keys.split(",") if name]
    for name in (*names, *token_names):
        require_name(name)
    if set(names) & set(token_names) or not names + token_names:
        raise MalformedRequest("name at least one key in --keys or --token-keys, and none in both")
    return names, token_names


def named_addresses(secrets: Secrets, names: list[str]) -> dict[str, str]:
    """Addresses as people compare them."""
    return {name: checksummed(secrets.named[name].address) for name in names}


def answer(fields: dict[str, Any]) -> int:
    """One line of JSON on standard output; the exit status."""
    sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")
    return 0


def _group(text: str) -> tuple[int, int]:
    parts = re.fullmatch(r"([0-9]{1,2})of([0-9]{1,2})", text)
    if parts is None:
        raise MalformedRequest(f"{text!r} is no group: write 3of5, say")
    return int(parts[1]), int(parts[2])


def _backup_passphrase(options: argparse.Namespace) -> bytes:
    path: Path | None = options.backup_passphrase_file
    return b"" if path is None else read_secret(path, purpose="the backup's passphrase")


def _restored_seed(options: argparse.Namespace) -> tuple[bytes, list[str]]:
    """The seed, and the fingerprints that it is said to have."""
    from wallet_node.keystore.shares import combine, seed_of_mnemonic

    told = [] if options.fingerprint is None else [options.fingerprint]
    passphrase = _backup_passphrase(options)
    if options.mnemonic_file is not None:
        content = read_secret(options.mnemonic_file, purpose="the mnemonic").decode("utf-8", "replace")
        return seed_of_mnemonic(content, passphrase.decode("utf-8", "replace")), told
    mnemonics = []
    for path in options.share:
        content = read_secret(path, purpose="a share").decode("ascii", "replace")
        told += re.findall(r"^# seed (0x[0-9a-f]{40})$", content, re.MULTILINE)
        lines = [line.strip() for line in content.splitlines() if not line.startswith("#")]
        mnemonics.append(" ".join(line for line in lines if line))
    return combine(mnemonics, passphrase), told


def _require_same_customers(home: Path, seed: bytes) -> None:
    """A journal that is in the home already must be of this seed. Raises OtherSeed."""
    path = home / "journal.sqlite3"
    if not path.exists():
        return
    store = Store(path)
    try:
        rows = store.query("SELECT key_index, address FROM derived_keys LIMIT 1")
    finally:
        store.close()
    parent = ExtendedKey.from_seed(seed).descend(CUSTOMER_PATH)
    if any(SoftwareKey(parent.child(HARDENED + index).secret).address != address for index, address in rows):
        raise OtherSeed("the journal in this home has customers of another seed")


def _record_customers(home: Path, secrets: Secrets, count: int) -> None:
    if not count:
        return
    store = Store(home / "journal.sqlite3")
    try:
        provider = FileKeyProvider(secrets, store)
        for start in range(0, count, _LOT):
            changes = provider.derive(range(start, min(start + _LOT, count))).changes
            with store.transaction() as connection:
                for statement, rows in changes:
                    connection.executemany(statement, rows)
    finally:
        store.close()
