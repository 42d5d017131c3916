"""Digest -> signature in the forms that leave the node, and the check of the backends in use."""

import coincurve
import sha3
from eth_hash.auto import keccak

from wallet_node.errors import SignatureCheckFailed, WrongBackend
from wallet_node.keystore.provider import SigningKey
from wallet_node.keystore.software_key import recover

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_SELF_TEST = b"florin wallet_node self-test"


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
    if not is_low or signature[64] > 1 or recover(digest, signature) != key.address:
        raise SignatureCheckFailed(
            f"a signature of 0x{key.address.hex()} does not verify; the node stops signing"
        )


def self_test(key: SigningKey) -> None:
    """Sign a fixed, meaningless digest and verify it. Raises SignatureCheckFailed."""
    digest: bytes = sha3.keccak_256(_SELF_TEST).digest()
    verify(key, digest, key.sign_digest(digest))


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
