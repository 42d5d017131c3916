"""A private key in this process's memory, signing with libsecp256k1."""

import sha3
from coincurve import PrivateKey, PublicKey
from coincurve.context import GLOBAL_CONTEXT


class SoftwareKey:
    """A SigningKey over coincurve; its signatures are deterministic (RFC 6979), low-s and recoverable as
    they come, so nothing is left for the layer that other providers need (`signing.ProviderKey`).
    """

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes, address: bytes | None = None) -> None:
        """A key of 32 bytes, whose `address` saves a multiplication where it is known for certain. Raises
        ValueError outside the curve's order.
        """
        if address is None:
            if len(secret) != 32:
                raise ValueError("a private key has 32 bytes")
            address = address_of(PublicKey.from_valid_secret(secret))
        # coincurve's constructor computes two public keys, which signing does not use
        key = PrivateKey.__new__(PrivateKey)
        key.secret = secret
        key.context = GLOBAL_CONTEXT
        self._key = key
        self.address = address

    @property
    def secret(self) -> bytes:
        """The 32 bytes, for the commands that export a key."""
        secret: bytes = self._key.secret
        return secret

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
