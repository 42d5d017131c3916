"""The 32-byte words of call data and of what comes back."""


def encode_word(value: int) -> bytes:
    """Encode an unsigned integer or a truth."""
    return value.to_bytes(32, "big")


def encode_signed_word(value: int) -> bytes:
    """Encode a signed integer as two's complement."""
    return value.to_bytes(32, "big", signed=True)


def encode_address(address: bytes) -> bytes:
    """Encode an address. Raises ValueError unless it has 20 bytes."""
    if len(address) != 20:
        raise ValueError("an address has 20 bytes")
    return bytes(12) + address


def encode_bytes16(value: bytes) -> bytes:
    """Encode an id, which fills its word from the left. Raises ValueError unless it has 16 bytes."""
    if len(value) != 16:
        raise ValueError("an id has 16 bytes")
    return value + bytes(16)


def encode_bytes32(value: bytes) -> bytes:
    """Encode a hash or a random nonce, which is one word as it is. Raises ValueError for another length."""
    if len(value) != 32:
        raise ValueError("a word has 32 bytes")
    return value


def pad(data: bytes) -> bytes:
    """Fill up to whole words."""
    return data + bytes(-len(data) % 32)


def split_words(returned: bytes, count: int | None = None) -> list[int]:
    """Take returned bytes apart. Raises ValueError unless they are whole words, ``count`` if given."""
    if len(returned) % 32 != 0 or (count is not None and len(returned) != 32 * count):
        expected = "whole" if count is None else count
        raise ValueError(f"{expected} words expected, {len(returned)} bytes returned")
    return [int.from_bytes(returned[at : at + 32], "big") for at in range(0, len(returned), 32)]
