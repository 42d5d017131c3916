"""The commands of key custody: what makes keys, copies them, brings them back, and changes what guards them.

    init        --keys a,b [--token-keys c] [--kek passphrase|token|transit]      repeatable
    backup      --out DIR [--group 3of5 ..] [--group-threshold N] [--backup-passphrase-file FILE]
    restore     --share FILE .. | --mnemonic-file FILE, --keys a,b [--token-keys c] [--kek ..]
                [--backup-passphrase-file FILE] [--fingerprint 0x..] [--customers N]
    import-key  --name NAME --file V3.json --password-file FILE [--address 0x..]
    export-key  --name NAME --out FILE --password-file FILE [--kdf scrypt|pbkdf2]
    rotate-kek  --to passphrase|token|transit [--new-passphrase-file FILE]

Each takes `--home DIR` and answers one line of JSON. backup, export-key and rotate-kek work beside a running
node; the others need the home to themselves. What a token or a KEK service needs is in `HOME/custody.toml`
(see `keystore.custody`). docs/decisions/017 says what a backup brings back.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wallet_node import hardening
from wallet_node.addresses import checksummed
from wallet_node.commands.backup import answer, key_names, named_addresses, run_backup, run_restore
from wallet_node.errors import MalformedRequest, OutputExists
from wallet_node.keystore.custody import Custody, KekKind
from wallet_node.keystore.disk import changing, read_secret, write_new
from wallet_node.keystore.files import open_keystore, read_manifest, rotate_kek
from wallet_node.keystore.kek import ByToken, PassphraseKek
from wallet_node.keystore.making import kek_kind, make_home, make_keys, present_keys, require_name
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.keystore.upgrade import is_outdated, upgrade

_KEK_KINDS: Sequence[KekKind] = ("passphrase", "token", "transit")
_SHORTEST_PASSWORD = 12


def add_to(commands: Any) -> None:
    """Add these commands to an argument parser's subparsers."""
    add: Callable[..., argparse.ArgumentParser] = commands.add_parser
    init = add("init", help="make the keystore; repeatable")
    backup = add("backup", help="write SLIP-39 shares of the seed")
    backup.add_argument("--out", type=Path, required=True, help="a new directory for the shares")
    backup.add_argument("--group", action="append", help="3of5, say, which is the default; repeatable")
    backup.add_argument("--group-threshold", type=int, default=1, help="how many groups are needed")
    restore = add("restore", help="bring the seed of a backup into an empty home")
    source = restore.add_mutually_exclusive_group(required=True)
    source.add_argument("--share", type=Path, action="append", help="a share's file; repeatable")
    source.add_argument("--mnemonic-file", type=Path, help="a BIP-39 mnemonic in English")
    restore.add_argument("--fingerprint", help="of the seed that is expected, where the shares do not tell")
    restore.add_argument(
        "--customers", type=int, default=0, help="record customers 0 to N-1 as derived before"
    )
    for command in (backup, restore):
        command.add_argument("--backup-passphrase-file", type=Path)
    for command in (init, restore):
        command.add_argument("--keys", default="", help="names of institutional keys, separated by commas")
        command.add_argument("--token-keys", default="", help="names of keys that the PKCS#11 token holds")
        command.add_argument("--kek", choices=_KEK_KINDS, help="what guards a new keystore: passphrase")
    take = add("import-key", help="take a key from an Ethereum V3 key file")
    take.add_argument("--file", type=Path, required=True)
    take.add_argument("--address", help="which the key must have")
    give = add("export-key", help="write a key as an Ethereum V3 key file")
    give.add_argument("--out", type=Path, required=True)
    give.add_argument("--kdf", choices=("scrypt", "pbkdf2"), default="scrypt")
    for command in (take, give):
        command.add_argument("--name", required=True)
        command.add_argument("--password-file", type=Path, required=True)
    rotate = add("rotate-kek", help="put the data key under another passphrase, token or service")
    rotate.add_argument("--to", choices=_KEK_KINDS, required=True)
    rotate.add_argument("--new-passphrase-file", type=Path)
    for command, run in (
        (init, _init),
        (backup, run_backup),
        (restore, run_restore),
        (take, _import_key),
        (give, _export_key),
        (rotate, _rotate_kek),
    ):
        command.add_argument("--home", type=Path, required=True)
        command.set_defaults(run=run)


def _init(options: argparse.Namespace) -> int:
    names, token_names = key_names(options)
    home: Path = options.home
    custody = Custody(home)
    if is_outdated(custody.keystore):
        passphrase = hardening.read_passphrase()
        hardening.hold(home)
        upgrade(custody.keystore, passphrase, custody.kek(options.kek or "passphrase"))
        secrets = make_keys(custody, kek_kind(custody, None), names, token_names)
        return answer({"keys": named_addresses(secrets, [*names, *token_names])})
    kind = kek_kind(custody, options.kek)
    # A running node holds the home; asking again for keys that exist must work beside it.
    present = present_keys(custody, names, token_names)
    if present is None:
        custody.kek(kind)  # says what is missing before anything is written
        make_home(home)
        hardening.hold(home)
        present = make_keys(custody, kind, names, token_names)
    return answer({"keys": named_addresses(present, [*names, *token_names])})


def _import_key(options: argparse.Namespace) -> int:
    from wallet_node.keystore.key_files import open_key_file

    require_name(options.name)
    custody = Custody(options.home)
    password = read_secret(options.password_file, purpose="the key file's password")
    content = read_secret(options.file, purpose="the key file")
    secret = open_key_file(content, password, options.address)
    read_manifest(custody.keystore)
    hardening.hold(options.home)
    with changing(custody.keystore):
        keystore = open_keystore(custody.keystore, custody.unwrap)
        keystore.put(options.name, "imported", secret)
        keystore.commit()
    return answer({"keys": {options.name: checksummed(SoftwareKey(secret).address)}})


def _export_key(options: argparse.Namespace) -> int:
    from wallet_node.keystore.key_files import make_key_file

    custody = Custody(options.home)
    password = read_secret(options.password_file, purpose="the key file's password")
    if len(password) < _SHORTEST_PASSWORD:
        raise MalformedRequest(f"the key file's password has fewer than {_SHORTEST_PASSWORD} characters")
    if options.out.exists():
        raise OutputExists(f"{options.out.name} exists; secrets are never written over something")
    key = SoftwareKey(open_keystore(custody.keystore, custody.unwrap).secret(options.name))
    write_new(options.out, make_key_file(key, password, options.kdf))
    return answer({"keys": {options.name: checksummed(key.address)}})


def _rotate_kek(options: argparse.Namespace) -> int:
    if (options.to == "passphrase") != (options.new_passphrase_file is not None):
        raise MalformedRequest("--new-passphrase-file goes with --to passphrase, and with nothing else")
    custody = Custody(options.home)
    before = read_manifest(custody.keystore).data_key
    if options.to == "passphrase":
        kek = PassphraseKek(hardening.read_passphrase_file(options.new_passphrase_file))
        rotate_kek(custody.keystore, custody.unwrap, kek)
    else:
        rotate_kek(custody.keystore, custody.unwrap, custody.kek(options.to))
    retired = before.key_id.hex() if isinstance(before, ByToken) else None
    return answer({"kek": options.to, **({"retired_token_key": retired} if retired else {})})
