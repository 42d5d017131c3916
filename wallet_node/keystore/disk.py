"""Files of a keystore: private, written whole or not at all, and changed by one process at a time."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from wallet_node.errors import KeystoreBusy, KeystoreNotFound, OutputExists, SecretFileUnusable, TamperedKey

T = TypeVar("T")


def make_private(directory: Path) -> None:
    """The directory exists and only its owner can look into it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def read(path: Path, kind: type[T]) -> T:
    """A file of this keystore. Raises TamperedKey when it does not read as a `kind`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise TamperedKey(f"{path.name} is not a file of this keystore format") from None


def write(path: Path, content: Any) -> None:
    """Write whole or not at all, and durably: temporary file, fsync, rename, fsync of the directory."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(content) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """A private file that was not there before. Raises OutputExists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OutputExists(f"{path.name} exists; secrets are never written over something") from None
    except OSError as error:
        raise SecretFileUnusable(f"{path.name} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_secret(path: Path, *, purpose: str) -> bytes:
    """What a private file says, without the end of its line. Raises SecretFileUnusable."""
    try:
        # non-blocking, so that a pipe in the file's place is an error rather than a wait
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise SecretFileUnusable(f"{path.name} ({purpose}) is not a plain file")
            if stat.S_IMODE(mode) & 0o077:
                raise SecretFileUnusable(f"{path.name} ({purpose}) is open to other users; chmod 600 it")
            content = file.read(65_536).rstrip(b"\r\n")
    except OSError as error:
        raise SecretFileUnusable(f"{path.name} ({purpose}) cannot be read: {error.strerror}") from None
    if not content:
        raise SecretFileUnusable(f"{path.name} ({purpose}) is empty")
    return content


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def changing(directory: Path) -> Iterator[None]:
    """One process at a time changes a keystore, also beside a running node, which reads it at its start
    only. Raises KeystoreBusy or KeystoreNotFound.
    """
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise KeystoreNotFound("there is no keystore here; run `python -m wallet_node.main init`") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise KeystoreBusy("another command changes this keystore; repeat this one") from None
    finally:
        os.close(handle)
