"""Thirty-two random bytes that stay on this machine: made at first use, private to their owner."""

from __future__ import annotations

import secrets
from pathlib import Path

from contracts.durable import write_durably
from scripts.country.data_directory import DataDirectoryError

SECRET_BYTES = 32


class SecretUnusable(DataDirectoryError):
    """A secret that others can read, or that is none."""

    code = "SecretUnusable"


def read_or_make_secret(path: Path) -> bytes:
    """The file's secret; one that is not there is made, 0600 in a directory 0700. Raises SecretUnusable."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = secrets.token_bytes(SECRET_BYTES)
        write_durably(path, content, mode=0o600)
    if path.stat().st_mode & 0o077:
        raise SecretUnusable(f"{path} can be read by others: it is no secret any more")
    if len(content) != SECRET_BYTES:
        raise SecretUnusable(f"{path} has not been written by Florin: it has {len(content)} bytes")
    return content
