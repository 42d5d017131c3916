"""Which keys a credential may have, and which bytes are a signature of one.

The P-256 cases are of the kinds that Wycheproof collects: encodings that lax parsers accept, numbers out of
range, and corner cases of the curve.
"""

from functools import cache
from hashlib import sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from passkeys import Passkey

from contracts import base64url
from contracts.customer_approvals import Credential
from wallet_node.customer_proof import ED25519, ES256, CredentialFields, is_signed_by, parse_credential
from wallet_node.errors import CredentialMalformed

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
MESSAGE = b"what is signed"
PASSKEY = Passkey()
Point = tuple[int, int]


def accepts(signature: bytes, credential: Credential = PASSKEY.credential, message: bytes = MESSAGE) -> bool:
    return is_signed_by(credential, message, signature)


# ES256 signatures


def integer(value: int, padding: int = 0) -> bytes:
    """A DER integer, with superfluous leading zeros if asked for."""
    content = bytes(padding) + value.to_bytes(value.bit_length() // 8 + 1, signed=True)
    return b"\x02" + bytes((len(content),)) + content


def sequence(content: bytes) -> bytes:
    return b"\x30" + bytes((len(content),)) + content


def good() -> tuple[int, int]:
    return decode_dss_signature(PASSKEY.sign(MESSAGE))


def test_a_signature_is_accepted_with_low_and_with_high_s() -> None:
    """Authenticators do not normalise s; nothing here depends on a signature being the only one."""
    r, s = good()
    assert accepts(sequence(integer(r) + integer(s)))
    assert accepts(sequence(integer(r) + integer(N - s)))


def test_der_is_read_strictly() -> None:
    r, s = good()
    ri, si = integer(r), integer(s)
    body = ri + si
    refused = {
        "nothing": b"",
        "raw r and s": r.to_bytes(32) + s.to_bytes(32),
        "bytes behind": sequence(body) + b"\0",
        "bytes behind, inside": sequence(body + b"\0"),
        "an integer too many": sequence(body + integer(1)),
        "an integer too few": sequence(ri),
        "an empty sequence": sequence(b""),
        "a long length": b"\x30\x81" + bytes((len(body),)) + body,
        "a longer length": b"\x30\x82\x00" + bytes((len(body),)) + body,
        "an indefinite length": b"\x30\x80" + body + b"\0\0",
        "too short a length": b"\x30" + bytes((len(body) - 1,)) + body,
        "too long a length": b"\x30" + bytes((len(body) + 1,)) + body,
        "a set": b"\x31" + sequence(body)[1:],
        "an octet string for r": sequence(b"\x04" + body[1:]),
        "leading zeros in r": sequence(integer(r, padding=2) + si),
        "leading zeros in s": sequence(ri + integer(s, padding=2)),
        "an empty integer": sequence(ri + b"\x02\x00"),
        "a long length of r": sequence(b"\x02\x81" + ri[1:] + si),
    }
    for what, signature in refused.items():
        assert not accepts(signature), what


def test_a_missing_sign_byte_makes_a_number_negative() -> None:
    while True:
        r, s = good()
        if r >> 255 and s >> 255:
            break
    bare = sequence(b"\x02\x20" + r.to_bytes(32) + integer(s))
    assert accepts(sequence(integer(r) + integer(s)))
    assert not accepts(bare)


def test_numbers_out_of_range_are_refused() -> None:
    r, s = good()
    edges = [0, 1, N - 1, N, N + 1, P, 2**256, -1]
    pairs = [(edge, s) for edge in edges] + [(r, edge) for edge in edges]
    pairs += [(first, second) for first in edges for second in edges]
    pairs += [(r + N, s), (r, s + N), (r - N, s), (r, s - N), (-r, s), (r, -s), (s, r)]
    for first, second in pairs:
        assert not accepts(sequence(integer(first) + integer(second))), (first, second)


def test_another_message_is_refused() -> None:
    assert not accepts(PASSKEY.sign(MESSAGE), message=MESSAGE + b"\0")


def double(point: Point) -> Point:
    x, y = point
    slope = (3 * x * x - 3) * pow(2 * y, -1, P)
    across = (slope * slope - 2 * x) % P
    return across, (slope * (x - across) - y) % P


def add(one: Point | None, two: Point | None) -> Point | None:
    if one is None or two is None:
        return two if one is None else one
    if one == two:
        return double(one)
    if one[0] == two[0]:
        return None
    slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P)
    across = (slope * slope - one[0] - two[0]) % P
    return across, (slope * (one[0] - across) - one[1]) % P


