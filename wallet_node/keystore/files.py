"""The encrypted file keystore: `manifest.json` and one envelope a key, all 0600 in a directory that is 0700.

The manifest holds the data key, wrapped by a KEK (`kek`), and under that data key the sealed list of all keys
with their versions, addresses and origins: a missing, renamed or replaced file is noticed, and "the expected
number of keys" is something an intruder cannot edit. Keys in a token are in that list, too.

Every change is one rename of the manifest; what was written before it is not part of the keystore yet. A new
keystore starts with an empty list, so that key files without a manifest are a loss and never a crash.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from wallet_node.errors import (
    KekRefused,
    KeyNameTaken,
    KeyNotExportable,
    KeystoreExists,
    KeystoreNotFound,
    MissingKey,
    OutdatedKeystore,
    TamperedKey,
)
from wallet_node.keystore.derivation import FINGERPRINT_PATH, ExtendedKey, UnusableChild, institution_path
from wallet_node.keystore.disk import changing, make_private, read, write
from wallet_node.keystore.envelopes import (
    FORMAT,
    FORMAT_1,
    DoesNotOpen,
    Envelope,
    KeyDerivation,
    open_envelope,
    seal,
)
from wallet_node.keystore.kek import DATA_KEY_BYTES, Kek, PassphraseKek, Wrapped
from wallet_node.keystore.provider import SigningKey
from wallet_node.keystore.software_key import SoftwareKey

SEED_ID = "seed"
MANIFEST_ID = "manifest"
MANIFEST_FILE = "manifest.json"
SEED_BYTES = 32

Origin = Literal["seed", "random", "imported", "token"]
Unwrap = Callable[[Wrapped], bytes]
TokenKeys = Callable[[str], SigningKey]
"""The key of this name in the token. Raises UnfitTokenKey, TokenMisconfigured or TokenUnavailable."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key of the sealed list. Version 0: there is no file, the key is in a token."""

    version: int
    address: str
    origin: Origin


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """manifest.json."""

    format: str
    data_key: Wrapped
    keys: Envelope


class _AnyManifest(msgspec.Struct, frozen=True):
    format: str


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Everything an unlocked keystore holds."""

    seed: bytes
    named: Mapping[str, SigningKey]
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Tells this seed from another one; public."""
        return fingerprint(self.seed)


