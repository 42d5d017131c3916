"""The keys of the sandbox's officers: Ed25519, one file each, beside the `florin` command.

What they sign is the signer's business (see wallet_node's approvals); a key here signs any message that it is
given, like a smart card.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.base64url import encode
from scripts.country.secret_file import read_or_make_secret
from wallet_node.policy import file as policy_file
from wallet_node.policy.template import complete, template_source

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Officer:
    """One officer of an institution."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @classmethod
    def open(cls, directory: Path, name: str) -> Officer:
        """The officer of that name, whose key is made at first use. Raises SecretUnusable or ValueError."""
        if not _NAME.fullmatch(name):
            raise ValueError("an officer's name has lower-case letters, digits, - and _, at most 32")
        return cls(name, read_or_make_secret(directory / f"{name}.key"))

    @property
    def public_key(self) -> bytes:
        """The 32 bytes with which signatures are verified (RFC 8032)."""
        return self._key.public_key().public_bytes_raw()

    @property
    def policy_key(self) -> str:
        """The public key as a policy file names it."""
        return "ed25519:" + encode(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(message)


def complete_policy(template: str, officers: Sequence[Officer]) -> bytes:
    """A policy that ships with the node as a template, with these officers' public keys."""
    officers_of_policy = [policy_file.Officer(each.name, each.policy_key) for each in officers]
    return complete(template_source(template), officers_of_policy)
