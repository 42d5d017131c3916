"""Signatures, sealed bytes and transactions at the edges, where implementations have been wrong."""

import itertools

import pytest
from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from curve_arithmetic import P256, SECP256K1, Case, edge_cases, reduced_r_case
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from contracts.transactions import Transaction
from wallet_node.errors import SignatureCheckFailed
from wallet_node.keystore.envelopes import AESGCM, DoesNotOpen, Envelope, open_envelope, seal
from wallet_node.keystore.signatures import ProviderKey, compact, expand, recoverable, verify
from wallet_node.keystore.software_key import SoftwareKey, address_of

N = SECP256K1.n


def address(key: tuple[int, int]) -> bytes:
    return address_of(PublicKey(b"\x04" + key[0].to_bytes(32) + key[1].to_bytes(32)))


@pytest.mark.parametrize("case", edge_cases(SECP256K1), ids=lambda case: case.what)
def test_the_shared_layer_gives_a_signature_exactly_where_ecdsa_has_one(case: Case) -> None:
    digest = case.digest.to_bytes(32)
    if not case.is_valid:
        with pytest.raises(SignatureCheckFailed):
            recoverable(digest, case.r, case.s, address(case.key))
        return
    signature = recoverable(digest, case.r, case.s, address(case.key))
    assert int.from_bytes(signature[:32]) == case.r
    assert int.from_bytes(signature[32:64]) == min(case.s, N - case.s)
    assert expand(compact(signature)) == signature


def test_an_r_that_was_reduced_has_no_form_in_ethereum() -> None:
    case = reduced_r_case(SECP256K1)
    with pytest.raises(SignatureCheckFailed):
        recoverable(case.digest.to_bytes(32), case.r, case.s, address(case.key))


class Drawn:
    """A provider that answers what it is told."""

    def __init__(self, r: int, s: int) -> None:
        self._answer = r, s

    def sign_digest(self, key: str, digest: bytes) -> tuple[int, int]:
        return self._answer


@given(secret=st.integers(1, N - 1), digest=st.binary(min_size=32, max_size=32), is_high=st.booleans())
def test_a_providers_bare_signature_becomes_what_a_software_key_gives(
    secret: int, digest: bytes, is_high: bool
) -> None:
    key = SoftwareKey(secret.to_bytes(32))
    signature = key.sign_digest(digest)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    provided = ProviderKey(Drawn(r, N - s if is_high else s), "name", key.address)
    assert provided.sign_digest(digest) == signature
    verify(provided, digest, signature)


def test_a_provider_that_signs_with_another_key_or_nonsense_is_caught() -> None:
    own, other = SoftwareKey(b"\x11" * 32), SoftwareKey(b"\x12" * 32)
    signature = other.sign_digest(bytes(32))
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    for pair in ((r, s), (0, 0), (r, 0), (N, s), (2**256, s), (-r, s)):
        with pytest.raises(SignatureCheckFailed):
            ProviderKey(Drawn(*pair), "name", own.address).sign_digest(bytes(32))


def test_what_does_not_verify_is_told_whatever_is_wrong_with_it() -> None:
    key = SoftwareKey(b"\x11" * 32)
    digest = bytes(range(32))
    good = key.sign_digest(digest)
    high = good[:32] + (N - int.from_bytes(good[32:64])).to_bytes(32) + bytes((good[64] ^ 1,))
    assert PublicKey.from_signature_and_message(high, digest, hasher=None)  # valid ECDSA, and refused
    for bad in (
        high,
        good[:64] + bytes((good[64] ^ 1,)),
        good[:64] + b"\x02",
        bytes(65),
        b"\xff" * 64 + b"\x00",
    ):
        with pytest.raises(SignatureCheckFailed):
            verify(key, digest, bad)
    with pytest.raises(SignatureCheckFailed):
        verify(key, bytes(32), good)


def test_software_signatures_are_those_of_rfc_6979() -> None:
    """Known answers for secp256k1 and SHA-256 (RFC 6979 §3.2); several wallets' tests share them."""
    import hashlib

    known = [
        (1, b"Satoshi Nakamoto", "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"),
        (
            1,
            b"All those moments will be lost in time, like tears in rain. Time to die...",
            "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b",
        ),
        (N - 1, b"Satoshi Nakamoto", "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"),
    ]
    for secret, message, r in known:
        signature = SoftwareKey(secret.to_bytes(32)).sign_digest(hashlib.sha256(message).digest())
        assert signature[:32].hex() == r


@pytest.mark.parametrize("secret", [bytes(32), N.to_bytes(32), b"\xff" * 32, b"\x01" * 31, b"\x01" * 33, b""])
def test_what_is_no_private_key_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError):
        SoftwareKey(secret)


@pytest.mark.parametrize("secret", [1, 2, N - 1, 2**248 - 1])
def test_the_smallest_and_largest_keys_have_their_addresses(secret: int) -> None:
    key = SoftwareKey(secret.to_bytes(32))
    assert key.address.hex() == Account.from_key(secret.to_bytes(32)).address[2:].lower()
    assert key.sign_digest(bytes(32)) == PrivateKey(secret.to_bytes(32)).sign_recoverable(
        bytes(32), hasher=None
    )