class Keystore:
    """An open keystore: its data key is known. Made by `open_keystore` or `begin_keystore`."""

    def __init__(
        self, directory: Path, data_key: bytes, wrapped: Wrapped, entries: Mapping[str, Entry]
    ) -> None:
        self._directory = directory
        self._data_key = data_key
        self._wrapped = wrapped
        self.entries = dict(entries)

    @property
    def has_seed(self) -> bool:
        """False while its making is not over."""
        return SEED_ID in self.entries

    def seed(self) -> bytes:
        """The seed of all derived keys. Raises KeystoreNotFound, MissingKey or TamperedKey."""
        if not self.has_seed:
            raise KeystoreNotFound("the making of this keystore was cut short; repeat `init` or `restore`")
        return self._open_key(SEED_ID)

    def secret(self, name: str) -> bytes:
        """One key. Raises KeyNotExportable, MissingKey or TamperedKey."""
        entry = self.entries.get(name)
        if entry is None or name == SEED_ID:
            raise KeyNotExportable(f"this keystore has no key named {name!r}")
        if entry.origin == "token":
            raise KeyNotExportable(f"the key {name!r} is in a token, which gives no key away")
        return self._open_key(name)

    def secrets(self, token_keys: TokenKeys | None = None) -> Secrets:
        """Every key. Raises MissingKey or TamperedKey, and what `token_keys` raises."""
        named: dict[str, SigningKey] = {}
        for name, entry in self.entries.items():
            if name == SEED_ID:
                continue
            if entry.origin == "token":
                if token_keys is None:
                    raise MissingKey(f"the key {name!r} is in a token, and custody.toml names none")
                named[name] = token_keys(name)
            else:
                named[name] = SoftwareKey(self._open_key(name))
            if named[name].address.hex() != entry.address:
                raise TamperedKey(f"the key {name!r} does not belong to its recorded address")
        origins = {name: entry.origin for name, entry in self.entries.items() if name != SEED_ID}
        return Secrets(self.seed(), named, origins)

    def put(self, name: str, origin: Origin, secret: bytes, version: int = 1) -> None:
        """Write a key's file; it is part of the keystore after `commit`. Raises KeyNameTaken."""
        address = "" if name == SEED_ID else SoftwareKey(secret).address.hex()
        self._admit(name, Entry(version, address, origin))
        envelope = seal(self._data_key, name, version, address, secret)
        write(key_path(self._directory, name, version), envelope)

    def put_seed(self, seed: bytes | None = None) -> None:
        """The seed of a new keystore; random unless given."""
        self.put(SEED_ID, "random", new_seed() if seed is None else seed)

    def put_derived(self, name: str) -> None:
        """An institutional key from the seed. Raises KeyNameTaken."""
        key = ExtendedKey.from_seed(self.seed()).descend(institution_path(name))
        self.put(name, "seed", key.secret)

    def put_token(self, name: str, address: bytes) -> None:
        """Record a key that a token holds. Raises KeyNameTaken."""
        self._admit(name, Entry(0, address.hex(), "token"))

    def commit(self) -> None:
        """Make what was put the keystore, at once."""
        listed = msgspec.json.encode(self.entries)
        sealed = seal(self._data_key, MANIFEST_ID, len(self.entries), "", listed)
        write(self._directory / MANIFEST_FILE, Manifest(FORMAT, self._wrapped, sealed))

    def _admit(self, name: str, entry: Entry) -> None:
        if name in self.entries:
            raise KeyNameTaken(f"the keystore has a key named {name!r} already")
        self.entries[name] = entry

    def _open_key(self, key_id: str) -> bytes:
        entry = self.entries[key_id]
        path = key_path(self._directory, key_id, entry.version)
        return open_key(path, self._data_key, (key_id, entry.version, entry.address))


def exists(directory: Path) -> bool:
    """Whether there is a keystore, of whatever format."""
    return (directory / MANIFEST_FILE).exists()


def read_manifest(directory: Path) -> Manifest:
    """The manifest as it is on disk. Raises KeystoreNotFound, OutdatedKeystore or TamperedKey."""
    path = directory / MANIFEST_FILE
    if not path.exists():
        raise KeystoreNotFound("there is no keystore here; run `python -m wallet_node.main init` first")
    found = read(path, _AnyManifest).format
    if found == FORMAT_1:
        raise OutdatedKeystore("this keystore has an earlier format; stop the node and run `init` once")
    if found != FORMAT:
        raise TamperedKey("manifest.json is not a manifest of this keystore format")
    return read(path, Manifest)


def open_keystore(directory: Path, unwrap: Unwrap) -> Keystore:
    """Open a keystore. Raises what `read_manifest` and `unwrap` raise."""
    manifest = read_manifest(directory)
    data_key = unwrap(manifest.data_key)
    return Keystore(directory, data_key, manifest.data_key, _entries(manifest, data_key))


def begin_keystore(directory: Path, kek: Kek) -> Keystore:
    """A keystore without any key yet. Raises KeystoreExists, or MissingKey where only a manifest lacks."""
    if exists(directory):
        raise KeystoreExists("there is a keystore here already")
    if any(directory.glob("*.v*.json")):
        raise MissingKey("there are keys here and manifest.json, which opens them, is missing; restore it")
    data_key = os.urandom(DATA_KEY_BYTES)
    keystore = Keystore(directory, data_key, kek.wrap(data_key), {})
    keystore.commit()
    return keystore


