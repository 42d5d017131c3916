"""BIP-32: a tree of keys from one seed. Source: BIP-32 "Child key derivation (CKD) functions"."""

import hashlib
import hmac
from dataclasses import dataclass

from coincurve import PublicKey

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HARDENED = 2**31

_ETHEREUM = (44 + HARDENED, 60 + HARDENED)
CUSTOMER_PATH = (*_ETHEREUM, 0 + HARDENED, 0 + HARDENED)
"""m/44'/60'/0'/0': the parent of all customer keys; a customer's key is its hardened child number `index`."""
INSTITUTION_PATH = (*_ETHEREUM, 1 + HARDENED)
"""m/44'/60'/1': the parent of the institution's own keys, which are reached by their names."""
FINGERPRINT_PATH = (*_ETHEREUM, 2 + HARDENED, 0 + HARDENED)
"""m/44'/60'/2'/0': no money ever; its address tells one seed from another."""
SEAL_PATH = (*_ETHEREUM, 3 + HARDENED, 0 + HARDENED)
"""m/44'/60'/3'/0': never an account; it authenticates the rows of derived addresses."""


class UnusableChild(Exception):
    """The derived value is zero or not below the curve's order (about 2^-127): skip this index."""


@dataclass(frozen=True, slots=True, repr=False)
class ExtendedKey:
    """A private key and its chain code, 32 bytes each."""

    secret: bytes
    chain_code: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> "ExtendedKey":
        """The master key of a seed of 16 to 64 bytes."""
        assert 16 <= len(seed) <= 64, "a BIP-32 seed has 128 to 512 bits"
        digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
        if not 0 < int.from_bytes(digest[:32]) < _ORDER:
            raise UnusableChild
        return cls(digest[:32], digest[32:])

    def child(self, number: int) -> "ExtendedKey":
        """Child `number`; at or above 2^31 the step is hardened."""
        if number >= HARDENED:
            start = b"\x00" + self.secret
        else:
            start = PublicKey.from_valid_secret(self.secret).format(compressed=True)
        digest = hmac.digest(self.chain_code, start + number.to_bytes(4), "sha512")
        tweak = int.from_bytes(digest[:32])
        secret = (tweak + int.from_bytes(self.secret)) % _ORDER
        if tweak >= _ORDER or secret == 0:
            raise UnusableChild
        return ExtendedKey(secret.to_bytes(32), digest[32:])

    def descend(self, path: tuple[int, ...]) -> "ExtendedKey":
        """The key at the end of a path of child numbers."""
        key = self
        for number in path:
            key = key.child(number)
        return key


def institution_path(name: str) -> tuple[int, ...]:
    """The path of an institutional key: four hardened steps from the SHA-256 of its name, 31 bits each.

    So seed and name give the key back, and no list of numbers has to survive beside the seed.
    """
    digest = hashlib.sha256(b"florin institutional key\x00" + name.encode()).digest()
    steps = (int.from_bytes(digest[at : at + 4]) % HARDENED + HARDENED for at in range(0, 16, 4))
    return (*INSTITUTION_PATH, *steps)
