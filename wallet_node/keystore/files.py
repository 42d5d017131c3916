"""The encrypted file keystore: `manifest.json` and one envelope a key, all 0600 in a directory that is 0700.

The manifest is itself sealed and lists every key with its version and address, so that a missing, renamed or
replaced file is noticed and "the expected number of keys" is something an intruder cannot edit.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from wallet_node.errors import KeystoreNotFound, MissingKey, TamperedKey, WrongPassphrase
from wallet_node.keystore.derivation import ExtendedKey, UnusableChild
from wallet_node.keystore.envelopes import DoesNotOpen, Envelope, KeyDerivation, open_envelope, seal
from wallet_node.keystore.software_key import SoftwareKey

SEED_ID = "seed"
_MANIFEST_ID = "manifest"
_FORMAT = "florin-keystore/1"
_SEED_BYTES = 32

T = TypeVar("T")


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    address: str


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    kdf: KeyDerivation
    keys: Envelope


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Everything an unlocked keystore holds."""

    seed: bytes
    named: dict[str, SoftwareKey]


def create(
    directory: Path, passphrase: bytes, names: Sequence[str], kdf: KeyDerivation | None = None
) -> Secrets:
    """Make sure that a seed and the named keys exist; what exists already stays as it is.

    Safe to repeat after a crash: a key file that was written before the manifest named it is adopted.
    """
    _make_private(directory)
    if (directory / "manifest.json").exists():
        manifest = _read(directory / "manifest.json", _Manifest)
        kek = _kek(manifest.kdf, passphrase)
        entries = _entries(kek, manifest)
    else:
        manifest = None
        # Key files without a manifest are what a crash leaves: their salt must outlive it too.
        terms = _resume_or_start(directory / "kdf.json", kdf or KeyDerivation(os.urandom(16)))
        kek = _kek(terms, passphrase)
        entries = {}
    missing = [name for name in (SEED_ID, *names) if name not in entries]
    if manifest is None or missing:
        for name in missing:
            entries[name] = _create_key(directory, kek, name)
        terms = manifest.kdf if manifest is not None else terms
        sealed = seal(kek, _MANIFEST_ID, len(entries), "", msgspec.json.encode(entries))
        _write(directory / "manifest.json", _Manifest(_FORMAT, terms, sealed))
        (directory / "kdf.json").unlink(missing_ok=True)
    return _load(directory, kek, entries)


def unlock(directory: Path, passphrase: bytes) -> Secrets:
    """Open every key that the manifest names.

    Raises KeystoreNotFound, WrongPassphrase, MissingKey or TamperedKey.
    """
    path = directory / "manifest.json"
    if not path.exists():
        raise KeystoreNotFound("there is no keystore here; run `python -m wallet_node.main init` first")
    manifest = _read(path, _Manifest)
    kek = _kek(manifest.kdf, passphrase)
    return _load(directory, kek, _entries(kek, manifest))


def _kek(kdf: KeyDerivation, passphrase: bytes) -> bytes:
    try:
        return kdf.key_from(passphrase)
    except DoesNotOpen:
        raise TamperedKey("manifest.json names argon2id terms that cannot be") from None


def _entries(kek: bytes, manifest: _Manifest) -> dict[str, _Entry]:
    if manifest.format != _FORMAT or manifest.keys.key_id != _MANIFEST_ID:
        raise TamperedKey("manifest.json is not a manifest of this keystore format")
    try:
        listed = open_envelope(kek, manifest.keys)
    except DoesNotOpen:
        raise WrongPassphrase(
            "the passphrase does not open manifest.json: it is another one's, or the file was altered"
        ) from None
    return msgspec.json.decode(listed, type=dict[str, _Entry])


def _load(directory: Path, kek: bytes, entries: dict[str, _Entry]) -> Secrets:
    named: dict[str, SoftwareKey] = {}
    seed = b""
    for key_id, entry in entries.items():
        secret = _open_key(directory, kek, key_id, entry)
        if key_id == SEED_ID:
            seed = secret
        else:
            named[key_id] = SoftwareKey(secret)
            if named[key_id].address.hex() != entry.address:
                raise TamperedKey(f"the key {key_id!r} does not belong to its recorded address")
    return Secrets(seed, named)


def _open_key(directory: Path, kek: bytes, key_id: str, entry: _Entry) -> bytes:
    path = _key_path(directory, key_id, entry.version)
    if not path.exists():
        raise MissingKey(f"the manifest names the key {key_id!r} but {path.name} is not there; restore it")
    envelope = _read(path, Envelope)
    if (envelope.key_id, envelope.version, envelope.address) != (key_id, entry.version, entry.address):
        raise TamperedKey(f"{path.name} claims to be another key than {key_id!r} of the manifest")
    try:
        return open_envelope(kek, envelope)
    except DoesNotOpen:
        raise TamperedKey(f"{path.name} was altered: it does not open under its own id and address") from None


def _create_key(directory: Path, kek: bytes, key_id: str) -> _Entry:
    path = _key_path(directory, key_id, 1)
    if path.exists():
        found = _read(path, Envelope)
        entry = _Entry(found.version, found.address)
        _open_key(directory, kek, key_id, entry)
        return entry
    if key_id == SEED_ID:
        secret, address = _new_seed(), ""
    else:
        secret = _new_secret()
        address = SoftwareKey(secret).address.hex()
    _write(path, seal(kek, key_id, 1, address, secret))
    return _Entry(1, address)


def _new_seed() -> bytes:
    while True:
        seed = os.urandom(_SEED_BYTES)
        try:
            ExtendedKey.from_seed(seed)
        except UnusableChild:  # pragma: no cover - probability 2^-127
            continue
        return seed


def _new_secret() -> bytes:
    while True:
        secret = os.urandom(32)
        try:
            SoftwareKey(secret)
        except ValueError:  # pragma: no cover - outside the curve's order: probability 2^-127
            continue
        return secret


def _resume_or_start(path: Path, fresh: KeyDerivation) -> KeyDerivation:
    if path.exists():
        return _read(path, KeyDerivation)
    _write(path, fresh)
    return fresh


def _key_path(directory: Path, key_id: str, version: int) -> Path:
    return directory / f"{key_id}.v{version}.json"


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise TamperedKey(f"{path.name} is not a file of this keystore format") from None


def _write(path: Path, content: Any) -> None:
    """Write whole or not at all, and durably: temporary file, fsync, rename, fsync of the directory."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(content) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
