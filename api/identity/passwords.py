"""Passwords after NIST SP 800-63B: long enough, not easily guessed, and nothing about their composition."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from api.identity.errors import PasswordTooLong, PasswordTooShort, PasswordTooWeak

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST: Final = 8
LONGEST: Final = 128
LEAST_SCORE: Final = 3
"""zxcvbn: at least 10^8 guesses."""
AT_ONCE: Final = 2
"""Hashes that are computed at the same time: each takes 64 MiB and four threads' worth of work."""
_WEIGHED: Final = 72
"""zxcvbn takes time that grows with the square of the length, and takes no more than this."""


def normalised(password: str) -> str:
    """The one form of a password, whatever keyboard it was typed on (SP 800-63B, 3.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password)


def require_strength(password: str, known: Sequence[str]) -> None:
    """Raises `PasswordTooShort`, `PasswordTooLong` or `PasswordTooWeak`.

    `known`: what others know of its owner. Each part of the known texts counts as a word of its own, so that
    a year of birth or a family name does.
    """
    if len(password) > LONGEST:  # before anything that takes longer for longer ones
        raise PasswordTooLong(LONGEST)
    typed = normalised(password)
    if len(typed) < SHORTEST:
        raise PasswordTooShort(SHORTEST)
    if len(typed) > LONGEST:
        raise PasswordTooLong(LONGEST)
    from zxcvbn import zxcvbn

    found = zxcvbn(typed[:_WEIGHED], user_inputs=_words_of(known))
    if found["score"] < LEAST_SCORE:
        feedback = found["feedback"]
        raise PasswordTooWeak(feedback["warning"], feedback["suggestions"])


def _words_of(known: Sequence[str]) -> list[str]:
    """The texts and their parts, in lower case."""
    words: dict[str, None] = {}
    for text in known:
        whole = normalised(text).casefold()
        parts = "".join(letter if letter.isalnum() else " " for letter in whole).split()
        for word in (whole, "".join(parts), *parts):
            if len(word) >= 2:
                words[word] = None
    return list(words)


class Passwords:
    """argon2id (RFC 9106, 4: the second recommended option, of 64 MiB), off the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=3, memory_cost=65_536, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
        )
        self._places = asyncio.Semaphore(AT_ONCE)
        self._nobodys = self._hasher.hash("nobody's")

    async def require_strength(self, password: str, known: Sequence[str]) -> None:
        """Raises what `require_strength` does."""
        async with self._places:
            await asyncio.to_thread(require_strength, password, known)

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, normalised(password))

    async def is_right(self, password: str, kept: str | None) -> bool:
        """Whether this is the password; for nobody's (`kept` is None) no, after the same work."""
        typed = normalised(password[: 4 * LONGEST])
        async with self._places:
            found = await asyncio.to_thread(self._verify, kept or self._nobodys, typed)
        return found and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, typed: str) -> bool:
        try:
            return self._hasher.verify(kept, typed)
        except (VerificationError, InvalidHashError):
            return False
