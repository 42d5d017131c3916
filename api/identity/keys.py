"""API keys: made once, shown once, kept only as SHA-256, given scopes, revoked.

A key's *name* is the caller that idempotency keys and references belong to, so that a key can be replaced by
another of the same name without a retry becoming a second payment.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.identity.access import known_scopes
from api.identity.errors import InvalidCallerName, Unauthenticated, UnknownScope

if TYPE_CHECKING:
    from collections.abc import Collection

    from api.database import Connection, Pool

KEY_PREFIX: Final = "florin_"
_SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")  # a customer on the pages has a colon in its name
_FRESH_S: Final = 2.0
_MAX_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever speaks with a good key."""

    name: str
    scopes: frozenset[str]


async def create_key(conn: Connection, name: str, scopes: Collection[str], kind: str) -> str:
    """Make a key with `scopes` and return its text, which is nowhere else.

    Raises `InvalidCallerName` and `UnknownScope`.
    """
    if not _NAME.fullmatch(name):
        raise InvalidCallerName(name)
    known = known_scopes(kind)
    for scope in scopes:
        if scope not in known:
            raise UnknownScope(scope, known)
    key = KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    await conn.execute(
        "INSERT INTO api_keys (id, name, key_hash, scopes) VALUES ($1, $2, $3, $4)",
        uuid.uuid4(),
        name,
        _hash_of(key),
        sorted(set(scopes)),
    )
    return key


async def revoke_keys(conn: Connection, name: str) -> int:
    """Revoke every key of `name`; they stop working within two seconds. Returns how many there were."""
    done = await conn.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL", name
    )
    return int(done.split()[-1])


class KeyRing:
    """Looks keys up by their hash. Good ones are remembered for two seconds: a revocation is as late."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._remembered: dict[bytes, tuple[float, Caller]] = {}

    async def caller_of(self, authorization: str | None) -> Caller:
        """Who sends this `Authorization` header. Raises `Unauthenticated`."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.startswith(KEY_PREFIX) or len(key) > 200:
            raise Unauthenticated
        key_hash = _hash_of(key)
        now_s = time.monotonic()
        remembered = self._remembered.get(key_hash)
        if remembered is not None and now_s - remembered[0] < _FRESH_S:
            return remembered[1]
        self._remembered.pop(key_hash, None)
        row = await self._pool.fetchrow(
            "SELECT name, scopes FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL", key_hash
        )
        if row is None:
            raise Unauthenticated
        caller = Caller(row["name"], frozenset(row["scopes"]))
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key_hash] = (now_s, caller)
        return caller


def _hash_of(key: str) -> bytes:
    """SHA-256 is enough for 256 random bits: there is nothing to guess slowly."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
