"""Digest -> signature in the forms that leave the node, and the check of the backends in use."""

from typing import Generic, TypeVar

import coincurve
import sha3
from eth_hash.auto import keccak

from wallet_node.errors import SignatureCheckFailed, WrongBackend
from wallet_node.keystore.provider import SignatureProvider, SigningKey
from wallet_node.keystore.remembered import RememberedKey
from wallet_node.keystore.software_key import recover

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_SELF_TEST = b"florin wallet_node self-test"

K = TypeVar("K")


class ProviderKey(Generic[K]):
    """A SigningKey over a provider's bare (r, s): low-s, the recovery id and the check are added here, once
    for all providers.
    """

    def __init__(self, provider: SignatureProvider[K], key: K, address: bytes) -> None:
        self._provider = provider
        self._key = key
        self.address = address

    def sign_digest(self, digest: bytes) -> bytes:
        """Raises SignatureCheckFailed, and what the provider raises."""
        return recoverable(digest, *self._provider.sign_digest(self._key, digest), self.address)


def recoverable(digest: bytes, r: int, s: int, address: bytes) -> bytes:
    """r 32 | s 32 | recovery id 1 of an (r, s) that the key of `address` made over `digest`.

    Of the two values of s that verify, the lower one (EIP-2). The recovery id is found by trying: so whatever
    comes out has been verified. Recovery ids 2 and 3 (r was reduced, about 2^-127) do not exist in Ethereum.
    Raises SignatureCheckFailed when r or s is out of range or no recovery id gives `address`.
    """
    if 0 < r < _ORDER and 0 < s < _ORDER:
        both = r.to_bytes(32) + min(s, _ORDER - s).to_bytes(32)
        for recovery_id in (b"\x00", b"\x01"):
            try:
                if recover(digest, both + recovery_id) == address:
                    return both + recovery_id
            except ValueError:  # no point has this r
                continue
    raise _failure(address)


def compact(signature: bytes) -> bytes:
    """EIP-2098: r 32 | vs 32, the recovery bit in the highest bit of s (which is free because s is low)."""
    if signature[64]:
        return signature[:32] + bytes((signature[32] | 0x80,)) + signature[33:64]
    return signature[:64]


def expand(compacted: bytes) -> bytes:
    """The 65 bytes r | s | recovery id of an EIP-2098 signature."""
    return compacted[:32] + bytes((compacted[32] & 0x7F,)) + compacted[33:] + bytes((compacted[32] >> 7,))


def verify(key: SigningKey, digest: bytes, signature: bytes) -> None:
    """Check that a signature is low-s and recovers to its key. Raises SignatureCheckFailed."""
    is_low = int.from_bytes(signature[32:64]) <= _HALF_ORDER
    try:
        is_own = is_low and signature[64] <= 1 and recover(digest, signature) == key.address
    except ValueError:  # r or s out of range, or no such point
        is_own = False
    if not is_own:
        raise _failure(key.address)


def self_test(key: SigningKey) -> None:
    """Sign a fixed, meaningless digest, anew each time, and verify it. Raises SignatureCheckFailed."""
    digest: bytes = sha3.keccak_256(_SELF_TEST).digest()
    tested = key.afresh if isinstance(key, RememberedKey) else key
    verify(tested, digest, tested.sign_digest(digest))


def public_key(key: SigningKey) -> bytes:
    """The 64 bytes x | y of a key's point, wherever the key is: recovered from its self-test signature."""
    digest: bytes = sha3.keccak_256(_SELF_TEST).digest()
    signature = key.sign_digest(digest)
    verify(key, digest, signature)
    point = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    uncompressed: bytes = point.format(compressed=False)
    return uncompressed[1:]


def require_backends() -> None:
    """Raise WrongBackend unless signing is coincurve's libsecp256k1 and hashing is safe-pysha3's C."""
    keccak(b"")
    hasher = getattr(keccak, "hasher", None)
    module = type(getattr(hasher, "__self__", None)).__module__
    if module != "eth_hash.backends.pysha3":
        raise WrongBackend(f"eth-hash runs on {module}; set ETH_HASH_BACKEND=pysha3 and install safe-pysha3")
    if not hasattr(coincurve.PrivateKey, "sign_recoverable"):
        raise WrongBackend("coincurve is built without the recovery module")


def _failure(address: bytes) -> SignatureCheckFailed:
    return SignatureCheckFailed(f"a signature of 0x{address.hex()} does not verify; the node stops signing")
