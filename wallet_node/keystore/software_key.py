"""A private key in this process's memory, signing with libsecp256k1."""

import sha3
from coincurve import PrivateKey, PublicKey


class SoftwareKey:
    """A SigningKey over coincurve; its signatures are deterministic (RFC 6979) and low-s."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.address = address_of(self._key.public_key)

    def sign_digest(self, digest: bytes) -> bytes:
        signature: bytes = self._key.sign_recoverable(digest, hasher=None)
        return signature


def address_of(public_key: PublicKey) -> bytes:
    """The last 20 bytes of the keccak-256 of the uncompressed point."""
    digest: bytes = sha3.keccak_256(public_key.format(compressed=False)[1:]).digest()
    return digest[12:]


def recover(digest: bytes, signature: bytes) -> bytes:
    """The address whose key made this 65-byte signature."""
    return address_of(PublicKey.from_signature_and_message(signature, digest, hasher=None))
