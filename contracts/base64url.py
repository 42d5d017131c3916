"""base64url without padding (RFC 4648 §5), read strictly: each sequence of bytes has exactly one text."""

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def encode(data: bytes) -> str:
    """The text of some bytes."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a text. Raises ValueError for any other text than `encode` gives."""
    written = text.encode("ascii").translate(_FROM_URL)
    data = binascii.a2b_base64(written + b"=" * (-len(written) % 4))
    # The decoder skips foreign characters and ignores left-over bits: what reads back the same had neither.
    if encode(data) != text:
        raise ValueError("not base64url without padding")
    return data
