"""The account word: all that the token knows of an account, in one 256-bit integer (AccountWord.sol)."""

from enum import IntFlag
from typing import NamedTuple


class AccountFlag(IntFlag):
    """Facts about an account."""

    REGISTERED = 1
    FROZEN = 2
    LINKED = 4
    HAS_HOLD = 8
    INSTITUTION = 16
    SYSTEM = 32
    CLOSED = 64
    SUSPENDED = 128


class AccountWord(NamedTuple):
    """A decoded account word; ``balance`` and ``spent_today`` are minor units.

    ``day`` counts from 1970-01-01 UTC; ``spent_today`` is stale when it is past. ``nonce`` is the lowest that
    a packed payment may still use.
    """

    balance: int
    nonce: int
    spent_today: int
    day: int
    participant: int
    tier: int
    flags: int

    def has(self, flag: AccountFlag) -> bool:
        """True if every given flag is set."""
        return self.flags & flag == flag


_32_BITS = (1 << 32) - 1
_64_BITS = (1 << 64) - 1
_96_BITS = (1 << 96) - 1


def decode_account_word(word: int) -> AccountWord:
    """Take an account word apart; from the lowest bit, its fields are those of AccountWord in order."""
    return AccountWord(
        word & _96_BITS,
        word >> 96 & _32_BITS,
        word >> 128 & _64_BITS,
        word >> 192 & 0xFFFF,
        word >> 208 & 0xFFFF,
        word >> 224 & 0xFF,
        word >> 232,
    )


def encode_account_word(account: AccountWord) -> int:
    """Put an account word together. Raises ValueError if a field does not fit."""
    word = 0
    at = 0
    for value, bits in zip(account, (96, 32, 64, 16, 16, 8, 24), strict=True):
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit {bits} bits")
        word |= value << at
        at += bits
    return word
