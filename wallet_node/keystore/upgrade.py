"""Bringing a keystore of format 1 to today's: every key is sealed anew, under a data key of its own.

In format 1 the passphrase's key sealed the keys themselves, so a new passphrase would have had to touch them
all. The new files have the next version numbers and the manifest changes last, at once: a crash leaves either
the old keystore, whole, or the new one.
"""

import os
from pathlib import Path

import msgspec

from wallet_node.errors import TamperedKey, WrongPassphrase
from wallet_node.keystore.disk import changing, read, sync_directory
from wallet_node.keystore.envelopes import FORMAT_1, DoesNotOpen, Envelope, KeyDerivation, open_envelope
from wallet_node.keystore.files import MANIFEST_FILE, SEED_ID, Keystore, key_path, open_key
from wallet_node.keystore.kek import DATA_KEY_BYTES, Kek


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    address: str


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    kdf: KeyDerivation
    keys: Envelope


class _Format(msgspec.Struct, frozen=True):
    format: str


def is_outdated(directory: Path) -> bool:
    """Whether there is a keystore of format 1."""
    path = directory / MANIFEST_FILE
    return path.exists() and read(path, _Format).format == FORMAT_1


def upgrade(directory: Path, passphrase: bytes, kek: Kek) -> None:
    """Seal everything anew. Raises WrongPassphrase, MissingKey, TamperedKey or KeystoreBusy."""
    with changing(directory):
        manifest = read(directory / MANIFEST_FILE, _Manifest)
        old_key = _key(manifest.kdf, passphrase)
        entries = _entries(manifest, old_key)
        data_key = os.urandom(DATA_KEY_BYTES)
        keystore = Keystore(directory, data_key, kek.wrap(data_key), {})
        for name, entry in entries.items():
            path = key_path(directory, name, entry.version)
            secret = open_key(path, old_key, (name, entry.version, entry.address), FORMAT_1)
            # its keys were drawn one by one: the seed does not give them back
            keystore.put(name, "random", secret, entry.version + 1)
            written = keystore.entries[name].address
            if name != SEED_ID and written != entry.address:
                raise TamperedKey(f"the key {name!r} does not belong to its recorded address")
        keystore.commit()
        for name, entry in entries.items():
            key_path(directory, name, entry.version).unlink()
        sync_directory(directory)


def _key(kdf: KeyDerivation, passphrase: bytes) -> bytes:
    try:
        return kdf.key_from(passphrase)
    except DoesNotOpen:
        raise TamperedKey("manifest.json names argon2id terms that cannot be") from None


def _entries(manifest: _Manifest, old_key: bytes) -> dict[str, _Entry]:
    try:
        listed = open_envelope(old_key, manifest.keys, FORMAT_1)
    except DoesNotOpen:
        raise WrongPassphrase(
            "the passphrase does not open manifest.json: it is another one's, or the file was altered"
        ) from None
    return msgspec.json.decode(listed, type=dict[str, _Entry])
