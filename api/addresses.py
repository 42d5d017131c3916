"""Addresses at the edges: 20 bytes inside, EIP-55 text outside."""

from __future__ import annotations

import re
from functools import lru_cache

from eth_hash.auto import keccak

_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{40}")


@lru_cache(maxsize=16384)
def address_text(address: bytes) -> str:
    """The EIP-55 text of 20 bytes: a digit's case carries a checksum."""
    digits = address.hex()
    shades = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(shade, 16) >= 8 else digit
        for digit, shade in zip(digits, shades[:40], strict=True)
    )


def parse_address(text: str) -> bytes:
    """The 20 bytes of an address. Raises `ValueError` for any other text, and for a wrong EIP-55 checksum.

    All-lower and all-upper digits carry no checksum and are taken as they are. The zero address is none.
    """
    if not _HEXADECIMAL.fullmatch(text):
        raise ValueError("write 0x and 40 hexadecimal digits")
    address = bytes.fromhex(text[2:])
    if not any(address):
        raise ValueError("the zero address cannot hold the currency")
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and address_text(address) != text:
        raise ValueError("the letters' case does not match the EIP-55 checksum: a digit is probably wrong")
    return address
