"""Making the keys of a home: what `init` and `restore` have in common."""

import re
from collections.abc import Sequence
from pathlib import Path

from wallet_node.errors import KeyNameTaken, MalformedRequest
from wallet_node.keystore.custody import Custody, KekKind
from wallet_node.keystore.disk import changing, make_private
from wallet_node.keystore.files import (
    MANIFEST_ID,
    SEED_ID,
    Keystore,
    Secrets,
    begin_keystore,
    complete,
    exists,
    open_keystore,
    read_manifest,
)
from wallet_node.keystore.kek import DATA_KEY_ID, ByPassphrase, ByToken

_RESERVED_NAMES = (SEED_ID, MANIFEST_ID, DATA_KEY_ID, "derived", "any", "other")


def require_name(name: str) -> None:
    """Raise MalformedRequest unless an institutional key can have this name."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) or name in _RESERVED_NAMES:
        raise MalformedRequest(f"{name!r} cannot be the name of a key")


def kek_kind(custody: Custody, asked: KekKind | None) -> KekKind:
    """What guards the home's keystore, or is to guard a new one. Raises MalformedRequest."""
    if not exists(custody.keystore):
        return asked or "passphrase"
    wrapped = read_manifest(custody.keystore).data_key
    if isinstance(wrapped, ByPassphrase):
        kind: KekKind = "passphrase"
    else:
        kind = "token" if isinstance(wrapped, ByToken) else "transit"
    if asked not in (None, kind):
        raise MalformedRequest(f"this keystore is guarded by a {kind}; rotate-kek changes that")
    return kind


def present_keys(custody: Custody, names: Sequence[str], token_names: Sequence[str]) -> Secrets | None:
    """Everything that the keystore holds, if nothing is to be made. Raises KeyNameTaken."""
    if not exists(custody.keystore):
        return None
    keystore = open_keystore(custody.keystore, custody.unwrap)
    _require_places(keystore, names, token_names)
    if keystore.has_seed and keystore.entries.keys() >= {*names, *token_names}:
        return keystore.secrets(custody.token_key)
    return None


def make_keys(
    custody: Custody,
    kind: KekKind,
    names: Sequence[str],
    token_names: Sequence[str],
    seed: bytes | None = None,
) -> Secrets:
    """Make what is missing: the seed (random unless given), keys from it, keys in the token.

    The caller holds the home. Safe to repeat after a crash. Raises KeyNameTaken, KeystoreBusy, and what
    opening and the token raise.
    """
    directory = custody.keystore
    kek = None if exists(directory) else custody.kek(kind)
    make_private(directory)
    with changing(directory):
        keystore = open_keystore(directory, custody.unwrap) if kek is None else begin_keystore(directory, kek)
        _require_places(keystore, names, token_names)
        complete(keystore, names, seed)
        missing = [name for name in token_names if name not in keystore.entries]
        for name in missing:
            keystore.put_token(name, custody.token().make_key(name).address)
        if missing:
            keystore.commit()
        return keystore.secrets(custody.token_key)


def make_home(home: Path) -> None:
    """The home exists and is private."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)


def _require_places(keystore: Keystore, names: Sequence[str], token_names: Sequence[str]) -> None:
    """A key that exists in one place is not made in the other."""
    for name, entry in keystore.entries.items():
        if name in (names if entry.origin == "token" else token_names):
            where = "the token" if entry.origin == "token" else "a file"
            raise KeyNameTaken(f"the key {name!r} is in {where} already")