@pytest.mark.parametrize("case", [*edge_cases(P256), reduced_r_case(P256)], ids=lambda case: case.what)
def test_the_p256_in_use_holds_at_the_same_edges(case: Case) -> None:
    key = ec.EllipticCurvePublicNumbers(*case.key, ec.SECP256R1()).public_key()
    try:
        key.verify(
            encode_dss_signature(case.r, case.s),
            case.digest.to_bytes(32),
            ec.ECDSA(Prehashed(hashes.SHA256())),
        )
        was_valid = True
    except InvalidSignature:
        was_valid = False
    assert was_valid == case.is_valid


@pytest.mark.parametrize("point", [(0, 0), (P256.g[0], P256.g[1] + 1), (P256.p, 1), (SECP256K1.g)])
def test_a_point_outside_of_p256_is_no_key(point: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()


# "The Galois/Counter Mode of Operation" (McGrew and Viega), Appendix B, the cases of AES-256: key, nonce,
# plaintext, associated data, ciphertext, tag.
_KEY = "feffe9928665731c6d6a8f9467308308" * 2
_TEXT = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_SEALED = (
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
)
GCM = [
    ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (
        _KEY,
        "cafebabefacedbaddecaf888",
        _TEXT + "1aafd255",
        "",
        _SEALED + "898015ad",
        "b094dac5d93471bdec1a502270e3cc6c",
    ),
    (
        _KEY,
        "cafebabefacedbaddecaf888",
        _TEXT,
        "feedfacedeadbeef" * 2 + "abaddad2",
        _SEALED,
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


@pytest.mark.parametrize(("key", "nonce", "plain", "associated", "sealed", "tag"), GCM)
def test_the_published_aes_gcm_cases(
    key: str, nonce: str, plain: str, associated: str, sealed: str, tag: str
) -> None:
    cipher = AESGCM(bytes.fromhex(key))
    both = bytes.fromhex(sealed + tag)
    terms = bytes.fromhex(nonce), bytes.fromhex(associated)
    assert cipher.encrypt(terms[0], bytes.fromhex(plain), terms[1]) == both
    assert cipher.decrypt(terms[0], both, terms[1]) == bytes.fromhex(plain)


@pytest.mark.parametrize("secret", [b"", b"\x00", bytes(32), bytes(range(64))])
def test_an_envelope_with_one_bit_changed_or_one_byte_less_does_not_open(secret: bytes) -> None:
    key = bytes(range(32))
    envelope = seal(key, "a", 1, "", secret)
    assert open_envelope(key, envelope) == secret

    def opens(nonce: bytes, ciphertext: bytes) -> bool:
        try:
            open_envelope(key, Envelope("a", 1, "", nonce, ciphertext))
        except DoesNotOpen:
            return False
        return True

    sealed = envelope.ciphertext
    for place, bit in itertools.product(range(len(sealed)), range(8)):
        altered = bytearray(sealed)
        altered[place] ^= 1 << bit
        assert not opens(envelope.nonce, bytes(altered))
    # a truncated tag is no tag, of whatever length
    assert not any(opens(envelope.nonce, sealed[:length]) for length in range(len(sealed)))
    assert not opens(envelope.nonce, sealed + b"\x00")
    assert not opens(envelope.nonce, sealed[:-16] + bytes(16))
    for nonce in (b"", bytes(12), envelope.nonce[:-1], envelope.nonce + b"\x00", envelope.nonce * 2):
        assert not opens(nonce, sealed)


def unsigned(nonce: int) -> Transaction:
    return Transaction(31_337, nonce, 1, 2, 21_000, b"\x22" * 20, 3, b"\x04")


# Found by searching the nonces from 0: (nonce, whose leading zero bytes, how many).
@pytest.mark.parametrize(
    ("nonce", "which", "zeros"), [(42, "r", 1), (185, "s", 1), (248_072, "r", 2), (66_459, "s", 2)]
)
def test_a_transaction_whose_r_or_s_begins_with_zeros_is_encoded_as_eth_account_does(
    nonce: int, which: str, zeros: int
) -> None:
    key = SoftwareKey(b"\x11" * 32)
    raw, transaction_hash = unsigned(nonce).signed(key.sign_digest(unsigned(nonce).signing_hash))
    fields = {
        "type": 2,
        "chainId": 31_337,
        "nonce": nonce,
        "maxPriorityFeePerGas": 1,
        "maxFeePerGas": 2,
        "gas": 21_000,
        "to": "0x" + "22" * 20,
        "value": 3,
        "data": "0x04",
    }
    expected = Account.sign_transaction(fields, b"\x11" * 32)
    assert (raw, transaction_hash) == (bytes(expected.raw_transaction), bytes(expected.hash))
    assert getattr(expected, which) < 2 ** (256 - 8 * zeros)
    assert Account.recover_transaction(raw) == Account.from_key(b"\x11" * 32).address