def create(
    directory: Path, passphrase: bytes, names: Sequence[str], kdf: KeyDerivation | None = None
) -> Secrets:
    """Make sure that a seed and the named keys exist, all in files under a passphrase; what exists already
    stays as it is. Safe to repeat after a crash.
    """
    kek = PassphraseKek(passphrase, kdf)
    make_private(directory)
    with changing(directory):
        keystore = (
            open_keystore(directory, kek.unwrap) if exists(directory) else begin_keystore(directory, kek)
        )
        complete(keystore, names)
        return keystore.secrets()


def complete(keystore: Keystore, names: Sequence[str], seed: bytes | None = None) -> None:
    """Give a keystore its seed and these keys from it, where it lacks them."""
    missing = [name for name in names if name not in keystore.entries]
    if keystore.has_seed and not missing:
        return
    if not keystore.has_seed:
        keystore.put_seed(seed)
    for name in missing:
        keystore.put_derived(name)
    keystore.commit()


def unlock(directory: Path, passphrase: bytes) -> Secrets:
    """Open every key of a keystore that is all in files, under a passphrase.

    Raises KeystoreNotFound, OutdatedKeystore, WrongPassphrase, MissingKey or TamperedKey.
    """
    return open_keystore(directory, PassphraseKek(passphrase).unwrap).secrets()


def rotate_kek(directory: Path, unwrap: Unwrap, kek: Kek) -> None:
    """Put the data key under another KEK, at once and beside a running node; no key's file is touched.

    Raises KeystoreBusy, and what opening and wrapping raise.
    """
    with changing(directory):
        manifest = read_manifest(directory)
        data_key = unwrap(manifest.data_key)
        _entries(manifest, data_key)  # it is the one that seals this keystore
        wrapped = kek.wrap(data_key)
        if kek.unwrap(wrapped) != data_key:  # before the old wrapping is gone
            raise KekRefused(
                "what was just wrapped does not unwrap to the same data key; nothing was changed"
            )
        write(directory / MANIFEST_FILE, msgspec.structs.replace(manifest, data_key=wrapped))


def fingerprint(seed: bytes) -> str:
    """The address of a key that is derived from the seed for nothing else, as hex."""
    secret = ExtendedKey.from_seed(seed).descend(FINGERPRINT_PATH).secret
    return "0x" + SoftwareKey(secret).address.hex()


def new_seed() -> bytes:
    """32 random bytes that BIP-32 accepts."""
    while True:
        seed = os.urandom(SEED_BYTES)
        try:
            ExtendedKey.from_seed(seed)
        except UnusableChild:  # pragma: no cover - probability 2^-127
            continue
        return seed


def key_path(directory: Path, key_id: str, version: int) -> Path:
    """Where a key's envelope is."""
    return directory / f"{key_id}.v{version}.json"


def open_key(path: Path, key: bytes, claims: tuple[str, int, str], store_format: str = FORMAT) -> bytes:
    """The secret in a key's file. `claims`: id, version and address, as the list of keys has them.

    Raises MissingKey or TamperedKey.
    """
    key_id = claims[0]
    if not path.exists():
        raise MissingKey(f"the manifest names the key {key_id!r} but {path.name} is not there; restore it")
    envelope = read(path, Envelope)
    if (envelope.key_id, envelope.version, envelope.address) != claims:
        raise TamperedKey(f"{path.name} claims to be another key than {key_id!r} of the manifest")
    try:
        return open_envelope(key, envelope, store_format)
    except DoesNotOpen:
        raise TamperedKey(f"{path.name} was altered: it does not open under its own id and address") from None


def _entries(manifest: Manifest, data_key: bytes) -> dict[str, Entry]:
    if manifest.keys.key_id != MANIFEST_ID:
        raise TamperedKey("manifest.json seals something else than a list of keys")
    try:
        listed = open_envelope(data_key, manifest.keys)
    except DoesNotOpen:
        raise TamperedKey("manifest.json was altered: its list of keys does not open") from None
    return msgspec.json.decode(listed, type=dict[str, Entry])