def times(count: int, point: Point) -> Point:
    total: Point | None = None
    addend = point
    while count:
        if count & 1:
            total = add(total, addend)
        addend = double(addend)
        count >>= 1
    assert total is not None
    return total


def lift(x: int) -> Point | None:
    squared = (x**3 - 3 * x + B) % P
    y = pow(squared, (P + 1) // 4, P)
    return (x, y) if y * y % P == squared else None


def credential_of(point: Point) -> Credential:
    return Credential(b"id", ES256, point[0].to_bytes(32) + point[1].to_bytes(32))


def signer_of(commitment: Point, s: int) -> Credential:
    """The key under which (x of the commitment mod n, s) signs the message: (s·R - h·G) / r."""
    r = commitment[0] % N
    digest = int.from_bytes(sha256(MESSAGE).digest())
    minus = times(digest % N, GENERATOR)
    difference = add(times(s, commitment), (minus[0], P - minus[1]))
    assert difference is not None
    return credential_of(times(pow(r, -1, N), difference))


@cache
def beyond_the_order() -> Point:
    """A point whose x is at least n, where r is not x itself."""
    return next(point for point in map(lift, range(N + 1, P)) if point is not None)


def test_an_x_beyond_the_order_is_reduced() -> None:
    commitment = beyond_the_order()
    credential = signer_of(commitment, s=5)
    assert accepts(encode_dss_signature(commitment[0] - N, 5), credential)
    assert not accepts(encode_dss_signature(commitment[0], 5), credential)


@pytest.mark.parametrize("s", [1, 2, 3, N // 2, N - 2, N - 1])
def test_small_and_large_s_are_good_where_they_fit(s: int) -> None:
    commitment = times(3, GENERATOR)
    credential = signer_of(commitment, s)
    assert accepts(encode_dss_signature(commitment[0] % N, s), credential)
    assert not accepts(encode_dss_signature(commitment[0] % N, (s + 12) % N), credential)


def test_a_sum_at_infinity_is_refused() -> None:
    """u1·G + u2·Q = 0 for the key Q = -(h / r)·G."""
    digest, r = int.from_bytes(sha256(MESSAGE).digest()), 7
    credential = credential_of(times(-digest * pow(r, -1, N) % N, GENERATOR))
    assert not accepts(encode_dss_signature(r, 9), credential)


# keys


def fields(algorithm: int, public_key: bytes, credential_id: bytes = b"id") -> CredentialFields:
    wire = {
        "credential_id": base64url.encode(credential_id),
        "algorithm": algorithm,
        "public_key": base64url.encode(public_key),
    }
    return msgspec.convert(wire, CredentialFields)


@pytest.mark.parametrize("algorithm", [ES256, ED25519])
def test_a_key_is_read_as_it_was_sent(algorithm: int) -> None:
    passkey = Passkey(algorithm=algorithm)
    assert parse_credential(passkey.fields()) == passkey.credential


@pytest.mark.parametrize("length", [1, 16, 1_023])
def test_a_credential_id_has_up_to_1023_bytes(length: int) -> None:
    public_key = PASSKEY.credential.public_key
    assert len(parse_credential(fields(ES256, public_key, bytes(length))).credential_id) == length
    for wrong in (0, 1_024):
        with pytest.raises(CredentialMalformed):
            parse_credential(fields(ES256, public_key, bytes(wrong)))


X, Y = PASSKEY.credential.public_key[:32], PASSKEY.credential.public_key[32:]


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        X,
        b"\x04" + X + Y,
        b"\x02" + X,
        X + Y + b"\0",
        X + bytes(32),
        Y + X,
        bytes(64),
        b"\xff" * 64,
        X + Y[:-1] + bytes((Y[-1] ^ 1,)),
        P.to_bytes(32) + Y,
    ],
)
def test_what_is_no_point_of_p256_is_refused(public_key: bytes) -> None:
    with pytest.raises(CredentialMalformed):
        parse_credential(fields(ES256, public_key))


def test_a_point_has_one_encoding() -> None:
    """A coordinate below 2^224 could be written with p added."""
    point = next(point for point in map(lift, range(1, 100)) if point is not None)
    assert parse_credential(fields(ES256, point[0].to_bytes(32) + point[1].to_bytes(32)))
    with pytest.raises(CredentialMalformed):
        parse_credential(fields(ES256, (point[0] + P).to_bytes(32) + point[1].to_bytes(32)))


def test_a_key_of_the_other_algorithm_is_refused() -> None:
    for key, other in ((PASSKEY.credential.public_key, ED25519), (bytes(range(32)), ES256)):
        with pytest.raises(CredentialMalformed):
            parse_credential(fields(other, key))


def test_other_algorithms_are_refused() -> None:
    for algorithm in (-257, -35, -36, 0, 7, True):
        with pytest.raises(msgspec.ValidationError):
            fields(algorithm, PASSKEY.credential.public_key)


Q = 2**255 - 19
D = -121665 * pow(121666, -1, Q) % Q


def edwards_add(one: Point, two: Point) -> Point:
    """RFC 8032 §5.1.4, in affine coordinates."""
    product = D * one[0] * two[0] * one[1] * two[1]
    x = (one[0] * two[1] + two[0] * one[1]) * pow(1 + product, -1, Q) % Q
    y = (one[1] * two[1] + one[0] * two[0]) * pow(1 - product, -1, Q) % Q
    return x, y


def square_root(value: int) -> int | None:
    """RFC 8032 §5.1.1."""
    root = pow(value, (Q + 3) // 8, Q)
    if root * root % Q != value % Q:
        root = root * pow(2, (Q - 1) // 4, Q) % Q
    return root if root * root % Q == value % Q else None


def points_of_small_order() -> set[Point]:
    """What is left of a point of the whole group when it is multiplied by the large prime order."""
    large_order = 2**252 + 27742317777372353535851937790883648493
    found: set[Point] = set()
    for y in range(2, 40):
        x = square_root((y * y - 1) * pow(D * y * y + 1, -1, Q))
        if x is None:
            continue
        total, addend, count = (0, 1), (x, y), large_order
        while count:
            if count & 1:
                total = edwards_add(total, addend)
            addend = edwards_add(addend, addend)
            count >>= 1
        found.add(total)
    return found


def test_an_ed25519_key_of_small_order_is_refused() -> None:
    """Under one a signature is good for any message, so that it would be nobody's approval."""
    small = points_of_small_order()
    assert len(small) == 8
    for point in small:
        for sign in (0, 1):
            with pytest.raises(CredentialMalformed):
                parse_credential(fields(ED25519, (point[1] | sign << 255).to_bytes(32, "little")))
        x, y = point
        for _ in range(3):
            x, y = edwards_add((x, y), (x, y))
        assert (x, y) == (0, 1)


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        bytes(31),
        bytes(33),
        (2).to_bytes(32, "little"),  # not on the curve
        (Q + 3).to_bytes(32, "little"),  # 3 is: this would be its other spelling
        Q.to_bytes(32, "little"),
        b"\xff" * 32,
    ],
)
def test_what_is_no_point_of_edwards25519_is_refused(public_key: bytes) -> None:
    assert parse_credential(fields(ED25519, (3).to_bytes(32, "little")))
    with pytest.raises(CredentialMalformed):
        parse_credential(fields(ED25519, public_key))


def test_an_ed25519_signature_has_one_form() -> None:
    """RFC 8032 §5.1.7: S below the order, 64 bytes, over this message by this key."""
    passkey = Passkey(algorithm=ED25519)
    credential = passkey.credential
    signature = passkey.sign(MESSAGE)
    order = 2**252 + 27742317777372353535851937790883648493
    higher = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert accepts(signature, credential)
    for wrong in (
        b"",
        signature[:-1],
        signature + b"\0",
        signature[:32] + higher,
        signature[32:] + signature[:32],
        bytes(64),
        b"\x01" + bytes(63),
    ):
        assert not accepts(wrong, credential)
    assert not accepts(signature, credential, MESSAGE[:-1])
