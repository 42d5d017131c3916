"""The central bank's secret, under which the directory keeps everything: HMAC-SHA256, and nothing else.

The file has a line for each key, `<key id> <64 hexadecimal digits>`, the present one first. To rotate: put a
new line in front; banks register their aliases again (which writes them under the new key); once no alias is
under the old key its line is taken away. Look-ups try every key of the file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from api.directory.errors import SecretFileUnusable
from api.directory.names import NameKeys

if TYPE_CHECKING:
    from pathlib import Path

    from api.directory.aliases import Alias

_LINE: Final = re.compile(r"([a-z0-9-]{1,32}) ([0-9a-f]{64})")
_NAME_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class DirectorySecret:
    """The keys by id, the present one first."""

    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> DirectorySecret:
        """Read the file. Raises `SecretFileUnusable` where it is not private, or not of its form."""
        try:
            if path.stat().st_mode & 0o077:
                raise SecretFileUnusable(str(path), "others can read it: it is no secret any more")
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as failure:
            raise SecretFileUnusable(str(path), "it cannot be read") from failure
        keys: dict[str, bytes] = {}
        for line in lines:
            found = _LINE.fullmatch(line)
            if found is None or found[1] in keys:
                raise SecretFileUnusable(str(path), "each line is a key's own id and 64 hexadecimal digits")
            keys[found[1]] = bytes.fromhex(found[2])
        if not keys:
            raise SecretFileUnusable(str(path), "it has no key")
        return cls(keys)

    @property
    def present_key_id(self) -> str:
        """The id of the key that everything new is written under."""
        return next(iter(self.keys))

    def of_alias(self, key_id: str, alias: Alias) -> bytes:
        """What stands for an alias."""
        return self._mac(key_id, "alias", alias.kind, alias.value)

    def of_alias_under_each(self, alias: Alias) -> list[bytes]:
        """What may stand for an alias, under every key."""
        return [self.of_alias(key_id, alias) for key_id in self.keys]

    def of_owner(self, key_id: str, participant_id: int, owner: str) -> bytes:
        """What stands for a bank's own name of its customer."""
        return self._mac(key_id, "owner", str(participant_id), owner)

    def of_name(self, key_id: str, keys: NameKeys[str]) -> NameKeys[bytes]:
        """What stands for a name, to be compared with another's."""

        def mac(key: str) -> bytes:
            return self._mac(key_id, "name", key)[:_NAME_BYTES]

        return NameKeys(
            mac(keys.whole), frozenset(map(mac, keys.shorter)), frozenset(map(mac, keys.misspelt))
        )

    def _mac(self, key_id: str, *parts: str) -> bytes:
        text = "\x1f".join(("florin directory 1", *parts))
        return hmac.digest(self.keys[key_id], text.encode(), hashlib.sha256)
