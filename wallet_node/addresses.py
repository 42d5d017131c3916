"""EIP-55: an address as text whose letter case is its checksum."""

import sha3


def checksummed(address: bytes) -> str:
    """`0x` and 40 hex digits; a letter is upper case where the text's keccak-256 has a digit of 8 or more."""
    text = address.hex()
    digest: str = sha3.keccak_256(text.encode("ascii")).hexdigest()
    pairs = zip(text, digest, strict=False)
    return "0x" + "".join(letter.upper() if mark > "7" else letter for letter, mark in pairs)
