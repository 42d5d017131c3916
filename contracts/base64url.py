"""base64url without padding (RFC 4648 §5), read strictly: each sequence of bytes has exactly one text."""

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")  # what the other alphabet has besides is foreign here
# What a text of 4n + 2 or 4n + 3 characters can end in: the bits that are left over are 0.
_LAST = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


def encode(data: bytes) -> str:
    """The text of some bytes."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a text. Raises ValueError for any other text than `encode` gives."""
    written = text.encode("ascii").translate(_FROM_URL)
    over = len(written) % 4
    if over:
        if text[-1] not in _LAST.get(over, ()):
            raise ValueError("not base64url without padding")
        written += b"=="[: 4 - over]
    return binascii.a2b_base64(written, strict_mode=True)
